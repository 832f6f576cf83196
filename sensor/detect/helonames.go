package detect

import (
	"fmt"
	"slices"
	"strings"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/heloname"
)

// maxNames is how many names given in HELO or EHLO are kept.
const maxNames = 8

// heloNames are the names that a source gives in HELO or EHLO.
type heloNames struct {
	distinct sketch.Set
	day      [maxNames]sketch.Slot // names given lately
	name     [4]string             // the first ones
	n        uint8
	given    uint32 // how often the source gave one
	worst    string
}

// newNameEachTime reports whether nearly each greeting had another name, and as many sender domains
// came with them. The machines behind a gateway have few names each time, a bot draws both anew.
func (p *Profile) newNameEachTime() bool {
	w := &p.heloNames
	return w.distinct.Len() >= manyNames && uint32(w.distinct.Len())*2 >= w.given &&
		p.envelope.distinct.Len() >= manyNames
}

// manyNames are more than the firms that share a gateway have.
const manyNames = 16

// recordHelo counts a name. Names count that are given to an external server on port 25: internal
// clients may give their bare name to their own server, and mail clients to their provider, which
// is external. An allowed relay explains any name, but not another one each time. A bare address
// counts for every external server: RFC 5321 wants it in brackets, and mail clients write it so.
func (p *Profile) recordHelo(o *Observation) {
	w := &p.heloNames
	if !o.Own { // else it was counted when it was given
		sketch.Increment(&w.given)
	}
	w.distinct.Add(o.Hash, nil)
	toRelay := o.External && o.Relay && o.Port == 25
	if !o.direct() && !toRelay && (!o.External || o.Relay ||
		heloname.Classify(string(o.Text)) != heloname.BareAddress) {
		return
	}
	// Nothing more can be found if both reasons were found lately with their largest numbers.
	if p.reasons[HeloNames].Value >= maxNames && p.foundLately(HeloNames, o.Time) &&
		p.reasons[HeloName].Weight >= maxHeloWeight && p.foundLately(HeloName, o.Time) {
		return
	}
	n, fresh := sketch.AddRecent(w.day[:], o.Hash, sketch.Stamp(o.Time), 86400)
	o.inDay, o.newInDay = uint8(n), fresh
}

// observeHeloNames counts the names within a day. A mail server has one name, bots draw a new one
// for each session. The threshold is Config.HeloNames.
func observeHeloNames(p *Profile, c *Config, o *Observation) {
	if o.Relay && o.newInDay {
		p.heloNames.remember(string(o.Text))
	}
	if !o.Relay || p.newNameEachTime() {
		p.judgeHeloNames(c, int(o.inDay), o.Time)
	}
}

// judgeHeloNames is for n names within a day.
func (p *Profile) judgeHeloNames(c *Config, n int, now int64) {
	switch {
	case n >= maxNames && p.newNameEachTime():
		p.raise(HeloNames, now, float64(n), float64(c.HeloNames), familyCap[Identity])
	case n >= c.HeloNames:
		p.raise(HeloNames, now, float64(n), float64(c.HeloNames), 3.9)
	}
}

// textHeloNames has the number of names, r.Value, and the first four of them.
func textHeloNames(p *Profile, n *Counters, r *verdict.Reason) string {
	all, part := partOf(n.HeloNames(p), r, bounded(r.Value, maxNames))
	return fmt.Sprintf("It introduced itself with %s different names%s within a day (%s).", all,
		part, strings.Join(p.heloNames.quoted(), ", "))
}

// remember keeps a name if it is one of the first.
func (w *heloNames) remember(name string) {
	known := func(s string) bool {
		return strings.EqualFold(strings.TrimSuffix(s, "."), strings.TrimSuffix(name, "."))
	}
	if int(w.n) < len(w.name) && !slices.ContainsFunc(w.name[:w.n], known) {
		w.name[w.n] = name
		w.n++
	}
}

// quoted are the names that are kept, in quotation marks, and "..." if there were more.
func (w *heloNames) quoted() (q []string) {
	for _, s := range w.name[:w.n] {
		q = append(q, fmt.Sprintf("%q", s))
	}
	if w.distinct.Len() > len(q) {
		q = append(q, "...")
	}
	return q
}
