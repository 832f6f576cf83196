package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tailTest follows a file in a directory of the test.
type tailTest struct {
	*testing.T
	path string
	tail *tail
	now  time.Time
	got  []string
}

func newTailTest(t *testing.T) *tailTest {
	return &tailTest{T: t, path: filepath.Join(t.TempDir(), "events.json"),
		now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
}

// start follows the file anew, as a process that starts does.
func (t *tailTest) start(saved *position) {
	t.Helper()
	var err error
	if t.tail, err = newTail(t.path, saved); err != nil {
		t.Fatal(err)
	}
}

// restart is start at the position in which the former process was.
func (t *tailTest) restart() {
	at := t.tail.at
	t.tail.close()
	t.start(&at)
}

// write appends to a file.
func (t *tailTest) write(name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// want reads for three seconds, and compares what came.
func (t *tailTest) want(lines ...string) {
	t.Helper()
	t.got = nil
	for range 7 {
		for {
			more, err := t.tail.read(t.now, func(b []byte) { t.got = append(t.got, string(b)) })
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
		}
		t.now = t.now.Add(500 * time.Millisecond)
	}
	if !slices.Equal(t.got, lines) {
		t.Errorf("%q, want %q", t.got, lines)
	}
}

func (t *tailTest) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTailStartsAtTheEnd(t *testing.T) {
	x := newTailTest(t)
	x.write(x.path, "old\nto")
	x.start(nil)
	x.want()
	x.write(x.path, "rn\nnew\n")
	x.want("torn", "new")
}

func TestTailWaitsForTheFile(t *testing.T) {
	x := newTailTest(t)
	x.start(nil)
	x.want()
	x.restart()
	x.write(x.path, "first\n")
	x.want("first")
}

func TestTailTornLine(t *testing.T) {
	x := newTailTest(t)
	x.write(x.path, "")
	x.start(nil)
	x.write(x.path, "one\ntw")
	x.want("one")
	x.restart()
	x.write(x.path, "o\n\nthree\n")
	x.want("two", "three")
	if x.tail.unreadable != 0 {
		t.Error(x.tail.unreadable)
	}
}

// A sensor that died while it wrote a line removes the line when it starts again.
func TestTailRemovedLine(t *testing.T) {
	x := newTailTest(t)
	x.write(x.path, "one\n")
	x.start(nil)
	x.write(x.path, "torn")
	x.want()
	x.must(os.Truncate(x.path, 4))
	x.write(x.path, "two\n")
	x.want("two")
	if x.tail.truncated != 0 {
		t.Error("this was taken for a rotation")
	}
}

func TestTailRename(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		x := newTailTest(t)
		x.write(x.path, "")
		x.start(nil)
		x.write(x.path, "a\n")
		x.want("a")
		x.write(x.path, "b\n")
		x.must(os.Rename(x.path, x.path+".1"))
		x.write(x.path+".1", "c\n") // the sensor has not opened the new file yet
		if stopped {
			x.restart()
		}
		x.want("b", "c")
		x.write(x.path, "d\n")
		x.write(x.path+".1", "c2\n") // a line that was on its way
		if stopped {
			x.restart()
		}
		x.want("c2", "d")
		x.write(x.path, "e\n")
		x.want("e")
	}
}

// While notify was stopped the file was rotated twice.
func TestTailRenamedTwice(t *testing.T) {
	x := newTailTest(t)
	x.write(x.path, "")
	x.start(nil)
	x.write(x.path, "a\n")
	x.want("a")
	for i, line := range []string{"b\n", "c\n"} {
		x.write(x.path, line)
		if i == 1 {
			x.must(os.Rename(x.path+".1", x.path+".2"))
		}
		at := time.Now().Add(time.Duration(i-10) * time.Minute)
		x.must(os.Chtimes(x.path, at, at))
		x.must(os.Rename(x.path, x.path+".1"))
	}
	x.write(x.path, "d\n")
	x.write(x.path+".3.gz", "no\n")
	x.restart()
	x.want("b", "c", "d")
	if x.tail.gaps != 0 {
		t.Error(x.tail.gaps)
	}
}

func TestTailLostFile(t *testing.T) {
	x := newTailTest(t)
	x.write(x.path, "a\n")
	x.start(nil)
	x.must(os.Rename(x.path, filepath.Join(filepath.Dir(x.path), "moved")))
	x.write(x.path, "b\n")
	x.restart()
	x.want("b")
	if x.tail.gaps != 1 {
		t.Errorf("%d gaps, want 1", x.tail.gaps)
	}
}

func TestTailCopyTruncate(t *testing.T) {
	line := func(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("x", 200)) }
	for _, c := range []struct {
		name    string
		stopped bool
		lines   int // in the file after it was truncated; 3 make it longer than it was
	}{{"shorter", false, 1}, {"longer", false, 3}, {"stopped", true, 3}} {
		x := newTailTest(t)
		x.write(x.path, "")
		x.start(nil)
		x.write(x.path, line(1)+"\n"+line(2)+"\n")
		x.want(line(1), line(2))
		x.must(os.Truncate(x.path, 0))
		var want []string
		for i := range c.lines {
			x.write(x.path, line(10+i)+"\n")
			want = append(want, line(10+i))
		}
		if c.stopped {
			x.restart()
		}
		x.want(want...)
		if x.tail.truncated != 1 {
			t.Errorf("%s: truncated %d times", c.name, x.tail.truncated)
		}
	}
}

func TestTailLongLine(t *testing.T) {
	x := newTailTest(t)
	x.write(x.path, "")
	x.start(nil)
	long := strings.Repeat("x", 3*readSize)
	x.write(x.path, "a\n"+long)
	x.want("a")
	x.write(x.path, long+"\nb\n"+strings.Repeat("y", maxLine+1)+"\nc\n")
	x.want("b", "c")
	if x.tail.unreadable != 2 {
		t.Errorf("%d unreadable lines, want 2", x.tail.unreadable)
	}
}

func TestTailRefusesPipes(t *testing.T) {
	if _, err := newTail("/dev/null", nil); err == nil {
		t.Error("a device was accepted")
	}
}
