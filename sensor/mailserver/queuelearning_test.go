package mailserver

import (
	"fmt"
	"strings"
	"testing"
)

// TestQueueOfTheFirstDay checks that a queue has grown on the first day, when nothing is known of the
// usual one, only if as many messages wait as were sent in the busiest hour: greylisting and dead
// destinations are in the queue of each server.
func TestQueueOfTheFirstDay(t *testing.T) {
	for _, c := range []struct {
		name           string
		sent, deferred int // each hour, of five; what was deferred waits
		hidden         bool
		want           string
	}{
		{"greylisting", 100, 15, false, ""},
		{"a small server", 4, 3, false, ""},
		{"nothing but greylisting, few messages", 0, 3, false, ""},
		{"an uplink that is down", 0, 30, false, "volume_anomaly suspect queue_grew"},
		{"most is deferred", 20, 30, false, "volume_anomaly suspect queue_grew"},
	} {
		var s Server
		var got decided
		var text []string
		n := 0
		for h := range 5 {
			at := 470000*hour + int64(h)*hour
			send := func(code uint16) {
				n++
				m := mail(at, uint32(n%40), false, code == 250, to(nil, fmt.Sprintf("%d@x.example", n), code))
				for _, v := range s.Observe(&Observation{Kind: OutboundMail, Outside: true, Mail: m}) {
					got.add(v)
					text = append(text, v.Text)
				}
			}
			for i := range max(c.sent, c.deferred) {
				if i < c.sent {
					send(250)
				}
				if i < c.deferred {
					send(450)
				}
				at += 30 * second
			}
			for _, v := range s.Advance(at + 2*minute) {
				got.add(v)
				text = append(text, v.Text)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
		if c.want != "" && !strings.Contains(strings.Join(text, " "), "learning") {
			t.Errorf("%s: %q does not say that it is learning", c.name, text)
		}
	}
}
