package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDropIns checks that the files of conf.d are read in the order of their names: lists append,
// single values replace, and each keeps its place.
func TestDropIns(t *testing.T) {
	dir := t.TempDir()
	main := written(t, dir+"/a.yaml", "home_net: [10.0.0.0/8]\ndetect: {many_networks: 11, helo_names: 4}\nignore:\n- {ip: 10.0.0.1, why: x}\n")
	written(t, dir+"/conf.d/20-b.yaml", "home_net: 192.0.2.0/24\ndetect: {many_networks: 13}\ncapture: {separate_vlans: true}\n")
	written(t, dir+"/conf.d/10-a.yaml", "home_net: [172.16.0.0/12]\ndetect: {many_networks: 12}\nignore: [{ip: 10.0.0.2, why: y}]\nsmtp_servers: []\n")
	written(t, dir+"/conf.d/30-c.yaml", "# nothing\n")
	written(t, dir+"/conf.d/40-d.yaml", "capture: {separate_vlans: false}\n")
	for _, name := range []string{".hidden.yaml", "a.yaml~", "a.yaml.bak", "a.yaml.dpkg-old", "a.yaml.dpkg-new", "b.dpkg-dist.yaml", "README"} {
		written(t, dir+"/conf.d/"+name, "home_net: [wrong]\n")
	}
	code, out, said := checked(t, "check", "--print", "-c", main, "--set", "detect.helo_names=5")
	if code != exitOK || said != "" {
		t.Fatalf("exit code %d: %s", code, said)
	}
	at := dir + "/conf.d/"
	for _, want := range []string{
		"home_net:\n  - 10.0.0.0/8 # " + main + ":1\n  - 172.16.0.0/12 # " + at + "10-a.yaml:1\n  - 192.0.2.0/24 # " + at + "20-b.yaml:1\n",
		"  many_networks: 13 # " + at + "20-b.yaml:2\n", "  helo_names: 5 # --set\n",
		"  - ip: 10.0.0.1 # " + main + ":4\n", "  - ip: 10.0.0.2 # " + at + "10-a.yaml:3\n",
		"  separate_vlans: false # " + at + "40-d.yaml:1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	if _, _, said = checked(t, "check", "-v", "-c", main); strings.Count(said, " is left out: ") != 7 ||
		!strings.Contains(said, at+"README is left out: its name does not end in .yaml\n") {
		t.Error(said)
	}
	written(t, dir+"/conf.d/50-e.yml", "")
	if code, _, said = checked(t, "check", "-c", main); code != exitOK || said != "warning: "+at+"50-e.yml: this file is left out: its name does not end in .yaml\n" {
		t.Errorf("exit code %d: %s", code, said)
	}
	os.Remove(dir + "/conf.d/50-e.yml")
	// Of two wrong files each one is named, and errors in a list have their own file.
	written(t, at+"10-a.yaml", "home_net: [10.0.0.0/99]\n")
	if code, _, said = checked(t, "check", "-c", main); code != exitUsage || !strings.Contains(said, at+"10-a.yaml:1:12: \"10.0.0.0/99\" is not a network") {
		t.Errorf("exit code %d: %s", code, said)
	}
	written(t, at+"20-b.yaml", "homenet: x\n")
	written(t, at+"30-c.yaml", "log: x\n")
	if code, _, said = checked(t, "check", "-c", main); code != exitUsage || !strings.Contains(said, at+"20-b.yaml:1:1: there is no setting") ||
		!strings.Contains(said, at+"30-c.yaml:1:6: settings are missing here") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// TestConfigDirectory checks -c with a directory, and that the files of a configuration are never
// written to.
func TestConfigDirectory(t *testing.T) {
	dir := t.TempDir()
	written(t, dir+"/b.yaml", "log: {level: debug}\n")
	written(t, dir+"/a.yaml", "log: {level: error}\n")
	code, out, said := checked(t, "check", "-c", dir)
	if want := "the configuration is good (" + dir + "/a.yaml and 1 other file)\n"; code != exitOK || out != want {
		t.Errorf("exit code %d: %s%s", code, out, said)
	}
	if _, out, _ = checked(t, "check", "--print", "-c", dir); !strings.Contains(out, "level: debug # "+dir+"/b.yaml:1") {
		t.Error(out)
	}
	code, _, said = checked(t, "read", "-q", "-c", dir, "--events", dir+"/b.yaml", "testdata/deliveries.pcap")
	if code != exitUsage || !strings.Contains(said, "it is the configuration "+dir+"/b.yaml, which would be destroyed") {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// TestConfigBounds checks what is refused of the files of a configuration, and how.
func TestConfigBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(dir string) error
		want string
	}{
		{"a directory", func(dir string) error { return os.MkdirAll(dir+"/conf.d/a.yaml", 0o755) }, "/conf.d/a.yaml: this is no file"},
		{"a pipe without a writer", func(dir string) error { return syscall.Mkfifo(dir+"/conf.d/a.yaml", 0o600) }, "/conf.d/a.yaml: this is no file"},
		{"a large file", func(dir string) error {
			written(t, dir+"/conf.d/a.yaml", "")
			return os.Truncate(dir+"/conf.d/a.yaml", 1<<30)
		}, "/conf.d/a.yaml: a configuration of more than 1048576 bytes"},
		{"a lost link", func(dir string) error { return os.Symlink("none", dir+"/conf.d/a.yaml") }, "/conf.d/a.yaml: no such file"},
		{"many drop-ins", func(dir string) error {
			for i := range maxDropIns + 1 {
				written(t, fmt.Sprintf("%s/conf.d/%d.yaml", dir, i), "")
			}
			return nil
		}, "/conf.d: 101 files end in .yaml (at most 100 are read)"},
		{"many files", func(dir string) error {
			for i := range maxNames + 1 {
				if err := os.WriteFile(fmt.Sprintf("%s/conf.d/%d", dir, i), nil, 0o600); err != nil {
					return err
				}
			}
			return nil
		}, "/conf.d: this directory has more than 1000 files"},
		{"an empty directory", func(dir string) error { return os.Remove(dir + "/a.yaml") }, ": no name in this directory ends in .yaml"},
		{"no file", func(dir string) error { return os.Remove(dir + "/a.yaml") }, "a.yaml: no such file"},
		{"a file instead of conf.d", func(dir string) error {
			os.RemoveAll(dir + "/conf.d")
			return os.WriteFile(dir+"/conf.d", nil, 0o600)
		}, "conf.d: not a directory"},
	} {
		dir := t.TempDir()
		os.Mkdir(dir+"/conf.d", 0o755)
		name := written(t, dir+"/a.yaml", "")
		if err := c.make(dir); err != nil {
			t.Fatal(err)
		}
		if c.name == "an empty directory" {
			name = dir
		}
		if code, _, said := checked(t, "check", "-c", name); code != exitUsage || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d: %s", c.name, code, said)
		}
	}
}

// TestConfigIsPipe checks that -c takes a pipe, as a shell makes for <(command).
func TestConfigIsPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", r.Fd()), name); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "detect: {many_networks: 12}\n")
	w.Close()
	code, out, said := checked(t, "check", "--print", "-c", name)
	if code != exitOK || !strings.Contains(out, "many_networks: 12 # "+name+":1") {
		t.Errorf("exit code %d: %s%s", code, out, said)
	}
}
