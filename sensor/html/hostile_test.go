package html

import (
	"net/netip"
	"strings"
	"testing"

	"spamsensor/sensor/event"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
)

// attacks are texts that break out of HTML, scripts, styles, attributes, or lines (of the lists of
// OWASP, and of the texts from the wire that events must bear).
var attacks = []string{
	`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`, `<svg/onload=alert(1)>`, `javascript:alert(1)`, `</title><script>alert(1)</script>`,
	`</style><script>alert(1)</script>`, `<!--<script>`, `-->`, `]]>`, `{{.Data}}`, `{{template "report" .}}`, `${alert(1)}`,
	`<iframe src="http://attacker.example/">`, `<link rel=stylesheet href=http://attacker.example/>`,
	`<meta http-equiv=refresh content="0;url=http://attacker.example/">`, `<base href="http://attacker.example/">`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`, `&#x3c;script&#x3e;`, "\x1b]0;title\x07", "\x1b[31mred", "\u202eevil\u202c", "\u2066x\u2069",
	"\x00nul", "a\r\nb", "\u2028\u2029", "\xff\xfe", "مرحبا.example", "עברית.example", "ａｄｍｉｎ", "z̸̛͝a̶̕l̷̑g̸̃o̴̊",
	strings.Repeat("a", 253), strings.Repeat("w.", 126) + "x", strings.Repeat("ب", 120),
	`<details open ontoggle=alert(1)>`, `<math><mi xlink:href="javascript:alert(1)">`, `<a href="javascript:alert(1)">x</a>`,
	`<input autofocus onfocus=alert(1)>`, `<object data="data:text/html,<script>alert(1)</script>">`,
}

// hostile is a model in which every text from the wire is an attack.
func hostile() *report.Model {
	m := model(3, 4)
	clean := func(i int) string { return event.Escape(attacks[i%len(attacks)], 1000) }
	n := 0
	next := func() string { n++; return clean(n) }
	for i := range m.Findings {
		f := &m.Findings[i]
		f.Proof = nil
		for range len(attacks)/len(m.Findings) + 1 {
			f.Proof = append(f.Proof, report.Session{Start: start, Client: f.IP, Server: netip.MustParseAddrPort("198.18.3.17:25"),
				Helo: next(), MailFrom: []string{"...@" + next()}, Code: 550, Reply: "5.7.1 " + next(), TLS: "none"})
			f.Reasons = append(f.Reasons, report.Reason{Weight: 1, Text: `It introduced itself as "` + next() + `".`})
		}
		f.Ack = &report.Ack{By: next(), Why: next(), At: start}
	}
	for i := range m.Hosts {
		m.Hosts[i].Input = next()
		m.Hosts[i].Destinations = []report.Destination{{Server: netip.MustParseAddrPort("[2001:db8::1]:25"), Name: next()}}
	}
	for range attacks {
		m.Site.Blocklists = append(m.Site.Blocklists, report.Blocklist{Name: next(), Sample: next(), Count: 1})
		m.Input.Sums = append(m.Input.Sums, report.Sum{Name: next()})
		m.Hints = append(m.Hints, next())
		m.Health = append(m.Health, report.Health{Text: next(), Hint: next()})
	}
	for i := range 2 * len(attacks) {
		m.Sessions = append(m.Sessions, report.MailSession{Session: report.Session{Start: start + report.Time(i), Client: address(i),
			Server: netip.MustParseAddrPort("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:25]:25"), Helo: next(), MailFrom: []string{next(), ""}, TLS: "starttls"},
			LastCode: 250, LastReply: next()})
	}
	m.MoreSessions = 12345
	m.Sensor = next()
	m.Headline.More = []string{next(), next(), next()}
	m.Input.Settings = []string{"--set", next()}
	m.Unused = []string{next()}
	m.Withdrawn = []report.Withdrawn{{IP: address(99), Title: "suspect spambot", Until: start, Why: next()}}
	ignored := finding(address(98))
	ignored.Ignored = &report.Ignored{Why: next()}
	m.Ignored = []report.Finding{ignored}
	return m
}

// TestHostile: a text from the wire adds no element and no attribute to a report.
func TestHostile(t *testing.T) {
	for _, tag := range []string{lang.English, lang.French} {
		page := write(t, tag, hostile())
		head, body, _ := strings.Cut(page, "</head>")
		for _, bad := range []string{"<script>", "<img", "<svg/", "<iframe", "<link", "<base", "<details open", "<object", "<input", "<a href=\"javascript",
			"onerror=alert(1)>", "\x1b", "\u202e", "\u2066", "\x00", "\u2028"} {
			if strings.Contains(body, bad) {
				at := strings.Index(body, bad)
				t.Errorf("%s: %q in the page: %q", tag, bad, body[max(0, at-60):at+60])
			}
		}
		if n := strings.Count(page, "<script"); n != 1 {
			t.Errorf("%s: %d scripts", tag, n)
		}
		if n := strings.Count(head, "<meta"); n != 5 || strings.Contains(body, "<meta") {
			t.Errorf("%s: %d meta elements in the head, want 5", tag, n)
		}
		if m := data(t, page); len(m.Findings)+m.MoreFindings != 3 {
			t.Errorf("%s: the model inside has %d findings, and %d more", tag, len(m.Findings), m.MoreFindings)
		}
	}
}
