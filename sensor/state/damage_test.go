package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"spamsensor/bench/corpus"
	"spamsensor/sensor/engine"
)

// rowsOf returns the rows of a history as text, by day and host, and their number.
func rowsOf(t *testing.T, dir string) (rows map[string]string, n int) {
	t.Helper()
	rows = map[string]string{}
	err := ReadHistory(dir, Query{},
		func(day int64, a netip.Addr, server bool, hours *[24]engine.Counts) {
			rows[fmt.Sprint(day, a)] = fmt.Sprint(server, *hours)
			n++
		})
	if err != nil {
		t.Fatal(err)
	}
	return rows, n
}

// manyRows makes a history of several days and hosts, in several commits.
func manyRows(t *testing.T, dir string, days, hosts int) *History {
	t.Helper()
	h := history(t, dir, HistoryConfig{})
	for day := range int64(days) {
		list := make([]int, hosts)
		for i := range list {
			list[i] = 1 + i + int(day)*1000
		}
		if err := h.Add(attempts(day*24+day%24, list...)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// within fails the test if f does not return in time.
func within(t *testing.T, most time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(most):
		t.Fatalf("%s: it did not come back within %v", what, most)
	}
}

// TestDamagedRow checks that a damaged row costs no other row, that the loss is reported, and that
// the history stays usable.
func TestDamagedRow(t *testing.T) {
	dir := t.TempDir()
	h := manyRows(t, dir, 3, 200)
	want, _ := rowsOf(t, dir)
	b, _ := os.ReadFile(h.name)
	at := bytes.Index(b, rowKey(1, host(77))) + keyLen + 3
	for bit := range 8 {
		bad := bytes.Clone(b)
		bad[at] ^= 1 << bit
		os.WriteFile(h.name, bad, 0o600)
		if _, damaged, err := HistoryDays(dir); err != nil || damaged == nil ||
			!strings.Contains(damaged.Error(),
				"599 rows (a host's day each) are good, 1 are lost") {
			t.Errorf("bit %d: %v, %v", bit, damaged, err)
		}
		again, refused, err := OpenHistory(dir, HistoryConfig{})
		if err != nil || refused == nil || !strings.Contains(refused.Err.Error(), "1 are lost") {
			t.Fatalf("bit %d: refused %v, %v", bit, refused, err)
		}
		if kept, err := os.ReadFile(refused.Aside); err != nil || !bytes.Equal(kept, bad) {
			t.Errorf("it is not kept: %v", err)
		}
		got, _ := rowsOf(t, dir)
		for k, v := range want {
			if is, ok := got[k]; ok != (k != fmt.Sprint(1, host(77))) || ok && is != v {
				t.Fatalf("bit %d: %s is %q, want %q", bit, k, is, v)
			}
		}
		if err := again.Add([]engine.Activity{{Addr: host(77), Hour: 24,
			Counts: engine.Counts{5}}}); err != nil {
			t.Error(err)
		}
		if got, n := rowsOf(t, dir); n != 600 ||
			!strings.Contains(got[fmt.Sprint(1, host(77))], "5") {
			t.Errorf("%d rows", n)
		}
		if _, damaged, err := HistoryDays(dir); damaged != nil || err != nil {
			t.Error(damaged, err)
		}
	}
}

// TestAnyDamage damages the file in many ways: opening always returns, each row that is read was
// written, each missing row is reported, and the history stays usable.
func TestAnyDamage(t *testing.T) {
	rounds := 60
	if os.Getenv("SPAMSENSOR_LONG") != "" {
		rounds = 20_000
	}
	dir := t.TempDir()
	h := manyRows(t, dir, 12, 150)
	good, _ := os.ReadFile(h.name)
	want, all := rowsOf(t, dir)
	rnd := rand.New(rand.NewPCG(1, 2))
	mended, kept := 0, 0
	for i := range rounds {
		bad := bytes.Clone(good)
		page := func() []byte { n := rnd.IntN(len(bad) / 4096); return bad[n*4096 : (n+1)*4096] }
		what := ""
		switch i % 8 {
		case 0, 1:
			at := rnd.IntN(len(bad))
			bad[at] ^= 1 << rnd.IntN(8)
			what = fmt.Sprintf("a bit of byte %d", at)
		case 2:
			p := page()
			at := rnd.IntN(48) // the header of the page and its first elements
			p[at] = byte(rnd.Uint32())
			what = fmt.Sprintf("byte %d of a page", at)
		case 3:
			clear(page())
			what = "a page of zeros"
		case 4:
			copy(page(), page())
			what = "a page written over another"
		case 5:
			p := page()
			// a page with the number of another page
			binary.NativeEndian.PutUint64(p, binary.NativeEndian.Uint64(page()))
			what = "a page's number"
		case 6:
			bad = bad[:rnd.IntN(len(bad))]
			what = "cut"
		case 7:
			for range 1 + rnd.IntN(30) {
				bad[rnd.IntN(len(bad))] = byte(rnd.Uint32())
			}
			what = "some bytes"
		}
		name := fmt.Sprintf("%d, %s", i, what)
		os.WriteFile(h.name, bad, 0o600)
		within(t, 10*time.Second, name, func() {
			again, refused, err := OpenHistory(dir, HistoryConfig{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			got, n := rowsOf(t, dir)
			head := refused != nil && strings.Contains(refused.Err.Error(), "one of the two heads")
			for k, v := range got {
				if want[k] != v && !head {
					t.Errorf("%s: %s is %q, want %q", name, k, v, want[k])
				}
			}
			if n != all && refused == nil {
				t.Errorf("%s: %d rows of %d, and nothing is said", name, n, all)
			}
			if refused != nil {
				mended++
			}
			kept += n
			for day := range int64(3) {
				if err := again.Add(attempts(day*24, 1, 2)); err != nil {
					t.Errorf("%s: to write into it: %v", name, err)
				}
			}
			if _, damaged, err := HistoryDays(dir); damaged != nil || err != nil {
				t.Errorf("%s: it is not mended: %v, %v", name, damaged, err)
			}
		})
		if t.Failed() {
			return
		}
		for _, old := range globbed(dir, "*.refused.*") {
			os.Remove(old)
		}
	}
	t.Logf("R18: %d histories damaged at random: all opened, %d said to be damaged, %.0f %% of "+
		"their rows kept, 0 other counts, 0 that could not be written to (goal 0)",
		rounds, mended, 100*float64(kept)/float64(rounds*all))
}

func globbed(dir, pattern string) []string {
	list, _ := filepath.Glob(filepath.Join(dir, pattern))
	return list
}

// TestDamageWhileRunning checks that a file that is overwritten while the sensor runs is repaired
// at the next count.
func TestDamageWhileRunning(t *testing.T) {
	dir := t.TempDir()
	h := manyRows(t, dir, 3, 100)
	b, _ := os.ReadFile(h.name)
	os.WriteFile(h.name, b[:5*4096], 0o600)
	if err := h.Add(attempts(24, 1)); err != nil {
		t.Fatal(err)
	}
	if list := h.Refused(); len(list) != 1 {
		t.Errorf("%v", list)
	}
	if _, n := rowsOf(t, dir); n == 0 || n > 300 {
		t.Errorf("%d rows", n)
	}
}

// TestHistoryHang opens the file on which bbolt does not return.
func TestHistoryHang(t *testing.T) {
	b, err := os.ReadFile(corpus.Case(t, "hostile", "history-hang.db"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "history.db"), b, 0o600)
	within(t, 10*time.Second, "history-hang.db", func() {
		HistoryDays(dir)
		h, refused, err := OpenHistory(dir, HistoryConfig{})
		if err != nil || refused == nil {
			t.Errorf("refused %v, %v", refused, err)
			return
		}
		t.Log(refused.Err)
		if err := h.Add(attempts(24, 1)); err != nil {
			t.Error(err)
		}
	})
}

// TestOddFilesInTheirPlaces checks that a name of the state that is no regular file, or is empty,
// does not keep the sensor from starting, and that the sensor reports it.
func TestOddFilesInTheirPlaces(t *testing.T) {
	for kind, place := range map[string]func(name string) error{
		"a named pipe": func(name string) error { return syscall.Mkfifo(name, 0o600) },
		"a directory": func(name string) error {
			return os.MkdirAll(filepath.Join(name, "in it"), 0o700)
		},
		"empty": func(name string) error { return os.WriteFile(name, nil, 0o600) },
		"a link to a named pipe": func(name string) error {
			syscall.Mkfifo(name+"-pipe", 0o600)
			return os.Symlink(name+"-pipe", name)
		},
	} {
		for _, file := range []string{"checkpoint.0", "checkpoint.1", "history.db"} {
			what := kind + " called " + file
			dir := t.TempDir()
			if err := place(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			within(t, 10*time.Second, what, func() {
				s, err := Open(dir)
				if err != nil {
					t.Error(what, err)
					return
				}
				defer s.Close()
				var c Checkpoint
				l, err := s.Load(&c)
				h, refused, errH := OpenHistory(dir, HistoryConfig{})
				if refused != nil {
					l.Refused = append(l.Refused, *refused)
				}
				if err != nil || errH != nil || len(l.Refused) != 1 ||
					filepath.Base(l.Refused[0].File) != file {
					t.Errorf("%s: refused %v, %v, %v", what, l.Refused, err, errH)
					return
				}
				for i := range 3 {
					if err := s.Save(sample(int64(i))); err != nil {
						t.Error(what, err)
					}
				}
				if err := h.Add(attempts(24, 1)); err != nil {
					t.Error(what, err)
				}
			})
		}
	}
	dir := t.TempDir()
	syscall.Mkfifo(filepath.Join(dir, "checkpoint.0.tmp"), 0o600)
	syscall.Mkfifo(filepath.Join(dir, "lock"), 0o600)
	within(t, 10*time.Second, "named pipes that are written to", func() {
		s, err := Open(dir)
		if err != nil {
			t.Error(err)
			return
		}
		defer s.Close()
		for i := range 3 {
			if err := s.Save(sample(int64(i))); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestHistoryOfVersion1 checks that rows of the version before this one, which had no checksums,
// are read.
func TestHistoryOfVersion1(t *testing.T) {
	dir := t.TempDir()
	db, err := bbolt.Open(filepath.Join(dir, "history.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, _ := tx.CreateBucket(metaBucket)
		rows, _ := tx.CreateBucket(rowBucket)
		for i := range 5000 {
			r := row{server: i%2 == 0}
			r.hours[i%24] = engine.Counts{uint64(i)}
			k := rowKey(uint32(i/1000), host(i))
			v, _ := unseal(k, r.encode(k))
			if err := rows.Put(k, v); err != nil {
				return err
			}
		}
		return meta.Put(versionKey, []byte{1})
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	before, n := rowsOf(t, dir) // as the command reads it without a running sensor
	h := history(t, dir, HistoryConfig{})
	after, m := rowsOf(t, dir)
	if n != 5000 || m != 5000 {
		t.Fatalf("%d rows before, %d after", n, m)
	}
	for k, v := range before {
		if after[k] != v {
			t.Fatalf("%s: %q, want %q", k, after[k], v)
		}
	}
	if err := h.Add(attempts(24, 1)); err != nil {
		t.Error(err)
	}
	if _, damaged, err := HistoryDays(dir); damaged != nil || err != nil {
		t.Error(damaged, err)
	}
}
