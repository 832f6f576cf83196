package event

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/finding"
)

// zerologSession is Session by means of zerolog: the reference.
func zerologSession(w *Writer, s *finding.Session) uint64 {
	end := Timestamp(s.End)
	e := w.input(w.begin(SessionEvent, zerolog.InfoLevel, s.End), s.Input)
	vlan(e, s.VLAN)
	client, server := s.Client.Addr().String(), s.Server.Addr().String()
	e.Str("src_ip", client).Uint16("src_port", s.Client.Port()).
		Str("dest_ip", server).Uint16("dest_port", s.Server.Port()).
		Str("proto", "TCP").Str("app_proto", s.App).Uint64("flow_id", s.FlowID).
		Str("community_id", string(appendCommunityID(nil, s.Client, s.Server)))
	if s.MAC != [6]byte{} {
		e.Str("mac", mac(s.MAC))
	}
	flow := zerolog.Dict().Str("start", Timestamp(s.Start)).Str("end", end).
		Float64("age", seconds(s.End-s.Start)).
		Str("state", s.State).Str("reason", s.Reason).Str("seen", s.Seen).
		Uint32("pkts_toserver", s.PktsToServer).Uint32("pkts_toclient", s.PktsToClient).
		Uint64("bytes_toserver", s.ToServer).Uint64("bytes_toclient", s.ToClient).
		Uint8("syn", s.SYNs)
	if s.Conflicts > 0 {
		flow.Int("conflicts", s.Conflicts)
	}
	e.Dict("flow", flow)
	d := zerolog.Dict().Str("direction", s.Direction)
	text := func(name, value string) {
		if value != "" {
			d.Str(name, w.text(value))
		}
	}
	if s.HeloCmd != "" {
		d.Str("helo", w.text(w.cfg.Evidence.hide(s.Helo))).Str("helo_cmd", s.HeloCmd)
	}
	from, more := zerologSenders(w, s.MailFrom)
	d.Strs("mail_from", from)
	if more > 0 {
		d.Int("mail_from_more", more)
	}
	d.Uint32("mail_count", s.Mails).Uint32("rcpt_count", s.Rcpts).
		Uint32("rcpt_rejected", s.RcptsRejected).Uint32("messages", s.Messages).
		Uint32("rejected", s.Rejected).Uint32("deferred", s.Deferred).
		Str("tls", s.TLS).Str("auth", s.Auth)
	text("sni", s.SNI)
	if s.LastCode > 0 {
		d.Uint16("last_code", s.LastCode)
	}
	if s.LastEnhanced[0] > 0 {
		d.Str("last_enhanced", zerologEnhanced(s.LastEnhanced))
	}
	text("blocklist", s.Blocklist)
	text("last_reply", w.cfg.Evidence.hide(s.LastReply))
	text("banner", s.Banner)
	if len(s.Codes) > 0 {
		codes := slices.Clone(s.Codes)
		slices.SortFunc(codes,
			func(a, b finding.CodeCount) int { return int(a.Code) - int(b.Code) })
		c := zerolog.Dict()
		for _, n := range codes {
			c.Uint16(fmt.Sprintf("%03d", n.Code), n.Count)
		}
		d.Dict("codes", c)
	}
	if len(s.Refusals) > 0 {
		list := zerolog.Arr()
		for _, r := range s.Refusals {
			one := zerolog.Dict().Str("phase", r.Phase).Uint16("code", r.Code)
			if r.Enhanced[0] > 0 {
				one.Str("enhanced", zerologEnhanced(r.Enhanced))
			}
			if t := w.text(w.cfg.Evidence.hide(r.Text)); t != "" {
				one.Str("text", t)
			}
			list.Dict(one)
		}
		d.Array("refusals", list)
	}
	d.Strs("flags", nonNil(s.Flags))
	e.Dict("smtp", d).Msg(client + " to " + server + string(appendSummary(nil, s)))
	return w.seq
}

func zerologEnhanced(e [3]uint16) string { return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2]) }

