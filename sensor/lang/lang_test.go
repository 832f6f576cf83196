package lang

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		preferred []string
		want      string
	}{{nil, "en"}, {[]string{""}, "en"}, {[]string{"fr"}, "fr"}, {[]string{"fr_CA.UTF-8"}, "fr"}, {[]string{"C"}, "en"},
		{[]string{"de-DE,fr;q=0.7,en;q=0.3"}, "fr"}, {[]string{"en-GB,fr;q=0.7"}, "en"}, {[]string{"", "fr_FR"}, "fr"}, {[]string{"xx", "fr"}, "fr"}} {
		if got := Match(c.preferred...); got != c.want {
			t.Errorf("%q: %s, want %s", c.preferred, got, c.want)
		}
	}
}

func TestFrench(t *testing.T) {
	p := New(French)
	for _, c := range []struct{ got, want string }{
		{p.Plural(0, "session", "sessions"), "0 session"},
		{p.Plural(2, "attempt", "attempts"), "2 tentatives"},
		{p.Plural(1<<63, "session", "sessions"), "9\u00a0223\u00a0372\u00a0036\u00a0854\u00a0775\u00a0808 sessions"},
		{p.Plural(12345, "attempt", "attempts"), "12\u00a0345 tentatives"},
		{p.Sprintf("%s spam: %s", p.Plural(2, "host sends", "hosts send"), "10.0.0.1"), "2 machines envoient du\u00a0spam\u00a0: 10.0.0.1"},
		{p.Sentence("2 hosts send spam: 10.0.0.1, 10.0.0.2"), "2 machines envoient du\u00a0spam\u00a0: 10.0.0.1, 10.0.0.2"},
		{p.Sentence("about 12.5 % of the bytes of mail connections are missing from the capture"),
			"environ 12,5\u00a0% des octets des connexions de courrier manquent dans la capture"},
		{p.Sentence("Unknown words. Block outgoing port 25 for all but your mail servers."),
			"Unknown words. Bloquez le port 25 sortant pour tous, sauf pour vos serveurs de messagerie."},
		{p.Sentence("Block outgoing port 25 for all but your mail servers. Your firewall keeps its mail from leaving: leave it so, " +
			"or your public address comes onto blocklists. And more."),
			"Bloquez le port 25 sortant pour tous, sauf pour vos serveurs de messagerie. Votre pare-feu empêche son courrier de sortir\u00a0: " +
				"laissez-le ainsi, sinon votre adresse publique finira sur des listes noires. And more."},
		{p.Sentence("a.pcap: 2 of its frames were left out: their times lie before 1970-01-01 or after 2262-04-10"),
			"a.pcap\u00a0: 2 de ses trames ont été laissées de côté\u00a0: leurs heures sont avant 1970-01-01 ou après 2262-04-10"},
		{p.Sentence("a.pcap: frames of link type 147, USER0, cannot be decoded; capture on an interface that has Ethernet, Wi-Fi, PPP or IP"),
			"a.pcap\u00a0: les trames du type de lien 147, USER0, ne peuvent pas être décodées\u00a0; capturez sur une interface qui a de l'Ethernet, " +
				"du Wi-Fi, du PPP ou de l'IP"},
		{New(English).Plural(12345, "attempt", "attempts"), "12,345 attempts"},
		{New(English).Sentence("x"), "x"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestQuotationMarks: what %q has quoted is in French marks in a French sentence, escapes stay, and
// a quoted value of a configuration stays as it is to be written.
func TestQuotationMarks(t *testing.T) {
	fr := New(French)
	for english, want := range map[string]string{
		`It introduced itself as "a\x1b\"b", which is a single word; a mail server gives its full name.`:     "«\u00a0a\\x1b\\\"b\u00a0»",
		`It introduced itself with 9 different names, at least 8 of them within a day ("a", "b, \"c", ...).`: "(«\u00a0a\u00a0», «\u00a0b, \\\"c\u00a0», ...)",
		`If 10.0.0.5 is a mail server of yours: smtp_servers: [{ip: "10.0.0.5", role: mailserver}]`:          `{ip: "10.0.0.5",`,
	} {
		if got := fr.Sentence(english); !strings.Contains(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", english, got, want)
		}
	}
	if got, want := fr.Sprintf("%s: the finding %q goes on", "10.0.0.5", "spambot"), "«\u00a0spambot\u00a0»"; !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}
