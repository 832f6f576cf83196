package smtpsniff

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The reference reads a whole dialogue with hindsight, slowly: it is a server that obeys RFC 5321
// and the extensions 1870, 2033, 2920, 3030, 3207 and 4954, and replies to each command as the real
// one did. It is not known which lines with a dot this server takes for the end of a message, nor
// whether it accepts odd sizes of chunks, so that all kinds of server are tried, the standard's
// first. The first kind under which every reply answers a command that was sent before it is the
// true one. The reference shares no code with the listener, and can judge whole dialogues only.
type reference struct {
	client  []byte
	codes   []int // of the server's replies
	sent    []int // how much the client had sent when the reply came
	ends    []string
	lenient bool // accepts sizes of chunks as Exim does
	garbled bool // the last bytes of the server were no reply

	pos, next int // in client, in codes
	fails     bool

	Helo     string
	Mails    int
	Senders  []string
	Rcpts    int
	Messages int
	Auth     string
	TLS      bool
}

// standardEnd is the standard's end of a message. The others are accepted by servers that take a
// bare LF for a line end (RFC 5321, section 4.1.1.4 forbids it), or ignore a CR before CRLF, as
// Postfix.
const standardEnd = "\r\n.\r\n"

var lenientEnds = []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r\r\n"}

// facts are the values that are compared.
func (r *reference) facts() string {
	return fmt.Sprintf("helo %q mails %d from %q rcpts %d messages %d auth %s tls %v", r.Helo,
		r.Mails, r.Senders, r.Rcpts, r.Messages, r.Auth, r.TLS)
}

var replyLine = regexp.MustCompile(`^([2-5][0-9][0-9])(-| |\t|$)`)

// refer reads a dialogue; ok is false when no server of the standard can have had it.
func refer(steps []step) (r *reference, ok bool) {
	var whole reference
	var server []byte
	for _, s := range steps {
		if s.gap > 0 {
			return nil, false
		}
		if s.side == Client {
			whole.client = append(whole.client, s.data...)
			continue
		}
		server = append(server, s.data...)
		for !whole.garbled {
			line, rest, found := bytes.Cut(server, []byte("\n"))
			if !found {
				break
			}
			server = rest
			m := replyLine.FindSubmatch(bytes.TrimSuffix(line, []byte("\r")))
			if m == nil { // it must be TLS
				whole.garbled = true
				break
			}
			if string(m[2]) != "-" {
				code, _ := strconv.Atoi(string(m[1]))
				whole.codes = append(whole.codes, code)
				whole.sent = append(whole.sent, len(whole.client))
			}
		}
	}
	for _, kinds := range []int{0, 1, 2, 4, 3, 5, 6, 7, 8, 15, 16} {
		one := whole
		one.lenient = kinds == 16
		one.ends = []string{standardEnd}
		for i, e := range lenientEnds {
			if kinds>>i&1 != 0 {
				one.ends = append(one.ends, e)
			}
		}
		if one.read(); !one.fails && (one.TLS || !one.garbled) {
			return &one, true
		}
	}
	return nil, false
}

// reply is the next one, zero when there are no more. It must not have come before what it
// answers.
func (r *reference) reply() int {
	if r.next == len(r.codes) {
		return 0
	}
	if r.sent[r.next] < r.pos {
		r.fails = true
	}
	r.next++
	return r.codes[r.next-1]
}

// line is the client's next one, without its end.
func (r *reference) line() (string, bool) {
	line, _, found := bytes.Cut(r.client[r.pos:], []byte("\n"))
	if !found {
		return "", false
	}
	r.pos += len(line) + 1
	return strings.TrimSuffix(string(line), "\r"), true
}

