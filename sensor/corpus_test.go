package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"spamsensor/bench/corpus"
)

// emitted is an event in the form of JSON, with the fields that the tests compare.
type emitted struct {
	Timestamp string
	Type      string `json:"event_type"`
	ID        string `json:"event_id"`
	Filename  string `json:"pcap_filename"`
	Src       string `json:"src_ip"`
	SrcPort   int    `json:"src_port"`
	Dest      string `json:"dest_ip"`
	DestPort  int    `json:"dest_port"`
	App       string `json:"app_proto"`
	Community string `json:"community_id"`
	Flow      struct {
		State, Reason, Seen string
		Age                 float64
		SYN                 int
		Conflicts           int
	}
	SMTPStats map[string]uint64 `json:"-"` // of a stats event
	SMTP      struct {
		Helo         string
		HeloCmd      string   `json:"helo_cmd"`
		MailFrom     []string `json:"mail_from"`
		Rcpts        int      `json:"rcpt_count"`
		Messages     int
		TLS, Auth    string
		SNI          string
		LastCode     int            `json:"last_code"`
		LastReply    string         `json:"last_reply"`
		Codes        map[string]int `json:"codes"`
		Flags        []string
		RcptRejected int `json:"rcpt_rejected"`
	}
	Source  *sourceFields
	Finding *struct {
		ID, Action, Class, Level, Severity, Mode string
		Seq                                      int
		Score                                    float64
		Attempts                                 int     `json:"decided_after_attempts"`
		Seconds                                  float64 `json:"decided_after_s"`
		Counts                                   sourceFields
		Evidence                                 []string
		Reasons                                  []struct{ Code, Text string }
		CloseReason                              string `json:"close_reason"`
	}
	Site struct {
		PublicIP   string `json:"public_ip"`
		Blocklists []struct{ Name string }
	}
	Capture map[string]float64
	Panics  int
	Output  struct {
		Written, Dropped int
		ByType           map[string]int `json:"dropped_by_type"`
	}
	Decode map[string]uint64
	TCP    map[string]uint64
	Health *struct{ Check, State, Text string }
}

type sourceFields struct {
	Role, Level                           string
	Attempts, Sessions, Refused, Messages int
	Unreachable, Silent                   int
	Retransmits                           int `json:"syn_retransmits"`
	Nets                                  int `json:"dest_nets"`
	IPs                                   int `json:"dest_ips"`
	Ports                                 map[string]int
	Recipients                            int
	ConcurrentMax                         int `json:"concurrent_max"`
	SenderDomains                         int `json:"sender_domains"`
	HeloNames                             int `json:"helo_names"`
}

// readEvents runs `read --events -` and returns its events.
func readEvents(t testing.TB, args ...string) (events []emitted, code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"read", "--events", "-", "-q"}, args...), strings.NewReader(""), &out, &errs)
	return parseEvents(t, out.Bytes()), code, errs.String()
}

// schema is the JSON schema of events.
var schema = sync.OnceValues(func() (*jsonschema.Schema, error) { return jsonschema.NewCompiler().Compile("event/schema.json") })

func parseEvents(t testing.TB, b []byte) (events []emitted) {
	t.Helper()
	s, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatalf("an event is no JSON: %v\n%s", err, line)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
	}
	return unmarshalEvents(t, b)
}

// unmarshalEvents is parseEvents without the schema, which takes most of the time.
func unmarshalEvents(t testing.TB, b []byte) (events []emitted) {
	t.Helper()
	for line := range bytes.Lines(b) {
		var e emitted
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("an event is no JSON: %v\n%s", err, line)
		}
		if e.Type == "stats" {
			var stats struct{ SMTP map[string]uint64 }
			json.Unmarshal(line, &stats)
			e.SMTPStats = stats.SMTP
		}
		events = append(events, e)
	}
	return events
}

func ofType(events []emitted, typ string) (list []emitted) {
	for _, e := range events {
		if e.Type == typ {
			list = append(list, e)
		}
	}
	return list
}

// truth is the result of tshark for a capture, as far as it is compared.
type truth struct {
	File    string
	AllSYN  struct{ SYN, Sources int } `json:"all_syn"`
	Clients []struct {
		Client      string
		SYN         int
		SYNDistinct int `json:"syn_distinct"`
		Handshake   map[string]int
	}
	Streams []struct {
		Client, Server string
		ClientPort     int `json:"client_port"`
		ServerPort     int `json:"server_port"`
		Handshake      string
		Helo           []string
		Codes          map[string]int
		Lexical        struct {
			Verbs    map[string]int
			MailFrom []string `json:"mail_from"`
		}
	}
}

