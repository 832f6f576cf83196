package picture

import (
	"strings"
	"time"
	"unicode"

	"spamsensor/sensor/lang"
)

// clean replaces what may not be in a document, or changes the direction of the text around it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) ||
			r == 0xfffe || r == 0xffff {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// columns is about how many letters wide a rune is.
func columns(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		return 0
	case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r < 0xfb00 || r >= 0xff00 && r <= 0xff60 ||
		r >= 0x1f000):
		return 2
	}
	return 1
}

// wide is about how many letters wide a text is.
func wide(s string) (n int) {
	for _, r := range s {
		n += columns(r)
	}
	return n
}

// cut shortens a text to a number of letters. The end of an address tells machines apart, and the
// beginning says whose they are: what is left out is in the middle.
func cut(s string, letters int) string {
	if wide(s) <= letters {
		return s
	}
	runes := []rune(s)
	left, right := (letters-1)/2, letters-1-(letters-1)/2
	var i, j int
	for i = 0; i < len(runes) && left >= columns(runes[i]); i++ {
		left -= columns(runes[i])
	}
	for j = len(runes); j > i && right >= columns(runes[j-1]); j-- {
		right -= columns(runes[j-1])
	}
	return string(runes[:i]) + "…" + string(runes[j:])
}

// compact writes a number for an axis.
func compact(p *lang.Printer, f float64) string {
	for _, u := range []struct {
		at   float64
		unit string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if f < u.at {
			continue
		}
		f /= min(u.at, 1e9)
		if u.unit == "k" {
			f *= 10
		}
		if f == float64(int64(f)) {
			return p.Sprintf("%d"+u.unit, int64(f))
		}
		return p.Sprintf("%.1f"+u.unit, f)
	}
	if f != float64(int64(f)) {
		return p.Sprintf("%.1f", f)
	}
	return p.Number(uint64(max(0, f)))
}

// colon joins a name and what is said of it.
func colon(p *lang.Printer, name, text string) string { return p.Sprintf("%s: %s", name, text) }

// count rounds a number that counts something.
func count(p *lang.Printer, f float64) string { return p.Number(uint64(max(0, f) + 0.5)) }

// months are formats of a day, so that a language may have its own order.
var months = [...]string{"%d Jan", "%d Feb", "%d Mar", "%d Apr", "%d May", "%d Jun", "%d Jul",
	"%d Aug", "%d Sep", "%d Oct", "%d Nov", "%d Dec"}

// day writes the day of a time.
func day(p *lang.Printer, t time.Time) string { return p.Sprintf(months[t.Month()-1], t.Day()) }

// weekday writes the day of a time with its weekday.
func weekday(p *lang.Printer, t time.Time) string {
	return p.Text(t.Format("Mon")) + " " + day(p, t)
}

// moment writes a time of a sentence or a table, to the minute.
func moment(p *lang.Printer, t time.Time) string { return day(p, t) + " " + t.Format("15:04") }

// exact writes a time to the second.
func exact(p *lang.Printer, t time.Time) string { return day(p, t) + " " + t.Format("15:04:05") }

func sameDay(a, b time.Time) bool { return a.YearDay() == b.YearDay() && a.Year() == b.Year() }

// period writes a time from one moment to another.
func period(p *lang.Printer, from, to time.Time) string {
	if sameDay(from, to) {
		return moment(p, from) + to.Format("–15:04")
	}
	return moment(p, from) + " – " + moment(p, to)
}

// span writes how long an interval is.
func span(p *lang.Printer, d time.Duration) string {
	switch {
	case d == 24*time.Hour:
		return p.Text("a day")
	case d%(24*time.Hour) == 0:
		return p.Sprintf("%d days", int(d/(24*time.Hour)))
	case d == time.Hour:
		return p.Text("an hour")
	case d%time.Hour == 0:
		return p.Sprintf("%d hours", int(d/time.Hour))
	case d == time.Minute:
		return p.Text("a minute")
	case d%time.Minute == 0:
		return p.Sprintf("%d minutes", int(d/time.Minute))
	}
	return p.Sprintf("%d seconds", int(d/time.Second))
}

// zoneName is the name of the time zone between two times; both names if the clock is changed.
func zoneName(from, to time.Time, zone *time.Location) string {
	name := func(t time.Time) string {
		s, _ := t.Zone()
		if s == "" || s[0] == '+' || s[0] == '-' {
			return "UTC" + t.Format("-07:00")
		}
		return s
	}
	a, b := name(from.In(zone)), name(to.In(zone))
	if a != b {
		return a + "/" + b
	}
	return a
}
