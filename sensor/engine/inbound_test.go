package engine

import (
	"fmt"
	"slices"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// TestServesShowsInAShortCapture checks that a short capture shows a host that accepts mail during
// the read, not only at its end: refusals that name a blocklist make no bot of a host to which
// others brought mail before.
func TestServesShowsInAShortCapture(t *testing.T) {
	var frames []timedFrame
	for i := range 20 {
		c := newConn(fmt.Sprintf("198.51.%d.7", i), "10.0.0.5", uint16(20000+i), 25)
		c.at += int64(i) * second
		frames = append(frames, c.open().mail().close().frames...)
	}
	named := bot(40, func(c *conn) {
		c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO mail.example.org\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.org>\r\n").
			serverSends("554 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
	})
	frames = together(frames, at(named, 20*second))
	var found []finding.Finding
	e := New(Config{Limits: Limits{Attempts: 4096, Flows: 4096, Sources: 4096, Sessions: 1024, Hosts: 1024}},
		Output{Finding: func(f *finding.Finding) { found = append(found, *f) }})
	w := feeder{w: e.Worker(), size: len(frames)}
	for _, f := range frames {
		w.take(f)
	}
	e.Finish("end_of_input")
	if slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Class == verdict.Spambot && f.Level >= verdict.Likely }) {
		t.Error(story(found, "10.0.0.5"))
	}
}
