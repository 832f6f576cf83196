package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
)

// newFrench is a message with an item of each kind.
func newFrench() *Message {
	since := time.Date(2026, 11, 21, 20, 32, 0, 0, time.UTC)
	m := &Message{ID: "1", Sensor: "mirror-1", Created: since, More: 2,
		Notes: []string{"mail refused this notice: mail by 127.0.0.1:25: 550 no"}}
	for _, x := range [][2]string{{itemFinding, "10.20.4.37 sends spam (4 attempts to 4 networks)"},
		{itemResolved, `10.20.4.37: the finding "spambot" is closed (withdrawn)`}, {itemHealth, "the interface eth1 has no carrier"},
		{itemCleared, "the sensor writes events again"}, {itemListed, "the blocklist zen.example lists 203.0.113.77"},
		{itemDelisted, "the blocklist zen.example does not list 203.0.113.77 any more"},
		{itemWeekly, "all quiet from 2026-11-14 08:00 UTC to 2026-11-21 08:00 UTC"}, {itemTest, "TEST, nothing happened: notices of this sensor arrive here"}} {
		m.Items = append(m.Items, Item{Kind: x[0], ID: "drops eth1", Host: "10.20.4.37", MAC: "02:00:00:00:77:66", Class: "open_relay",
			Level: "confirmed", Severity: "critical", Since: since, Until: since.Add(time.Hour), Headline: x[1], Why: "withdrawn",
			Reasons: []string{"findings: 1, of these confirmed: 1"}, Advice: "nothing; this is a test that somebody started with spamsensor notify test",
			Event: json.RawMessage(`{"message":"10.20.4.37 sends spam"}`)})
	}
	worstFirst(m.Items)
	return m
}

// A notice is in the language that is configured. What programs read of it is English: the event of
// notify, classes and levels, ids, and the events themselves.
func TestFrench(t *testing.T) {
	m := newFrench()
	english := m.Subject() + m.Text()
	p := lang.New(lang.French)
	x := m.in(p)
	text := strings.ReplaceAll(x.Subject()+"\n"+x.Text(), "\u00a0", " ")
	for _, want := range []string{"[spamsensor mirror-1] rien à signaler du 2026-11-14 08:00 UTC au 2026-11-21 08:00 UTC (et 9 autres)",
		"mail a refusé cet avis : mail par 127.0.0.1:25: 550 no", "relais ouvert (confirmé) 10.20.4.37 depuis le 2026-11-21 20:32 UTC",
		"10.20.4.37 envoie du spam (4 tentatives vers 4 réseaux)", "- constats : 1, dont confirmés : 1", "Gravité : critique",
		"terminé : relais ouvert 10.20.4.37", "sonde dégradée : drops eth1 depuis le", "sonde rétablie : drops eth1", "Terminé depuis le 2026-11-21 21:32 UTC",
		"Motif de clôture : retiré", "À faire : rien ; c'est un essai", "Constat : drops eth1", "10.20.4.37 figure sur la liste noire open_relay",
		"la liste noire zen.example ne contient plus 203.0.113.77", "et 2 de plus, à lire dans les événements de la sonde", "Sonde : mirror-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	two := &Message{Sensor: "mirror-1", Items: m.Items[:2]}
	if en, fr := two.Subject(), two.in(p).Subject(); !strings.HasSuffix(en, " (and 1 more)") || !strings.HasSuffix(fr, " (et 1 autre)") {
		t.Errorf("of two: %s, %s", en, fr)
	}
	if m.Subject()+m.Text() != english || m.in(nil) != m {
		t.Error("the message itself has changed")
	}
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	defer server.Close()
	cfg := &Config{Host: "mirror-1", Lang: p, Channels: []Channel{{Name: "webhook", Kind: "webhook", Server: server.URL}}}
	if r := Test(t.Context(), cfg, m.Created); r[0].Error != "" || !strings.Contains(string(got), `"subject":"[spamsensor mirror-1] TEST, il ne s'est rien`) {
		t.Error(r, string(got))
	}
	s, _ := newSender(&cfg.Channels[0])
	if err := s.send(context.Background(), x, m.Created); err != nil || !strings.Contains(string(got), `"events":[{"message":"10.20.4.37 sends spam"}`) ||
		!strings.Contains(string(got), "envoie du spam") {
		t.Error(err, string(got))
	}
	for i := range x.Items {
		if a := newAlert(x, &x.Items[i], m.Created); x.Items[i].Kind == itemFinding && (a.Labels["class"] != "open_relay" ||
			!strings.HasPrefix(a.Annotations["summary"], "relais ouvert")) {
			t.Error(a)
		}
	}
	lines := strings.Join((&syslog{limit: streamLine}).lines(x), "\n")
	if !strings.Contains(lines, `class="open_relay" level="confirmed"`) || !strings.Contains(lines, "(à faire : rien ; c'est") || strings.Contains(lines, `\xc2`) {
		t.Error(lines)
	}
}
