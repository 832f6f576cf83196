package detect

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"spamsensor/sensor/verdict"
)

// A scene is a row of observations about one host, in seconds from its beginning.
type scene struct {
	f     Counters
	h     Profile
	cfg   Config
	now   int64
	dest  uint32
	won   verdict.Level
	at    float64 // seconds at which won was reached
	class verdict.Class
}

const begin = int64(1.7e18)

func newScene() *scene { return &scene{cfg: DefaultConfig(), now: begin} }

func (s *scene) wait(seconds float64) *scene { s.now += int64(seconds * 1e9); return s }

func (s *scene) judge() {
	if v := s.h.Judge(&s.f, s.now); v.Level > s.won {
		s.won, s.at, s.class = v.Level, float64(s.now-begin)/1e9, v.Class
	}
}

// tries is n attempts, one every interval, each to another network, or all to one.
func (s *scene) tries(n int, port uint16, interval float64, spread bool) *scene {
	for range n {
		if spread {
			s.dest++
		}
		a := Attempt{Time: s.now, Addr: mix(s.dest), Net: mix(s.dest + 1<<20), Port: port, External: true}
		if s.f.Attempts == 0 {
			s.h.Adopt(&s.cfg, &s.f)
		}
		s.f.Attempted(&a)
		s.h.Attempted(&s.cfg, &s.f, &a)
		s.judge()
		s.wait(interval)
		s.h.ExpireContacts(&s.cfg, s.now)
		s.judge()
		s.f.Closed()
	}
	return s
}

func (s *scene) helo(name string) *scene {
	h := uint32(1)
	for _, c := range name {
		h = h*31 + uint32(c)
	}
	s.h.Opened(&s.cfg, 0, mix(s.dest+1<<20), 25, false, s.now)
	s.h.ClientSpoke()
	s.h.Attested()
	s.h.Helo(&s.cfg, []byte(name), h, true, true, s.now)
	s.judge()
	return s
}

func (s *scene) sessions(n int, refused bool) *scene {
	for range n {
		s.h.SessionDecided(&s.cfg, refused, false, s.now)
		s.judge()
		s.wait(1)
	}
	return s
}

func (s *scene) listed() *scene {
	s.h.BlocklistNamed("zen.spamhaus.org", "blocked using zen.spamhaus.org", OnList, s.now)
	s.judge()
	return s
}

func TestVerdicts(t *testing.T) {
	for _, r := range []struct {
		name string
		s    *scene
		want verdict.Level
		by   float64 // at the latest, in seconds
	}{
		{"one mail to the provider", newScene().tries(1, 587, 1, false), verdict.NoLevel, 0},
		{"mail client, all day", newScene().tries(200, 587, 300, false), verdict.NoLevel, 0},
		{"three accounts", newScene().tries(3, 465, 1, true).tries(100, 465, 600, false), verdict.NoLevel, 0},
		{"one mail to three MX", newScene().tries(3, 25, 1, true), verdict.NoLevel, 0},
		{"one new network a day, for a month", newScene().tries(30, 25, 86400, true), verdict.NoLevel, 0},
		{"application server to our relay", relayed(500), verdict.NoLevel, 0},
		{"burst to four networks", newScene().tries(4, 25, 0.01, true), verdict.Suspect, 0.05},
		{"slow, 60 networks a day", newScene().tries(6, 25, 1440, true), verdict.Suspect, 8000},
		{"very slow, 12 networks a day", newScene().tries(10, 25, 7200, true), verdict.Suspect, 72000},
		{"hammers one provider", newScene().tries(30, 25, 5, false), verdict.NoLevel, 0}, // 3.0 alone is not enough
		{"hammers one provider by a bare address", newScene().helo("10.0.0.36").helo("10.0.0.45").helo("a").tries(30, 25, 5, false).sessions(6, true), verdict.Likely, 400},
		{"six submission servers", newScene().tries(6, 587, 60, true), verdict.Suspect, 400},
		{"burst and a bare address", newScene().tries(12, 587, 0.01, true).helo("10.0.0.36"), verdict.Likely, 1},
		{"burst, address, refused, listed", newScene().tries(12, 25, 0.01, true).helo("10.0.0.36").sessions(6, true).listed(), verdict.Confirmed, 10},
		{"mail server with a proper name, accepted", newScene().helo("mail.example.org").tries(3, 25, 10, true).sessions(50, false), verdict.NoLevel, 0},
		{"named on a list, alone", newScene().tries(1, 25, 1, true).listed(), verdict.NoLevel, 0},
		{"half of it refused", newScene().tries(2, 25, 1, true).sessions(3, true).sessions(3, false).sessions(2, true).sessions(3, false), verdict.NoLevel, 0},
	} {
		if r.s.won != r.want || r.want > verdict.NoLevel && r.s.at > r.by {
			v := r.s.h.Judge(&r.s.f, r.s.now)
			t.Errorf("%s: %s after %.2f s (score %.1f), want %s within %.2f s", r.name, r.s.won, r.s.at, v.Score, r.want, r.by)
		}
	}
}

