package state

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"spamsensor/sensor/engine"
)

func host(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

func attempts(hour int64, n ...int) (list []engine.Activity) {
	for i, n := range n {
		list = append(list,
			engine.Activity{Addr: host(i), Server: i == 0, Hour: hour,
				Counts: engine.Counts{engine.CountAttempts: uint64(n)}})
	}
	return list
}

func history(t *testing.T, dir string, cfg HistoryConfig) *History {
	t.Helper()
	h, refused, err := OpenHistory(dir, cfg)
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
	return h
}

// lines returns the history as text: day host@hour:attempts.
func lines(t *testing.T, h *History, q Query) (text string) {
	t.Helper()
	err := h.Read(q, func(day int64, a netip.Addr, server bool, hours *[24]engine.Counts) {
		text += fmt.Sprintf("%d %s", day, a)
		for hour, c := range hours {
			if c[engine.CountAttempts] > 0 {
				text += fmt.Sprintf(" @%d:%d", hour, c[engine.CountAttempts])
			}
		}
		text += "\n"
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	h := history(t, dir, HistoryConfig{})
	for _, list := range [][]engine.Activity{attempts(48, 5, 1), attempts(48, 2),
		attempts(71, 0, 300), attempts(72, 1), nil} {
		if err := h.Add(list); err != nil {
			t.Fatal(err)
		}
	}
	h = history(t, dir, HistoryConfig{}) // the rows come from the file
	for _, row := range []struct {
		q    Query
		want string
	}{
		{Query{}, "2 10.0.0.0 @0:7\n2 10.0.0.1 @0:1 @23:300\n3 10.0.0.0 @0:1\n"},
		{Query{Host: host(1)}, "2 10.0.0.1 @0:1 @23:300\n"},
		{Query{Servers: true}, "2 10.0.0.0 @0:7\n3 10.0.0.0 @0:1\n"},
		{Query{FromDay: 3}, "3 10.0.0.0 @0:1\n"},
		{Query{ToDay: 2, Host: host(0)}, "2 10.0.0.0 @0:7\n"},
	} {
		if got := lines(t, h, row.q); got != row.want {
			t.Errorf("%+v:\n%s want\n%s", row.q, got, row.want)
		}
	}
}

// TestHistoryIsBounded checks that the history keeps no more days than configured, even if the
// clock jumps, and no more hosts a day.
func TestHistoryIsBounded(t *testing.T) {
	h := history(t, t.TempDir(), HistoryConfig{Days: 3, Hosts: 2})
	for _, day := range []int64{10, 11, 90000, 12, 13} {
		if err := h.Add(attempts(day*24, 1, 1, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	want := ""
	for _, day := range []int64{12, 13, 90000} {
		want += fmt.Sprintf("%d :: @0:2\n%d 10.0.0.0 @0:1\n%d 10.0.0.1 @0:1\n", day, day, day)
	}
	if got := lines(t, h, Query{}); got != want {
		t.Errorf("%s want\n%s", got, want)
	}
}

// TestHistoryIsShortened checks that days beyond a shortened configuration are removed at the next
// count.
func TestHistoryIsShortened(t *testing.T) {
	dir := t.TempDir()
	h := history(t, dir, HistoryConfig{Days: 400})
	for day := range int64(50) {
		if err := h.Add(attempts((100+day)*24, 1)); err != nil {
			t.Fatal(err)
		}
	}
	h = history(t, dir, HistoryConfig{Days: 3})
	if err := h.Add(attempts(149*24+1, 1)); err != nil {
		t.Fatal(err)
	}
	if got, want := lines(t, h, Query{}),
		"147 10.0.0.0 @0:1\n148 10.0.0.0 @0:1\n149 10.0.0.0 @0:1 @1:1\n"; got != want {
		t.Errorf("%s want\n%s", got, want)
	}
}

// TestFullDisk checks that a full disk does not make a history a damaged one, and that counts that
// could not be written are written when there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("it takes a tmpfs: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	fill := func() {
		os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 2<<20), 0o600)
	}
	fill()
	h, refused, err := OpenHistory(dir, HistoryConfig{})
	if h == nil || refused != nil || !errors.Is(err, ErrNoRoom) {
		t.Fatalf("a disk that is full at the start: %v, %v, %v", h, refused, err)
	}
	os.Remove(filepath.Join(dir, "fill"))
	if err := h.Add(attempts(24, 5)); err != nil {
		t.Fatal("with room: ", err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Save(sample(1)); err != nil {
		t.Fatal(err)
	}
	fill()
	if h, refused, err = OpenHistory(dir, HistoryConfig{}); h == nil || refused != nil ||
		err != nil && !errors.Is(err, ErrNoRoom) {
		t.Fatalf("a good history on a disk that is full: %v, %v", refused, err)
	}
	failed := 0
	for hour := range int64(200) {
		if err := h.Add(attempts(48+hour, slices.Repeat([]int{1}, 60)...)); err != nil {
			failed++
		}
	}
	if err := s.Save(sample(2)); !errors.Is(err, syscall.ENOSPC) || failed == 0 {
		t.Fatalf("nothing is tested: %v, %d failed", err, failed)
	}
	os.Remove(filepath.Join(dir, "fill"))
	var c Checkpoint
	if l, err := s.Load(&c); err != nil || l.Generation != 1 || l.Refused != nil {
		t.Errorf("the checkpoint before: %+v, %v", l, err)
	}
	if err := s.Save(sample(3)); err != nil {
		t.Error("with room again: ", err)
	}
	if err := h.Add(attempts(1000*24, 7)); err != nil {
		t.Error("with room again: ", err)
	}
	for _, want := range []string{"1 10.0.0.0 @0:5\n", "1000 10.0.0.0 @0:7\n"} {
		if got := lines(t, h, Query{}); !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.refused.*")); aside != nil {
		t.Error("kept aside: ", aside)
	}
}

// TestHistoryDamage checks that a file that was cut or overwritten is kept under another name, and
// that a new one begins.
func TestHistoryDamage(t *testing.T) {
	dir := t.TempDir()
	h := history(t, dir, HistoryConfig{})
	for day := range int64(30) {
		list := make([]int, 300)
		for i := range list {
			list[i] = 1
		}
		if err := h.Add(attempts(day*24, list...)); err != nil {
			t.Fatal(err)
		}
	}
	good, _ := os.ReadFile(h.name)
	for name, bad := range map[string][]byte{"no head": append(make([]byte, 16384),
		bytes.Repeat([]byte("x"), len(good)-16384)...),
		"text": bytes.Repeat([]byte("no database "), 3000), "short": good[:100]} {
		os.WriteFile(h.name, bad, 0o600)
		again, refused, err := OpenHistory(dir, HistoryConfig{})
		if err != nil || refused == nil {
			t.Errorf("%s: refused %v, %v", name, refused, err)
			continue
		}
		if kept, err := os.ReadFile(refused.Aside); err != nil || !bytes.Equal(kept, bad) {
			t.Errorf("%s: it was not kept aside: %v", name, err)
		}
		if err := again.Add(attempts(1, 1)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A cut behind the header is found when the file is read.
	os.WriteFile(h.name, good[:len(good)/2], 0o600)
	n := 0
	if err := h.Read(Query{},
		func(int64, netip.Addr, bool, *[24]engine.Counts) { n++ }); err != nil || n >= 9000 {
		t.Errorf("half a file: %d rows, %v", n, err)
	}
	if _, damaged, err := HistoryDays(dir); err != nil || damaged == nil {
		t.Errorf("half a file is taken for a whole one: %v", err)
	}
}