// dissent has the differences between the tools of the truth and the sensor, with the packet that
// decides.
var dissent = map[string]map[string]string{
	"auth-long-command.pcap": {"helo": "the name has 4,000 bytes; evidence keeps 255"},
	"enc-pcapng-two-linktypes.pcapng": {"exit": "the frames of its second interface have times in the year 586,000, and are left out",
		"all_syn": "one of its two first SYNs is among them"},
	"loss-one-side-only.pcap":     {"sessions": "tshark's handshake needs the server's half; with one half a session is the client's ACK after its SYN (frame 2)"},
	"loss-phantom-direction.pcap": {"codes": "the EHLO reply 250-... spans frames 8 and 10 and is one reply; tshark counts it once per frame"},
	"refused-odd-replies.pcap":    {"codes": "on port 465 the server speaks plain text, 220 (frame 149) and five refusals (frame 153); tshark takes the port for TLS"},
	"smtps465-clienthello.pcap":   {"codes": "on port 465 the server greets with 220 in plain text (frame 6); tshark takes the port for TLS"},
}

// accused are the captures with a bad host, and its class.
var accused = map[string]string{
	"bot-emotet-2017_first-750s.pcap": "spambot",
	"refused-odd-replies.pcap":        "not_smtp", // 172.16.2.159 sends 1,024 bytes of noise to port 25 (frame 4)
}

func TestCorpusRecorded(t *testing.T) {
	dir := filepath.Join(corpus.Path(t), "recorded")
	files, _ := filepath.Glob(filepath.Join(dir, "*.truth.json"))
	if len(files) == 0 {
		t.Fatalf("no truth in %s", dir)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want truth
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		t.Run(want.File, func(t *testing.T) { compareWithTruth(t, strings.TrimSuffix(name, ".truth.json"), &want) })
	}
}

func compareWithTruth(t *testing.T, file string, want *truth) {
	events, code, stderr := readEvents(t, "--set", "evidence.mail_from=full", file)
	differs := func(what, format string, args ...any) {
		t.Helper()
		if why := dissent[want.File][what]; why != "" {
			t.Logf("differs: "+format+"; %s", append(args, why)...)
			return
		}
		t.Errorf(what+": "+format, args...)
	}
	if code != exitOK {
		differs("exit", "exit code %d: %s", code, stderr)
	}
	sources := map[string]*sourceFields{}
	for _, e := range ofType(events, "source") {
		sources[e.Src] = e.Source
		if s := e.Source; s.Sessions+s.Refused+s.Unreachable+s.Silent != s.Attempts {
			t.Errorf("%s: sessions %d + refused %d + unreachable %d + silent %d are not the %d attempts", e.Src, s.Sessions, s.Refused, s.Unreachable, s.Silent, s.Attempts)
		}
	}
	known := map[string]bool{}
	for _, c := range want.Clients {
		known[c.Client] = true
		s := sources[c.Client]
		if s == nil {
			if c.SYN > 0 {
				t.Errorf("%s opened %d connections and is no source", c.Client, c.SYN)
			}
			continue
		}
		for _, n := range []struct {
			what        string
			ours, truth int
		}{{"attempts", s.Attempts, c.SYNDistinct}, {"syn_retransmits", s.Retransmits, c.SYN - c.SYNDistinct},
			{"sessions", s.Sessions, c.Handshake["complete"]}, {"refused", s.Refused, c.Handshake["refused_rst"]}} {
			if n.ours != n.truth {
				differs(n.what, "%s has %d, tshark says %d", c.Client, n.ours, n.truth)
			}
		}
	}
	for src := range sources {
		if !known[src] {
			t.Errorf("%s is a source and no client", src)
		}
	}
	compareSessions(t, ofType(events, "session"), want, differs)
	stats := ofType(events, "stats")
	if n := int(stats[len(stats)-1].Decode["syn"]); n != want.AllSYN.SYN {
		differs("all_syn", "%d first SYNs, tshark says %d", n, want.AllSYN.SYN)
	}
	for _, e := range ofType(events, "finding") {
		if class := accused[want.File]; e.Finding.Severity != "info" && e.Finding.Class != class {
			t.Errorf("%s is accused as %s, %s", e.Src, e.Finding.Class, e.Finding.Level)
		}
	}
}

func compareSessions(t *testing.T, sessions []emitted, want *truth, differs func(what, format string, args ...any)) {
	type tuple struct {
		client, server string
		cport, sport   int
	}
	byTuple := map[tuple]emitted{}
	for _, e := range sessions {
		byTuple[tuple{e.Src, e.Dest, e.SrcPort, e.DestPort}] = e
	}
	for _, s := range want.Streams {
		k := tuple{s.Client, s.Server, s.ClientPort, s.ServerPort}
		e, ok := byTuple[k]
		if !ok {
			if s.Handshake == "complete" {
				t.Errorf("the session %v is missing", k)
			}
			continue
		}
		var from []string
		for _, a := range s.Lexical.MailFrom {
			from = append(from, bareAddress(a))
		}
		if !slices.Equal(from, e.SMTP.MailFrom) {
			differs("mail_from", "%v from %q, tshark says %q", k, e.SMTP.MailFrom, from)
		}
		if n := s.Lexical.Verbs["RCPT"]; n != e.SMTP.Rcpts {
			differs("rcpt", "%v has %d recipients, tshark says %d", k, e.SMTP.Rcpts, n)
		}
		helo := ""
		if n := len(s.Helo); n > 0 {
			helo = s.Helo[n-1]
		}
		if helo != e.SMTP.Helo {
			differs("helo", "%v calls itself %.40q, tshark says %.40q", k, e.SMTP.Helo, helo)
		}
		if tried := e.SMTP.Auth == "tried" || e.SMTP.Auth == "ok" || e.SMTP.Auth == "failed"; tried != (s.Lexical.Verbs["AUTH"] > 0) {
			differs("auth", "%v has AUTH %s, tshark counts %d", k, e.SMTP.Auth, s.Lexical.Verbs["AUTH"])
		}
		if (e.SMTP.TLS == "starttls") != (s.Lexical.Verbs["STARTTLS"] > 0) {
			differs("starttls", "%v has TLS %s, tshark counts %d STARTTLS", k, e.SMTP.TLS, s.Lexical.Verbs["STARTTLS"])
		}
		delete(s.Codes, "None") // lines that are not replies
		if fmt.Sprint(s.Codes) != fmt.Sprint(e.SMTP.Codes) {
			differs("codes", "%v got %v, tshark says %v", k, e.SMTP.Codes, s.Codes)
		}
	}
}