func zerologSenders(w *Writer, list []string) (from []string, more int) {
	from = []string{}
	for i, a := range list {
		if w.left < 300 {
			return from, len(list) - i
		}
		if s, ok := w.cfg.Evidence.address(a); ok {
			from = append(from, w.text(s))
			w.left -= 3
		}
	}
	return from, 0
}

// choose returns one of a list.
func choose[T any](rnd *rand.Rand, list ...T) T { return list[rnd.IntN(len(list))] }

// randomText returns a text of pieces that need an escape, an address, or nothing.
func randomText(rnd *rand.Rand) string {
	var b []byte
	for range rnd.IntN(choose(rnd, 2, 4, 40)) {
		switch rnd.IntN(8) {
		case 0:
			b = append(b, choose(rnd, hostile...)...)
		case 1:
			b = append(b, choose(rnd, nasty...)...)
		case 2:
			b = append(b, byte(rnd.Uint32()))
		case 3:
			b = append(b, "<Anna.B@Example.ORG>"...)
		default:
			b = append(b, "250 mx1.example.org says 2.1.5 Ok; "[:rnd.IntN(36)]...)
		}
	}
	return string(b)
}

// randomSession returns a session in which each field has an unusual value sometimes.
func randomSession(rnd *rand.Rand) *finding.Session {
	number := func() uint64 { return rnd.Uint64() >> choose(rnd, 0, 40, 60, 63) }
	addr := func() netip.AddrPort {
		a := choose(rnd, netip.AddrFrom4([4]byte{10, 0, byte(rnd.Uint32()), 1}),
			netip.MustParseAddr("501:db8::25"), netip.MustParseAddr("::ffff:192.0.2.1"))
		return netip.AddrPortFrom(a, uint16(number()))
	}
	texts := func(most int) (list []string) {
		for range rnd.IntN(most) {
			list = append(list, randomText(rnd))
		}
		return list
	}
	s := &finding.Session{Client: addr(), Server: addr(), FlowID: number(),
		Start: choose(rnd, 1e18, int64(number()), -int64(number()>>1)), State: randomText(rnd),
		Reason: choose(rnd, "fin", "timeout"), Seen: "both", PktsToServer: uint32(number()),
		PktsToClient: uint32(number()), ToServer: number(), ToClient: number(),
		SYNs: uint8(number()), Conflicts: rnd.IntN(3), App: choose(rnd, "smtp", "tls", "failed", "x"),
		Direction: "outbound", TLS: choose(rnd, "none", "starttls"), Auth: "none",
		HeloCmd: choose(rnd, "", "EHLO"), Banner: randomText(rnd), Helo: randomText(rnd),
		SNI: randomText(rnd), LastReply: randomText(rnd), MailFrom: texts(choose(rnd, 3, 40)),
		Mails: uint32(number()), Rcpts: uint32(number()), RcptsRejected: uint32(number()),
		Messages: uint32(number()), Rejected: uint32(number()), Deferred: uint32(number()),
		LastCode:     uint16(rnd.IntN(600)),
		LastEnhanced: [3]uint16{uint16(rnd.IntN(6)), uint16(number()), uint16(number())},
		Blocklist:    randomText(rnd), Flags: texts(3)}
	s.End = s.Start + choose(rnd, 0, rnd.Int64N(2e9), rnd.Int64N(1e14), -5e9, int64(number()))
	for range rnd.IntN(2) {
		s.MAC, s.VLAN = [6]byte{2, 0, 0, 0, 0xab, byte(rnd.Uint32())}, []uint16{7, uint16(number())}
	}
	for range rnd.IntN(choose(rnd, 1, 5, 40)) {
		s.Codes = append(s.Codes, finding.CodeCount{Code: uint16(rnd.IntN(1000)),
			Count: uint16(number())})
	}
	for range rnd.IntN(4) {
		s.Refusals = append(s.Refusals, finding.RefusalText{Phase: choose(rnd, "rcpt", "data"),
			Code: 550, Enhanced: [3]uint16{uint16(rnd.IntN(6)), 1, 1}, Text: randomText(rnd)})
	}
	return s
}

