package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/state"
	"spamsensor/sensor/wire/wiretest"
)

// TestKilledSensor is not a test: it is the sensor that TestKill kills. It makes one attempt for
// each byte on its standard input, and saves all the time. It prints the state that it has
// restored, and a lower bound of the attempts in each finished save.
func TestKilledSensor(t *testing.T) {
	dir := os.Getenv("SPAMSENSOR_TEST_STATE")
	if dir == "" {
		t.Skip("only as a part of TestKill")
	}
	cfg := &config{state: stateConfig{dir: dir, every: 5 * time.Millisecond}}
	cfg.engine.Live = true
	cfg.engine.Limits = engine.Limits{Attempts: 4096, Flows: 1024, Sources: 1024, Sessions: 64, Hosts: 256}
	k, err := openState(cfg, zerolog.New(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(cfg.engine, engine.Output{})
	k.restore(e)
	var made atomic.Int64
	made.Store(attemptsIn(e))
	fmt.Println("restored", made.Load())
	var saving sync.WaitGroup
	saving.Go(func() {
		for {
			held := made.Load()
			if err := k.save(); err != nil {
				fmt.Println("failed", err)
				return
			}
			fmt.Println("saved", held)
			time.Sleep(k.cfg.every)
		}
	})
	w := e.Worker()
	in := bufio.NewReader(os.Stdin)
	for n := time.Now().UnixNano(); ; n++ {
		if _, err := in.ReadByte(); err != nil {
			break
		}
		data := wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: fmt.Sprintf("10.0.0.%d", n%50), Dst: fmt.Sprintf("192.0.%d.%d", n/200%200, n%200)},
			wiretest.TCP{SrcPort: uint16(n), DstPort: 25, Flags: wiretest.SYN, Seq: uint32(n)})
		w.Take([]frame.Frame{{Data: data, Time: time.Now().UnixNano(), Link: 1}})
		made.Add(1)
	}
	saving.Wait()
}

// attemptsIn is the number of attempts that an engine has counted.
func attemptsIn(e *engine.Engine) (sum int64) {
	for _, s := range e.Save().Sources {
		sum += int64(s.Counters.Attempts)
	}
	return sum
}

// TestKill kills the sensor many times at random moments: each attempt in a finished save is
// restored, and none twice, in the checkpoint and in the history. SPAMSENSOR_KILLS=100 is the long
// form.
func TestKill(t *testing.T) {
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("SPAMSENSOR_KILLS"), "8"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, uint64(kills)))
	restored, kept := int64(0), int64(0)
	for i := range kills {
		life := newLife(t, dir)
		if life.restored < restored || life.restored > kept {
			t.Fatalf("life %d: %d attempts were restored, want %d to %d", i, life.restored, restored, kept)
		}
		before := historyOf(t, dir)
		sent := life.feed(time.Duration(20+rnd.IntN(120)) * time.Millisecond)
		life.kill()
		after := historyOf(t, dir)
		saved := max(life.saved.Load(), life.restored)
		if got := after - before; got < saved-life.restored || got > sent {
			t.Fatalf("life %d: the history grew by %d, want %d to %d", i, got, saved-life.restored, sent)
		}
		restored, kept = saved, life.restored+sent
	}
	if restored < int64(kills) {
		t.Fatalf("only %d attempts survived %d lives: nothing was tested", restored, kills)
	}
	t.Logf("R18: %d kills: %d attempts in the last checkpoint, %d in the history; each that was saved is there, none twice (goal the same)", kills, restored, historyOf(t, dir))
}

// life is one run of the sensor until it is killed.
type life struct {
	t        *testing.T
	cmd      *exec.Cmd
	in       io.WriteCloser
	restored int64
	saved    atomic.Int64
	read     sync.WaitGroup
}

func newLife(t *testing.T, dir string) *life {
	l := &life{t: t, cmd: exec.Command(os.Args[0], "-test.run", "^TestKilledSensor$", "-test.v")}
	l.cmd.Env = append(os.Environ(), "SPAMSENSOR_TEST_STATE="+dir)
	l.cmd.Stderr = os.Stderr
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	ready := false
	for !ready && lines.Scan() {
		_, err := fmt.Sscanf(lines.Text(), "restored %d", &l.restored)
		ready = err == nil
	}
	if !ready {
		t.Fatal("the sensor does not start")
	}
	l.read.Go(func() {
		for lines.Scan() {
			var n int64
			if _, err := fmt.Sscanf(lines.Text(), "saved %d", &n); err == nil {
				l.saved.Store(n)
			} else if strings.HasPrefix(lines.Text(), "failed") {
				t.Error(lines.Text())
			}
		}
	})
	return l
}