func relayed(n int) *scene {
	s := newScene()
	for range n {
		a := Attempt{Time: s.now, Addr: 1, Net: 1, Port: 25}
		s.f.Attempted(&a)
		s.h.Attempted(&s.cfg, &s.f, &a)
		s.judge()
		s.wait(0.05)
	}
	return s
}

// Reasons carry their numbers, and a family cannot convict alone.
func TestReasons(t *testing.T) {
	s := newScene().tries(200, 587, 0.1, true)
	if s.won != verdict.Suspect {
		t.Errorf("attempts alone give %s", s.won)
	}
	var codes []string
	s.h.Reasons(func(c Code, r *verdict.Reason) {
		codes = append(codes, c.String())
		if r.Weight <= 0 || r.First > r.Last || r.First < begin {
			t.Errorf("%s: %+v", c, *r)
		}
		if text := s.h.Text(c, &s.f); !strings.HasSuffix(text, ".") || strings.Contains(text, "%!") {
			t.Errorf("%s: %q", c, text)
		}
	})
	want := []string{"new_networks", "many_networks", "submission_spread", "flood"}
	if !reflect.DeepEqual(codes, want) {
		t.Errorf("found %v, want %v", codes, want)
	}
	if d := s.h.Decided(); d.Attempts != 4 || d.At-begin > 1e9 {
		t.Errorf("decided %+v", d)
	}
}

func TestClassifyHelo(t *testing.T) {
	for name, want := range map[string]HeloClass{
		"mail.example.org": HeloProper, "[192.0.2.1]": HeloProper, "[IPv6:2001:db8::1]": HeloProper, "mx1.a-b.example.co.uk.": HeloProper,
		"mail-1-2.example.org": HeloProper, "host2024.example.org": HeloProper, "10.example.org": HeloProper,
		"": HeloEmpty, "PC-ANNA": HeloPlain, "friend": HeloPlain, "localhost": HeloLocalhost, "localhost.example": HeloLocalhost, "LOCALHOST.localdomain": HeloHome,
		"10.0.0.36": HeloBareIP, "2001:db8::1": HeloBareIP, "anna.home": HeloHome, "pc.fritz.lan": HeloHome, "x.local": HeloHome,
		"173-66-46-112.wash.fios.example.net": HeloDynamic, "1.2.3.4.dsl.example.net": HeloDynamic, "ip-10-0-0-1.example.net": HeloDynamic,
		"p5dd2a1b2.dip0.example.net": HeloProper, "999.1.2.3.example.net": HeloProper,
	} {
		if got := ClassifyHelo(name); got != want {
			t.Errorf("%q: %s, want %s", name, got.text(), want.text())
		}
	}
}

