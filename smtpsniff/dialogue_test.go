package smtpsniff

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite what the dialogues are expected to give")

// A dialogue is a file of lines:
//
//	C: EHLO a       a line of the client, with CRLF
//	S: 250 ok       a line of the server
//	C| a\nb\r\n     bytes of the client, quoted as in Go
//	gap C 7         bytes that were not seen
//	midstream       the beginning was not seen
//
// and, behind a line with ---, what the listener must have heard.
type dialogue struct {
	name      string
	text      string
	want      string
	midstream bool
	steps     []step
}

type step struct {
	side Side
	data string
	gap  int
}

func parseDialogue(t testing.TB, file string) *dialogue {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := &dialogue{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
	d.text, d.want, _ = strings.Cut(string(b), "---\n")
	for i, line := range strings.Split(strings.TrimSuffix(d.text, "\n"), "\n") {
		bad := func() { t.Fatalf("%s:%d: %q is no line of a dialogue", file, i+1, line) }
		if line == "midstream" {
			d.midstream = true
			continue
		}
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "gap "); ok {
			n, err := strconv.Atoi(rest[2:])
			if err != nil {
				bad()
			}
			d.steps = append(d.steps, step{side: sideOf(rest[0]), gap: n})
			continue
		}
		if len(line) < 2 {
			bad()
		}
		s := step{side: sideOf(line[0]), data: strings.TrimPrefix(line[2:], " ") + "\r\n"}
		if line[1] == '|' {
			if s.data, err = strconv.Unquote(`"` + strings.TrimPrefix(line[2:], " ") + `"`); err != nil {
				bad()
			}
		} else if line[1] != ':' {
			bad()
		}
		d.steps = append(d.steps, s)
	}
	return d
}

func sideOf(c byte) Side {
	if c == 'S' {
		return Server
	}
	return Client
}

func dialogues(t testing.TB) (list []*dialogue) {
	files, _ := filepath.Glob("testdata/dialogues/*.txt")
	if len(files) == 0 {
		t.Fatal("there are no dialogues")
	}
	for _, f := range files {
		list = append(list, parseDialogue(t, f))
	}
	return list
}

// overhear plays steps to a listener and writes down what it heard.
func overhear(midstream bool, steps []step) string {
	alone := true
	for _, st := range steps {
		alone = alone && st.side == Client
	}
	var l Listener
	s := l.New(midstream, alone)
	var said strings.Builder
	note := func() {
		for _, e := range l.Events {
			switch e.Kind {
			case HeloSaid, MailSaid, RcptSaid:
				fmt.Fprintf(&said, "%s %q\n", [...]string{HeloSaid: "helo", MailSaid: "mail", RcptSaid: "rcpt"}[e.Kind], e.Text)
			case Replied:
				fmt.Fprintf(&said, "reply %s %d", e.Phase, e.Code)
				if e.Enhanced != (Enhanced{}) {
					fmt.Fprintf(&said, " %d.%d.%d", e.Enhanced.Class, e.Enhanced.Subject, e.Enhanced.Detail)
				}
				fmt.Fprintf(&said, " %q\n", e.Text)
			case Accepted:
				said.WriteString("message\n")
			case Encrypted:
				said.WriteString("encrypted\n")
			case Foreign:
				said.WriteString("foreign\n")
			}
		}
	}
	for _, st := range steps {
		if st.gap > 0 {
			l.Gap(s, st.side, st.gap)
		} else {
			l.Feed(s, st.side, []byte(st.data))
		}
		note()
	}
	for _, side := range []Side{Client, Server} {
		l.End(s, side)
		note()
	}
	l.Finish(s)
	note()
	sum := summary(s)
	l.Free(s)
	return said.String() + sum
}

