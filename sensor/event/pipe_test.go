package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// numbered is an event of about 200 bytes.
func numbered(i int) []byte {
	return fmt.Appendf(nil, `{"n":%d,"text":"%s"}`+"\n", i, strings.Repeat("x", 180))
}

// TestReaderComesBack checks a named pipe whose reader leaves in the middle of a line, with more
// data in the pipe. The next reader gets whole lines, beginning with the line that was not read to
// its end. Dropped events are counted by type, and no finding is dropped.
func TestReaderComesBack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip(err)
	}
	opened := make(chan *os.File)
	go func() {
		r, _ := os.Open(name)
		opened <- r
	}()
	w, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := <-opened
	q := NewQueue(w, false)
	for i := range 300 { // 60 kB: almost the capacity of the pipe
		q.put(SessionEvent, numbered(i))
	}
	drained(t, q, 0)
	first := make([]byte, 10_000)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	r.Close()
	read := bytes.Count(first, []byte{'\n'})
	for i := 300; i < 350; i++ {
		q.put(SessionEvent, numbered(i))
	}
	q.put(FindingEvent, numbered(350))
	for range 1000 {
		if _, d := q.Totals(); d[SessionEvent] > 0 && q.Failing() != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if q.Failing() == nil {
		t.Fatal("nothing is said about it")
	}
	if r, err = os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(r)
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	var got []int
	var last struct{ N int }
	for last.N != 350 && lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatalf("%v: %q", err, lines.Text())
		}
		got = append(got, last.N)
	}
	q.put(SessionEvent, numbered(351))
	if lines.Scan(); !strings.HasPrefix(lines.Text(), `{"n":351,`) {
		t.Errorf("after it has come back: %q", lines.Text())
	}
	if q.Failing() != nil {
		t.Errorf("it does not recover: %v", q.Failing())
	}
	q.Close()
	r.Close()
	if len(got) < 2 || got[0] != read || got[len(got)-2] < 299 {
		t.Errorf("the first reader took %d whole lines; the second got %v", read, got)
	}
	for i := range got[:300-read] {
		if got[i] != read+i {
			t.Fatalf("line %d is number %d", i, got[i])
		}
	}
	written, dropped := q.Totals()
	if want := (Dropped{SessionEvent: uint64(352 - read - len(got) - 1)}); dropped != want ||
		written+dropped.Sum() != 352 {
		t.Errorf("%d written, lost %v, want %v", written, dropped, want)
	}
	t.Logf("R16: the reader of a named pipe went away and came back: %d of 352 events lost, all "+
		"counted, 0 findings; every line is JSON (goal the same)", dropped.Sum())
}

// TestFullDiskKeepsWholeLines checks that a full disk leaves no partial line.
func TestFullDiskKeepsWholeLines(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	for _, flags := range []int{os.O_APPEND, 0} {
		f, err := os.OpenFile(filepath.Join(dir, "events"),
			os.O_CREATE|os.O_TRUNC|os.O_WRONLY|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		filler := filepath.Join(dir, "filler")
		if err := os.WriteFile(filler, make([]byte, 40<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		q := NewQueue(f, false)
		for i := range 300 {
			q.put(FindingEvent, numbered(i))
		}
		for range 2000 {
			if q.Failing() != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		whole := func(want int) {
			t.Helper()
			b, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for line := range bytes.Lines(b) {
				var v struct{ N int }
				if err := json.Unmarshal(line, &v); err != nil || v.N != n ||
					line[len(line)-1] != '\n' {
					t.Fatalf("line %d: %v, %q", n, err, line)
				}
				n++
			}
			if n < want || n > 300 {
				t.Errorf("%d lines", n)
			}
		}
		if q.Failing() == nil {
			t.Fatal("the disk is not full")
		}
		time.Sleep(10 * time.Millisecond)
		whole(50)
		os.Remove(filler)
		q.Close()
		whole(300)
		if written, dropped := q.Totals(); written != 300 || dropped.Sum() > 0 {
			t.Errorf("%d written, %v lost", written, dropped)
		}
		f.Close()
	}
}

// TestLastOfTheDisk checks that batches of sessions leave the last of a disk to findings.
func TestLastOfTheDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs root: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	f, err := os.Create(filepath.Join(dir, "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	q := NewQueue(f, true)
	for i := range 10_000 {
		q.put(SessionEvent, numbered(i))
	}
	for i := range 200 {
		q.put(FindingEvent, numbered(i))
	}
	q.Close()
	written, dropped := q.Totals()
	if dropped[FindingEvent] > 0 || dropped[SessionEvent] < 4000 || written < 4000 {
		t.Errorf("%d written, lost: %v", written, dropped)
	}
}
