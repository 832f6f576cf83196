package notify

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// hostileTexts are what a host name, a HELO, a reply or the text of a blocklist may be.
var hostileTexts = map[string]string{
	"header":     "x\r\nBcc: victim@example.org\r\n\r\nbody",
	"data end":   "x\r\n.\r\nMAIL FROM:<a@b>\r\n",
	"quotes":     `x"y'z"]}` + "`",
	"backslash":  `x\y\\"\`,
	"control":    "x\x00\x01\x07\x1b[2J\x7f\u0085\u009b31m",
	"direction":  "x\u202egnp.exe\u2066\u200f",
	"invalid":    "x\xff\xfe\xc3(",
	"template":   `{{.Text}}${x}%s%n<!channel>@all <http://evil.example|good>`,
	"mail words": "=?utf-8?q?=0d=0aBcc:=20a@b?=",
	"long":       strings.Repeat("long ", 200_000),
	"line ends":  "x\u2028y\u2029z\vq\ff",
	"structured": `x"] [evil@1 a="b"] <34>1 `,
}

// hostileLines are events in which a text is in each field that the network fills.
func hostileLines(t *testing.T, text string) []string {
	t.Helper()
	quote := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	q := quote(text)
	q = strings.ReplaceAll(q, `\ufffd`, "\xff") // as bytes that are no UTF-8
	finding := `{"level":"warn","timestamp":"2026-11-30T11:59:00.000000Z","event_type":"finding","v":1,"event_id":"abc/1","host":` + q +
		`,"src_ip":` + q + `,"mac":` + q + `,"finding":{"id":"id-1","action":"opened","class":` + q + `,"level":"confirmed","severity":` + q +
		`,"first_seen":"2026-11-30T11:58:00.000000Z","advice":` + q + `,"reasons":[{"text":` + q + `},{"text":` + q + `}]},"message":` + q + `}`
	health := `{"level":"warn","timestamp":"2026-11-30T11:59:00.000000Z","event_type":"health","v":1,"event_id":"abc/2","host":` + q +
		`,"health":{"check":"link","state":"raised","interface":` + q + `,"since":"2026-11-30T11:59:00.000000Z","text":` + q + `,"hint":` + q +
		`},"message":` + q + `}`
	return []string{finding, health}
}

// inert reports what is wrong with a text that a person may see: a newline is fine if newlines is set.
func inert(s string, newlines bool) string {
	if !utf8.ValidString(s) {
		return "no UTF-8"
	}
	for _, r := range s {
		if newlines && r == '\n' || r == '\ufeff' {
			continue
		}
		if !unicode.IsPrint(r) {
			return "the rune " + strconv.QuoteRune(r)
		}
	}
	return ""
}

// strs returns all strings of decoded JSON.
func strs(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			list = append(list, strs(x)...)
		}
	case map[string]any:
		for k, x := range v {
			list = append(append(list, k), strs(x)...)
		}
	}
	return list
}

// TestHostileTexts sends each text through each channel, and reads what came out as the other side
// does.
func TestHostileTexts(t *testing.T) {
	for name, text := range hostileTexts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHook(t)
			post := newSMTP(t, nil)
			socket := filepath.Join(t.TempDir(), "log")
			log, err := net.ListenPacket("unixgram", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			channels := []Channel{{Name: "mail", Kind: "mail", To: []string{"a@example.org"}, Server: post.Addr().String()},
				{Name: "alertmanager", Kind: "alertmanager", Server: h.URL},
				{Name: "syslog", Kind: "syslog", Server: "unix://" + socket}}
			for template := range Templates {
				channels = append(channels, Channel{Name: template, Kind: "webhook", Server: h.URL, Template: template, To: []string{"topic"}})
			}
			channels = append(channels, Channel{Name: "own", Kind: "webhook", Server: h.URL,
				Template: `{"a":"{{.Host}} {{.Headline}} {{.Sensor}} {{.Advice}} {{.Text}}","b":[{{range $i, $l := lines .Text}}{{if $i}},{{end}}"{{$l}}"{{end}}]}`})
			x := newServiceTest(t, channels...)
			for _, l := range hostileLines(t, text) {
				if len(l) > maxLine { // the file may have such a line, and it is not read
					x.write(l + "\n")
					l = hostileLines(t, text[:4000])[0]
				}
				x.write(l + "\n")
			}
			x.pass(0, 1)
			if x.queue() != 0 {
				t.Errorf("%d messages wait: %q", x.queue(), x.logs)
			}
			checkMail(t, post)
			bodies := h.take()
			if len(bodies) != 2+len(Templates) { // Alertmanager, the templates, and the own one
				t.Errorf("%d bodies", len(bodies))
			}
			for _, b := range bodies {
				checkBody(t, b)
			}
			checkSyslog(t, log)
			for _, l := range hostileLines(t, text[:min(len(text), 4000)]) {
				rec, ok := parse([]byte(l))
				if !ok {
					t.Fatal("the line was not read")
				}
				checkJournal(t, rec)
			}
		})
	}
}