// bareAddress is the address in the text after MAIL FROM:.
func bareAddress(s string) string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "<"); ok {
		s, _, _ = strings.Cut(rest, ">")
		return s
	}
	s, _, _ = strings.Cut(s, " ")
	return s
}

// dialogue is a session, with the log of Postfix about it.
type dialogue struct {
	File, Name string
	Messages   int
	Senders    []string
}

// postfixSaid returns the directory of the recorded dialogues with Postfix, and their logs.
func postfixSaid(t *testing.T) (dir string, dialogues []dialogue) {
	dir = filepath.Join(corpus.Path(t), "mta")
	b, err := os.ReadFile(filepath.Join(dir, "truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &dialogues); err != nil {
		t.Fatal(err)
	}
	return dir, dialogues
}

func TestCorpusMTA(t *testing.T) {
	dir, dialogues := postfixSaid(t)
	for _, d := range dialogues {
		events, _, _ := readEvents(t, "--set", "evidence.mail_from=full", filepath.Join(dir, d.File))
		messages, from := 0, []string{}
		for _, e := range ofType(events, "session") {
			messages += e.SMTP.Messages
			from = append(from, e.SMTP.MailFrom...)
		}
		if messages != d.Messages {
			t.Errorf("%s (%s): %d messages, Postfix took %d", d.File, d.Name, messages, d.Messages)
		}
		if d.Messages > 0 && !slices.Equal(from, d.Senders) {
			t.Errorf("%s (%s): from %q, Postfix says %q", d.File, d.Name, from, d.Senders)
		}
	}
}

func TestCorpusSpambot(t *testing.T) {
	file := filepath.Join(corpus.Path(t), "recorded", "bot-emotet-2017_first-750s.pcap")
	events, _, _ := readEvents(t, file)
	ids, reached := map[string]bool{}, map[string]emitted{}
	for _, e := range ofType(events, "finding") {
		if e.Src != "10.10.10.101" || e.Finding.Class != "spambot" {
			t.Errorf("unexpected finding: %s %s", e.Src, e.Finding.Class)
		}
		ids[e.Finding.ID] = true
		if _, ok := reached[e.Finding.Level]; !ok {
			reached[e.Finding.Level] = e
		}
	}
	if len(ids) != 1 {
		t.Errorf("%d findings, want one", len(ids))
	}
	if f := reached["suspect"].Finding; f == nil || f.Counts.Nets > 4 || f.Seconds > 0.010 {
		t.Errorf("suspect too late: %+v", f)
	}
	if f := reached["likely"].Finding; f == nil || f.Seconds > 1 {
		t.Errorf("likely too late: %+v", f)
	}
	if f := reached["confirmed"].Finding; f == nil || f.Seconds > 40 {
		t.Errorf("confirmed too late: %+v", f)
	}
	last := ofType(events, "finding")
	text := ""
	for _, r := range last[len(last)-1].Finding.Reasons {
		text += r.Text
	}
	for _, named := range []string{"zen.spamhaus.org", "Your public address seems to be 77.234.40.37"} {
		if !strings.Contains(text, named) {
			t.Errorf("the finding does not name %q: %s", named, text)
		}
	}
	sites := ofType(events, "site")
	if len(sites) == 0 || sites[len(sites)-1].Site.PublicIP != "77.234.40.37" || len(sites[len(sites)-1].Site.Blocklists) != 1 {
		t.Errorf("the site: %+v", sites)
	}
}

func TestWorkersDoNotMatter(t *testing.T) {
	file := filepath.Join(corpus.Path(t), "recorded", "bot-emotet-2017_first-750s.pcap")
	var first []byte
	for _, workers := range []string{"1", "2", "8"} {
		var out, errs bytes.Buffer
		run(context.Background(), []string{"read", "--events", "-", "-q", "--workers", workers, file}, strings.NewReader(""), &out, &errs)
		if first == nil {
			first = out.Bytes()
		}
		if !bytes.Equal(first, out.Bytes()) {
			t.Errorf("%s workers give other events than one", workers)
		}
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
