package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/lang/langtest"
	"spamsensor/sensor/report"
)

// frenchPackages are the packages whose texts a person may read: those of the sensor without those of
// tests, and the one that says what a name in HELO is.
func frenchPackages(t *testing.T) (dirs []string) {
	t.Helper()
	for _, root := range []string{".", "../smtpsniff/heloname"} {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || !d.IsDir():
			case d.Name() == "testdata", root == "." && name != "." && strings.HasSuffix(name, "test"):
				return fs.SkipDir
			default:
				dirs = append(dirs, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

// inEnglish are the files whose texts stay English, with the reason.
var inEnglish = map[string]string{
	"capture/filter.go":       "filters of libpcap",
	"detect/mitigate.go":      "names of the rules, for the tests and the manual",
	"detect/roles.go":         "the manual prints them",
	"doctor/sight.go":         "names of protocols",
	"doctor/systems.go":       "commands of switches, and titles of manuals",
	"doctor/tunnels.go":       "names of protocols",
	"schema.go":               "the schema is English, as the keys are",
	"serve/api.go":            "answers for programs",
	"serve/collector.go":      "metrics",
	"serve/metrics.go":        "metrics",
	"serve/noticemetrics.go":  "metrics",
	"event/sandbox.go":        "messages of events",
	"event/queue.go":          "words of the log",
	"notify/journal.go":       "messages of events",
	"detect/save.go":          "a checkpoint",
	"engine/recover.go":       "the place of a fault",
	"engine/shard.go":         "the name of a hash",
	"frame/frame.go":          "names of protocols",
	"rules/verify/network.go": "commands",
	"state/journal.go":        "the log",
	"manager.go":              "the state for systemd",
	"verdict/verdict.go":      "faults of an event that is read",
	"report/model.go":         "faults of a model that is read",
}

// printed are packages whose literal texts are commands and markup, too: what they pass to a printer
// is for a person.
var printed = []string{"html", "picture", "playbook", "rules"}

// The verbs of a translation are those of its English text, and its spaces are French.
func TestFrenchFormats(t *testing.T) {
	verbs := func(s string) (list []string) {
		next := 1
		for _, m := range verb.FindAllStringSubmatch(strings.ReplaceAll(s, "%%", ""), -1) {
			if m[1] != "" {
				next, _ = strconv.Atoi(m[1])
			}
			list = append(list, strconv.Itoa(next)+m[2])
			next++
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	space := regexp.MustCompile(`[^ ] [:;?!»](?:$|[^\w])|« `)
	for id, x := range langtest.Translations(t, "lang/fr") {
		for i, text := range x.Trs {
			english := id
			if i > 0 {
				english = x.PluralID
			}
			if a, b := verbs(english), verbs(text); !slices.Equal(a, b) {
				t.Errorf("%q has the verbs %q, %q has %q", english, a, text, b)
			}
			if space.MatchString(text) {
				t.Errorf("%q: a space before : ; ? ! is U+00A0", text)
			}
			// A text with white space around it is looked for without, and never found.
			if text == "" || english != strings.TrimSpace(english) || text != strings.Trim(text, " \n\t") {
				t.Errorf("%q: %q is empty, or has white space around it", english, text)
			}
		}
	}
}

// englishText finds texts of several words.
var englishText = regexp.MustCompile(`\pL[,;:.)"]* +[("]*[\pL%]|% ?[sdq].* \pL|\pL.* %`)

// texts calls f with the texts of a file that a person reads.
func texts(file *ast.File, all bool, f func(token.Pos, string)) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			return x.Tag == nil
		case *ast.KeyValueExpr:
			if key, ok := x.Key.(*ast.Ident); ok &&
				slices.Contains([]string{"Use", "Example", "magic", "Help"}, key.Name) {
				return false
			}
		case *ast.CallExpr:
			if langtest.Called(x) == "columns" {
				for _, a := range x.Args {
					if text, ok := langtest.Literal(a); ok {
						f(a.Pos(), "column: "+text)
					}
				}
			}
			s, ok := x.Fun.(*ast.SelectorExpr)
			if !ok {
				break
			}
			if of, ok := s.X.(*ast.Ident); ok && of.Name == "strings" && s.Sel.Name != "Join" {
				return false // a part of a text that is looked for
			}
			switch s.Sel.Name {
			case "Msg", "Msgf", "MustCompile", "NewReplacer":
				return false
			case "Text", "Sprintf", "Plural", "Sentence":
				if of, ok := s.X.(*ast.Ident); ok && of.Name == "fmt" {
					break
				}
				for _, a := range x.Args { // one word may be a text, too
					if text, ok := langtest.Literal(a); ok && strings.ToLower(text) != strings.ToUpper(text) {
						f(a.Pos(), text)
					}
				}
			}
		case ast.Expr:
			if !all {
				break
			}
			parts := pieces(x)
			for _, s := range parts {
				if englishText.MatchString(s) {
					f(x.Pos(), s)
				}
			}
			return len(parts) == 0
		}
		return true
	})
}

// pieces are the literal texts of an expression, those that follow each other in one.
func pieces(e ast.Expr) (list []string) {
	var add func(e ast.Expr)
	last := ""
	end := func() {
		if last != "" {
			list = append(list, last)
		}
		last = ""
	}
	add = func(e ast.Expr) {
		if b, ok := e.(*ast.BinaryExpr); ok && b.Op == token.ADD {
			add(b.X)
			add(b.Y)
		} else if s, ok := langtest.Literal(e); ok {
			last += s
		} else {
			end()
		}
	}
	add(e)
	end()
	return list
}

// noText are texts that no person reads as a sentence: commands, names, values, settings.
var noText = regexp.MustCompile(`^(sudo |spamsensor |tcpdump |go |text/|\{|- \w+: |  +- |#|\w+: %s$|0spam|GET|HTTP|` +
	`%d (min|h) |-r FILE|AES|MTU|SHA|RouterOS|VLAN|up promisc|promisc on|lro off|systemctl|%[sd] \w?bit/s|SQLite|TRSNIFF|--home|@media|<|var\(|` +
	`\(systemctl|[a-z]+ (ID|IP|DIALECT)|[-\w.\[\]%]+: (%s: )?%w$)`)

var (
	verb = regexp.MustCompile(`%[-+# 0]*\d*(?:\.\d+)?(?:\[(\d+)\])?([a-zA-Z])`)
	word = regexp.MustCompile(`\pL{2}`)
)

// frenchExceptions are texts without a translation, with the reason.
var frenchExceptions = map[string]string{
	"different mail":                                      "the noun follows, and both have their translation with their plural",
	"\". Your public address seems to be":                 "a part of a reason that is looked for",
	"servers quoted it).":                                 "a part of a reason that is looked for",
	"%s was not delivered: %s":                            "the log",
	"listed %s %s":                                        "an id",
	": still here":                                        "a comment of the stream that browsers do not show",
	"Accept-Encoding, Accept-Language":                    "names of headers",
	"The sensor captures, and its configuration is good.": "an answer for programs",
	`a "sample"`:                                          "a name that a template is tried with",
}

func has(all map[string]langtest.Entry, key string) bool {
	_, ok := all[key]
	return ok
}

// translated reports whether a text has a translation: as it is, or by its lines, or without the
// punctuation that joins it to another text.
func translated(all map[string]langtest.Entry, s string) bool {
	key := strings.TrimSpace(s)
	if has(all, key) || frenchExceptions[key] != "" || noText.MatchString(key) || !word.MatchString(verb.ReplaceAllString(key, "")) {
		return true
	}
	if lines := strings.Split(key, "\n"); len(lines) > 1 {
		for _, l := range lines {
			if !translated(all, l) {
				return false
			}
		}
		return true
	}
	bare := strings.TrimSuffix(strings.TrimLeft(key, ";:,. "), ":")
	if inner, ok := strings.CutPrefix(bare, "("); ok && has(all, strings.TrimSuffix(inner, ")")) {
		return true
	}
	return has(all, bare) || has(all, bare+" %s") || has(all, bare+": %s") || has(all, "%s "+bare)
}

// TestFrenchTexts walks the texts of the program, and names those without a translation.
func TestFrenchTexts(t *testing.T) {
	all := langtest.Translations(t, "lang/fr")
	seen := 0
	for _, dir := range frenchPackages(t) {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(names) == 0 {
			continue // it has directories only
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") || inEnglish[name] != "" {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			texts(file, !slices.Contains(printed, dir), func(at token.Pos, text string) {
				seen++
				if !translated(all, text) {
					t.Errorf("%s: no French: %q", set.Position(at), text)
				}
			})
		}
	}
	if seen < 1000 {
		t.Errorf("%d texts were found", seen)
	}
	for name := range inEnglish {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("inEnglish: %v", err)
		}
	}
}

