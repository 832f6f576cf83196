package event

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks lines of events against the schema and returns the events.
func validate(t *testing.T, lines []byte) (events []map[string]any) {
	t.Helper()
	s := schema(t)
	for line := range bytes.Lines(lines) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
		if len(line) > longest(v) {
			t.Errorf("an event of %d bytes: %.100s", len(line), line)
		}
		events = append(events, v.(map[string]any))
	}
	return events
}

// longest is the greatest length that an event may have.
func longest(v any) int {
	if v.(map[string]any)["event_type"] == "finding" {
		return 8192
	}
	return 4096
}

// written returns the output of a writer that f uses.
func written(t *testing.T, cfg Config, f func(*Writer)) []byte {
	t.Helper()
	var out bytes.Buffer
	q := NewQueue(&out, true)
	cfg.Run, cfg.Host = "abc", "sensor"
	cfg.Input = func(uint16) string { return "eth0" }
	f(NewWriter(cfg, q))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// session is a session with every field set; text is the text of both sides.
func session(text string) *finding.Session {
	s := &finding.Session{Client: netip.MustParseAddrPort("10.0.0.5:40000"),
		Server: netip.MustParseAddrPort("192.0.2.25:25"),
		MAC:    [6]byte{2, 0, 0, 0, 0, 1}, VLAN: []uint16{7, 8}, FlowID: 42, Start: 1e18,
		End: 1e18 + 5e9, State: "closed", Reason: "fin", Seen: "both",
		App: "smtp", Direction: "outbound", TLS: "none", Auth: "offered", HeloCmd: "EHLO",
		Banner: text, Helo: text, SNI: text, LastReply: text,
		LastCode: 554, LastEnhanced: [3]uint16{5, 7, 1},
		Codes:     []finding.CodeCount{{Code: 554, Count: 1}, {Code: 220, Count: 1}},
		Blocklist: text, Conflicts: 2, Flags: []string{"pipelined"}}
	for range 32 {
		s.MailFrom = append(s.MailFrom, text+"@"+text)
	}
	for range 3 {
		s.Refusals = append(s.Refusals,
			finding.RefusalText{Phase: "rcpt", Code: 550, Enhanced: [3]uint16{5, 1, 1}, Text: text})
	}
	return s
}

func findingWith(text string) *finding.Finding {
	f := &finding.Finding{ID: "spambot-10.0.0.5-1", Seq: 1, Action: "closed",
		Class: verdict.Spambot,
		Level: verdict.Likely, Severity: verdict.High, Mode: "clear",
		Egress: "open", Source: finding.SourceRecord{Addr: netip.MustParseAddr("10.0.0.5"),
			Role: "workstation", VLAN: []uint16{7}}, Time: 1e18,
		Evidence: []uint64{1, 2}, Blind: []string{"nothing"}, Advice: "look",
		CloseReason: "shutdown", Reopened: 1, CleanFor: 3 * 86400e9,
		Incident: "spambot-10.0.0.4-1", Since: 1e18,
		Also: []netip.Addr{netip.MustParseAddr("10.0.0.4"), netip.MustParseAddr("2001:db8::4")}}
	for range 12 {
		f.Reasons = append(f.Reasons, finding.ReasonText{Code: detect.HeloName, Text: text})
	}
	return f
}

func relayFinding(text string) *finding.Finding {
	f := findingWith(text)
	f.Class, f.Relay = verdict.OpenRelay,
		&verdict.RelayProof{Client: netip.MustParseAddr("203.0.113.9"), MailFrom: text + "@" + text,
			RcptDomain: text, ReplyCode: 250}
	for i, code := range []string{"relay_proved", "volume_burst", "queue_grew"} {
		f.Reasons[i].Server = code
	}
	return f
}

func everything(text string) func(*Writer) {
	return func(w *Writer) {
		w.Session(session(text))
		w.Finding(findingWith(text))
		w.Source(&finding.SourceRecord{Addr: netip.MustParseAddr("2001:db8::5"), Role: "external",
			Time: 1e18})
		w.Stats(1e18, &Stats{Frames: 10, Refused: 1,
			Decode: []Count{{"tcp_mail", 9}, {"short_tcp_header", 1}}})
		w.Health(1e18, &Health{Check: "drops", State: "raised", Text: "drops", Hint: "buffer",
			Since: 1e18})
		w.Server(&mailserver.Record{Addr: netip.MustParseAddr("10.0.0.25"), Declared: true,
			First: 1e18, Time: 1e18, RelayDenied: 3, RelayStrangers: 2, RelayDeniedLast: 1e18,
			Hour:  mailserver.PastHour{Count: 30, Mean: 10, Z: 4.5, Known: true},
			Queue: mailserver.QueueState{Estimate: 4, Oldest: 9e9, Slope: -1}})
		w.Site(&finding.Site{Time: 1e18, PublicIP: netip.MustParseAddr("192.0.2.80"), Servers: 2,
			Lists: []finding.ListSeen{{Name: text, First: 1e18, Last: 1e18, Count: 2,
				Sample: text}}})
		w.Finding(relayFinding(text))
	}
}

func TestSchema(t *testing.T) {
	for _, mode := range []Mode{Domain, Full, Hash, None} {
		for _, live := range []bool{false, true} {
			cfg := Config{Live: live,
				Evidence: Evidence{Mode: mode, Key: []byte("0123456789abcdef")}}
			if n := len(validate(t, written(t, cfg, everything("some text")))); n != 8 {
				t.Errorf("%d events, want 8", n)
			}
		}
	}
	// The schema must refuse an invalid event.
	v, _ := jsonschema.UnmarshalJSON(strings.NewReader(`{"event_type":"stats","v":1}`))
	if schema(t).Validate(v) == nil {
		t.Error("the schema accepts an event without its fields")
	}
}

// hostile are texts that break logs.
var hostile = []string{"\r\n", "\n{\"event_type\":\"finding\"}", "\x1b[2J\x1b]0;owned\a", "\x00",
	"\x7f", "\u0085", "\u009b31m", "\u2028", "\u2029",
	"\u202e gpj.exe", "\u2066x\u2069", "\xff\xfe", "caf\xe9", "gr\u00fc\u00dfe", `\x41`, `\`,
	`"quoted"`, strings.Repeat("\xff", 5000), strings.Repeat("\u00fc", 5000), "\ufffd"}

func TestHostileText(t *testing.T) {
	texts := append([]string{}, hostile...)
	for a := range 256 { // all pairs of bytes, 64 to a text
		for b := 0; b < 256; b += 32 {
			var s []byte
			for c := range 32 {
				s = append(s, byte(a), byte(b+c))
			}
			texts = append(texts, string(s))
		}
	}
	s := schema(t)
	for _, text := range texts {
		out := written(t, Config{Evidence: Evidence{Mode: Full}}, everything(text))
		if n := bytes.Count(out, []byte("\n")); n != 8 {
			t.Fatalf("%.60q: %d lines, want 5", text, n)
		}
		if !utf8.Valid(out) {
			t.Fatalf("%.60q: no UTF-8", text)
		}
		for _, r := range string(out) {
			if r != '\n' && (!unicode.IsPrint(r) || turns(r)) {
				t.Fatalf("%.60q: %U in the output", text, r)
			}
		}
		for line := range bytes.Lines(out) {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
			if err != nil || s.Validate(v) != nil || len(line) > longest(v) {
				t.Fatalf("%.60q: %v (%d bytes) %.200s", text, err, len(line), line)
			}
		}
	}
}

// unescape is the opposite of Escape.
func unescape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && looksEscaped(s[i:]) {
			hi, lo := strings.IndexByte("0123456789abcdef", s[i+2]),
				strings.IndexByte("0123456789abcdef", s[i+3])
			b = append(b, byte(hi<<4|lo))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func TestEscape(t *testing.T) {
	for _, s := range hostile {
		if got := unescape(Escape(s, 1<<20)); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
		for limit := range 30 {
			if e := Escape(s, limit); len(e) > limit || !utf8.ValidString(e) {
				t.Errorf("%q cut to %d: %q", s, limit, e)
			}
		}
	}
	if got := Escape("plain <a@b> text", 100); got != "plain <a@b> text" {
		t.Error(got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fuzztime.Check(t, func() int {
			e := Escape(s, 1<<20)
			if got := unescape(e); got != s {
				t.Errorf("%q comes back as %q", s, got)
			}
			for _, r := range e {
				if !unicode.IsPrint(r) || turns(r) {
					t.Errorf("%U in %q", r, e)
				}
			}
			return len(s)
		})
	})
}

func TestAddresses(t *testing.T) {
	key := []byte("0123456789abcdef")
	for _, c := range []struct {
		mode     Mode
		in, want string
	}{
		{Domain, "Anna@Example.org", "example.org"}, {Domain, "", ""},
		{Domain, "anna", "(no domain)"}, {Domain, `"a@b"@example.org`, "example.org"},
		{Full, "Anna@Example.org", "Anna@Example.org"}, {Full, "", ""},
		{Hash, "Anna@example.org", ""}, {None, "anna@example.org", ""},
	} {
		got, ok := Evidence{c.mode, key}.address(c.in)
		switch c.mode {
		case None:
			if ok {
				t.Errorf("%q is shown as %q", c.in, got)
			}
		case Hash:
			if strings.Contains(strings.ToLower(got), "anna") ||
				!strings.HasSuffix(got, "@example.org") || len(got) != 16+len("@example.org") {
				t.Errorf("%q is hashed to %q", c.in, got)
			}
			if other, _ := (Evidence{Hash,
				[]byte("another key 1234")}).address(c.in); other == got {
				t.Error("two keys give the same hash")
			}
			if same, _ := (Evidence{Hash, key}).address("anna@EXAMPLE.org"); same != got {
				t.Error("the same address has two hashes")
			}
		default:
			if got != c.want || !ok {
				t.Errorf("%q is shown as %q, want %q", c.in, got, c.want)
			}
		}
	}
	for in, want := range map[string]string{
		"550 <anna@example.org>: unknown":          "550 <...@example.org>: unknown",
		"a@b.example and c.d+e@f.example":          "...@b.example and ...@f.example",
		`550 "anna b"@example.org no`:              "550 ...@example.org no",
		"no address":                               "no address",
		"J\xfcrgen@example.org":                    "...@example.org",
		"@":                                        "@",
		"relay=anna=40example.org@srs.example.net": "...@srs.example.net",
	} {
		if got := (Evidence{}).hide(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := (Evidence{Mode: Full}).hide("a@b.example"); got != "a@b.example" {
		t.Error(got)
	}
}

func TestCommunityID(t *testing.T) {
	// Test vectors of the specification.
	for _, c := range []struct{ a, b, want string }{
		{"128.232.110.120:34855", "66.35.250.204:80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"66.35.250.204:80", "128.232.110.120:34855", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	} {
		if got := string(appendCommunityID(nil, netip.MustParseAddrPort(c.a),
			netip.MustParseAddrPort(c.b))); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// faulty is a writer that fails on command.
type faulty struct {
	mu   sync.Mutex
	out  bytes.Buffer
	err  error
	half bool
	gate chan struct{} // if set, writes wait for it
}

func (f *faulty) Write(b []byte) (int, error) {
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		n := 0
		if f.half {
			n, _ = f.out.Write(b[:len(b)/2])
		}
		return n, f.err
	}
	return f.out.Write(b)
}

// text is what was written.
func (f *faulty) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.String()
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// drained waits until the queue has written everything except the events that it holds.
func drained(t *testing.T, q *Queue, held int) {
	t.Helper()
	for range 5 {
		q.Flush(time.Second)
		q.mu.Lock()
		n, waiting := q.heldCount, q.waiting()
		q.mu.Unlock()
		if n == held && waiting == 0 {
			return
		}
	}
	t.Fatal("the queue does not get on")
}

// TestFullDisk checks that events that cannot be written are dropped and counted, except findings,
// which are retried, and that the line after a partial one begins a new line.
func TestFullDisk(t *testing.T) {
	out := &faulty{half: true}
	q := NewQueue(out, false)
	q.put(SessionEvent, []byte("one\n"))
	drained(t, q, 0)
	out.fail(syscall.ENOSPC)
	q.put(SessionEvent, []byte("lost\n"))
	drained(t, q, 0)
	q.put(FindingEvent, []byte("alarm\n"))
	drained(t, q, 1)
	q.put(SourceEvent, []byte("lost too\n"))
	drained(t, q, 1)
	if q.Failing() == nil {
		t.Error("nothing is said about it")
	}
	out.fail(nil)
	q.put(SessionEvent, []byte("two\n"))
	drained(t, q, 0)
	if q.Failing() != nil {
		t.Error("it does not recover")
	}
	err := q.Close()
	written, dropped := q.Totals()
	if !errors.Is(err, syscall.ENOSPC) || written != 3 ||
		dropped != (Dropped{SessionEvent: 1, SourceEvent: 1}) {
		t.Errorf("%v, %d written, %v dropped", err, written, dropped)
	}
	if got := out.out.String(); !strings.HasSuffix(got, "\nalarm\ntwo\n") {
		t.Errorf("the finding is lost, or torn: %q", got)
	}
}

// TestFullDiskToTheEnd checks that a finding that cannot be written until the end is dropped and
// counted.
func TestFullDiskToTheEnd(t *testing.T) {
	out := &faulty{}
	q := NewQueue(out, true)
	out.fail(syscall.ENOSPC)
	for range 40_000 { // more than the queue holds: the sensor does not wait for a full disk
		q.put(FindingEvent, bytes.Repeat([]byte("x"), 1<<10))
	}
	err := q.Close()
	if written, dropped := q.Totals(); !errors.Is(err, syscall.ENOSPC) || written != 0 ||
		dropped[FindingEvent] != 40_000 {
		t.Errorf("%v, %d written, %v dropped", err, written, dropped)
	}
}

// TestStalledForEver checks that a reader that stops reading does not keep the sensor from ending,
// and that the unread events are counted.
func TestStalledForEver(t *testing.T) {
	out := &faulty{gate: make(chan struct{})}
	defer close(out.gate)
	q := NewQueue(out, true)
	q.put(SessionEvent, []byte("one\n"))
	q.put(FindingEvent, []byte("two\n"))
	q.Hurry()
	q.stallLimit = 50 * time.Millisecond
	began := time.Now()
	err := q.Close()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if written, dropped := q.Totals(); !errors.Is(err, ErrStalled) || written != 0 ||
		dropped != (Dropped{SessionEvent: 1, FindingEvent: 1}) {
		t.Errorf("%v, %d written, %v dropped", err, written, dropped)
	}
}

// TestStallIsSaid checks that a reader that stalls is a failure long before an event is lost, and no
// failure any more when it reads on.
func TestStallIsSaid(t *testing.T) {
	out := &faulty{gate: make(chan struct{})}
	q := NewQueue(out, false)
	q.stallLimit = 200 * time.Millisecond
	q.put(FindingEvent, []byte("one\n"))
	time.Sleep(100 * time.Millisecond)
	if err := q.Failing(); err != nil {
		t.Errorf("too early: %v", err)
	}
	time.Sleep(200 * time.Millisecond)
	if err := q.Failing(); !errors.Is(err, ErrStalled) {
		t.Errorf("a reader that stalls: %v", err)
	}
	close(out.gate)
	q.Flush(time.Minute)
	if err := q.Failing(); err != nil {
		t.Errorf("it reads on: %v", err)
	}
	if written, dropped := q.Totals(); written != 1 || dropped.Sum() != 0 {
		t.Errorf("%d written, %v dropped", written, dropped)
	}
	q.Close()
}

func TestStalledReader(t *testing.T) {
	out := &faulty{gate: make(chan struct{})}
	q := NewQueue(out, false)
	text := bytes.Repeat([]byte("x"), 1<<10)
	for range 20_000 {
		q.put(SessionEvent, text)
	}
	for range 100 {
		q.put(FindingEvent, text)
	}
	_, dropped := q.Totals()
	if dropped[SessionEvent] < 10_000 || dropped[FindingEvent] != 0 {
		t.Errorf("dropped: %v", dropped)
	}
	t.Logf("R16: %d sessions and %d findings lost to a stalled reader (goal: findings last)",
		dropped[SessionEvent], dropped[FindingEvent])
	close(out.gate)
	q.Close()
	written, dropped := q.Totals()
	if written+dropped[SessionEvent] != 20_100 || uint64(out.out.Len()) != written<<10 {
		t.Errorf("%d written and %d dropped of 20,100", written, dropped[SessionEvent])
	}
}

func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	q := NewQueue(w, true)
	q.put(SessionEvent, []byte("one\n"))
	line := make([]byte, 4)
	io.ReadFull(r, line)
	r.Close()
	for range 50_000 { // more than the queue holds
		q.put(SessionEvent, bytes.Repeat([]byte("x"), 1<<10))
	}
	if err := q.Close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
	written, dropped := q.Totals()
	if written+dropped[SessionEvent] != 50_001 {
		t.Errorf("%d written and %d dropped", written, dropped[SessionEvent])
	}
	w.Close()
}

func TestBlockingLosesNothing(t *testing.T) {
	out := &faulty{}
	q := NewQueue(out, true)
	for range 30_000 {
		q.put(SessionEvent, bytes.Repeat([]byte("x"), 1<<10))
	}
	q.Close()
	if written, _ := q.Totals(); written != 30_000 || out.out.Len() != 30_000<<10 {
		t.Errorf("%d written", written)
	}
}

func BenchmarkSession(b *testing.B) {
	q := NewQueue(io.Discard, true)
	w := NewWriter(Config{Input: func(uint16) string { return "eth0" }}, q)
	s := session("some text")
	s.MailFrom = s.MailFrom[:1]
	b.ReportAllocs()
	for b.Loop() {
		w.Session(s)
	}
	q.Close()
}

// TestTimestamp compares with the timestamps of package time.
func TestTimestamp(t *testing.T) {
	for _, ns := range []int64{0, 1, 999, 1000, 1.7e18, 1.7e18 + 123_456_789,
		951_782_399_999_999_999, 1 << 62, -1, -1e18} {
		if got, want := Timestamp(ns),
			time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000Z"); got != want {
			t.Errorf("%d: %s, want %s", ns, got, want)
		}
	}
}

func (q *Queue) put(k Type, text []byte) { q.add(k, text, nil) }
