package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The README's finding is an excerpt of a report, in its order.
func TestREADME(t *testing.T) {
	readme := readText(t, "../README.md")
	_, excerpt, ok := strings.Cut(readme, "$ spamsensor read sensor/testdata/bot.pcap\n")
	excerpt, _, closed := strings.Cut(excerpt, "\n```")
	if !ok || !closed {
		t.Fatal("the README has no finding")
	}
	rest := readText(t, "testdata/bot.report.golden")
	for l := range strings.Lines(excerpt + "\n") {
		i := strings.Index(rest, l)
		if i < 0 {
			t.Errorf("the report has no such line, or has it before the line above: %q", l)
			continue
		}
		rest = rest[i+len(l):]
	}
	if n := strings.Count(readme, "\n"); n > 200 {
		t.Errorf("the README has %d lines, want at most 200", n)
	}
}

// The manual names every option and every key of the configuration.
func TestManual(t *testing.T) {
	manual := readText(t, "README.md")
	option := regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)
	for _, command := range commandNames() {
		if !strings.Contains(manual, strings.TrimSpace("`spamsensor "+command)) {
			t.Errorf("the manual lacks the command %s", command)
		}
		args := append(strings.Fields(command), "--help")
		var help strings.Builder
		if code := run(t.Context(), args, nil, &help, io.Discard); code != exitOK {
			t.Fatalf("%v: exit code %d", args, code)
		}
		for _, m := range option.FindAllStringSubmatch(help.String(), -1) {
			if !regexp.MustCompile("`--" + m[1] + "[` ]").MatchString(manual) {
				t.Errorf("the manual lacks the option --%s of %q", m[1], command)
			}
		}
	}
	for _, key := range keyPaths(reflect.TypeFor[fileConfig](), "") {
		if !strings.Contains(manual, "`"+key+"`") {
			t.Errorf("the manual lacks the key %s", key)
		}
	}
}

// commandNames returns the names of all commands, with "" for the command itself.
func commandNames() (names []string) {
	var add func(c *cobra.Command, path string)
	add = func(c *cobra.Command, path string) {
		names = append(names, path)
		for _, sub := range c.Commands() {
			if n := sub.Name(); n != "completion" && n != "help" {
				add(sub, strings.TrimSpace(path+" "+n))
			}
		}
	}
	add((&app{}).command(), "")
	return names
}

// keyPaths returns the paths of all keys that have a value; [] stands for each item of a list.
func keyPaths(t reflect.Type, path string) (paths []string) {
	switch t.Kind() {
	case reflect.Slice:
		return keyPaths(t.Elem(), path+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			paths = append(paths, keyPaths(f.Type, strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), "."))...)
		}
		return paths
	}
	return []string{path}
}

// Links of the README and of the manuals lead to files and headings that exist.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	for _, name := range []string{"../README.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md", "README.md",
		"detect/README.md", "mailserver/README.md", "event/README.md", "../bench/README.md"} {
		for _, m := range link.FindAllStringSubmatch(readText(t, name), -1) {
			file, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue
			}
			at := filepath.Join(filepath.Dir(name), file)
			if file == "" {
				at = name
			}
			if _, err := os.Stat(at); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if heading != "" && !headings(readText(t, at))[heading] {
				t.Errorf("%s: there is no heading %s", name, m[1])
			}
		}
	}
}

// headings returns the anchors that GitHub gives the headings of a text.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	return anchors
}

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