func TestParseCitation(t *testing.T) {
	for text, want := range map[string]Citation{
		"5.7.1 Service unavailable; Client host [77.234.40.37] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/77.234.40.37": {List: "zen.spamhaus.org", Addrs: addrs("77.234.40.37")},
		"5.7.1 Your IP 203.0.113.9 is listed at bl.example.net. See http://bl.example.net/q":                                                   {List: "bl.example.net", Addrs: addrs("203.0.113.9")},
		"Blocked - see https://www.spamcop.net/bl.shtml?203.0.113.9":                                                                           {List: "spamcop.net", Addrs: nil},
		"rejected: 203.0.113.9 found in dnsbl.sorbs.net":                                                                                       {List: "dnsbl.sorbs.net", Addrs: addrs("203.0.113.9")},
		"Mail from 203.0.113.9 refused, see RBL xbl.spamhaus.org":                                                                              {List: "xbl.spamhaus.org", Addrs: addrs("203.0.113.9")},
		"User unknown <b@example.org>":                                                                                                         {List: "", Addrs: nil},
		"Relay access denied, see http://www.example.org/help":                                                                                 {List: "", Addrs: nil},
		"temporarily deferred due to user complaints - 4.16.55.1; see https://help.yahoo.example/kb":                                           {List: "", Addrs: addrs("4.16.55.1")},
		"Mail from 203.0.113.9 refused by blacklist: bl.example.net":                                                                           {List: "bl.example.net", Addrs: addrs("203.0.113.9")},
		"your address is on the blocklist \"ix.dnsbl.manitu.net\"":                                                                             {List: "ix.dnsbl.manitu.net", Addrs: nil},
		"greylisted using example.org":                                                                                                         {List: "", Addrs: nil},
		"Client host [10.0.0.7] blocked using b.barracudacentral.org":                                                                          {List: "b.barracudacentral.org", Addrs: nil},
		"listed on \"dbl.spamhaus.org\"; [IPv6:2a01:4f8::1] is blocked":                                                                        {List: "dbl.spamhaus.org", Addrs: nil},
	} {
		if got := ParseCitation(text); got.List != want.List || !reflect.DeepEqual(got.Addrs, want.Addrs) && len(want.Addrs) > 0 {
			t.Errorf("%q:\n got %v\nwant %v", text, got, want)
		}
	}
}

// TestMayCite: a text that is not read further names no list and quotes no address.
func TestMayCite(t *testing.T) {
	pieces := append([]string{".", ":", "::", "1", "203.0.113.9", "2a01:4f8::1", "::ffff:203.0.113.9", " ", "bl.example.net", "BL.EXAMPLE.NET", "a", "de",
		".\u212ay", ".\u0130o", "\xff", "-", "_", "[", "]", "https://", "www.", "listed", "blocked", "5.1.1 User unknown", "\n", "%eth0"}, cues...)
	rnd := rand.New(rand.NewPCG(1, 2))
	skipped := [2]int{}
	for range 200000 {
		var text string
		for range 1 + rnd.IntN(6) {
			text += pieces[rnd.IntN(len(pieces))]
		}
		name, addr := mayCite(text)
		if list, _ := citedList(strings.ToLower(text)); !name && list != "" {
			t.Fatalf("%q names %s", text, list)
		}
		if list := citedAddrs(text); !addr && len(list) > 0 {
			t.Fatalf("%q quotes %v", text, list)
		}
		if !name {
			skipped[0]++
		}
		if !addr {
			skipped[1]++
		}
	}
	if skipped[0] < 1000 || skipped[1] < 1000 {
		t.Errorf("only %v texts are not read further", skipped)
	}
	if name, addr := mayCite("5.1.1 User unknown"); name || addr {
		t.Error("a usual refusal is read further")
	}
}

