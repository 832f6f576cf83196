package detect

import (
	"fmt"
	"net/netip"
	"strings"

	"spamsensor/sensor/verdict"
)

// heloClass is the kind of name a client gives.
type heloClass uint8

// The classes. The weights are ln(share in spam / share in ham) from SpamAssassin 4.0.1's
// published statistics (65,320 messages), capped at 3.9 because the corpora are old and
// hold inbound mail.
const (
	heloProper    heloClass = iota // a full name, or an address literal in brackets
	heloPlain                      // a single word
	heloBareIP                     // an address without brackets
	heloLocalhost                  // localhost, and names below it
	heloHome                       // *.home, *.lan, *.local
	heloDynamic                    // an address embedded in a name
	heloEmpty                      // nothing
)

var heloWeights = [...]float64{heloPlain: 3.9, heloBareIP: 2.7, heloLocalhost: 3.9, heloHome: 2.2,
	heloDynamic: 3.9, heloEmpty: 3.9}

// maxHeloWeight is the largest of them.
const maxHeloWeight = 3.9

// text is the kind of name in words, for a sentence with "which is".
func (c heloClass) text() string {
	return [...]string{"a full name", "a single word", "a bare address",
		"not its own name", "a name that is valid in a local network only",
		"the name of a dial-up address", "an empty name"}[c]
}

// observeHeloName judges the kind of a name that is new within the day. Only the worst kind counts:
// its weight and its name stay. Names that do not count are left out by recordHelo.
func observeHeloName(p *Profile, _ *Config, _ *Counters, o Observation) {
	if !o.newInDay {
		return
	}
	w := &p.heloNames
	w.remember(string(o.Text))
	class := classifyHelo(string(o.Text))
	if weight := heloWeights[class]; weight > p.reasons[HeloName].Weight {
		w.worst = string(o.Text)
		// The value is a kind and not an amount: the larger one is not the worse one.
		p.reasons[HeloName].Value = 0
		p.raise(HeloName, o.Time, float64(class), 0, weight)
	} else if weight > 0 {
		p.reasons[HeloName].Last = o.Time
	}
}

// textHeloName has the worst name and its kind, r.Value.
func textHeloName(p *Profile, _ *Counters, r *verdict.Reason) string {
	return fmt.Sprintf("It introduced itself as %q, which is %s; a mail server gives its full "+
		"name.", p.heloNames.worst, heloClass(r.Value).text())
}

// classifyHelo is the kind of a name. RFC 5321, section 4.1.3, knows a full domain name and an
// address literal in brackets.
func classifyHelo(name string) heloClass {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "":
		return heloEmpty
	case strings.HasPrefix(name, "["): // an address literal; what it holds is not checked
		return heloProper
	case name == "localhost", strings.HasSuffix(name, ".localhost"),
		strings.HasPrefix(name, "localhost.") && name != "localhost.localdomain":
		return heloLocalhost
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return heloBareIP
	}
	if !strings.Contains(name, ".") {
		return heloPlain
	}
	// Names of home and office networks, which exist in no public zone.
	for _, suffix := range []string{".home", ".lan", ".local", ".localdomain", ".internal"} {
		if strings.HasSuffix(name, suffix) {
			return heloHome
		}
	}
	if embedsAddress(name) {
		return heloDynamic
	}
	return heloProper
}

// ProperHelo reports whether a name is a full host name or an address literal in brackets.
func ProperHelo(name string) bool { return classifyHelo(name) == heloProper }

// maxOctet is the largest number in an IPv4 address.
const maxOctet = 255

// embedsAddress reports whether a name begins with the four numbers of an address, as the
// names of dial-up customers do: 173-66-46-112.wash.fios.example, 1.2.3.4.dsl.example.
func embedsAddress(name string) bool {
	// run counts numbers in a row; any character but a separator between two numbers ends it.
	run, digits, value := 0, 0, 0
	for i := range len(name) + 1 {
		c := byte('x') // behind the end
		if i < len(name) {
			c = name[i]
		}
		switch {
		case c >= '0' && c <= '9':
			digits++
			value = value*10 + int(c-'0')
			continue
		case digits > 0 && digits <= 3 && value <= maxOctet:
			run++
		case digits > 0:
			run = 0
		}
		if run >= 4 {
			return true
		}
		if c != '-' && c != '.' && c != '_' {
			run = 0
		}
		digits, value = 0, 0
	}
	return false
}
