package smtpsniff

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"spamsensor/bench/golden"
	"strconv"
	"strings"
	"testing"
)

// A dialogue is a file of lines:
//
//	C: EHLO a       a line of the client, with CRLF
//	S: 250 ok       a line of the server
//	C| a\nb\r\n     bytes of the client, quoted as in Go
//	gap C 7         bytes that were not captured
//	midstream       the beginning was not captured
//
// and, behind a line with ---, the events of the listener and a summary of the session.
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
			if s.data, err = strconv.Unquote(`"` + strings.TrimPrefix(line[2:],
				" ") + `"`); err != nil {
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

// listen feeds steps to a listener and returns its events and the session's summary as text.
func listen(midstream bool, steps []step) string {
	return listenSession(midstream, steps, new(*Session))
}

// listenSession also returns the session, which is valid until another one begins.
func listenSession(midstream bool, steps []step, session **Session) string {
	oneSided := true
	for _, st := range steps {
		oneSided = oneSided && st.side == Client
	}
	return listenWith(midstream, oneSided, session, func(h *recorder) {
		for _, st := range steps {
			if st.gap > 0 {
				h.gap(st.side, st.gap)
			} else {
				h.feed(st.side, []byte(st.data))
			}
		}
	})
}

// recorder is a listener in a test, with a log of its events.
type recorder struct {
	l   Listener
	s   *Session
	log strings.Builder
}

func (h *recorder) feed(side Side, b []byte) { h.l.Feed(h.s, side, b); h.record() }
func (h *recorder) gap(side Side, n int)     { h.l.Gap(h.s, side, n); h.record() }

func (h *recorder) record() {
	for _, e := range h.l.Events {
		switch e.Kind {
		case HeloCommand, MailCommand, RcptCommand:
			fmt.Fprintf(&h.log, "%s %q\n", [...]string{HeloCommand: "helo", MailCommand: "mail",
				RcptCommand: "rcpt"}[e.Kind], e.Text)
		case Reply:
			fmt.Fprintf(&h.log, "reply %s %d", e.Phase, e.Code)
			if e.Enhanced != (Enhanced{}) {
				fmt.Fprintf(&h.log, " %d.%d.%d", e.Enhanced.Class, e.Enhanced.Subject,
					e.Enhanced.Detail)
			}
			fmt.Fprintf(&h.log, " %q\n", e.Text)
		case MessageAccepted:
			h.log.WriteString("message\n")
		case TLSStarted:
			h.log.WriteString("encrypted\n")
		case NotSMTPFound:
			h.log.WriteString("foreign\n")
		}
	}
}

// listenWith calls play with a listener and returns its events and the session's summary as text.
func listenWith(midstream, oneSided bool, session **Session, play func(h *recorder)) string {
	var h recorder
	h.s = h.l.New(midstream, oneSided)
	*session = h.s
	play(&h)
	for _, side := range []Side{Client, Server} {
		h.l.End(h.s, side)
		h.record()
	}
	h.l.Finish(h.s)
	h.record()
	sum := summary(&h.l, h.s)
	kept := *h.s
	kept.text = bytes.Clone(kept.text)
	*session = &kept
	h.l.Free(h.s)
	return h.log.String() + sum
}

func summary(l *Listener, s *Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "= %s tls=%s auth=%s %s helo=%q mails=%d rcpts=%d/%d messages=%d rejected=%d deferred=%d\n", s.Proto, s.Encryption, s.Auth,
		s.HeloVerb, s.Helo(), s.Mails, s.Rcpts, s.RcptsRejected, s.Messages, s.Rejected, s.Deferred)
	b.WriteString("= from")
	s.Senders(func(a []byte) { fmt.Fprintf(&b, " %q", a) })
	b.WriteString("\n= codes")
	s.Codes(func(c CodeCount) { fmt.Fprintf(&b, " %d:%d", c.Code, c.Count) })
	fmt.Fprintf(&b, "\n= last %d %q\n", s.LastCode, l.LastReply(s))
	s.Refusals(func(r Refusal, text []byte) {
		fmt.Fprintf(&b, "= refusal %s %d %q\n", r.Phase, r.Code, text)
	})
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
		got := listen(d.midstream, d.steps)
		if golden.Update() {
			if err := os.WriteFile("testdata/dialogues/"+d.name+".txt", []byte(d.text+"---\n"+got),
				0o644); err != nil {
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

// Each segmentation of a dialogue gives the same events.
func TestDialoguesAtEveryCut(t *testing.T) {
	cuts := 0
	for _, d := range allDialogues(t) {
		whole := joined(d.steps)
		// Cuts of a long dialogue fall into its messages and into TLS: not all are tried.
		every := max(1, d.size()*d.size()/10_000_000)
		want := listen(d.midstream, whole)
		var bytes []step
		for i, s := range whole {
			for cut := 1; cut < len(s.data); cut++ {
				if cut%every != 0 && cut > 200 && cut < len(s.data)-200 {
					continue
				}
				steps := append([]step{}, whole[:i]...)
				steps = append(steps, step{side: s.side, data: s.data[:cut]},
					step{side: s.side, data: s.data[cut:]})
				steps = append(steps, whole[i+1:]...)
				if got := listen(d.midstream, steps); got != want {
					t.Errorf("%s cut at byte %d of %.40q:\n%s", d.name, cut, s.data,
						diff(got, want))
					break
				}
				cuts++
			}
			if s.gap > 0 {
				bytes = append(bytes, s)
			}
			for j := range len(s.data) {
				bytes = append(bytes, step{side: s.side, data: s.data[j : j+1]})
			}
		}
		if got := listen(d.midstream, bytes); got != want {
			t.Errorf("%s byte by byte:\n%s", d.name, diff(got, want))
		}
	}
	t.Logf("%d cuts", cuts)
}

// lines are steps of one line each, as far as there are lines.
func lines(steps []step) (list []step) {
	for _, s := range joined(steps) {
		if s.gap > 0 {
			list = append(list, s)
			continue
		}
		for line := range strings.Lines(s.data) {
			list = append(list, step{side: s.side, data: line})
		}
	}
	return list
}

// With any one line lost the listener invents no message and no sender, flags the loss, and emits
// nothing of a message or a credential.
func TestDialoguesWithEveryLineLost(t *testing.T) {
	lost := 0
	for _, d := range allDialogues(t) {
		var s *Session
		sent := listenSession(d.midstream, d.steps, &s)
		messages := s.Messages
		steps := lines(d.steps)
		for i, one := range steps {
			if one.gap > 0 || len(steps) > 400 && i%(len(steps)/400) != 0 {
				continue
			}
			lost++
			less := append([]step{}, steps...)
			less[i] = step{side: one.side, gap: len(one.data)}
			got := listenSession(d.midstream, less, &s)
			doubtful := s.Flags&Ambiguous != 0
			if s.Messages > messages && !doubtful {
				t.Errorf("%s without %q: %d messages, there are %d", d.name, one.data, s.Messages,
					messages)
			}
			if s.Messages < messages && s.Flags&(Ambiguous|GapClient|GapServer) == 0 {
				t.Errorf("%s without %q: %d messages of %d, and no doubt", d.name, one.data,
					s.Messages, messages)
			}
			s.Senders(func(a []byte) {
				if !doubtful && !strings.Contains(sent, fmt.Sprintf("mail %q\n", a)) {
					t.Errorf("%s without %q: nobody sent from %q", d.name, one.data, a)
				}
			})
			// With the DATA lost in a one-sided session, a command in its message looks like
			// one.
			if strings.Contains(got, "SECRET") && !doubtful {
				t.Errorf("%s without %q: what must not be emitted is:\n%s", d.name, one.data, got)
			}
		}
	}
	t.Logf("%d lines lost", lost)
}
