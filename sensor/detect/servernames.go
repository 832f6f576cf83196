package detect

import (
	"fmt"

	"spamsensor/sensor/lookups"
	"spamsensor/sensor/verdict"
)

// Names of mail servers count when there are many within ten minutes, or half a dozen in one burst:
// even 500 people behind one address do not begin mails to so many providers within 20 s.
const burstNames, burstTime = 6, 20

// judgeServerNames looks at domains whose mail servers were named, in lookups or in TLS.
func (p *Profile) judgeServerNames(c *Config, code Code, names *lookups.Names, now int64) {
	if n := names.Count(now, lookups.NamesWindow); n >= c.MailNames {
		p.raise(code, now, float64(n), float64(c.MailNames), 3)
	} else if n := names.Count(now, burstTime); n >= burstNames {
		p.raise(code, now, float64(n), burstNames, 3)
	}
}

// namesSpan is the time in which names were counted.
func namesSpan(r *verdict.Reason) string {
	if r.Threshold == burstNames {
		return fmt.Sprintf("%d s", burstTime)
	}
	return "ten minutes"
}

// lookupExample is a lookup that led to an attempt, as a sentence.
func lookupExample(l *lookups.Log) string {
	if l.Linked == "" {
		return ""
	}
	return fmt.Sprintf(" It looked up %s and connected there %s later.", l.Linked,
		verdict.Span(l.LinkedAfter))
}

// Lookups is nil if no query of the source is known.
func (p *Profile) Lookups() *lookups.Log { return p.lookups }
