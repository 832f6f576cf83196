package setup

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// session is a session from one host to another.
func session(direction, from, to, banner string, messages uint32) *finding.Session {
	return &finding.Session{Direction: direction, App: "smtp", TLS: "none", Banner: banner,
		Messages: messages, Client: netip.AddrPortFrom(netip.MustParseAddr(from), 40000),
		Server: netip.AddrPortFrom(netip.MustParseAddr(to), 25)}
}

// encrypted makes a session turn into TLS.
func encrypted(s *finding.Session, bytes uint64) *finding.Session {
	s.TLS, s.ToServer, s.Messages = "starttls", bytes, 0
	return s
}

func spambot(ip string, level verdict.Level) *finding.Finding {
	return &finding.Finding{Class: verdict.Spambot, Level: level, Action: finding.Opened,
		Source: finding.SourceRecord{Addr: netip.MustParseAddr(ip)}}
}

// TestServers: which hosts are declared as mail servers, and with what evidence.
func TestServers(t *testing.T) {
	const ours, other = "10.0.0.25", "198.51.100.7"
	for _, x := range []struct {
		name     string
		sessions []*finding.Session
		finding  *finding.Finding
		want     string // part of the configuration
	}{
		{"it takes mail from outside", []*finding.Session{
			session("inbound", other, ours, "mail.example.org ESMTP", 2),
			session("outbound", ours, other, "mx.example.net", 3)}, nil,
			"# It took 2 messages from 1 host outside and sent 3, and greets as mail.example.org.\n" +
				"  - ip: \"10.0.0.25\"\n    name: \"mail.example.org\"\n"},
		{"in TLS", []*finding.Session{
			encrypted(session("inbound", other, ours, "mail.example.org", 0), 9000),
			encrypted(session("inbound", "198.51.100.8", ours, "mail.example.org", 0), 9000)}, nil,
			"took 0 messages and 2 encrypted sessions from 2 hosts outside"},
		{"a probe of one host in TLS", []*finding.Session{
			encrypted(session("inbound", other, ours, "mail.example.org", 0), 9000)}, nil,
			"None was seen"},
		{"handshakes alone", []*finding.Session{
			encrypted(session("inbound", other, ours, "mail.example.org", 0), 900),
			encrypted(session("inbound", "198.51.100.8", ours, "mail.example.org", 0), 900)}, nil,
			"None was seen"},
		{"it takes mail of ours", []*finding.Session{
			session("internal", "10.0.0.4", ours, "mail.example.org", 1)}, nil,
			"took 1 message from hosts of ours"},
		{"it takes mail of ours and has no name", []*finding.Session{
			session("internal", "10.0.0.4", ours, "ready", 1)}, nil, "None was seen"},
		{"it takes no message", []*finding.Session{
			session("inbound", other, ours, "mail.example.org", 0)}, nil, "None was seen"},
		{"it sends only", []*finding.Session{
			session("outbound", ours, other, "mx.example.net", 100)}, nil, "None was seen"},
		{"it is accused", []*finding.Session{
			session("inbound", other, ours, "mail.example.org", 2)}, spambot(ours, verdict.Likely),
			"# Not declared: 10.0.0.25 took 2 messages"},
		{"a hostile greeting", []*finding.Session{
			session("inbound", other, ours, "evil.example\"\nignore:\n- x ESMTP", 2)}, nil,
			"took 2 messages from 1 host outside.\n  - ip: \"10.0.0.25\"\n\n"},
	} {
		var l Learner
		for _, s := range x.sessions {
			l.Session(s)
		}
		if x.finding != nil {
			l.Finding(x.finding)
		}
		f := l.Facts([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		f.Interface, f.Why = "m0", "named\nby -i"
		text := Write(&f, Places{Events: "/e", State: "/s"}, nil, time.Unix(0, 0).UTC(), nil)
		if !strings.Contains(text, x.want) {
			t.Errorf("%s: want %q in\n%s", x.name, x.want, text)
		}
		if strings.Contains(text, "\nby -i") || strings.Contains(text, "ignore:") {
			t.Errorf("%s: a text from outside became a setting:\n%s", x.name, text)
		}
	}
}

// TestNetworks: hosts count for the narrowest network.
func TestNetworks(t *testing.T) {
	var l Learner
	l.Session(session("outbound", "10.1.0.1", "198.51.100.7", "x", 1))
	l.Session(session("outbound", "10.2.0.1", "198.51.100.7", "x", 1))
	f := l.Facts([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fc00::/7")})
	if f.Home[0].Hosts != 1 || f.Home[1].Hosts != 1 || f.Home[2].Hosts != 0 {
		t.Errorf("%+v", f.Home)
	}
}

// TestManyHosts: the hosts that are kept are bounded, and the others counted.
func TestManyHosts(t *testing.T) {
	var l Learner
	a := netip.MustParseAddr("10.0.0.0")
	for range maxHosts + 5 {
		a = a.Next()
		l.host(a)
	}
	if len(l.hosts) != maxHosts || l.Left != 5 {
		t.Errorf("%d hosts, %d left out", len(l.hosts), l.Left)
	}
}
