package detect

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
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
	s.h.BlocklistNamed("zen.spamhaus.org", "blocked using zen.spamhaus.org", refusal.Blocklisted, s.now)
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
	for name, want := range map[string]heloClass{
		"mail.example.org": heloProper, "[192.0.2.1]": heloProper, "[IPv6:2001:db8::1]": heloProper, "mx1.a-b.example.co.uk.": heloProper,
		"mail-1-2.example.org": heloProper, "host2024.example.org": heloProper, "10.example.org": heloProper,
		"": heloEmpty, "PC-ANNA": heloPlain, "friend": heloPlain, "localhost": heloLocalhost, "localhost.example": heloLocalhost, "LOCALHOST.localdomain": heloHome,
		"10.0.0.36": heloBareIP, "2001:db8::1": heloBareIP, "anna.home": heloHome, "pc.fritz.lan": heloHome, "x.local": heloHome,
		"173-66-46-112.wash.fios.example.net": heloDynamic, "1.2.3.4.dsl.example.net": heloDynamic, "ip-10-0-0-1.example.net": heloDynamic,
		"p5dd2a1b2.dip0.example.net": heloProper, "999.1.2.3.example.net": heloProper,
	} {
		if got := classifyHelo(name); got != want {
			t.Errorf("%q: %s, want %s", name, got.text(), want.text())
		}
	}
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
