package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/state"
)

// TestOutputIsNoInput checks that no input file, and no file of another process, is written to,
// under any name.
func TestOutputIsNoInput(t *testing.T) {
	bot := testdata(t, "bot.pcap")
	settings := []byte("state:\n  every: 1s\n")
	for _, c := range []struct {
		name string
		args []string // FILES stands for the files of the directory
		says string   // "" if the events are written
	}{
		{"the same name", []string{"--events", "x.pcap", "x.pcap"}, "it is the input x.pcap"},
		{"another name for it", []string{"--events", "sub/../x.pcap", "x.pcap"}, "it is the input x.pcap"},
		{"a symbolic link to it", []string{"--events", "symbolic", "x.pcap"}, "it is the input x.pcap"},
		{"read through a symbolic link", []string{"--events", "x.pcap", "symbolic"}, "it is the input symbolic"},
		{"a hard link to it", []string{"--events", "hard", "x.pcap"}, "it is the input x.pcap"},
		{"the second of two", []string{"--events", "x.pcap", "y.pcap", "x.pcap"}, "it is the input x.pcap"},
		{"no capture, but named", []string{"--events", "notes", "notes", "x.pcap"}, "it is the input notes"},
		{"in a directory", []string{"--events", "captures/a.pcap", "captures"}, "it is the input captures/a.pcap"},
		{"damaged, in a directory", []string{"--events", "captures/cut.pcap", "captures"}, "it is the input captures/cut.pcap"},
		{"a link to one in a directory", []string{"--events", "linked", "captures"}, "it is the input captures/a.pcap"},
		{"standard input", []string{"--events", "x.pcap", "-"}, "it is an input, standard input"},
		{"a named pipe", []string{"--events", "pipe", "pipe"}, "it is the input pipe"},
		{"the configuration", []string{"-c", "conf", "--events", "conf", "x.pcap"}, "it is the configuration conf"},
		{"the key of the hashes", []string{"--set", "evidence.hash_key_file=key", "--events", "key", "x.pcap"}, "it is the key of the hashes key"},
		{"the history", []string{"--events", "state/history.db", "x.pcap"}, "it is part of the state"},
		{"a new file of a state", []string{"--events", "state/checkpoint.1", "x.pcap"}, "it is part of the state"},
		{"a link to a checkpoint", []string{"--set", "state.dir=state", "--events", "checkpoint", "x.pcap"}, "it is part of the state"},
		{"a file that another process writes", []string{"--events", "locked", "x.pcap"}, "another process is writing to it"},
		{"a directory", []string{"--events", "sub", "x.pcap"}, "it is no file"},
		{"a file that is there", []string{"--events", "old.json", "x.pcap"}, ""},
		{"no capture, in a directory", []string{"--events", "captures/notes", "captures"}, ""},
		{"a new file in a directory that is read", []string{"--events", "captures/new.json", "captures"}, ""},
		{"beside a state", []string{"--events", "state/events.json", "x.pcap"}, ""},
		{"output.file is of run", []string{"--set", "output.file=y.pcap", "x.pcap"}, ""},
		{"output.file is the input", []string{"--set", "output.file=x.pcap", "x.pcap"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			os.Mkdir("captures", 0o700)
			os.Mkdir("sub", 0o700)
			files := map[string][]byte{"x.pcap": bot, "y.pcap": bot, "captures/a.pcap": bot, "captures/cut.pcap": bot[:10], "captures/notes": []byte("notes"),
				"notes": []byte("notes"), "conf": settings, "key": []byte("0123456789abcdef"), "old.json": []byte("old"), "locked": []byte("theirs")}
			for name, b := range files {
				os.WriteFile(name, b, 0o600)
			}
			store, err := state.Open("state")
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if err := store.Save(&state.Checkpoint{Written: 1}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"state/history.db", "state/checkpoint.1"} {
				os.WriteFile(name, []byte("kept"), 0o600)
				files[name] = []byte("kept")
			}
			for _, err := range []error{os.Symlink("x.pcap", "symbolic"), os.Link("x.pcap", "hard"), os.Symlink("captures/a.pcap", "linked"),
				os.Link("state/checkpoint.1", "checkpoint"), syscall.Mkfifo("pipe", 0o600)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			locked, _ := os.Open("locked")
			defer locked.Close()
			if err := lock(locked); err != nil {
				t.Fatal(err)
			}
			stdin, _ := os.Open("x.pcap")
			defer stdin.Close()
			if c.says == "" {
				delete(files, "old.json")
				if c.name == "no capture, in a directory" {
					delete(files, "captures/notes")
				}
			}
			var out, errs bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				ended <- run(context.Background(), append([]string{"read", "--no-progress"}, c.args...), stdin, &out, &errs)
			}()
			var code int
			select {
			case code = <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("it does not end")
			}
			want := exitOK
			switch {
			case c.says != "":
				want = exitUsage
			case strings.Contains(c.args[len(c.args)-1], "captures"):
				want = exitPartial
			}
			if code != want || !strings.Contains(errs.String(), c.says) || (c.says == "") != strings.Contains(out.String(), "192.168.77.66") {
				t.Errorf("exit code %d, want %d: %s", code, want, errs.String())
			}
			for name, b := range files {
				if is, err := os.ReadFile(name); err != nil || !bytes.Equal(is, b) {
					t.Errorf("%s is changed: %d bytes of %d, %v", name, len(is), len(b), err)
				}
			}
			if at := c.args[len(c.args)-2]; c.says == "" && c.args[0] == "--events" {
				b, _ := os.ReadFile(at)
				if len(ofType(unmarshalEvents(t, b), "finding")) == 0 {
					t.Errorf("%s holds no events", at)
				}
			}
		})
	}
}

// TestReportBesideEvents checks that events and report cannot go to the same file, because each
// would overwrite the other.
func TestReportBesideEvents(t *testing.T) {
	dir := t.TempDir()
	input, output := filepath.Join(dir, "x.pcap"), filepath.Join(dir, "out")
	os.WriteFile(input, testdata(t, "bot.pcap"), 0o600)
	f, err := os.Create(output)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var errs bytes.Buffer
	if code := run(context.Background(), []string{"read", "--events", output, input}, strings.NewReader(""), f, &errs); code != exitUsage || !strings.Contains(errs.String(), "--events -") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if code := run(context.Background(), []string{"read", "-q", "--events", "-", input}, strings.NewReader(""), f, &errs); code != exitOK {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// TestReportIsNoInput checks that the report cannot go to an input file.
func TestReportIsNoInput(t *testing.T) {
	bot := testdata(t, "bot.pcap")
	name := filepath.Join(t.TempDir(), "x.pcap")
	os.WriteFile(name, bot, 0o600)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var errs bytes.Buffer
	for _, input := range []string{name, filepath.Dir(name)} {
		code := run(context.Background(), []string{"read", input}, strings.NewReader(""), f, &errs)
		if b, _ := os.ReadFile(name); code != exitUsage || !bytes.Equal(b, bot) || !strings.Contains(errs.String(), "it is the input") {
			t.Errorf("exit code %d, %d bytes of %d: %s", code, len(b), len(bot), errs.String())
		}
	}
}
