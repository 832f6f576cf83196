//go:build linux

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// makeTarget runs a target of the Makefile with a destination.
func makeTarget(t *testing.T, target, dest, binary string) {
	t.Helper()
	c := exec.Command("make", "-C", "..", target, "DESTDIR="+dest, "PREFIX=/usr/local", "BIN="+binary)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v: %s", target, err, out)
	}
}

// filesBelow lists the files below a directory.
func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestInstall installs into a directory, twice, and uninstalls: the configuration is neither
// replaced nor removed, and nothing else is left.
func TestInstall(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	makeTarget(t, "install", dest, binary)
	want := []string{
		"/etc/logrotate.d/spamsensor",
		"/etc/spamsensor/spamsensor.example.yaml",
		"/usr/local/bin/spamsensor",
		"/usr/local/lib/systemd/system/spamsensor-notify.service",
		"/usr/local/lib/systemd/system/spamsensor-serve.service",
		"/usr/local/lib/systemd/system/spamsensor.service",
		"/usr/local/lib/sysusers.d/spamsensor.conf",
		"/usr/local/lib/tmpfiles.d/spamsensor.conf",
		"/usr/local/share/bash-completion/completions/spamsensor",
		"/usr/local/share/spamsensor/schema.json",
	}
	if got := filesBelow(t, dest); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	example := filepath.Join(dest, "etc/spamsensor/spamsensor.example.yaml")
	if err := os.WriteFile(example, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	makeTarget(t, "install", dest, binary)
	if b, _ := os.ReadFile(example); string(b) != "mine" {
		t.Errorf("the configuration was replaced: %s", b)
	}
	makeTarget(t, "uninstall", dest, binary)
	if got := filesBelow(t, dest); !slices.Equal(got, []string{"/etc/spamsensor/spamsensor.example.yaml"}) {
		t.Errorf("left: %q", got)
	}
}

// TestUnits has systemd verify the units, and judge their exposure.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	units, err := filepath.Glob("dist/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("%q, %v", units, err)
	}
	level := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`)
	dir := t.TempDir()
	verify := []string{"verify"}
	for _, unit := range units {
		text := readText(t, unit)
		out, _ := exec.Command("systemd-analyze", "security", "--offline=true", "./"+unit).CombinedOutput()
		m := level.FindSubmatch(out)
		if m == nil {
			t.Errorf("%s: %s", unit, out)
			continue
		}
		exposure, _ := strconv.ParseFloat(string(m[1]), 64)
		if exposure > 2 {
			t.Errorf("%s: exposure %.1f, want 2.0 at most:\n%s", unit, exposure, out)
		}
		t.Logf("%s: exposure %.1f", unit, exposure)
		command := regexp.MustCompile(`ExecStart=/usr/local/bin/spamsensor (\w+)`).FindStringSubmatch(text)
		if command == nil || run(t.Context(), []string{command[1], "--help"}, nil, new(strings.Builder), new(strings.Builder)) != exitOK {
			t.Errorf("%s starts %q", unit, command)
		}
		name := filepath.Join(dir, filepath.Base(unit))
		text = strings.ReplaceAll(text, "/usr/local/bin/spamsensor", "/bin/true") // it must exist
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		verify = append(verify, name)
	}
	if out, err := exec.Command("systemd-analyze", verify...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
