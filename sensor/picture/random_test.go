package picture

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"spamsensor/sensor/lang"
)

// TestRandom draws pictures of random data: each is XML, and none has a coordinate that is no number.
func TestRandom(t *testing.T) {
	for seed := range uint64(30) {
		d := random(rand.New(rand.NewPCG(seed, 0)), hostile[seed%uint64(len(hostile))])
		for name, html := range pictures(lang.New([]string{lang.English, lang.French}[seed%2]), d) {
			t.Run(fmt.Sprint(seed, "/", name), func(t *testing.T) { wellFormed(t, html) })
		}
	}
}

// random are data of any size and order.
func random(r *rand.Rand, text string) *data {
	d := small()
	at := func() time.Time {
		switch r.IntN(20) {
		case 0:
			return time.Time{}
		case 1:
			return time.Unix(0, r.Int64())
		}
		return start.Add(time.Duration(r.Int64N(int64(1000 * time.Hour))))
	}
	number := func() uint64 { return r.Uint64() >> r.IntN(64) }
	real := func() float64 { return r.NormFloat64() * math.Pow(10, float64(r.IntN(20)-5)) }
	a := &d.attempts
	a.Start, a.Width = at(), []time.Duration{time.Minute, time.Hour, time.Second, 0, -time.Hour}[r.IntN(5)]
	a.Servers, a.Flagged = make([]uint32, r.IntN(2000)), make([]uint32, r.IntN(2000))
	for i := range a.Servers {
		a.Servers[i] = uint32(number())
	}
	d.hosts.Note = text
	d.hosts.Hosts, d.server.Hours, d.hours.Hours, d.life.Steps = nil, nil, nil, nil
	d.server.Name, d.hours.Name, d.life.Name = text, text, text
	for range r.IntN(70) {
		a.Marks = append(a.Marks, Mark{at(), text})
		d.hosts.Hosts = append(d.hosts.Hosts, HostPoint{text, number(), number(), Kind(r.IntN(3))})
		d.server.Hours = append(d.server.Hours, ServerHour{at(), math.Abs(real()), r.IntN(2) == 0, math.Abs(real()), real()})
		d.hours.Hours = append(d.hours.Hours, HourCount{at(), number()})
		d.life.Steps = append(d.life.Steps, Step{at(), []string{"opened", "updated", "closed", text}[r.IntN(4)], []string{"suspect", "likely", "confirmed", text}[r.IntN(4)]})
		d.life.Signs = append(d.life.Signs, Interval{at(), at()})
		d.life.Sessions = append(d.life.Sessions, Evidence{at(), r.IntN(2) == 0, text})
		d.replies.Groups = append(d.replies.Groups, ReplyGroup{Kind(r.IntN(3)), 1, number(), number(), number(), number()})
		d.replies.Causes = append(d.replies.Causes, Cause{text, number()})
	}
	return d
}
