package reference

import (
	"net/netip"
	"testing"

	"spamsensor/bench/campaign"
)

const ms = int64(1e6)

// act is a list of packets of one connection at one time. Each letter of what is a packet: s a SYN,
// r a reset, o a SYN-ACK, m MAIL FROM, 5 a refusal, 3 a 354, 2 a 250, f a FIN.
type act struct {
	at   int64 // milliseconds, from 1
	dst  int
	what string
	port int // distinguishes connections to the same server
}

// play passes a host's connections to a fresh suite and returns the time of each detector's alarm,
// in milliseconds, 0 for none.
func play(acts []act, until int64) map[string]int64 {
	s := NewSuite(NewDetectors(), nil)
	host := netip.MustParseAddr("10.0.0.9")
	for _, a := range acts {
		up := netip.AddrPortFrom(host, uint16(30000+a.dst+a.port))
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{93, byte(a.dst / 250), byte(a.dst % 250),
			7}), 25)
		for _, c := range a.what {
			p := campaign.Packet{Time: a.at * ms, Src: up, Dst: to, Proto: campaign.TCP,
				Flags: campaign.ACK}
			if c != 's' && c != 'm' {
				p.Src, p.Dst = to, up
			}
			switch c {
			case 's':
				p.Flags, p.Seq = campaign.SYN, uint32(a.dst+a.port)
			case 'r':
				p.Flags = campaign.RST | campaign.ACK
			case 'o':
				p.Flags = campaign.SYN | campaign.ACK
			case 'f':
				p.Flags = campaign.FIN | campaign.ACK
			case 'm':
				p.Payload = []byte("MAIL FROM:<a@b.example>\r\n")
			case '5':
				p.Payload = []byte("550 no\r\n")
			case '3':
				p.Payload = []byte("354 go on\r\n")
			case '2':
				p.Payload = []byte("250 ok\r\n")
			}
			s.Packet(&p, p.Payload)
		}
	}
	s.expire(until * ms)
	got := map[string]int64{}
	for i, d := range s.Detectors {
		got[d.Name()] = s.Alarms[i][host] / ms
	}
	return got
}

// row repeats packets with a gap; each time to another server, unless same.
func row(n int, gap int64, same bool, what string) (acts []act) {
	for i := range n {
		a := act{at: 1 + int64(i)*gap, dst: i, what: what}
		if same {
			a.dst, a.port = 0, i
		}
		acts = append(acts, a)
	}
	return acts
}

