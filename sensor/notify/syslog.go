package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// syslog sends messages in the form of RFC 5424: by UDP (RFC 5426), by TCP with octet counting
// (RFC 6587), or to a local datagram socket.
type syslog struct {
	network, address string
	limit            int // bytes of a line
}

const (
	// udpLine is what every receiver should take (RFC 5424, section 6.1); streamLine is more than
	// an item has.
	udpLine, streamLine = 2048, 8192
	// facility is that of daemons, times eight.
	facility = 3 << 3
	// sdID names our structured data. 32473 is the number for examples (RFC 5612): spamsensor has
	// no number of its own.
	sdID = "spamsensor@32473"
)

func newSyslog(c *Channel) (sender, error) {
	if c.Server == "" {
		return &syslog{"unixgram", "/dev/log", streamLine}, nil
	}
	wrong := fmt.Errorf("%q is no syslog server (try udp://192.0.2.5:514, tcp://192.0.2.5:601 "+
		"or unix:///dev/log)", clean(c.Server, maxName))
	u, err := url.Parse(c.Server)
	if err != nil {
		return nil, wrong
	}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return &syslog{"unixgram", u.Path, streamLine}, nil
	case u.Path != "" || u.Hostname() == "":
		return nil, wrong
	case u.Scheme == "udp":
		return &syslog{"udp", withPort(u, "514"), udpLine}, nil
	case u.Scheme == "tcp":
		return &syslog{"tcp", withPort(u, "601"), streamLine}, nil
	}
	return nil, wrong
}

func withPort(u *url.URL, otherwise string) string {
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), otherwise)
	}
	return u.Host
}

func (s *syslog) where() string { return s.network + " " + s.address }

func (s *syslog) send(ctx context.Context, m *Message, now time.Time) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	if err != nil {
		return failed("cannot reach syslog", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	for _, line := range s.lines(m) {
		if s.network == "tcp" {
			line = fmt.Sprintf("%d %s", len(line), line)
		}
		if _, err := io.WriteString(conn, line); err != nil {
			return failed("cannot write to syslog", err)
		}
	}
	if c, ok := conn.(*net.TCPConn); ok {
		return drain(c)
	}
	return nil
}

// drainTime is how long a TCP server may take to close its side.
const drainTime = time.Second

// drain waits until the server has closed its side: a connection that it resets has lost lines. A
// server that keeps it open has said nothing bad.
func drain(c *net.TCPConn) error {
	if err := c.CloseWrite(); err != nil {
		return failed("cannot write to syslog", err)
	}
	c.SetReadDeadline(time.Now().Add(drainTime))
	_, err := c.Read(make([]byte, 1))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return failed("syslog closed the connection", err)
	}
	return nil
}

// lines makes a line of each item.
func (s *syslog) lines(m *Message) (list []string) {
	for i := range m.Items {
		it := &m.Items[i]
		text := it.title(m.words)
		if it.Headline != text {
			text += ": " + it.Headline
		}
		if it.Advice != "" {
			text += m.words.Sprintf(" (do: %s)", it.Advice)
		}
		data := [][2]string{{"kind", it.Kind}, {"id", it.ID}, {"host", it.Host},
			{"class", it.Class}, {"level", it.Level}, {"severity", it.Severity},
			{"since", stamp(it.Since)}}
		list = append(list, s.line(m, it.Kind, priority(it), data, text))
	}
	rest := m.Notes
	if m.More > 0 {
		rest = append(rest[:len(rest):len(rest)], m.leftOut())
	}
	for _, note := range rest {
		list = append(list, s.line(m, "note", 4, [][2]string{{"kind", "note"}}, note))
	}
	return list
}

// line makes a line of RFC 5424, section 6.
func (s *syslog) line(m *Message, id string, severity int, data [][2]string, text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%d>1 %s %s spamsensor %d %s [%s", facility|severity, stamp(m.Created),
		headerText(m.Sensor, 255), os.Getpid(), headerText(id, 32), sdID)
	for _, d := range data {
		if d[1] != "" {
			fmt.Fprintf(&b, ` %s="%s"`, d[0], sdEscape.Replace(clean(d[1], maxName)))
		}
	}
	b.WriteString("] \ufeff") // the text is UTF-8
	b.WriteString(clean(noBreak.Replace(text), 4*maxText))
	return cut(s.limit, b.String())
}

// noBreak replaces the no-break spaces of French: clean would escape them.
var noBreak = strings.NewReplacer("\u00a0", " ", "\u202f", " ")

// sdEscape escapes a parameter of structured data (RFC 5424, section 6.3.3).
var sdEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// headerText makes a field of the header: printable ASCII without blanks, "-" if it is empty.
func headerText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), limit)]
}

// stamp is the form of times in syslog, which has at most microseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// priority is the severity of syslog and of the journal: 2 is critical, 6 informational.
func priority(it *Item) int {
	switch {
	case it.Kind == itemFinding && it.Level == "confirmed":
		return 2
	case it.Kind == itemFinding && it.Level == "likely", it.Kind == itemHealth,
		it.Kind == itemListed:
		return 3
	case it.Kind == itemFinding:
		return 4
	case it.Kind == itemWeekly:
		return 6
	}
	return 5
}