// checkMail parses a mail as a reader does.
func checkMail(t *testing.T, s *smtpServer) {
	t.Helper()
	mails, dialogue := s.got()
	if len(mails) != 1 || strings.Count(dialogue, "RCPT") != 1 {
		t.Fatalf("%d mails\n%s", len(mails), dialogue)
	}
	m, err := mail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range m.Header {
		names = append(names, n)
	}
	slices.Sort(names)
	want := []string{"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
	if !slices.Equal(names, want) {
		t.Errorf("headers %q, want %q", names, want)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if wrong := inert(subject, false); err != nil || wrong != "" || !strings.HasPrefix(subject, "[spamsensor ") {
		t.Errorf("subject: %s %v %.200q", wrong, err, subject)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if wrong := inert(strings.ReplaceAll(string(body), "\r\n", "\n"), true); err != nil || wrong != "" || len(body) > 20<<10 {
		t.Errorf("body: %v %s, %d bytes", err, wrong, len(body))
	}
}

// checkBody decodes what a webhook or Alertmanager got.
func checkBody(t *testing.T, body string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %.300q", err, body)
	}
	if m, ok := v.(map[string]any); ok && m["events"] != nil { // the events are what the sensor wrote
		delete(m, "events")
	}
	for _, s := range strs(v) {
		if wrong := inert(s, true); wrong != "" {
			t.Errorf("%s in %.300q", wrong, s)
		}
	}
	if m, ok := v.(map[string]any); ok && len(m) == 1 && strings.ContainsAny(m["text"].(string), "<>") {
		t.Errorf("a mention or a link of Slack: %.300q", m["text"])
	}
	if m, ok := v.(map[string]any); ok && m["username"] != nil && strings.Count(m["text"].(string), "`") != 6 {
		t.Errorf("the text leaves its fence: %.300q", m["text"])
	}
}

// rfc5424 is the form of a line (RFC 5424, section 6).
var rfc5424 = regexp.MustCompile(`^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) spamsensor (\d+) ([!-~]{1,32}) ` +
	`\[spamsensor@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")*)\] \x{feff}(.*)$`)

// checkSyslog reads what the datagram socket got.
func checkSyslog(t *testing.T, log net.PacketConn) {
	t.Helper()
	b := make([]byte, 64<<10)
	log.SetReadDeadline(time.Now().Add(time.Second))
	n, _, err := log.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := inert(string(b[:n]), false); wrong != "" || !rfc5424.Match(b[:n]) || n > streamLine {
		t.Errorf("syslog: %s in %.2000q", wrong, b[:n])
	}
}

// checkJournal checks the fields of the journal.
func checkJournal(t *testing.T, rec *record) {
	t.Helper()
	w := newWorld(t, Limits{})
	w.rules.event(rec, w.now)
	w.said2(func(m *Message) {
		fields := journalFields(m, &m.Items[0])
		for k, v := range fields {
			if wrong := inert(k+v, false); wrong != "" {
				t.Errorf("journal: %s in %.100q", wrong, v)
			}
		}
		if len(fields) < 6 {
			t.Errorf("fields %q", fields)
		}
	})
}

// What the sensor escaped stays readable: it is not escaped once more.
func TestClean(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 10, "plain"},
		{`C:\x`, 10, `C:\x`},
		{`a\x0d\x0ab`, 20, `a\x0d\x0ab`},
		{"a\r\nb", 20, `a\x0d\x0ab`},
		{"a\xffb", 20, `a\xffb`},
		{"größer", 4, "grö"},
		{"größer", 3, `gr`},
		{"\r\r\r\r", 10, `\x0d\x0d`},
	} {
		got := clean(c.in, c.limit)
		if got != c.want && !(len(got) <= c.limit && strings.HasPrefix(got, c.want)) || len(got) > c.limit {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s[:min(len(s), 200)])
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, 100)
		if wrong := inert(got, false); wrong != "" || len(got) > 100 {
			t.Errorf("%q: %s", s, wrong)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(findingLine(1, "10.0.0.1", "spambot", "likely", "opened", "")))
	f.Add([]byte(healthLine(1, "abc", "link", "eth1", "raised")))
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\n") {
			return
		}
		rec, ok := parse(line)
		if !ok || rec == nil {
			return
		}
		w := newWorld(t, Limits{})
		w.rules.event(rec, w.now)
		w.rules.tick(w.now)
		for _, m := range w.rules.ready {
			if wrong := inert(m.Subject()+m.Text(), true); wrong != "" {
				t.Errorf("%s: %s", wrong, line)
			}
		}
	})
}

// A web server cannot make notify read for ever, nor lead it elsewhere.
func TestHostileServers(t *testing.T) {
	other := newHook(t)
	bad := http.NewServeMux()
	bad.HandleFunc("/flood", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		for range 1000 {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
				return
			}
		}
	})
	bad.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	bad.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	bad.HandleFunc("/close", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	bad.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) })
	s := &http.Server{Handler: bad}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	for path, want := range map[string]struct {
		reason    string
		permanent bool
	}{"/flood": {reasonTemporary, false}, "/moved": {reasonRefused, true}, "/slow": {reasonTimeout, false},
		"/close": {reasonOther, false}, "/header": {reasonOther, false}, "/none": {reasonRefused, true}} {
		f := sendTo(t, &Channel{Kind: "webhook", Server: "http://" + l.Addr().String() + path}, 500*time.Millisecond)
		if f == nil || f.reason != want.reason || f.permanent != want.permanent || len(f.text) > maxText {
			t.Errorf("%s: %#v", path, f)
		}
	}
	if len(other.take()) > 0 {
		t.Error("the message was sent elsewhere")
	}
}
