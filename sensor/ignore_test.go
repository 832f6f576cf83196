package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestIgnoreAdd checks what ignore add writes, and what it refuses: then nothing is written.
func TestIgnoreAdd(t *testing.T) {
	const head = "# Exceptions, written by: spamsensor ignore add\nignore:\n"
	const entry = "  - ip: 10.0.0.9\n    why: lab\n    until: \"2200-01-31\"\n"
	good := []string{"10.0.0.9", "--why", "lab", "--until", "2200-01-31"}
	for _, c := range []struct {
		name, main, before string // before: conf.d/ignore.yaml, - is none
		args               []string
		code               int
		after              string // - is as before
		said               string
	}{
		{"the first", "", "-", good, exitOK, head + entry, "10.0.0.9 is ignored until the end of 2200-01-31, in "},
		{"an empty file", "", "\n", good, exitOK, head + entry, ""},
		{"one more", "", head + "  # a note\n  - {ip: 10.0.0.8, why: x}", good, exitOK, head + "  # a note\n  - {ip: 10.0.0.8, why: x}\n" + entry, ""},
		{"without an end", "", "-", []string{"10.0.0.0/30", "--why", "lab", "--until", "never"}, exitOK, head + "  - ip: 10.0.0.0/30\n    why: lab\n", "without an end"},
		{"odd texts", "", "-", []string{"fd00::1", "--why", "- a: 'b' # \"c\"\n\x1b[31m", "--until", "never"}, exitOK,
			head + "  - ip: fd00::1\n    why: \"- a: 'b' # \\\"c\\\"\\n\\x1b[31m\"\n", ""},
		{"longer than before", "", head + "  - ip: 10.0.0.8\n    why: x\n  - ip: 10.0.0.9/32\n    why: x\n    until: \"2199-01-01\"\n  # a note\n  - {ip: 10.0.0.7, why: x}\n", good, exitOK,
			head + "  - ip: 10.0.0.8\n    why: x\n" + entry + "  # a note\n  - {ip: 10.0.0.7, why: x}\n", "; before until the end of 2199-01-01\n"},
		{"with an end now", "", head + "  - ip: 10.0.0.9\n    why: x\n", good, exitOK, head + entry, "; before without an end\n"},
		{"there in another form", "", head + "  - {ip: 10.0.0.9, why: x, until: 2199-01-01}\n", good, exitUsage, "-", "10.0.0.9 is ignored already, by entry 1 of "},
		{"there in another file", "ignore: [{ip: 10.0.0.9, why: x, until: 2199-01-01}]\n", "-", good, exitUsage, "-", "10.0.0.9 is named before, until 2199-01-01"},
		{"over in another file", "ignore: [{ip: 10.0.0.9, why: x, until: 2020-01-01}]\n", "-", good, exitOK, head + entry, "10.0.0.9 is ignored until"},
		{"outside of home_net", "home_net: [10.9.0.0/16]\n", "-", good, exitOK, head + entry, "warning: "},
		{"no reason", "", "-", []string{"10.0.0.9", "--until", "never"}, exitUsage, "-", "--why is missing"},
		{"a blank reason", "", "-", []string{"10.0.0.9", "--why", " ", "--until", "never"}, exitUsage, "-", "--why is missing"},
		{"a long reason", "", "-", []string{"10.0.0.9", "--why", strings.Repeat("x", 501), "--until", "never"}, exitUsage, "-", "in at most 500"},
		{"no end", "", "-", []string{"10.0.0.9", "--why", "x"}, exitUsage, "-", "--until is missing"},
		{"an end that is over", "", "-", []string{"10.0.0.9", "--why", "x", "--until", "2020-01-01"}, exitUsage, "-", "is over"},
		{"no day", "", "-", []string{"10.0.0.9", "--why", "x", "--until", "soon\x1b"}, exitUsage, "-", `--until soon\x1b is not a day`},
		{"no address", "", "-", []string{"pc9", "--why", "x", "--until", "never"}, exitUsage, "-", "pc9 is no address"},
		{"no host", "", "-", []string{"--why", "x", "--until", "never"}, exitUsage, "-", "name an address or a network"},
		{"twice", "ignore: [{ip: 10.0.0.0/24, why: x}]\n", "-", good, exitUsage, "-", "the exception for 10.0.0.0/24 covers it"},
		{"a wrong configuration", "detect: {alpha: 7}\n", "-", good, exitUsage, "-", "a.yaml:1:17: alpha is 7"},
		{"a wrong file", "", "ignore: [\n", good, exitUsage, "-", "ignore.yaml:1:"},
		{"another form", "", "ignore: [{ip: 10.0.0.8, why: x}]\n", good, exitUsage, "-", "add this by hand:\n" + entry},
		{"another key behind it", "", "ignore:\n  - {ip: 10.0.0.8, why: x}\nlog: {level: info}\n", good, exitUsage, "-", "add this by hand"},
		{"another key before it", "", "log: {level: info}\nignore:\n  - {ip: 10.0.0.8, why: x}\n", good, exitOK, "log: {level: info}\nignore:\n  - {ip: 10.0.0.8, why: x}\n" + entry, ""},
		{"two documents", "", "ignore:\n  - {ip: 10.0.0.8, why: x}\n---\nignore:\n  - {ip: 10.0.0.7, why: x}\n", good, exitUsage, "-", "a second document"},
	} {
		dir := t.TempDir()
		main := written(t, dir+"/a.yaml", c.main)
		os.Chmod(main, 0o640)
		file := dir + "/conf.d/ignore.yaml"
		if c.before != "-" {
			written(t, file, c.before)
			os.Chmod(file, 0o604)
		}
		code, out, errs := checked(t, append([]string{"ignore", "add", "-c", main, "--socket", dir + "/none"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.said) {
			t.Errorf("%s: exit code %d: %s%s", c.name, code, out, errs)
		}
		got := "-"
		if b, err := os.ReadFile(file); err == nil {
			got = string(b)
		}
		want := c.after
		if want == "-" {
			want = c.before
		}
		if got != want {
			t.Errorf("%s: the file is\n%s\nand not\n%s", c.name, got, want)
		}
		mode := os.FileMode(0o640)
		if c.before != "-" {
			mode = 0o604
		}
		if info, err := os.Stat(file); err == nil && info.Mode().Perm() != mode {
			t.Errorf("%s: the mode is %v, want %v", c.name, info.Mode(), mode)
		}
		if left, _ := filepath.Glob(dir + "/conf.d/.*"); len(left) != 0 {
			t.Errorf("%s: %s is left", c.name, left)
		}
		if _, err := os.Stat(dir + "/conf.d"); got == "-" && err == nil {
			t.Errorf("%s: conf.d is left", c.name)
		}
		if b, _ := os.ReadFile(main); string(b) != c.main {
			t.Errorf("%s: the main file is %s", c.name, b)
		}
		if code == exitOK {
			if code, _, errs := checked(t, "check", "-c", main); code != exitOK {
				t.Errorf("%s: the result is wrong: %s", c.name, errs)
			}
			if !strings.Contains(out, "no sensor could be asked to read it on "+dir+"/none\n  apply it with: spamsensor reload") {
				t.Errorf("%s: %s", c.name, out)
			}
		}
	}
}

// TestIgnoreAddTogether checks that of commands that run at the same time each one adds its
// exception, or says that it did not.
func TestIgnoreAddTogether(t *testing.T) {
	dir := t.TempDir()
	main := written(t, dir+"/a.yaml", "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	added := 0
	for i := range 16 {
		wg.Go(func() {
			var out, errs strings.Builder
			code := run(t.Context(), []string{"ignore", "add", fmt.Sprintf("10.0.0.%d", i), "--why", "x", "--until", "never", "-c", main, "--socket", dir + "/none"}, nil, &out, &errs)
			mu.Lock()
			defer mu.Unlock()
			if code == exitOK {
				added++
			} else if !strings.Contains(errs.String(), "another process changes") {
				t.Errorf("exit code %d: %s", code, errs.String())
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(dir + "/conf.d/ignore.yaml")
	if n := strings.Count(string(b), "- ip:"); err != nil || n != added || n == 0 {
		t.Errorf("%d exceptions of %d: %v\n%s", n, added, err, b)
	}
}

// TestIgnoreFileKinds checks that only a regular file is replaced, and that -c may be a directory.
func TestIgnoreFileKinds(t *testing.T) {
	dir := t.TempDir()
	main := written(t, dir+"/a.yaml", "")
	args := []string{"ignore", "add", "10.0.0.9", "--why", "x", "--until", "never", "--socket", dir + "/none", "-c"}
	os.Mkdir(dir+"/conf.d", 0o755)
	for _, make := range []func(string) error{
		func(name string) error { return os.Symlink(main, name) },
		func(name string) error { return os.Mkdir(name, 0o755) },
		func(name string) error { return syscall.Mkfifo(name, 0o600) },
	} {
		if err := make(dir + "/conf.d/ignore.yaml"); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := checked(t, append(args, main)...); code != exitFailed || !strings.Contains(errs, "ignore.yaml is no regular file") {
			t.Errorf("exit code %d: %s", code, errs)
		}
		os.Remove(dir + "/conf.d/ignore.yaml")
	}
	if code, out, errs := checked(t, append(args, dir)...); code != exitOK || !strings.Contains(out, "in "+dir+"/ignore.yaml") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

// TestIgnoreList checks the list of the exceptions.
func TestIgnoreList(t *testing.T) {
	dir := t.TempDir()
	main := written(t, dir+"/a.yaml", "ignore:\n  - {ip: 10.0.0.8, why: \"x\\e\", until: 2020-01-31}\n")
	written(t, dir+"/conf.d/b.yaml", "ignore: [{ip: 10.0.1.0/24, why: lab}]\n")
	code, out, errs := checked(t, "ignore", "list", "-c", main, "-o", "csv")
	want := "ip,until,why,where\n10.0.0.8,2020-01-31 (over),x\\x1b," + main + ":2\n10.0.1.0/24,,lab," + dir + "/conf.d/b.yaml:1\n"
	if code != exitOK || out != want {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if _, out, _ = checked(t, "ignore", "list", "-c", main, "-o", "json"); !strings.Contains(out, `"over": true,`) || !strings.Contains(out, `"ip": "10.0.1.0/24"`) {
		t.Error(out)
	}
	if _, out, _ = checked(t, "ignore", "list"); out != "no host is ignored\n" {
		t.Error(out)
	}
}

// TestIgnoreAddLive checks that a running sensor reads a new exception, and marks the findings.
func TestIgnoreAddLive(t *testing.T) {
	r := newReloaded(t, "home_net: [192.168.77.0/24]\n")
	r.replay("testdata/bot.pcap", 4000)
	code, out, errs := checked(t, "ignore", "add", "192.168.77.66", "--why", "lab", "--until", "never", "-c", r.config, "--socket", r.dir+"/socket")
	if code != exitOK || !strings.HasSuffix(out, "the running sensor has read it\n") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	r.until("reload: ignore: added ip 192.168.77.66, why lab")
	time.Sleep(2 * time.Second) // a tick of a silent interface
	r.end()
	raw, _ := os.ReadFile(r.events)
	last := ""
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, `"class":"spambot"`) && strings.Contains(line, `"src_ip":"192.168.77.66"`) {
			last = line
		}
	}
	if !strings.Contains(last, `"ignored":{"why":"lab"`) || !strings.Contains(last, `"severity":"info"`) {
		t.Errorf("the last event of the finding is %s", last)
	}
}