// feed makes attempts for some time and returns an upper bound of their number.
func (l *life) feed(d time.Duration) (sent int64) {
	for end := time.Now().Add(d); time.Now().Before(end); sent += 20 {
		if _, err := l.in.Write(make([]byte, 20)); err != nil {
			l.t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	return sent
}

func (l *life) kill() {
	l.cmd.Process.Kill()
	l.read.Wait()
	l.cmd.Wait()
}

// historyOf is the number of attempts in the history.
func historyOf(t *testing.T, dir string) (sum int64) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "history.db")); err != nil {
		return 0
	}
	err := state.ReadHistory(dir, state.Query{}, func(_ int64, _ netip.Addr, _ bool, hours *[24]engine.Counts) {
		for _, c := range hours {
			sum += int64(c[engine.CountAttempts])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestHistoryCommand checks all forms of the history command.
func TestHistoryCommand(t *testing.T) {
	dir := t.TempDir()
	h, _, err := state.OpenHistory(dir, state.HistoryConfig{})
	if err != nil {
		t.Fatal(err)
	}
	day := int64(20000)
	for hour, n := range map[int64]uint64{0: 3, 23: 4, 24: 5} {
		for i, a := range []string{"10.0.0.25", "10.0.0.66"} {
			err := h.Add([]engine.Activity{{Addr: netip.MustParseAddr(a), Server: i == 0, Hour: day*24 + hour, Counts: engine.Counts{engine.CountAttempts: n, engine.CountMessages: n * 10}}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for args, want := range map[string]string{
		"-o csv --servers":                           "time,host,server,attempts,sessions,messages,recipients,rejected,deferred,sessions_in,messages_in|2024-10-04,10.0.0.25,true,7,0,70,0,0,0,0,0|2024-10-05,10.0.0.25,true,5,0,50,0,0,0,0,0|",
		"-o csv --host 10.0.0.66 --by hour":          "time,host,server,attempts,sessions,messages,recipients,rejected,deferred,sessions_in,messages_in|2024-10-04T00:00Z,10.0.0.66,false,3,0,30,0,0,0,0,0|2024-10-04T23:00Z,10.0.0.66,false,4,0,40,0,0,0,0,0|2024-10-05T00:00Z,10.0.0.66,false,5,0,50,0,0,0,0,0|",
		"-o csv --host 10.0.0.66 --since 2024-10-05": "time,host,server,attempts,sessions,messages,recipients,rejected,deferred,sessions_in,messages_in|2024-10-05,10.0.0.66,false,5,0,50,0,0,0,0,0|",
		"-o json --servers --until 2024-10-04":       `{"attempts":7,"deferred":0,"host":"10.0.0.25","messages":70,"messages_in":0,"recipients":0,"rejected":0,"server":true,"sessions":0,"sessions_in":0,"time":"2024-10-04T00:00:00Z"}|`,
	} {
		code, out, stderr := runArgs(append([]string{"history", "--set", "state.dir=" + dir}, strings.Fields(args)...)...)
		if got := strings.ReplaceAll(out, "\n", "|"); code != exitOK || got != want {
			t.Errorf("%s: %d %s\n%s\nwant\n%s", args, code, stderr, got, want)
		}
	}
	code, out, _ := runArgs("history", "--set", "state.dir="+dir)
	if rows, err := csv.NewReader(strings.NewReader(out)).ReadAll(); code != exitOK || err == nil && len(rows) < 6 || !strings.Contains(out, "10.0.0.66") {
		t.Errorf("the table: %d\n%s", code, out)
	}
	for _, args := range []string{"--by week", "--since yesterday", "--host me", "-o xml", "--since 2024-10-05 --until 2024-10-04"} {
		if code, _, _ := runArgs(append([]string{"history", "--set", "state.dir=" + dir}, strings.Fields(args)...)...); code != exitUsage {
			t.Errorf("%s: %d", args, code)
		}
	}
	if code, _, stderr := runArgs("history"); code != exitUsage || !strings.Contains(stderr, "state.dir") {
		t.Errorf("without a directory: %d %s", code, stderr)
	}
	if code, _, _ := runArgs("history", "--set", "state.dir="+t.TempDir()); code != exitFailed {
		t.Errorf("without a history: %d", code)
	}
}

// runArgs runs the command.
func runArgs(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestLostState checks that a state that cannot be saved at the end counts as lost output: the
// error gives the time of the last save, and the exit code shows it.
func TestLostState(t *testing.T) {
	for _, gone := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "state")
		cfg := &config{state: stateConfig{dir: dir, every: time.Hour}}
		var log bytes.Buffer
		k, err := openState(cfg, zerolog.New(&log))
		if err != nil {
			t.Fatal(err)
		}
		k.restore(engine.New(cfg.engine, engine.Output{}))
		if gone {
			os.RemoveAll(dir)
		}
		err = k.close()
		var e *exitError
		if lost := errors.As(err, &e) && e.code == exitLost && strings.Contains(err.Error(), "are lost"); lost != gone {
			t.Errorf("gone %v: %v %s", gone, err, log.String())
		}
	}
}
