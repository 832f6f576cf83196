// Package recipients tests whether too many of a source's recipients do not exist. A sender that
// works off a bought or guessed list of addresses meets many of them.
//
// The package knows no weights and gives no verdict: package detect does.
package recipients

import (
	"math"

	"spamsensor/sensor/contacts"
	"spamsensor/sensor/sketch"
)

// Test is Wald's sequential probability ratio test (Wald 1945) on recipients that servers decided
// about. The share that is unknown means little: two of the first ten happen to one honest server
// in fifty. The test decides whether no honest server has such a share. The zero value knows
// nothing. The tags are the format of a checkpoint.
type Test struct {
	Recipients uint32  `json:"Recipients"`
	Unknown    uint32  `json:"Unknown"`
	LLR        float64 `json:"UnknownLLR"`
	Proved     bool    `json:"UnknownProved"` // the test has decided against the source
}

// The test's assumptions: the share of recipients that do not exist, of an honest server and of a
// source that works off a list. Newsletter providers warn customers to clean their lists from 2 to
// 5 % on.
const unknownToHonest, unknownToBot = 0.05, 0.3

// stepKnown and stepUnknown are what a recipient adds.
var (
	stepKnown   = math.Log((1 - unknownToBot) / (1 - unknownToHonest))
	stepUnknown = math.Log(unknownToBot / unknownToHonest)
)

// Step counts a recipient. alpha is the probability of a wrong decision.
func (t *Test) Step(unknown bool, alpha float64) {
	sketch.Increment(&t.Recipients)
	step := stepKnown
	if unknown {
		sketch.Increment(&t.Unknown)
		step = stepUnknown
	}
	upper, lower := contacts.Bounds(alpha)
	t.LLR = max(lower, t.LLR+step)
	// A decision stands until the test has gone all the way back.
	t.Proved = t.LLR >= upper || t.Proved && t.LLR > lower
}

// Share is the share of recipients that are unknown.
func (t *Test) Share() float64 { return float64(t.Unknown) / float64(max(1, t.Recipients)) }

// Merge adds the recipients of o.
func (t *Test) Merge(o *Test, alpha float64) {
	_, lower := contacts.Bounds(alpha)
	t.Recipients += o.Recipients
	t.Unknown += o.Unknown
	t.LLR = max(lower, t.LLR+o.LLR)
	t.Proved = t.Proved || o.Proved
}