// TestSessionIsZerologs checks that the events of sessions are byte for byte what zerolog writes.
func TestSessionIsZerologs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, mode := range []Mode{Domain, Full, Hash, None} {
		for _, live := range []bool{false, true} {
			name := randomText(rnd)
			cfg := Config{Run: choose(rnd, "abc", `"\x`), Host: randomText(rnd), Live: live,
				Input:    func(uint16) string { return name },
				Evidence: Evidence{Mode: mode, Key: []byte("0123456789abcdef")}}
			var got, want chunks
			a, b := NewQueue(&got, true), NewQueue(&want, true)
			w, reference := NewWriter(cfg, a), NewWriter(cfg, b)
			for range 500 {
				s := randomSession(rnd)
				if n, m := w.Session(s), zerologSession(reference, s); n != m {
					t.Fatalf("event %d, want %d", n, m)
				}
			}
			a.Close()
			b.Close()
			x := strings.SplitAfter(strings.Join(got.list, ""), "\n")
			y := strings.SplitAfter(strings.Join(want.list, ""), "\n")
			for i := range min(len(x), len(y)) {
				if x[i] != y[i] {
					t.Fatalf("%s\nwant\n%s", x[i], y[i])
				}
			}
			if len(x) != 501 || len(y) != 501 {
				t.Errorf("%d and %d lines", len(x), len(y))
			}
		}
	}
}

// zerologValue is a value as zerolog writes it.
func zerologValue(add func(*zerolog.Event)) string {
	var b bytes.Buffer
	l := zerolog.New(&b)
	e := l.Log()
	add(e)
	e.Send()
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `{"x":`), "}\n")
}

func FuzzString(f *testing.F) {
	for _, s := range append(append([]string{"12345678", "1234567\x7f", "1234567\x80"}, hostile...),
		nasty...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fuzztime.Check(t, func() int {
			want := zerologValue(func(e *zerolog.Event) { e.Str("x", s) })
			if got := string(appendString(nil, s)); got != want {
				t.Errorf("%q: %s, want %s", s, got, want)
			}
			if plain(s) != (want == `"`+s+`"` && Escape(s, len(s)) == s && isASCII(s)) {
				t.Errorf("%q: plain reports %v", s, plain(s))
			}
			return len(s)
		})
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// TestPlain checks each byte at each place of a text.
func TestPlain(t *testing.T) {
	for n := range 20 {
		for i := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte("a"), n)
				b[i] = byte(c)
				want := c >= ' ' && c < 0x7f && c != '"' && c != '\\'
				if got := plain(string(b)); got != want {
					t.Fatalf("%q: %v", b, got)
				}
			}
		}
	}
}

// TestSecondsAreZerologs checks the digits of times against zerolog's float64.
func TestSecondsAreZerologs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	list := []int64{0, 1, 999, 1000, 1001, 1e6, 1e9, 1e9 + 1000, 1e15, 1e18 - 1, 1e18, 1e18 + 1000,
		-1, -1000, math.MaxInt64, math.MinInt64}
	for range 20_000 {
		list = append(list, int64(rnd.Uint64()>>rnd.IntN(64)))
	}
	for _, ns := range list {
		want := zerologValue(func(e *zerolog.Event) { e.Float64("x", seconds(ns)) })
		if got := string(appendSeconds(nil, ns)); got != want {
			t.Fatalf("%d ns: %s, want %s", ns, got, want)
		}
	}
	for range 20_000 {
		x := math.Float64frombits(rnd.Uint64())
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		want := zerologValue(func(e *zerolog.Event) { e.Float64("x", x) })
		if got := string(appendFloat(nil, x)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// TestClock compares with Timestamp, with many seconds and with few.
func TestClock(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var c clock
	for i := range 20_000 {
		ns := rnd.Int64N(int64(30*time.Second)) + 1e18
		if i%4 == 0 {
			ns = int64(rnd.Uint64())
		}
		if got, want := string(c.append(nil, ns)), strconv.Quote(Timestamp(ns)); got != want {
			t.Fatalf("%d: %s, want %s", ns, got, want)
		}
	}
	if got := string(c.append(nil, 0)); got != strconv.Quote(Timestamp(0)) {
		t.Error(got)
	}
}