// english finds words that a French text does not have; quotations are left out before.
var (
	english   = regexp.MustCompile(`(?i)(?:^|[ (])(the|is|are|was|were|and|with|from|this|it|its|of|not|for|by)(?:$|[ ,.;:)])`)
	quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|« .* »|<[^>]*>`)
)

// TestFrenchSentences reads captures, and translates what their models say: no English may be left.
func TestFrenchSentences(t *testing.T) {
	p := lang.New(lang.French)
	dirs := []string{"testdata"}
	if corpus := os.Getenv("SPAMSENSOR_CORPUS"); corpus != "" && !testing.Short() {
		dirs = append(dirs, corpus)
	}
	said := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.Contains(filepath.Ext(name), ".pcap") {
				return err
			}
			if info, err := d.Info(); err != nil || info.Size() > 64<<10 {
				return err
			}
			for _, s := range sentencesOf(t, name) {
				said[s] = name
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(said) < 30 {
		t.Errorf("%d sentences", len(said))
	}
	for s, name := range said {
		if text := p.Sentence(s); english.MatchString(quotation.ReplaceAllString(text, "")) {
			t.Errorf("%s: %q becomes %q", name, s, text)
		}
	}
}

// sentencesOf are the sentences of the model of a capture.
func sentencesOf(t *testing.T, capture string) (list []string) {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model.json")
	run(t.Context(), []string{"read", "-q", "--json", model, capture}, nil, io.Discard, io.Discard)
	text, err := os.ReadFile(model)
	if err != nil {
		return nil // it is no capture
	}
	var m report.Model
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(capture, err)
	}
	list = append(append(list, m.Headline.Sentence, m.Input.Account), m.Headline.More...)
	list = append(list, m.Hints...)
	for _, h := range m.Health {
		list = append(list, h.Text, h.Hint)
	}
	for _, w := range m.Withdrawn {
		list = append(list, w.Title, w.Why)
	}
	for i := range m.Findings {
		f := &m.Findings[i]
		list = append(append(list, f.Title, f.What, f.Advice, f.SameMachine), f.Blind...)
		for _, r := range f.Reasons {
			list = append(list, r.Text)
		}
	}
	return list
}

// The French README has the commands, options, links and figures of the English one, and its finding is
// an excerpt of a report.
func TestFrenchREADME(t *testing.T) {
	names := []string{"../README.md", "../README.fr.md"}
	for what, find := range map[string]*regexp.Regexp{
		"commands": regexp.MustCompile("(?m)(?:^(?:sudo )?|`(?:sudo )?|\\| )spamsensor [a-z]+"),
		"options":  regexp.MustCompile("(?:`|[a-z] )(--[a-z-]+)"),
		"links":    regexp.MustCompile(`\]\(([^)]+)\)`),
		"figures":  regexp.MustCompile(`\d[\d.,]*\d|\d`),
		"names":    regexp.MustCompile("`[a-z_]+`"),
	} {
		var lists [2][]string
		for i, name := range names {
			text := strings.ReplaceAll(readText(t, name), "--lang fr ", "")
			text = strings.NewReplacer("[Français](README.fr.md)", "", "[English](README.md)", "", "`--lang`", "").Replace(text)
			if what == "figures" { // those of the table
				_, text, _ = strings.Cut(text, "\n|---|---|\n")
				text, _, _ = strings.Cut(text, "\n\n")
			}
			if what != "links" && what != "names" {
				text = regexp.MustCompile(`(?m)^ .*$`).ReplaceAllString(text, "")
			}
			lists[i] = find.FindAllString(text, -1)
			if what == "commands" {
				lists[i] = slices.DeleteFunc(lists[i], func(s string) bool {
					return !slices.Contains(commandNames(), s[strings.LastIndex(s, " ")+1:])
				})
			}
			slices.Sort(lists[i])
			if what != "figures" {
				lists[i] = slices.Compact(lists[i])
			}
			if len(lists[i]) < 3 {
				t.Errorf("%s: %d %s", name, len(lists[i]), what)
			}
		}
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: %q, in French %q", what, lists[0], lists[1])
		}
	}
	_, excerpt, _ := strings.Cut(readText(t, names[1]), "read sensor/testdata/bot.pcap\n")
	excerpt, _, _ = strings.Cut(excerpt, "\n```")
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, "read", "--lang", "fr", "testdata/bot.pcap")
	command.Env = append(os.Environ(), "TZ=UTC")
	var rest strings.Builder
	command.Stdout = &rest
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	if excerpt == "" || rest.Len() == 0 {
		t.Fatal("no excerpt, or no report")
	}
	for l := range strings.Lines(excerpt + "\n") {
		if !strings.Contains(rest.String(), l) {
			t.Errorf("the report has no such line: %q", l)
		}
	}
}