func TestClassifyRefusal(t *testing.T) {
	for _, c := range []struct {
		code     uint16
		enhanced [3]uint16
		text     string
		want     Cause
	}{
		{554, [3]uint16{5, 7, 1}, "Service unavailable; Client host [77.234.40.37] blocked using zen.spamhaus.org", OnList},
		{554, [3]uint16{5, 7, 1}, "Client host blocked using pbl.spamhaus.org", DynamicRange},
		{550, [3]uint16{5, 1, 1}, "<a@b.example>: Recipient address rejected: User unknown in virtual mailbox table", UserUnknown},
		{550, [3]uint16{5, 7, 1}, "Relaying denied", NoRelaying},
		{553, [3]uint16{}, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", NoRelaying},
		{530, [3]uint16{}, "authentication required", WantsLogin},
		{550, [3]uint16{}, "Authentication is required for relay", NoRelaying},
		{530, [3]uint16{5, 7, 0}, "Must issue a STARTTLS command first", WantsTLS},
		{535, [3]uint16{5, 7, 8}, "", LoginFailed},
		{450, [3]uint16{4, 7, 1}, "Recipient address rejected: Greylisted, see http://postgrey.example", Greylisted},
		{450, [3]uint16{4, 7, 1}, "Client host rejected: cannot find your reverse hostname", NoReverse},
		{550, [3]uint16{5, 7, 23}, "SPF validation failed", SenderPolicy},
		{421, [3]uint16{4, 7, 0}, "Too many connections", Busy},
		{451, [3]uint16{4, 3, 0}, "Temporary local problem, try again later", Busy},
		{451, [3]uint16{4, 3, 0}, "Queue file write error", Busy},
		{451, [3]uint16{}, "Requested action aborted: local error in processing", Busy},
		{553, [3]uint16{5, 3, 0}, "Blocked, see our policy", SpamSeen},
		{552, [3]uint16{5, 2, 2}, "", MailboxFull},
		{421, [3]uint16{4, 7, 0}, "[TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1", SpamSeen},
		{421, [3]uint16{4, 7, 28}, "an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited", SpamSeen},
		{451, [3]uint16{4, 7, 650}, "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation", SpamSeen},
		{550, [3]uint16{5, 7, 606}, "Access denied, banned sending IP [192.0.2.1]", SpamSeen},
		{450, [3]uint16{4, 2, 1}, "The user you are trying to contact is receiving mail too quickly", Busy},
		{554, [3]uint16{}, "delivery error: dd This user doesn't have a yahoo.com account", UserUnknown},
		{550, [3]uint16{}, "Administrative prohibition", OtherCause},
		{554, [3]uint16{5, 7, 1}, "Message rejected as spam by content filtering", SpamSeen},
	} {
		if got := ClassifyRefusal(c.code, c.enhanced, c.text); got != c.want {
			t.Errorf("%d %v %q: %s, want %s", c.code, c.enhanced, c.text, got, c.want)
		}
	}
}

func TestGreetedAddress(t *testing.T) {
	for text, want := range map[string]string{
		"mx.example.org Hello 10.0.0.13 [203.0.113.7]":            "203.0.113.7",
		"mx.example.org hello [203.0.113.7], pleased to meet you": "203.0.113.7",
		"mx.example.org Hello [IPv6:2600::7]":                     "2600::7",
		"mx.example.org Hello [10.0.0.13]":                        "",
		"mx.example.org [not an address]":                         "",
		"mx.example.org [":                                        "",
		"mx.example.org":                                          "",
	} {
		if a, ok := GreetedAddress([]byte(text)); ok != (want != "") || ok && a.String() != want {
			t.Errorf("%q: %v %v, want %q", text, a, ok, want)
		}
	}
}

func addrs(list ...string) (a []netip.Addr) {
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

func mix(i uint32) uint32 { // splitmix64
	z := uint64(i) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return uint32(z ^ z>>31)
}

// R: a host takes about four kilobytes however much it does, unless there is room for more.
func TestHostSize(t *testing.T) {
	s := newScene().tries(100_000, 25, 0.01, true)
	n := int(unsafe.Sizeof(s.h)) + 4*(s.h.addrs.Words()+s.h.nets.Words()+s.h.heloNames.distinct.Words()+s.h.envelope.distinct.Words())
	if n > 6<<10 {
		t.Errorf("%d bytes, of which %d are the host itself", n, unsafe.Sizeof(s.h))
	}
	if got := s.h.nets.Len(); got < 50_000 {
		t.Errorf("%d of 100,000 networks", got)
	}
}

func TestSilent(t *testing.T) {
	var f Counters
	for i := range 20 {
		f.Attempted(&Attempt{Time: begin + int64(i)*second, Addr: uint32(i + 1), Net: 1, Port: 25})
	}
	f.Sessions, f.Refused = 3, 2
	if n := f.Silent(begin + 19*second); n != 15-6 {
		t.Errorf("%d silent while six still wait, want 9", n)
	}
	if n := f.Silent(begin + hour); n != 15 {
		t.Errorf("%d silent in the end, want 15", n)
	}
}

func TestValidate(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := DefaultConfig()
	bad.Alpha, bad.ManyNetworks, bad.HeloNames = 2, 1, 99
	err := bad.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three faults, got: %v", err)
	}
}

// Where counting stops the sentence says so: what it claims is true of a host that does more.
func TestSentencesOfManyThings(t *testing.T) {
	s := newScene().tries(2, 25, 1, true)
	for i := range 40 {
		s.helo("host" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		s.h.Sender(&s.cfg, mix(uint32(i)), true, s.now)
		s.h.Recipient(&s.cfg, mix(uint32(i)), true, s.now)
		s.h.RelayDenied(mix(uint32(i)), s.now)
		s.h.SessionDecided(&s.cfg, true, false, s.now)
		s.judge()
	}
	for code, want := range map[Code]string{HeloNames: "8 or more different names", SenderDomains: "10 or more domains",
		RecipientDomains: " or more domains", RelayDenials: "4 or more servers", Refusals: "refused something in"} {
		if !s.h.has(code) {
			t.Errorf("%s was not found", code)
		} else if text := s.h.Text(code, &s.f); !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", code, text, want)
		}
	}
}
