package event

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// zerologSession is Session by means of zerolog: the reference.
func zerologSession(w *Writer, s *finding.Session) uint64 {
	end := Timestamp(s.End)
	e := w.begin(SessionEvent, zerolog.InfoLevel, s.End)
	zerologInput(w, e, s.Input, s.VLAN)
	client, server := s.Client.Addr().String(), s.Server.Addr().String()
	e.Str("src_ip", client).Uint16("src_port", s.Client.Port()).
		Str("dest_ip", server).Uint16("dest_port", s.Server.Port()).
		Str("proto", "TCP").Str("app_proto", s.App).Uint64("flow_id", s.FlowID).
		Str("community_id", string(appendCommunityID(nil, s.Client, s.Server)))
	if s.MAC != [6]byte{} {
		e.Str("mac", net.HardwareAddr(s.MAC[:]).String())
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

// zerologInput adds the name of the input and VLAN tags.
func zerologInput(w *Writer, e *zerolog.Event, from uint16, vlan []uint16) {
	name := "pcap_filename"
	if w.cfg.Live {
		name = "in_iface"
	}
	e.Str(name, w.cfg.Input(from))
	if len(vlan) > 0 {
		e.Uints16("vlan", vlan)
	}
}

// zerologSource is Source by means of zerolog.
func zerologSource(w *Writer, s *finding.SourceRecord) {
	e := zerologFields(w, w.begin(SourceEvent, zerolog.InfoLevel, s.Time), s)
	f := &s.Counters
	d := zerolog.Dict().Str("role", s.Role).Str("level", s.Level.String()).Float64("score",
		s.Score).
		Str("first_seen", Timestamp(f.First)).Str("last_seen", Timestamp(f.Last))
	zerologCounts(d, s)
	d.Uint32("concurrent", f.Concurrent).Uint32("error_bound", f.ErrorBound)
	ports := zerolog.Dict()
	for _, p := range f.Ports {
		if p.Count > 0 {
			ports.Uint32(strconv.Itoa(int(p.Port)), p.Count)
		}
	}
	d.Dict("ports", ports)
	zerologDestinations(w, d, s.Destinations)
	e.Dict("source", d).Msg(sourceMessage(s))
}

// zerologCounts adds the fields that a source and a finding share.
func zerologCounts(d *zerolog.Event, s *finding.SourceRecord) {
	f := &s.Counters
	d.Uint32("attempts", f.Attempts).Uint32("syn_retransmits", f.Retransmits).Uint32("sessions",
		f.Sessions).Uint32("refused", f.Refused).
		Uint32("unreachable", f.Unreachable).Uint32("silent", s.Silent).Uint32("messages",
		f.Messages).Uint32("rejected", f.Rejected).
		Uint32("deferred", f.Deferred).Uint32("recipients",
		f.Recipients).Uint32("recipients_rejected", f.RecipientsRejected).
		Int("dest_ips", s.DestIPs).Int("dest_nets", s.DestNets).Uint32("concurrent_max",
		f.ConcurrentMax).
		Uint32("tls_sessions", f.TLSSessions).Uint32("auth_sessions",
		f.AuthSessions).Int("helo_names", s.HeloNames).
		Int("sender_domains", s.SenderDomains).Uint32("mx_lookups",
		s.MXLookups).Uint64("bytes_toserver", f.ToServer).Uint64("bytes_toclient", f.ToClient)
}

// zerologDestinations adds the servers that a source tries often.
func zerologDestinations(w *Writer, d *zerolog.Event, list []finding.Destination) {
	if len(list) == 0 {
		return
	}
	to := zerolog.Arr()
	for _, x := range list {
		one := zerolog.Dict().Str("ip", x.Server.Addr().String()).Uint16("port", x.Server.Port())
		if x.Name != "" {
			one.Str("name", w.text(x.Name))
		}
		to.Dict(one)
	}
	d.Array("destinations", to)
}

// zerologFields adds the fields that identify a source.
func zerologFields(w *Writer, e *zerolog.Event, s *finding.SourceRecord) *zerolog.Event {
	zerologInput(w, e, s.Input, s.VLAN)
	e.Str("src_ip", s.Addr.String())
	if s.MAC != [6]byte{} {
		e.Str("mac", net.HardwareAddr(s.MAC[:]).String())
	}
	return e
}

// zerologFinding is Finding by means of zerolog.
func zerologFinding(w *Writer, f *finding.Finding) {
	level := zerolog.WarnLevel
	if f.Severity == verdict.Info {
		level = zerolog.InfoLevel
	} else if f.Severity >= verdict.High {
		level = zerolog.ErrorLevel
	}
	e := zerologFields(w, w.begin(FindingEvent, level, f.Time), &f.Source)
	d := zerolog.Dict().Str("id", f.ID).Int("seq", f.Seq).Str("action", f.Action).Str("class",
		f.Class.String()).
		Str("level", f.Level.String()).Float64("score", f.Score).Str("severity",
		f.Severity.String()).Str("mode", f.Mode).Str("egress", f.Egress).
		Str("first_seen", Timestamp(f.Source.Counters.First)).Str("last_seen",
		Timestamp(f.Source.Counters.Last)).Str("since", Timestamp(f.Began())).
		Uint32("decided_after_attempts", f.Decided.Attempts).Float64("decided_after_s",
		seconds(f.DecidedIn))
	if f.Highest > f.Level {
		d.Str("highest_level", f.Highest.String()).Str("highest_at", Timestamp(f.HighestAt))
	}
	if len(f.Periods) > 1 {
		periods := zerolog.Arr()
		for _, p := range f.Periods {
			periods.Dict(zerolog.Dict().Str("first", Timestamp(p.First)).Str("last",
				Timestamp(p.Last)))
		}
		d.Array("periods", periods)
	}
	c := zerolog.Dict()
	zerologCounts(c, &f.Source)
	d.Dict("counts", c)
	zerologDestinations(w, d, f.Source.Destinations)
	reasons := zerolog.Arr()
	for _, r := range f.Reasons {
		code, family := r.Code.String(), r.Code.Family().String()
		if r.Server != "" {
			code, family = r.Server, serverFamily(r.Server)
		}
		reasons.Dict(zerolog.Dict().Str("code", code).Str("family", family).Float64("value",
			r.Reason.Value).
			Float64("threshold", r.Reason.Threshold).Float64("weight", r.Reason.Weight).Str("text",
			w.text(w.cfg.Evidence.hide(r.Text))).
			Str("first", Timestamp(r.Reason.First)).Str("last", Timestamp(r.Reason.Last)))
	}
	d.Array("reasons", reasons)
	ids := make([]string, 0, len(f.Evidence))
	for _, n := range f.Evidence {
		ids = append(ids, w.ID(n))
	}
	d.Strs("evidence", ids).Strs("blind", nonNil(f.Blind)).Str("advice", f.Advice)
	if x := f.Ignored; x != nil {
		one := zerolog.Dict().Str("why", w.text(x.Why))
		if x.Until != 0 {
			one.Str("until", Timestamp(x.Until))
		}
		d.Dict("ignored", one)
	}
	if f.CloseReason != "" {
		d.Str("close_reason", f.CloseReason)
	}
	if f.Reopened > 0 {
		d.Uint32("reopened", f.Reopened).Float64("clean_for_s", seconds(f.CleanFor))
	}
	if f.Incident != "" {
		also := make([]string, len(f.Also))
		for i, a := range f.Also {
			also[i] = a.String()
		}
		d.Str("incident", f.Incident).Str("incident_since",
			Timestamp(f.Since)).Strs("other_addresses", also)
	}
	d.Uint64("suppressed_events", f.Suppressed)
	if f.Relay != nil {
		d.Dict("relay", zerologRelay(w, f.Relay))
	}
	e.Dict("finding", d).Msg(Headline(f))
}

// zerologRelay is the object of a session that proves an open relay.
func zerologRelay(w *Writer, p *verdict.RelayProof) *zerolog.Event {
	d := zerolog.Dict().Str("client_ip", p.Client.String())
	if from, ok := w.cfg.Evidence.address(p.MailFrom); ok {
		d.Str("mail_from", w.text(from))
	}
	return d.Str("rcpt_domain", w.text(p.RcptDomain)).Str("auth", "none").Uint16("reply_code",
		p.ReplyCode)
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
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

// randomSource returns a source in which each field has an unusual value sometimes.
func randomSource(rnd *rand.Rand) *finding.SourceRecord {
	s := &finding.SourceRecord{Addr: choose(rnd, netip.MustParseAddr("10.0.0.5"),
		netip.MustParseAddr("2001:db8::5"), netip.Addr{}), Role: randomText(rnd),
		Level: verdict.Level(rnd.IntN(4)), Score: randomFloat(rnd), Time: rnd.Int64() - rnd.Int64(),
		Silent: rnd.Uint32(), DestIPs: int(rnd.Int32()), DestNets: rnd.IntN(20) - 5,
		MXLookups: rnd.Uint32N(20)}
	c := &s.Counters
	for _, n := range []*uint32{&c.Attempts, &c.Retransmits, &c.Sessions, &c.Refused,
		&c.Unreachable, &c.Messages, &c.Rejected, &c.Deferred, &c.Recipients,
		&c.RecipientsRejected, &c.ConcurrentMax, &c.TLSSessions, &c.AuthSessions, &c.Concurrent,
		&c.ErrorBound} {
		*n = rnd.Uint32() >> choose(rnd, 0, 20, 29)
	}
	c.First, c.Last, c.ToServer, c.ToClient = 1e18, rnd.Int64(), rnd.Uint64(), rnd.Uint64()
	for i := range c.Ports {
		c.Ports[i].Port, c.Ports[i].Count = uint16(rnd.Uint32()), rnd.Uint32N(3)
	}
	for range rnd.IntN(2) {
		s.MAC, s.VLAN = [6]byte{2, 0, 0, 0, 0xab, byte(rnd.Uint32())}, []uint16{7, 4095}
	}
	for range rnd.IntN(4) {
		s.Destinations = append(s.Destinations, finding.Destination{
			Server: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(rnd.Uint32())),
			Name:   choose(rnd, "", randomText(rnd))})
	}
	return s
}

func randomFloat(rnd *rand.Rand) float64 {
	return choose(rnd, 0, -0.5, 6.9, 1e-7, 1e21, math.NaN(), math.Inf(1), math.Inf(-1),
		rnd.NormFloat64(), math.Float64frombits(rnd.Uint64()))
}

// randomFinding returns a finding in which each field has an unusual value sometimes.
func randomFinding(rnd *rand.Rand) *finding.Finding {
	f := choose(rnd, findingWith, relayFinding)(randomText(rnd))
	f.ID, f.Seq, f.Action, f.Mode = randomText(rnd), rnd.IntN(100), randomText(rnd), "flow"
	f.Class = choose(rnd, f.Class, verdict.Class(rnd.IntN(int(verdict.OpenRelay)+1)))
	f.Level, f.Severity = verdict.Level(rnd.IntN(4)), verdict.Severity(rnd.IntN(4))
	f.Score, f.Egress, f.Source = randomFloat(rnd), randomText(rnd), *randomSource(rnd)
	f.Time, f.DecidedIn, f.Advice = rnd.Int64(), rnd.Int64N(1e10), randomText(rnd)
	f.Decided.Attempts = rnd.Uint32()
	f.Highest, f.HighestAt = verdict.Level(rnd.IntN(4)), rnd.Int64()
	for range rnd.IntN(4) {
		f.Periods = append(f.Periods, finding.Period{First: rnd.Int64(), Last: rnd.Int64()})
	}
	f.Reasons = f.Reasons[:rnd.IntN(len(f.Reasons)+1)]
	for i := range f.Reasons {
		r := &f.Reasons[i]
		r.Text, r.Reason.Weight, r.Reason.Value = randomText(rnd), randomFloat(rnd), randomFloat(rnd)
		r.Reason.First, r.Reason.Threshold = rnd.Int64(), randomFloat(rnd)
	}
	f.Evidence = f.Evidence[:rnd.IntN(3)]
	f.Blind, f.Suppressed = choose(rnd, nil, []string{}, []string{"a", randomText(rnd)}), rnd.Uint64()
	if rnd.IntN(2) > 0 {
		f.CloseReason, f.Reopened, f.Incident = "", 0, ""
	}
	if rnd.IntN(2) > 0 {
		f.Ignored = &finding.Ignored{Why: randomText(rnd), Until: choose(rnd, 0, rnd.Int64())}
	}
	return f
}

// TestLinesAreZerologs checks that the frequent events are byte for byte what zerolog writes.
func TestLinesAreZerologs(t *testing.T) {
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
			for range 300 {
				s := randomSession(rnd)
				if n, m := w.Session(s), zerologSession(reference, s); n != m {
					t.Fatalf("event %d, want %d", n, m)
				}
				f := randomFinding(rnd)
				w.Finding(f)
				zerologFinding(reference, f)
				w.Source(&f.Source)
				zerologSource(reference, &f.Source)
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
			if len(x) != 901 || len(y) != 901 {
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
		if rnd.IntN(100) == 0 {
			x = choose(rnd, math.NaN(), math.Inf(1), math.Inf(-1))
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