func summary(s *Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "= %s tls=%s auth=%s %s helo=%q mails=%d rcpts=%d/%d messages=%d rejected=%d deferred=%d\n", s.Proto, s.Encryption, s.Auth,
		s.HeloVerb, s.Helo(), s.Mails, s.Rcpts, s.RcptsRejected, s.Messages, s.Rejected, s.Deferred)
	b.WriteString("= from")
	s.Senders(func(a []byte) { fmt.Fprintf(&b, " %q", a) })
	b.WriteString("\n= codes")
	s.Codes(func(c CodeCount) { fmt.Fprintf(&b, " %d:%d", c.Code, c.Count) })
	fmt.Fprintf(&b, "\n= last %d %q\n", s.LastCode, s.LastReply())
	s.Refusals(func(r Refusal, text []byte) { fmt.Fprintf(&b, "= refusal %s %d %q\n", r.Phase, r.Code, text) })
	if len(s.SNI()) > 0 {
		fmt.Fprintf(&b, "= sni %q\n", s.SNI())
	}
	var flags []string
	for i, name := range FlagNames {
		if s.Flags>>i&1 != 0 {
			flags = append(flags, name)
		}
	}
	fmt.Fprintf(&b, "= flags %s\n", strings.Join(flags, " "))
	return b.String()
}

func TestDialogues(t *testing.T) {
	for _, d := range dialogues(t) {
		got := overhear(d.midstream, d.steps)
		if *update {
			if err := os.WriteFile("testdata/dialogues/"+d.name+".txt", []byte(d.text+"---\n"+got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got != d.want {
			t.Errorf("%s:\n%s", d.name, diff(got, d.want))
		}
	}
}

// diff shows the lines in which two texts differ.
func diff(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var b strings.Builder
	for i := range max(len(g), len(w)) {
		var x, y string
		if i < len(g) {
			x = g[i]
		}
		if i < len(w) {
			y = w[i]
		}
		if x != y {
			fmt.Fprintf(&b, "  got  %s\n  want %s\n", x, y)
		}
	}
	return b.String()
}

// joined makes one step of neighbouring bytes of a side, as if they came in one segment.
func joined(steps []step) (list []step) {
	for _, s := range steps {
		if n := len(list); n > 0 && s.gap == 0 && list[n-1].gap == 0 && list[n-1].side == s.side {
			list[n-1].data += s.data
			continue
		}
		list = append(list, s)
	}
	return list
}

// However the bytes of a side are cut into segments, the same is heard.
func TestDialoguesAtEveryCut(t *testing.T) {
	for _, d := range dialogues(t) {
		whole := joined(d.steps)
		want := overhear(d.midstream, whole)
		var bytes []step
		for i, s := range whole {
			for cut := 1; cut < len(s.data); cut++ {
				steps := append([]step{}, whole[:i]...)
				steps = append(steps, step{side: s.side, data: s.data[:cut]}, step{side: s.side, data: s.data[cut:]})
				steps = append(steps, whole[i+1:]...)
				if got := overhear(d.midstream, steps); got != want {
					t.Errorf("%s cut at byte %d of %.40q:\n%s", d.name, cut, s.data, diff(got, want))
					break
				}
			}
			if s.gap > 0 {
				bytes = append(bytes, s)
			}
			for j := range len(s.data) {
				bytes = append(bytes, step{side: s.side, data: s.data[j : j+1]})
			}
		}
		if got := overhear(d.midstream, bytes); got != want {
			t.Errorf("%s byte by byte:\n%s", d.name, diff(got, want))
		}
	}
}

// With any one line lost, no message is invented and nothing of a body or a credential
// is heard.
func TestDialoguesWithEveryLineLost(t *testing.T) {
	for _, d := range dialogues(t) {
		messages := strings.Count(overhear(d.midstream, d.steps), "message\n")
		for i, s := range d.steps {
			if s.gap > 0 {
				continue
			}
			steps := append([]step{}, d.steps...)
			steps[i] = step{side: s.side, gap: len(s.data)}
			got := overhear(d.midstream, steps)
			if n := strings.Count(got, "message\n"); n > messages && !strings.Contains(got, "ambiguous") {
				t.Errorf("%s without %q: %d messages, there are %d", d.name, s.data, n, messages)
			}
			// With the DATA lost and nobody heard but the client, a command in its message
			// looks like one.
			if strings.Contains(got, "SECRET") && !strings.Contains(got, "ambiguous") {
				t.Errorf("%s without %q: what must not be heard is:\n%s", d.name, s.data, got)
			}
		}
	}
}
