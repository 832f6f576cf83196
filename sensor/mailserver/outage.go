package mailserver

import (
	"math"

	"spamsensor/sensor/sketch"
)

// Outage is a time in which most deliveries of a server fail: its uplink or its name servers are
// down, or every destination defers its mail. The messages wait, and are sent when the outage is
// over, with ten and more times the usual volume: that is no alarm. The volume that may follow is
// the missing volume: the usual one of that time less the sent one, and half as much again. More
// than that is judged as always, so that an abuse at that moment is hidden until it has sent that
// much, and no longer. Where destinations replied, the number of waiting messages is known: then
// the volume is that number and a fifth of it, and nothing when they have gone.
//
// An outage begins when messages that were not tried before fail at three networks, or any message
// at the network that usually accepts half of the mail, and no fewer messages fail than are
// accepted. It ends when that is no longer so. (Messages that are tried again say nothing: on a
// holiday the server sends nothing else.)
//
// The fields are the format of the checkpoint.
type Outage struct {
	From      int64          `json:"From"` // To is zero while it lasts
	To        int64          `json:"To"`
	Waited    int            `json:"Waited"` // largest number of waiting messages
	good, bad float64        // tries; both are halved every quarter of an hour
	at        int64          // when they were halved last
	nets      [3]sketch.Slot // networks with failures
	most      bool           // the network that usually accepts half of the mail failed
}

const (
	outageNets = 3
	// flushTime bounds the time after an outage: servers wait for an hour or so before they try
	// again, and a large queue takes time.
	flushTime  = 6 * hour
	flushTimes = 1.5
	knownTimes = 1.2
)

// failed observes a try that failed; fresh says that it was the message's first.
func (o *Outage) failed(net uint32, fresh bool, share float64, now int64) {
	if share >= 0.5 {
		o.most = true
	} else if !fresh {
		return
	}
	o.bad++
	sketch.AddRecent(o.nets[:], net, sketch.Stamp(now), 2*3600)
}

func (o *Outage) worked() { o.good++ }

// tick is called once a minute. It reports whether there is an outage.
func (o *Outage) tick(now int64, waiting int) bool {
	n := 0
	for _, s := range o.nets {
		if s.At != 0 && sketch.Stamp(now)-s.At < 2*3600 {
			n++
		}
	}
	down := o.bad >= outageNets && o.bad >= o.good && (n >= outageNets || o.most)
	if o.lasts() {
		// a small server tries so seldom that a quarter of an hour without a failure says nothing
		down = o.bad >= o.good && o.bad >= 0.2
	}
	switch lasts := o.lasts(); {
	case down && !lasts:
		*o = Outage{From: now, good: o.good, bad: o.bad, at: o.at, nets: o.nets, most: o.most}
	case !down && lasts:
		o.To, o.most = now, false
	}
	if o.lasts() {
		o.Waited = max(o.Waited, waiting)
	}
	keep := math.Pow(0.5, float64(now-o.at)/float64(15*minute))
	o.good, o.bad, o.at = o.good*keep, o.bad*keep, now
	return o.lasts()
}

func (o *Outage) lasts() bool { return o.From != 0 && o.To == 0 }

// flushes reports whether messages that waited may be on their way.
func (o *Outage) flushes(now int64) bool { return o.lasts() || o.To != 0 && now-o.To < flushTime }

// backlogPaid observes five minutes of an outage, or of the time after it: a missing count adds to
// the backlog, and a higher one pays it back.
func (s *Series) backlogPaid(v *Traffic, m Metric, usual float64) (paid float64) {
	x := float64(s.Five)
	if v.Down && m == OutMessages {
		v.DownUsual += usual
		v.DownSent += x
	}
	switch {
	case v.known && m <= OutSessions && (v.Down || v.Flushing):
		paid = min(s.Backlog, max(0, x-usual))
		s.Backlog = 0 // it is set anew from the waiting messages
	case v.Down && x < usual:
		s.Backlog += flushTimes * (usual - x)
	case v.Down || v.Flushing:
		paid = min(s.Backlog, max(0, x-usual))
		s.Backlog -= paid
	default:
		s.Backlog = 0
	}
	s.paid[v.Bin%12], s.paying = paid, s.paying || paid > 0
	return paid
}

// backlogExpected is how much more than usual may be sent in these five minutes, and in the hour up
// to them.
func (s *Series) backlogExpected(v *Traffic, m Metric) (in5, in60 float64) {
	if m <= OutSessions && v.waiting > 0 && (v.Down || v.Flushing) {
		if v.known {
			s.Backlog = knownTimes * float64(v.waiting)
		} else {
			s.Backlog = max(s.Backlog, flushTimes*float64(v.waiting))
		}
	}
	if in60 = s.Backlog; !s.paying {
		return in60, in60
	}
	for i, x := range s.paid {
		if int64(i) != v.Bin%12 {
			in60 += x
		}
	}
	return s.Backlog, in60
}

// during is how busy the day is, from an hour of an outage: its sent messages and those that waited
// for its end, by the usual ones. ok is false for other hours, and where destinations did not
// reply.
func (v *Traffic) during(h int64) (times float64, ok bool) {
	o := &v.outage
	if o.From == 0 || h*hour < o.From || o.To != 0 && (h+1)*hour > o.To || !v.known ||
		v.DownUsual < 10 {
		return 0, false
	}
	return (v.DownSent + float64(o.Waited)) / v.DownUsual, true
}

// follow gives the traffic baseline the state of the outage, and the number of waiting messages.
func (v *Traffic) follow(o *Outage, now int64, q *QueueState) {
	before := v.Down
	v.Down, v.Flushing = o.tick(now, q.Estimate), o.flushes(now)
	if v.Down && !before {
		v.DownUsual, v.DownSent = 0, 0
	}
	v.waiting, v.known = q.Estimate, !q.LowerBound && q.Said*5 >= q.Estimate*4
	v.outage = *o
}
