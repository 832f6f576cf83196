package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

func init() {
	detectors[HeloName] = detector{"helo_name", Identity, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It introduced itself as %q, which is %s; a mail server gives its full name.", h.heloNames.worst, HeloClass(r.Value).text())
	}}
	detectors[HeloNames] = detector{"helo_names", Identity, func(h *Profile, f *Counters, r *verdict.Reason) string {
		return fmt.Sprintf("It introduced itself with %s different names within a day (%s).", orMore(r.Value, maxNames), strings.Join(h.heloNames.quoted(), ", "))
	}}
}

// HeloClass is what kind of name a client gives.
type HeloClass uint8

// The classes. The weights are ln(share in spam / share in ham) from SpamAssassin 4.0.1's
// published statistics (65,320 messages), capped at 3.9 because the corpora are old and
// hold inbound mail.
const (
	HeloProper    HeloClass = iota // a full name, or an address literal in brackets
	HeloPlain                      // a single word
	HeloBareIP                     // an address without brackets
	HeloLocalhost                  //
	HeloHome                       // *.home, *.lan, *.local
	HeloDynamic                    // an address embedded in a name
	HeloEmpty                      // nothing
)

var heloWeights = [...]float64{HeloPlain: 3.9, HeloBareIP: 2.7, HeloLocalhost: 3.9, HeloHome: 2.2, HeloDynamic: 3.9, HeloEmpty: 3.9}

func (c HeloClass) text() string {
	return [...]string{"a full name", "a single word", "a bare address", "not a name of its own", "a name that exists at home only",
		"the name of a dial-up address", "nothing at all"}[c]
}

// ClassifyHelo says what kind of name this is. RFC 5321, section 4.1.3, knows a full domain
// name and an address literal in brackets.
func ClassifyHelo(name string) HeloClass {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "":
		return HeloEmpty
	case strings.HasPrefix(name, "["):
		return HeloProper
	case name == "localhost" || strings.HasPrefix(name, "localhost.") && name != "localhost.localdomain" || strings.HasSuffix(name, ".localhost"):
		return HeloLocalhost
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return HeloBareIP
	}
	if !strings.Contains(name, ".") {
		return HeloPlain
	}
	for _, suffix := range []string{".home", ".lan", ".local", ".localdomain", ".internal"} {
		if strings.HasSuffix(name, suffix) {
			return HeloHome
		}
	}
	if embedsAddress(name) {
		return HeloDynamic
	}
	return HeloProper
}

// embedsAddress reports whether a name begins with the four numbers of an address, as the
// names of dial-up customers do: 173-66-46-112.wash.fios.example, 1.2.3.4.dsl.example.
func embedsAddress(name string) bool {
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
		case digits > 0 && digits <= 3 && value <= 255:
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

// maxNames is how many HELO names are remembered.
const maxNames = 8

// heloNames are the HELO names of a host.
type heloNames struct {
	distinct sketch.Set
	day      [maxNames]sketch.Slot // names given lately
	name     [4]string             // the first ones
	n        uint8
	given    uint32 // how often it gave one
	worst    string
}

// Helo is the observation of a HELO name. direct says that it was given on port 25 to a
// server that is not ours: internal clients may well give their bare name to their own, and mail clients to
// their provider, which is abroad. A bare address is nobody's custom anywhere: the standard wants it in brackets, and
// mail clients write it so.
func (h *Profile) Helo(c *Config, name []byte, hash uint32, direct, abroad bool, now int64) {
	w := &h.heloNames
	inc(&w.given)
	w.distinct.Add(hash, nil)
	if !direct && (!abroad || ClassifyHelo(string(name)) != HeloBareIP) {
		return
	}
	if direct {
		h.mta.named(hash, name)
	}
	if h.reasons[HeloNames].Value >= maxNames && h.FoundLately(HeloNames, now) && h.reasons[HeloName].Weight >= 3.9 && h.FoundLately(HeloName, now) {
		return // nothing more can be found
	}
	distinct, fresh := sketch.AddRecent(w.day[:], hash, sketch.Stamp(now), 86400)
	if distinct >= c.HeloNames {
		h.raise(HeloNames, now, float64(distinct), float64(c.HeloNames), 3.9)
	}
	if !fresh {
		return
	}
	w.remember(string(name))
	class := ClassifyHelo(string(name))
	if weight := heloWeights[class]; weight > h.reasons[HeloName].Weight {
		w.worst = string(name)
		h.reasons[HeloName].Value = 0
		h.raise(HeloName, now, float64(class), 0, weight)
	} else if weight > 0 {
		h.reasons[HeloName].Last = now
	}
}

// remember keeps a name, if it is one of the first.
func (w *heloNames) remember(name string) {
	if int(w.n) < len(w.name) && !slices.Contains(w.name[:w.n], name) {
		w.name[w.n] = name
		w.n++
	}
}

func (w *heloNames) quoted() (q []string) {
	for _, s := range w.name[:w.n] {
		q = append(q, fmt.Sprintf("%q", s))
	}
	if w.distinct.Len() > len(q) {
		q = append(q, "...")
	}
	return q
}
