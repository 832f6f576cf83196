package dns

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"spamsensor/bench/fuzztime"
)

// message builds a query, or an answer with these addresses.
func message(t testing.TB, name string, typ dnsmessage.Type, addrs ...string) []byte {
	t.Helper()
	n, err := dnsmessage.NewName(name)
	if err != nil {
		t.Fatal(err)
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, Response: len(addrs) > 0,
		RecursionDesired: true})
	b.EnableCompression()
	b.StartQuestions()
	b.Question(dnsmessage.Question{Name: n, Type: typ, Class: dnsmessage.ClassINET})
	b.StartAnswers()
	for i, s := range addrs {
		h := dnsmessage.ResourceHeader{Name: n, Class: dnsmessage.ClassINET, TTL: 60}
		if i == 0 {
			b.CNAMEResource(h, dnsmessage.CNAMEResource{CNAME: n})
		}
		if a := netip.MustParseAddr(s); a.Is4() {
			b.AResource(h, dnsmessage.AResource{A: a.As4()})
		} else {
			b.AAAAResource(h, dnsmessage.AAAAResource{AAAA: a.As16()})
		}
	}
	msg, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestParse(t *testing.T) {
	const a, aaaa, mx, txt = dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeMX,
		dnsmessage.TypeTXT
	for _, c := range []struct {
		name   string
		typ    dnsmessage.Type
		want   Kind
		domain string
	}{
		{"example.org.", mx, MX, "example.org"}, {"Shop.Example.CO.UK.", mx, MX, "example.co.uk"},
		{"mail.example.org.", a, Host, "example.org"}, {"SMTP2.example.org.", aaaa, Host, "example.org"}, {"mx01.mail.example.org.", a, Host, "example.org"},
		{"www.example.org.", a, Other, ""}, {"mailchimp.example.org.", a, Other, ""}, {"example.org.", a, Other, ""}, {"mail.example.org.", txt, Other, ""},
		{"mail.", a, Other, ""},
		{"7.113.0.203.zen.spamhaus.org.", a, List, "spamhaus.org"}, {"7.113.0.203.bl.example.net.", txt, List, "example.net"},
		{"7.113.0.203.in-addr.arpa.", a, Other, ""}, {"1.2.3.example.org.", a, Other, ""}, {"7.113.0.203.cdn.example.net.", a, Other, ""},
	} {
		b := message(t, c.name, c.typ)
		var m Message
		ok := Parse(b, &m)
		if got := Interesting(b); got != c.want || m.Kind != c.want || ok != (c.want != Other) {
			t.Errorf("%s: kind %d and %d, %v, want %d", c.name, got, m.Kind, ok, c.want)
		}
		if ok && (m.Domain != c.domain || m.Name != strings.ToLower(strings.TrimSuffix(c.name,
			".")) || m.ID != 7 || m.Response) {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
}

func TestAnswers(t *testing.T) {
	var m Message
	if !Parse(message(t, "mail.example.org.", dnsmessage.TypeA, "192.0.2.25", "2001:db8::25"),
		&m) || !m.Response || m.NAddrs != 2 ||
		netip.AddrFrom16(m.Addrs[0]).Unmap().String() != "192.0.2.25" ||
		netip.AddrFrom16(m.Addrs[1]).String() != "2001:db8::25" {
		t.Errorf("%+v", m)
	}
	var many []string
	for range 20 {
		many = append(many, "192.0.2.1")
	}
	if !Parse(message(t, "mail.example.org.", dnsmessage.TypeA, many...), &m) ||
		m.NAddrs != MaxAddrs {
		t.Errorf("%d addresses", m.NAddrs)
	}
	whole := message(t, "mail.example.org.", dnsmessage.TypeA, "192.0.2.25", "192.0.2.26")
	for n := range whole { // a cut message gives fewer records, and no wrong one
		if Parse(whole[:n], &m) && (m.NAddrs == 0 || m.Name != "mail.example.org") {
			t.Errorf("cut at %d: %+v", n, m)
		}
	}
}

// An answer is read for more names than a question: it shows whose server an address is.
func TestAnswersNameProviders(t *testing.T) {
	for _, c := range []struct {
		name     string
		typ      dnsmessage.Type
		kind     Kind
		provider string
	}{
		{"firm-example.mail.protection.outlook.com.", dnsmessage.TypeA, Address, "outlook.com"},
		{"email-smtp.eu-west-1.amazonaws.com.", dnsmessage.TypeAAAA, Address, "amazonaws.com"},
		{"ASPMX.l.google.com.", dnsmessage.TypeA, Address, "google.com"},
		{"in1-smtp.example.co.uk.", dnsmessage.TypeA, Address, "example.co.uk"},
		{"example.org.", dnsmessage.TypeA, Address, "example.org"},
		{"example.co.uk.", dnsmessage.TypeA, Address, "example.co.uk"},
		{"mail.example.org.", dnsmessage.TypeA, Host, "example.org"},
		{"ipv4only.arpa.", dnsmessage.TypeAAAA, NAT64, "ipv4only.arpa"},
		{"ipv4only.arpa.", dnsmessage.TypeA, Address, "ipv4only.arpa"},
		{"www.example.org.", dnsmessage.TypeA, Other, ""},
		{"firm-example.mail.protection.outlook.com.", dnsmessage.TypeTXT, Other, ""},
	} {
		b := message(t, c.name, c.typ, "2001:db8::25")
		var m Message
		if Parse(b, &m) != (c.kind != Other) || m.Kind != c.kind || m.Provider != c.provider {
			t.Errorf("%s: kind %d of %q, want %d of %q", c.name, m.Kind, m.Provider, c.kind, c.provider)
		}
		b[2] &^= 0x80 // the question
		if kind := Interesting(b); c.kind >= Address && kind != Other {
			t.Errorf("the question for %s is of kind %d", c.name, kind)
		}
	}
}

// The provider is the owner of the address, where the aliases end.
func TestAliasesNameProviders(t *testing.T) {
	asked, target := dnsmessage.MustNewName("smtp.firm.example."), dnsmessage.MustNewName("SMTP.hoster.co.uk.")
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	b.StartQuestions()
	b.Question(dnsmessage.Question{Name: asked, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET})
	b.StartAnswers()
	b.CNAMEResource(dnsmessage.ResourceHeader{Name: asked, Class: dnsmessage.ClassINET}, dnsmessage.CNAMEResource{CNAME: target})
	b.AResource(dnsmessage.ResourceHeader{Name: target, Class: dnsmessage.ClassINET}, dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
	msg, err := b.Finish()
	var m Message
	if err != nil || !Parse(msg, &m) || m.Provider != "hoster.co.uk" || m.Name != "smtp.firm.example" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestTCP(t *testing.T) {
	b := message(t, "example.org.", dnsmessage.TypeMX)
	segment := append([]byte{0, byte(len(b))}, b...)
	if got := TCP(append(segment, "more"...)); string(got) != string(b) {
		t.Errorf("%x, want %x", got, b)
	}
	for _, cut := range [][]byte{nil, {0}, segment[:len(segment)-1], {0, 3, 1, 2, 3}} {
		if TCP(cut) != nil {
			t.Errorf("%x is taken for a message", cut)
		}
	}
}

func TestNothingAllocated(t *testing.T) {
	b := message(t, "www.example.org.", dnsmessage.TypeA, "192.0.2.25")
	var m Message
	if n := testing.AllocsPerRun(100, func() { Parse(b, &m) }); n > 0 {
		t.Errorf("%.0f allocations for a message that is of no interest", n)
	}
}

// Interesting agrees with the question that the library reads, and no message crashes Parse.
func FuzzParse(f *testing.F) {
	f.Add(message(f, "mail.example.org.", dnsmessage.TypeA, "192.0.2.25"))
	f.Add(message(f, "example.org.", dnsmessage.TypeMX))
	f.Add(message(f, "7.113.0.203.zen.spamhaus.org.", dnsmessage.TypeA, "127.0.0.2"))
	f.Add([]byte{0, 7, 0x81, 0, 0, 1, 0, 1, 0, 0, 0, 0, 4, 'm', 'a', 'i', 'l', 0xc0, 12, 0, 1, 0,
		1})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztime.Check(t, func() int {
			var m Message
			if !Parse(b, &m) {
				return len(b)
			}
			if m.Kind == Other || m.Name == "" && m.Kind != MX || len(m.Name) > 255 ||
				m.NAddrs > MaxAddrs {
				t.Errorf("%+v", m)
			}
			var p dnsmessage.Parser
			if _, err := p.Start(b); err != nil {
				t.Error(err)
			}
			q, err := p.Question()
			if err != nil || q.Class != dnsmessage.ClassINET {
				t.Errorf("%v %v", q, err)
			}
			TCP(b)
			return len(b)
		})
	})
}

func BenchmarkInteresting(b *testing.B) {
	msg := message(b, "www.some.example.org.", dnsmessage.TypeA, "192.0.2.25")
	b.ReportAllocs()
	for b.Loop() {
		Interesting(msg)
	}
}
