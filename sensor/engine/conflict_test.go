package engine

import (
	"fmt"
	"slices"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
)

// TestConflictsAreAReason checks that different bytes at the same place of the stream, session
// after session, are evidence. A mirror port that delivers each frame twice causes none, nor does a
// firewall that changes the frames it forwards, if frames are seen before and after it.
func TestConflictsAreAReason(t *testing.T) {
	mails := func(change func(c *conn, line string)) []timedFrame {
		var lists [][]timedFrame
		for i := range 12 {
			c := baseConn(i, minute).open().serverSends("220 mx ESMTP\r\n")
			d := baseScript(i)
			d.helo = "EHLO mail.example.org"
			d.play(c, func(line string) {
				change(c, line+"\r\n")
			})
			lists = append(lists, c.close().frames)
		}
		return together(lists...)
	}
	again := func(text func(line string) string, router bool) []timedFrame {
		return mails(func(c *conn, line string) {
			c.clientSends(line)
			c.seq[0] -= uint32(len(line))
			c.clientSends(text(line))
			if router {
				last := c.frames[len(c.frames)-1:]
				hop(last, 63)
				last[0].data[10] = 7
			}
		})
	}
	other := func(line string) string {
		return fmt.Sprintf("%s\r\n", "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"[:len(line)-2])
	}
	same := func(line string) string { return line }
	for _, c := range []struct {
		name   string
		frames []timedFrame
		want   bool
	}{
		{"other bytes", again(other, false), true},
		{"the same bytes", again(same, false), false},
		{"every frame twice", doubled(mails(func(c *conn, line string) { c.clientSends(line) })), false},
		{"a firewall that changes them", again(other, true), false},
	} {
		list := analyse(Config{}, c.frames).findings
		found := slices.ContainsFunc(list, func(f finding.Finding) bool {
			return slices.ContainsFunc(f.Reasons, func(r finding.ReasonText) bool {
				return r.Server == "" && r.Code == detect.Conflicts && r.Reason.Weight > 4 && r.Text != ""
			})
		})
		if found != c.want {
			t.Errorf("%s: found %v, %s", c.name, found, story(list, "10.0.0.5"))
		}
	}
}
