package playbook

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/report"
)

// Layout says how a text fits a terminal.
type Layout struct {
	Lang  *lang.Printer
	Zone  *time.Location // nil is UTC
	Width int            // of the terminal, zero if there is none: 80 to 120 columns are used
	Bold  func(string) string
}

// labels say where commands are typed.
var labels = map[string]string{
	windows:   "Windows (PowerShell as administrator)",
	macos:     "macOS",
	linux:     "Linux (as root)",
	router:    "Router with Linux (as root)",
	cisco:     "Switch or router (Cisco IOS)",
	dhcp:      "DHCP server of Windows (PowerShell)",
	iscDHCP:   "DHCP server (ISC)",
	postfix:   "Mail server with Postfix (as root)",
	exim:      "Mail server with Exim (as root)",
	exchange:  "Mail server with Exchange (Management Shell)",
	dovecot:   "Mail server with Dovecot (as root)",
	outside:   "A machine outside of your network",
	sensor:    "Where spamsensor runs",
	web:       "In a browser",
	workplace: "Your own PC",
}

// Write writes a playbook for a terminal. Commands are not folded: they are to be copied.
func (x *Playbook) Write(out io.Writer, l Layout) error {
	w := newWriter(l)
	p := l.Lang
	w.line(w.bold(p.Sprintf("What to do about %s: %s", called(x.IP, x.Name), p.Sentence(x.Title))))
	since := p.Sprintf("Since %s, last sign %s.", w.clock(x.Since), w.clock(x.LastSign))
	if x.LastSign == 0 {
		since = p.Sprintf("Since %s.", w.clock(x.Since))
	}
	w.fold("", since+" "+p.Text("Words in capitals are for you to fill in."))
	for i, s := range x.Steps {
		w.line("")
		w.line(w.bold(fmt.Sprintf("%d. %s", i+1, s.Title)))
		w.fold("   ", s.Why)
		for i, c := range s.Commands {
			if i == 0 || c.OS != s.Commands[i-1].OS {
				w.line("   " + p.Sprintf("%s:", p.Text(labels[c.OS])))
			}
			w.line("      " + c.Line)
		}
	}
	_, err := io.WriteString(out, w.b.String())
	return err
}

// called is an address with the name of its host, which may be empty.
func called(ip netip.Addr, name string) string {
	return (&report.Host{IP: ip, Name: name}).Called()
}

// writer collects lines.
type writer struct {
	b     strings.Builder
	width int
	bold  func(string) string
	zone  *time.Location
}

func newWriter(l Layout) *writer {
	w := &writer{width: 100, bold: l.Bold, zone: l.Zone}
	if l.Width > 0 {
		w.width = min(max(l.Width, 80), 120)
	}
	if w.bold == nil {
		w.bold = func(s string) string { return s }
	}
	if w.zone == nil {
		w.zone = time.UTC
	}
	return w
}

func (w *writer) line(s string) { w.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// fold writes a paragraph. All its lines are as far to the right as the first one, which has a text
// before it.
func (w *writer) fold(before, s string) {
	indent := utf8.RuneCountInString(before)
	for _, l := range lang.Wrap(s, w.width-indent) {
		w.line(before + l)
		before = strings.Repeat(" ", indent)
	}
}

// clock is a time as the reader's clock shows it.
func (w *writer) clock(t report.Time) string { return t.In(w.zone).Format(time.DateTime) }

// rows writes names and texts in two columns. A name is not repeated.
func (w *writer) rows(rows [][2]string) {
	wide := 0
	for _, r := range rows {
		wide = max(wide, utf8.RuneCountInString(r[0]))
	}
	before := ""
	for _, r := range rows {
		name := r[0]
		if name == before {
			name = ""
		}
		before = r[0]
		w.fold("  "+name+strings.Repeat(" ", wide-utf8.RuneCountInString(name)+2), r[1])
	}
}
