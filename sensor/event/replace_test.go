package event

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReplaceLosesNothing checks that a file that is renamed and opened again, many times while
// events come, holds each line once and whole.
func TestReplaceLosesNothing(t *testing.T) {
	dir := t.TempDir()
	open := func(i int) *os.File {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%04d", i)))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const files, each = 200, 20
	f := open(0)
	q := NewQueue(f, true)
	for i := range files {
		for j := range each {
			q.put(SessionEvent, fmt.Appendf(nil, "%d\n", i*each+j))
		}
		former, next := f, open(i+1)
		q.Replace(next, func() { former.Close() })
		f = next
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("the last file was closed already: %v", err)
	}
	var all strings.Builder
	for i := range files + 1 {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%04d", i)))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	for i, line := range strings.Split(strings.TrimSpace(all.String()), "\n") {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if written, dropped := q.Totals(); written != files*each || dropped.Sum() != 0 {
		t.Errorf("%d written, %v lost", written, dropped)
	}
}

// TestReplaceWhatIsBroken checks that a broken output gets events again after it was replaced.
func TestReplaceWhatIsBroken(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	q := NewQueue(w, true)
	q.put(SessionEvent, []byte("lost\n"))
	q.Flush(stallLimit)
	f, err := os.Create(filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	q.Replace(f, func() { w.Close() })
	q.put(SessionEvent, []byte("told\n"))
	q.Close()
	b, err := os.ReadFile(f.Name())
	if _, dropped := q.Totals(); err != nil || string(b) != "told\n" || dropped.Sum() != 1 {
		t.Errorf("%q, %v lost, %v", b, dropped, err)
	}
}