func TestDetectors(t *testing.T) {
	for _, c := range []struct {
		name string
		acts []act
		want map[string]int64 // detectors without an entry must not alarm
	}{
		{"two at a time", row(2, 10, false, "s"), map[string]int64{}},
		{"three at a time", row(3, 10, false, "s"), map[string]int64{"netstat >2": 21}},
		{"three one after the other", row(3, 10, false, "sof"), map[string]int64{}},
		{"a SYN that is repeated", append(row(2, 10, false, "s"), act{at: 50, dst: 1, what: "s"},
			act{at: 60, dst: 0, what: "s"}), map[string]int64{}},
		{"six servers, one at a time", row(6, 100, false, "sof"),
			map[string]int64{"ntopng >5": 501}},
		{"eleven servers, one at a time", row(11, 100, false, "sof"),
			map[string]int64{"ntopng >5": 501, "NEMEA >10/300 s": 1001}},
		{"eleven servers, one a minute", row(11, 60_000, false, "sof"),
			map[string]int64{"ntopng >5": 300_001}},
		{"ten at a time, answered", row(10, 1, false, "so"),
			map[string]int64{"netstat >2": 3, "MikroTik 10": 10, "ntopng >5": 6}},
		{"19 connections to one server", row(19, 1000, true, "sof"), map[string]int64{}},
		{"four refused", row(4, 10, false, "sr"), map[string]int64{"TRW": 31}},
		{"four silent ones: alarms at 5 s", row(4, 10, false, "s"),
			map[string]int64{"netstat >2": 21, "TRW": 5031}},
		{"refused by one server again and again", row(8, 10, true, "sr"), map[string]int64{}},
		{"three refused, one answered",
			append(row(3, 100, false, "sr"), act{at: 1000, dst: 7, what: "sof"}),
			map[string]int64{}},
		{"ten mails in one session",
			[]act{{at: 1, dst: 0, what: "sommmmmmmmm"}, {at: 2, dst: 0, what: "m"}},
			map[string]int64{"ET 10 MAIL/120 s": 2}},
		{"nine mails, and one after two minutes",
			[]act{{at: 1, dst: 0, what: "sommmmmmmmm"}, {at: 120_002, dst: 0, what: "m"}},
			map[string]int64{}},
		{"nine mails, and one within two minutes",
			[]act{{at: 1, dst: 0, what: "sommmmmmmmm"}, {at: 119_000, dst: 0, what: "m"}},
			map[string]int64{"ET 10 MAIL/120 s": 119_000}},
		{"four sessions refused", row(4, 100, false, "so5f"),
			map[string]int64{"SPOT on rejects": 301}},
		{"three refused, one delivered",
			append(row(3, 100, false, "so5f"), act{at: 400, dst: 9, what: "so32f"}),
			map[string]int64{}},
		{"a refusal after a delivery is not counted", row(5, 100, false, "so325f"),
			map[string]int64{}},
	} {
		for name, at := range play(c.acts, 10_000) {
			if at != c.want[name] {
				t.Errorf("%s: %s alarms at %d ms, want %d", c.name, name, at, c.want[name])
			}
		}
	}
	var again []act
	for i := range 20 {
		again = append(again, act{at: 1 + int64(i), what: "s"})
	}
	if got := play(again, 1); got["BotFlex 20/5 min or MX"] != 0 {
		t.Error("one connection that repeats its SYN is 20 connections to BotFlex")
	}
	if got := play(row(20, 1000, true, "sof"), 1); got["BotFlex 20/5 min or MX"] != 19_001 {
		t.Errorf("20 connections to one server: %v", got)
	}
	many := append(row(250, 10, false, "sr"), row(30, 20, false, "s")...)
	if got := play(many, 1); got["BotFlex 20/5 min or MX"] != 191 ||
		got["Zeek 25 failed/5 min"] != 241 {
		t.Errorf("250 refused in a row: %v", got)
	}
}

func TestMXQuery(t *testing.T) {
	q := func(typ byte) []byte {
		return []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'd', 'e', 0, 0, typ, 0, 1}
	}
	if !mxQuery(q(15)) || mxQuery(q(1)) || mxQuery(q(15)[:16]) || mxQuery(nil) {
		t.Error("an MX query is a question for type 15")
	}
	answer := q(15)
	answer[2] |= 0x80
	if mxQuery(answer) {
		t.Error("an answer is no query")
	}
}

func TestHasMailFrom(t *testing.T) {
	for text, want := range map[string]bool{"MAIL FROM:<a>": true, "x: y\r\nmail from: <a>": true,
		"RCPT TO:<mail from>": false, "MAIL FROM <a>": false, "": false, ":": false} {
		if hasMailFrom([]byte(text)) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

func TestDeclaredAreLeftOut(t *testing.T) {
	host := netip.MustParseAddr("10.0.0.9")
	s := NewSuite(NewDetectors(), []netip.Addr{host})
	for i := range 50 {
		s.Packet(&campaign.Packet{Time: int64(i) * ms,
			Src:   netip.AddrPortFrom(host, uint16(1000+i)),
			Dst:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{93, 0, byte(i), 1}), 25),
			Proto: campaign.TCP, Flags: campaign.SYN}, nil)
	}
	for i, a := range s.Alarms {
		if len(a) > 0 {
			t.Errorf("%s names a declared host", s.Detectors[i].Name())
		}
	}
}
