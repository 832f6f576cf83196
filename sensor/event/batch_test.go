package event

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestDelay checks that an event on a quiet network is written after batchDelay, and not earlier.
func TestDelay(t *testing.T) {
	for _, block := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			out := &faulty{}
			q := NewQueue(out, block)
			defer q.Close()
			for i := range 3 {
				time.Sleep(time.Second)
				q.put(SessionEvent, []byte("one\n"))
				time.Sleep(batchDelay / 2)
				q.put(FindingEvent, []byte("two\n"))
				time.Sleep(batchDelay/2 - time.Nanosecond)
				synctest.Wait()
				if got := out.text(); got != strings.Repeat("one\ntwo\n", i) {
					t.Errorf("before the delay is over: %q", got)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if got := out.text(); got != strings.Repeat("one\ntwo\n", i+1) {
					t.Errorf("after the delay: %q", got)
				}
			}
		})
	}
}

// TestDelayOfStorm checks that no event is late although full batches are written meanwhile.
func TestDelayOfStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &faulty{}
		q := NewQueue(out, false)
		defer q.Close()
		added := []int{}
		for range 200 {
			for range 3 {
				q.put(SessionEvent, bytes.Repeat([]byte("x"), 1<<10))
			}
			added = append(added, 3<<10)
			time.Sleep(5 * time.Millisecond)
			synctest.Wait()
			want, late := 0, len(added)-int(batchDelay/(5*time.Millisecond))
			for _, n := range added[:max(0, late)] {
				want += n
			}
			if len(out.text()) < want {
				t.Fatalf("%d bytes are written, want %d", len(out.text()), want)
			}
		}
	})
}

// TestFlushWritesAtOnce checks that Flush does not wait for the delay, also for events that are
// added meanwhile.
func TestFlushWritesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &faulty{gate: make(chan struct{})}
		q := NewQueue(out, false)
		defer q.Close()
		defer close(out.gate)
		began := time.Now()
		q.put(SessionEvent, []byte("one\n"))
		go func() {
			q.Flush(time.Hour)
			if took := time.Since(began); took > 0 || out.text() != "one\ntwo\n" {
				t.Errorf("after %v: %q", took, out.text())
			}
		}()
		synctest.Wait()
		q.put(SessionEvent, []byte("two\n"))
		out.gate <- struct{}{}
		out.gate <- struct{}{}
		synctest.Wait()
	})
}

// writes is the number of write calls of the process.
func writes(t *testing.T) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	_, after, ok := strings.Cut(string(b), "syscw: ")
	if err != nil || !ok {
		t.Skip("the system does not count write calls")
	}
	fmt.Sscan(after, &n)
	return n
}

// TestOneWriteForManyEvents checks that a file gets many events with one call.
func TestOneWriteForManyEvents(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := writes(t)
	q := NewQueue(f, true)
	var want bytes.Buffer
	for i := range 20_000 {
		q.put(SessionEvent, numbered(i))
		want.Write(numbered(i))
	}
	q.Close()
	if n := writes(t) - before; n > 500 {
		t.Errorf("%d write calls for 20,000 events", n)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes, want %d", len(got), want.Len())
	}
}

// chunks records the length of each write.
type chunks struct{ list []string }

func (c *chunks) Write(b []byte) (int, error) {
	c.list = append(c.list, string(b))
	return len(b), nil
}

// TestWritesOfAPipe checks that what is no file gets whole lines, and together no more than a pipe
// keeps together when several sensors write to it.
func TestWritesOfAPipe(t *testing.T) {
	out := &chunks{}
	q := NewQueue(out, true)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		q.put(SessionEvent, append(bytes.Repeat([]byte("x"), rnd.IntN(6000)), '\n'))
	}
	q.Close()
	for _, s := range out.list {
		if !strings.HasSuffix(s, "\n") || len(s) > atomicSize && strings.Count(s, "\n") > 1 {
			t.Fatalf("a write of %d bytes, %d lines", len(s), strings.Count(s, "\n"))
		}
	}
	if len(out.list) > 1900 {
		t.Errorf("%d writes of 2000 lines", len(out.list))
	}
}

// unreliable is a writer that accepts a part of some writes.
type unreliable struct {
	rnd *rand.Rand
	out bytes.Buffer
}

func (u *unreliable) Write(b []byte) (int, error) {
	if u.rnd.IntN(3) > 0 {
		return u.out.Write(b)
	}
	n, _ := u.out.Write(b[:u.rnd.IntN(len(b))])
	return n, syscall.ENOSPC
}

// TestErrorWithinABatch checks that an error in the middle of a batch costs its line alone: the
// lines before it are counted as written, a finding is written again, and no other line is torn.
func TestErrorWithinABatch(t *testing.T) {
	lost := Dropped{}
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			for k, n := range errorWithinABatch(t, seed) {
				lost[k] += n
			}
		})
	}
	if lost[SessionEvent] == 0 || lost[SourceEvent] == 0 || lost[FindingEvent] > 0 {
		t.Errorf("lost: %v", lost)
	}
}

func errorWithinABatch(t *testing.T, seed uint64) (lost Dropped) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	out := &unreliable{rnd: rand.New(rand.NewPCG(seed, 2))}
	q := NewQueue(out, true)
	kinds := map[string]Type{} // of the lines that are not written
	called := map[string]int{}
	for i := range 500 {
		k := []Type{SessionEvent, SourceEvent, FindingEvent}[rnd.IntN(3)]
		text := fmt.Sprintf("<%d:%s>\n", i, strings.Repeat("x", rnd.IntN(200)))
		kinds[text] = k
		q.add(k, []byte(text), func() { called[text]++ })
		if rnd.IntN(50) == 0 {
			q.Flush(time.Minute)
		}
	}
	time.Sleep(time.Hour) // what is held is written again
	q.Close()
	last := [Types]int{}
	for line := range strings.Lines(out.out.String()) {
		k, ok := kinds[line]
		if !ok { // half a line
			continue
		}
		delete(kinds, line)
		var i int
		fmt.Sscanf(line, "<%d:", &i)
		if i < last[k] || called[line] != 1 {
			t.Fatalf("seed %d: %d comes after %d, before was called %d times", seed, i, last[k],
				called[line])
		}
		last[k] = i
	}
	for _, k := range kinds {
		lost[k]++
	}
	if _, dropped := q.Totals(); lost != dropped {
		t.Errorf("seed %d: %v are missing, %v are counted", seed, lost, dropped)
	}
	return lost
}

// TestWaitAtTheEnd checks that add waits for a slow reader after Wait, and no longer than it says.
func TestWaitAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := bytes.Repeat([]byte("x"), 64<<10)
		q := NewQueue(writerFunc(func(b []byte) (int, error) {
			time.Sleep(10 * time.Millisecond)
			return len(b), nil
		}), false)
		q.Wait(time.Hour)
		for range 2 * queueLimit / len(text) {
			q.add(SourceEvent, text, nil)
		}
		q.Close()
		if _, dropped := q.Totals(); dropped.Sum() > 0 {
			t.Errorf("%s were lost of a slow reader", dropped)
		}
		stalled := make(chan struct{})
		q = NewQueue(writerFunc(func(b []byte) (int, error) { <-stalled; return len(b), nil }), false)
		began := time.Now()
		q.Wait(2 * time.Second)
		for range 2 * queueLimit / len(text) {
			q.add(SourceEvent, text, nil)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("waited for %v", took)
		}
		close(stalled)
		q.Close()
	})
}

// writerFunc is a function as a writer.
type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
