package main

import (
	"bytes"
	"net/netip"
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