func (r *reference) read() {
	r.Auth = "none"
	if code := r.reply(); code == 0 || code != 220 && code < 400 {
		r.fails = true
	}
	accepted, lmtp := 0, false // recipients of this transaction
	for !r.fails {
		line, more := r.line()
		if !more {
			break
		}
		words := strings.FieldsFunc(line, func(c rune) bool {
			return c == ' ' || c == '\t' || c == ':'
		})
		verb := ""
		if len(words) > 0 {
			verb = strings.ToUpper(words[0])
		}
		code := 0
		if verb != "BDAT" {
			code = r.reply()
		}
		good := code/100 == 2
		if code/100 == 3 && verb != "DATA" && verb != "AUTH" || good && verb == "DATA" {
			r.fails = true
		}
		switch verb {
		case "HELO", "EHLO", "LHLO":
			lmtp = verb == "LHLO"
			r.Helo = strings.Trim(strings.TrimLeft(line, " \t")[len(verb):], " \t")
			r.Helo = r.Helo[:min(len(r.Helo), maxName)]
			accepted = 0
		case "MAIL":
			r.Mails++
			accepted = 0
			if m := mailPath.FindStringSubmatch(line); m != nil {
				a := m[1] + m[2]
				r.Senders = append(r.Senders, a[max(0, len(a)-maxName):])
			}
		case "RCPT":
			r.Rcpts++
			if good {
				accepted++
			}
		case "RSET":
			accepted = 0
		case "DATA":
			if code != 354 {
				break
			}
			if !r.body() {
				r.pos = len(r.client)
				break
			}
			taken := r.reply()/100 == 2
			for i := 1; lmtp && i < accepted; i++ { // RFC 2033: one for each recipient
				taken = r.reply()/100 == 2 || taken
			}
			if taken {
				r.Messages++
			}
			accepted = 0
		case "BDAT":
			n, last, valid := chunkSize(words[1:])
			if m := oddSize.FindStringSubmatch(line); !valid && r.lenient && m != nil {
				n, _ = strconv.Atoi(m[1])
				last, valid = strings.EqualFold(m[2], "LAST"), true
			}
			if valid {
				r.pos += n
			}
			if r.pos > len(r.client) {
				r.pos = len(r.client)
				break
			}
			code = r.reply()
			if !valid && code/100 == 2 {
				r.fails = true
			}
			if valid && last && code/100 == 2 {
				r.Messages++
			}
		case "BURL": // RFC 4468
			if strings.EqualFold(words[len(words)-1], "LAST") && good {
				r.Messages++
			}
		case "AUTH":
			cancelled := false
			for code == 334 {
				line, more := r.line()
				if !more {
					break
				}
				cancelled = line == "*"
				code = r.reply()
			}
			switch {
			case code/100 == 2:
				r.Auth = "ok"
			case r.Auth != "ok" && !cancelled && code != 0 && code != 334:
				r.Auth = "failed"
			case r.Auth == "none":
				r.Auth = "tried"
			}
		case "STARTTLS":
			if code == 220 {
				r.TLS = true
				return
			}
		}
	}
	for ; r.next < len(r.codes); r.next++ {
		// a server may announce at any time that it hangs up
		if c := r.codes[r.next]; c != 421 && c != 451 {
			r.fails = true
		}
	}
}

// body skips a message with its end.
func (r *reference) body() bool {
	// The line end of DATA itself is the one before the first line of the message.
	from := r.pos - 1
	if from > 0 && r.client[from-1] == '\r' {
		from--
	}
	best := -1
	for _, e := range r.ends {
		if i := bytes.Index(r.client[from:], []byte(e)); i >= 0 && (best < 0 || i+len(e) < best) {
			best = i + len(e)
		}
	}
	if best < 0 {
		return false
	}
	r.pos = from + best
	return true
}

// chunkSize reads the arguments of BDAT (RFC 3030, section 2).
func chunkSize(words []string) (n int, last, valid bool) {
	if len(words) == 0 || len(words) > 2 || len(words[0]) > 18 {
		return 0, false, false
	}
	n, err := strconv.Atoi(words[0])
	last = len(words) == 2 && strings.EqualFold(words[1], "LAST")
	return n, last, err == nil && n >= 0 && words[0][0] != '+' && (last || len(words) == 1)
}

