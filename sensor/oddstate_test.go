package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/bench/corpus"
)

// TestOddStateDirectories starts the sensor in a state directory with a damaged or empty history,
// or with named pipes instead of files: it starts, reports the fault in an event and on standard
// error, and ends on SIGTERM; the history command returns.
func TestOddStateDirectories(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		make  func(t *testing.T, dir string) error
		files []string // files that are refused
		code  int      // of the history command
	}{
		{"history-hang.db", func(t *testing.T, dir string) error {
			b, err := os.ReadFile(corpus.Case(t, "hostile", "history-hang.db"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "history.db"), b, 0o600)
		}, []string{"history.db"}, exitPartial},
		{"empty", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "history.db"), nil, 0o600)
		}, []string{"history.db"}, exitFailed},
		{"named pipes", func(_ *testing.T, dir string) error {
			for _, file := range []string{"checkpoint.0", "checkpoint.1", "history.db"} {
				if err := syscall.Mkfifo(filepath.Join(dir, file), 0o600); err != nil {
					return err
				}
			}
			return nil
		}, []string{"checkpoint.0", "checkpoint.1", "history.db"}, exitFailed},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.make(t, dir); err != nil {
				t.Fatal(err)
			}
			var listing locked
			q := launch(t, &listing, exec.Command(name, "history", "--set", "state.dir="+dir))
			ended := time.AfterFunc(20*time.Second, func() { q.Process.Kill() })
			if code := q.code(); code != c.code {
				t.Errorf("the history command: exit code %d, want %d: %s", code, c.code, q.stderr.String())
			}
			ended.Stop()
			var out, said locked
			cmd := exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "--set", "state.dir="+dir, "--set", "state.every=200ms")
			cmd.Stdout, cmd.Stderr = &out, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			waitFor(t, "listening", said.String)
			time.Sleep(500 * time.Millisecond)
			began := time.Now()
			cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil || time.Since(began) > 5*time.Second {
				t.Errorf("%v after %v: %s", err, time.Since(began), said.String())
			}
			raised := 0
			for _, e := range ofType(parseEvents(t, []byte(out.String())), "health") {
				if e.Health.Check == "state" && e.Health.State == "raised" {
					raised++
				}
			}
			if n := strings.Count(said.String(), "a file of the state was refused"); n != len(c.files) || raised != n {
				t.Errorf("%d refused, %d events, want %d: %s", n, raised, len(c.files), said.String())
			}
			for _, file := range c.files {
				if !strings.Contains(said.String(), file) {
					t.Errorf("%s is not named", file)
				}
			}
		})
	}
}