// Wrong usage is said in the language of the user, as the help of each command is. The locale is that of
// LC_ALL before that of LANG.
func TestFrenchUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"read --lang fr", "que faut-il lire ? indiquez"},
		{"read --lang fr -x", "option courte inconnue : 'x' dans -x"},
		{"check --lang fr --print --schema", "une seule des options [print schema] est possible ; [print schema] ont été données ensemble"},
		{"read --lang fr --workers x", `valeur "x" non valable pour l'option "--workers" : "x" n'est pas un nombre entier`},
		{"interfaces --lang fr --for 5", `pour l'option "--for" : il manque une unité à la durée "5"`},
		{"doctor -r x --lang fr -o csv", "-o csv : valeurs possibles : human ou json"},
		{"serve --lang fr --listen 0.0.0.0:9725", "serve.web_config: d'autres machines peuvent se connecter à serve.listen"},
		{"run --lang fr -i - --set capture.fanout=2", "capture.fanout : un flux ne peut pas être partagé entre 2 sockets"},
		{"read --lang fr --home zz x", `--home : "zz" n'est pas un réseau`},
		{"--lang fr frob", `commande inconnue "frob"`},
		{"read --lang fr --frob", "option inconnue : --frob"},
		{"read --lang fr /nix", "impossible de lire /nix : aucun fichier ou répertoire de ce nom"},
		{"run -T --lang fr --set foo=3", `il n'y a pas de réglage "foo" ici`},
		{"read --lang de testdata/bot.pcap", "--lang de: want en or fr"},
	} {
		var errs strings.Builder
		code := run(t.Context(), strings.Fields(c.args), nil, io.Discard, &errs)
		if said := strings.ReplaceAll(errs.String(), "\u00a0", " "); code != exitUsage ||
			!strings.Contains(said, c.want) {
			t.Errorf("%s: %d %s", c.args, code, said)
		}
	}
	completion := []string{"completion", "completion bash", "completion zsh", "completion fish", "completion powershell"}
	for _, command := range append(commandNames(), completion...) {
		var help strings.Builder
		args := append(strings.Fields(command), "--help", "--lang", "fr")
		if code := run(t.Context(), args, nil, &help, io.Discard); code != exitOK {
			t.Errorf("%v: exit code %d", args, code)
		}
		text, _, _ := strings.Cut(help.String(), "Exemples\u00a0:")
		_, options, _ := strings.Cut(help.String(), "Options\u00a0:")
		fields := strings.Fields("spamsensor " + command)
		if want := "aide de " + fields[len(fields)-1] + "\n"; !strings.Contains(help.String(), want) || strings.Contains(help.String(), "[flags]") {
			t.Errorf("%v: no %q, or [flags] in the help:\n%s", args, want, help.String())
		}
		for _, set := range strings.SplitN(options, "Options communes", 2) { // their texts are below each other
			columns := map[int]bool{}
			for _, m := range regexp.MustCompile(`(?m)^ +-.*? {3,}`).FindAllString(set, -1) {
				columns[utf8.RuneCountInString(m)] = true
			}
			if len(columns) != 1 {
				t.Errorf("%v: the texts of options begin in the columns %v:\n%s", args, columns, set)
			}
		}
		if m := english.FindString(text + options); m != "" {
			t.Errorf("%v: %q in the help:\n%s", args, m, help.String())
		}
	}
	t.Setenv("LANG", "fr_FR.UTF-8")
	var help strings.Builder
	run(t.Context(), []string{"--help"}, nil, &help, io.Discard)
	if !strings.Contains(help.String(), "Lister les interfaces") {
		t.Errorf("LANG says nothing:\n%s", help.String())
	}
	t.Setenv("LC_ALL", "C")
	help.Reset()
	run(t.Context(), []string{"--help"}, nil, &help, io.Discard)
	if !strings.Contains(help.String(), "Available Commands") {
		t.Errorf("LC_ALL says nothing:\n%s", help.String())
	}
}
