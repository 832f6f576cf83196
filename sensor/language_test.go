package main

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/reputation"
)

// The tables are in the language of the user; as CSV, which programs read, they are English.
func TestFrenchTables(t *testing.T) {
	p := lang.New(lang.French)
	rate := 12.0
	for _, c := range []struct {
		name, table, csv string
		print            func(out *bytes.Buffer, format string) error
	}{
		{"interfaces", "│ INTERFACE │ LIEN           │ DÉBIT       │ PROMISCUOUS │ REÇUES │ PERDUES │ PAQUETS │ VLAN │ ADRESSES │\n" +
			"│ eth1      │ pas de porteuse │ 1000 Mbit/s │ oui ", "interface,link,speed,promiscuous,received,dropped,packets,VLANs,addresses\neth1,no carrier,1000 Mbit/s,yes,",
			func(out *bytes.Buffer, format string) error {
				return printInterfaces(out, []interfaceLine{{Name: "eth1", Link: "no carrier", SpeedMbit: 1000, Promiscuous: true, PerSecond: &rate}}, format, p)
			}},
		{"reputation", "│ ADRESSE   │ LISTE      │ RÉPONSE │ CODE │ EXPLICATION         │\n│ 192.0.2.1 │ bl.example │ inconnu │      │ connexion refusée │", "",
			func(out *bytes.Buffer, format string) error {
				return printAnswers(out, []reputation.Answer{{Address: netip.MustParseAddr("192.0.2.1"), List: "bl.example", State: reputation.Unknown, Why: "connection refused"}}, format, p)
			}},
		{"ignore list", "│ IP       │ JUSQU'AU              │ RAISON │ EMPLACEMENT │\n│ 10.0.7.7 │ 2026-01-31 (terminée) │ lab    │ c.yaml:5    │",
			"ip,until,why,where\n10.0.7.7,2026-01-31 (over),lab,c.yaml:5\n", func(out *bytes.Buffer, format string) error {
				a := &app{opt: options{lang: lang.French}}
				return a.printIgnored(out, []ignoreLine{{Net: "10.0.7.7", Until: "2026-01-31", Over: true, Why: "lab", File: "c.yaml", Line: 5}}, format)
			}},
		{"history", "│ PÉRIODE    │ MACHINE   │ SERVEUR │ TENTATIVES │ SESSIONS │ MESSAGES │ DESTINATAIRES │ REFUSÉS │ DIFFÉRÉS │ SESSIONS ENTRANTES │ MESSAGES ENTRANTS │\n" +
			"│ 2026-11-21 │ 10.0.0.25 │ oui     │ ", "time,host,server,attempts,sessions,messages,recipients,rejected,deferred,sessions_in,messages_in\n2026-11-21,10.0.0.25,true,",
			func(out *bytes.Buffer, format string) error {
				w := (&historyOptions{format: format}).writer(out, p)
				if err := w.line(&historyLine{time: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), host: netip.MustParseAddr("10.0.0.25"), server: true}); err != nil {
					return err
				}
				return w.end()
			}},
	} {
		for format, want := range map[string]string{"human": c.table, "csv": c.csv} {
			var out bytes.Buffer
			if err := c.print(&out, format); err != nil {
				t.Fatal(c.name, err)
			}
			squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
			rows := strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' })
			if format == "human" {
				rows = rows[1:]
				rows = append(rows[:1], rows[2:]...) // without the rules
			}
			if got := squeeze(strings.Join(rows, "\n")); !strings.HasPrefix(got, squeeze(want)) {
				t.Errorf("%s as %s: %s, want %s", c.name, format, got, squeeze(want))
			}
		}
	}
}

// A configuration that a command writes or prints has comments in the language of the user, and is read as
// one with English comments is. The no-break spaces of French are not in it.
func TestFrenchConfiguration(t *testing.T) {
	dir := t.TempDir()
	code, text, said := runArgs("setup", "-r", "testdata/bot.pcap", "--lang", "fr")
	if code != exitOK || validate(text) != nil || !strings.Contains(text, "sensor:\n  lang: fr\n") {
		t.Fatalf("%d %v %s %s", code, validate(text), text, said)
	}
	file := writeFile(t, filepath.Join(dir, "c.yaml"), "home_net: [10.0.0.0/8]\nstate: {dir: "+dir+"}\n", 0o600)
	code, printed, said := runArgs("check", "--print", "-c", file, "--lang", "fr")
	if code != exitOK || validate(printed) != nil {
		t.Fatalf("%d %v %s %s", code, validate(printed), printed, said)
	}
	runArgs("ignore", "add", "10.0.7.7", "--why", "essai", "--until", "never", "-c", file, "--socket", "off", "--lang", "fr")
	added := readText(t, filepath.Join(dir, "conf.d", "ignore.yaml"))
	for where, text := range map[string]string{"setup": text, "check --print": printed, "ignore add": added} {
		if strings.ContainsAny(text, "\u00a0\u202f") {
			t.Errorf("%s: a no-break space:\n%s", where, text)
		}
		for l := range strings.Lines(text) {
			_, comment, found := strings.Cut(strings.TrimSpace(l), "# ")
			if found && !strings.HasPrefix(comment, "yaml-language-server") && english.MatchString(comment) {
				t.Errorf("%s: %q", where, l)
			}
		}
	}
	if n := strings.Count(printed, "# par défaut"); n < 60 || strings.Contains(printed, "default") {
		t.Errorf("%d defaults:\n%s", n, printed)
	}
	if !strings.HasPrefix(added, "# Exceptions, écrites par : spamsensor ignore add\nignore:\n") {
		t.Error(added)
	}
}

// A fault of the configuration is French, and its place, the name of the setting and the excerpt are not changed.
func TestFrenchFaults(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"), "# the host\nhome_net: [10.0.0.0/99]\nlog: {level: inf}\nstate: {dir: /nix/none}\n", 0o600)
	_, _, said := runArgs("check", "-c", file, "--lang", "fr")
	for _, want := range []string{file + ":2:12: \"10.0.0.0/99\" n'est pas un réseau (essayez 192.0.2.0/24)\n   1 | # the host\n>  2 | home_net: [10.0.0.0/99]\n",
		file + ":3:14: \"inf\" n'est pas une valeur possible\u00a0: debug, info, warn, error\u00a0; vouliez-vous dire \"info\"\u00a0?\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
	writeFile(t, file, "state: {dir: /nix/none}\ncapture: {interfaces: [nix0]}\n", 0o600)
	_, _, said = runArgs("check", "-c", file, "--lang", "fr")
	for _, want := range []string{file + ":2:24: capture.interfaces: il n'y a pas d'interface nix0 (il y a\u00a0: ", file + ":1:14: state.dir: "} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
}