// oddSize are the arguments of BDAT that Exim accepts: it reads "%u %n", and compares the rest.
var oddSize = regexp.MustCompile(`(?i)^BDAT\s+\+?([0-9]{1,9})\s*(.*)$`)

// mailPath is RFC 5321's Reverse-path with the liberties of servers. A source route, before the
// colon in it, is left out (appendix C).
var mailPath = regexp.MustCompile(`(?is)^\s*mail[\s:]+from\s*:?\s*(?:<\s*(?:@[^:>]*:)?((?:"(?:[^"\\]|\\.)*"|[^">])*?)\s*>|([^\s<>:]+))`)

// listenerFacts are the facts of the listener.
func listenerFacts(steps []step) string {
	var s *Session
	listenSession(false, steps, &s)
	r := reference{Helo: string(s.Helo()), Mails: int(s.Mails), Rcpts: int(s.Rcpts),
		Messages: int(s.Messages), Auth: s.Auth.String(), TLS: s.Encryption == StartTLS}
	if r.Auth == "offered" {
		r.Auth = "none"
	}
	s.Senders(func(a []byte) { r.Senders = append(r.Senders, string(a)) })
	return r.facts()
}

// notForReference are the dialogues that no server of the standard can have had.
var notForReference = map[string]string{
	"refused-while-sending":            "the refusal comes before the end of what it refuses",
	"reply-codes":                      "a line of the server is no reply",
	"reply-with-line-without-code":     "a line of the server is no reply",
	"reply-without-code-auth":          "a line of the server is no reply",
	"reply-without-code-everywhere":    "a line of the server is no reply",
	"reply-without-code-starttls":      "a line of the server is no reply",
	"reply-without-code-tls-begins":    "a line of the server is no reply",
	"data-250-commands":                "DATA has no such reply",
	"data-250-message":                 "DATA has no such reply",
	"bdat-refused-early-502":           "the refusal comes before the end of what it refuses",
	"bdat-refused-early-554":           "the refusal comes before the end of what it refuses",
	"bdat-refused-early-joined":        "the refusal comes before the end of what it refuses",
	"http":                             "the client speaks HTTP",
	"greeting-not-seen":                "the greeting is missing",
	"proxy-v1":                         "its first line is none of SMTP",
	"proxy-v2":                         "its first bytes are none of SMTP",
	"proxy-then-early":                 "its first line is none of SMTP",
	"bdat-huge-500":                    "the server reads commands where the standard has a chunk",
	"bdat-huge-503":                    "the server reads commands where the standard has a chunk",
	"bdat-hides-commands":              "the server reads commands where the standard has a chunk",
	"bdat-hides-commands-behind-a-dot": "the server reads commands where the standard has a chunk",
	"bdat-hides-commands-503":          "the server reads commands where the standard has a chunk",
	"starttls-forged-220":              "the server consents to TLS and reads commands",
	"mail-5rcpt-synthetic.pcap#0":      "the reply to EHLO has no end",
	"refused-odd-replies.pcap#0":       "the client speaks something else",
	"refused-odd-replies.pcap#1":       "the client speaks something else",
}

func TestReference(t *testing.T) {
	judged := 0
	for _, d := range allDialogues(t) {
		if d.midstream || d.holed() || d.oneSided() || d.encrypted() {
			continue
		}
		why, excluded := notForReference[d.name]
		r, ok := refer(d.steps)
		if strings.HasPrefix(why, "the server") { // the reference does not know better
			ok = false
		}
		if ok == excluded {
			t.Errorf("%s: is it a dialogue for the reference? %v %s", d.name, ok, why)
		}
		if !ok {
			continue
		}
		judged++
		if got, want := listenerFacts(d.steps), r.facts(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", d.name, got, want)
		}
	}
	if judged < 100 {
		t.Errorf("only %d dialogues were judged", judged)
	}
	t.Logf("%d dialogues judged", judged)
}
