package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"spamsensor/sensor/verdict"
)

// advice is the advice that several findings share. It is told once, before they are told in
// detail; what differs from one to the other is told for each.
type advice struct {
	text    string
	numbers []int    // of the findings, from 1
	hosts   []string // of the first ones, with their names and link-layer addresses
	own     []string // what is for each of these alone
	more    int      // further hosts, which are not told
}

// anyHost stands for the hosts in an advice for several.
const anyHost = "each of these hosts"

// addressed is who an advice is about: the address, with a name if there is one, and with the
// link-layer address if it is the host's own.
func (f *Finding) addressed(name string) string {
	var about []string
	if name != "" {
		about = append(about, name)
	}
	if f.MAC != "" && f.OnLink {
		about = append(about, "MAC "+f.MAC)
	}
	if about == nil {
		return f.IP.String()
	}
	return fmt.Sprintf("%s (%s)", f.IP, strings.Join(about, ", "))
}

// divided is an advice for any host, and the part for this one alone: whom to ask for removal. ok
// reports whether the advice can be for several hosts: it names this one at one place at most.
func (f *Finding) divided() (text, own string, ok bool) {
	text = f.Advice
	if i := strings.Index(text, " When the cause is stopped, ask to have "); i > 0 {
		text, own = text[:i], text[i+1:]
	}
	text = strings.Replace(text, f.addressed(""), anyHost, 1)
	return text, own, !strings.Contains(text, f.IP.String())
}

// together finds the advice that several findings share; it is nil for one that is told with its
// finding. most is how many findings have their own part told.
func (p *printer) together(found []Finding, most int) (byFinding []*advice, list []*advice) {
	byText := map[string]*advice{}
	byFinding = make([]*advice, len(found))
	for i := range found {
		f := &found[i]
		text, own, ok := f.divided()
		if !ok || f.Class >= verdict.OpenRelay || f.Advice == "" {
			continue
		}
		a := byText[text]
		if a == nil {
			a = &advice{text: text}
			byText[text] = a
			list = append(list, a)
		}
		a.numbers = append(a.numbers, i+1)
		byFinding[i] = a
		switch {
		case own == "" && f.addressed("") == f.IP.String(): // nothing differs
		case len(a.hosts) == most:
			a.more++
		default:
			a.hosts, a.own = append(a.hosts, f.addressed(f.Name)), append(a.own, own)
		}
	}
	shared := list[:0]
	for _, a := range list {
		if len(a.numbers) > 1 {
			shared = append(shared, a)
		}
	}
	for i, a := range byFinding {
		if a != nil && len(a.numbers) < 2 {
			byFinding[i] = nil
		}
	}
	return byFinding, shared
}

// small begins a sentence with a small letter, behind a colon.
func small(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(first)) + s[n:]
}

// write writes an advice for several findings.
func (a *advice) write(p *printer) {
	p.section(p.tr.Sprintf("Do (for %s)", p.numbers(a.numbers)))
	p.text(p.tr.Sentence(a.text))
	for i, own := range a.own {
		if slices.Index(a.own, own) < i {
			continue // it was told with an earlier one
		}
		var hosts []string
		for j := range a.hosts {
			if a.own[j] == own {
				hosts = append(hosts, a.hosts[j])
			}
		}
		item := strings.Join(hosts, ", ")
		if own != "" {
			item = p.tr.Sprintf("%s: %s", item, small(p.tr.Sentence(own)))
		}
		p.item(item)
	}
	if a.more > 0 {
		p.line(p.tr.Sprintf("   and %s more, with -v", p.number(uint64(a.more))))
	}
}

// maxNumbers is how many numbers, or ranges of them, are written.
const maxNumbers = 8

// numbers are numbers of findings: "1, 2 and 4 to 9".
func (p *printer) numbers(list []int) string {
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		switch {
		case j-i > 2:
			parts = append(parts, p.tr.Sprintf("%d to %d", list[i], list[j]))
		default:
			for _, n := range list[i : j+1] {
				parts = append(parts, fmt.Sprint(n))
			}
		}
		i = j + 1
	}
	if n := len(parts) - maxNumbers; n > 0 {
		return p.tr.Sprintf("%s and %s", strings.Join(parts[:maxNumbers], ", "),
			p.tr.Plural(uint64(n), "more", "more"))
	}
	last := len(parts) - 1
	if last == 0 {
		return parts[0]
	}
	return p.tr.Sprintf("%s and %s", strings.Join(parts[:last], ", "), parts[last])
}

// details writes findings in detail, those of the model that have room.
func (p *printer) details(m *Model, shared []*advice) {
	found := m.Findings
	depth := full
	switch {
	case p.all:
	case len(found) <= 3:
		depth = usual
	default:
		depth = brief
	}
	shown, began := 0, p.lines
	for i := range found {
		if !p.all && i == maxDetails {
			break
		}
		one := *p
		var text bytes.Buffer
		one.out = &text
		one.finding(i+1, &found[i], m.Period.Last, depth)
		if i < len(shared) && shared[i] != nil {
			one.labelled("Do", p.tr.Sprintf("as said above for %s", p.numbers(shared[i].numbers)))
		} else {
			one.labelled("Do", p.tr.Sentence(found[i].Advice))
		}
		if !p.all && i > 2 && one.lines-began > maxLines {
			break
		}
		text.WriteTo(p.out)
		p.lines, p.shortened = one.lines, one.shortened
		shown++
	}
	if more := len(found) - shown; more > 0 {
		p.line("")
		p.line(p.tr.Sprintf("%s in detail: with -v", p.count(uint32(more), "more finding",
			"more findings")))
	}
}
