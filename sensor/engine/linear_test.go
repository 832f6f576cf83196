package engine

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/mailserver"
	. "spamsensor/sensor/wire/wiretest"
)

// linearFamilies are kinds of traffic of any length in which the engine may search repeatedly.
var linearFamilies = []struct {
	name string
	play func(n int) []timedFrame
}{
	{"SYNs with the same ports", func(n int) (frames []timedFrame) {
		c := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
		for range n {
			c.seq[0] += 77777
			c.syn().wait(20e6)
		}
		return c.frames
	}},
	{"sessions with the same ports", func(n int) (frames []timedFrame) {
		at := int64(0)
		for range n / 6 {
			c := newConn("10.0.0.5", "192.0.2.25", 40000, 25)
			at += 20e6
			c.at += at
			c.seq[0] += uint32(at / 100)
			frames = append(frames, c.open().serverSends("220 mx\r\n").clientSends("QUIT\r\n").close().frames[:6]...)
		}
		return frames
	}},
	{"answers to no SYN", func(n int) (frames []timedFrame) {
		for i := range n {
			c := newConn("10.0.0.5", fmt.Sprintf("192.0.%d.%d", i>>8&255, i&255), uint16(i), 25)
			c.at += int64(i) * 1e6
			frames = append(frames, c.send(1, SYN|ACK, "").frames...)
		}
		return frames
	}},
	{"a host that turns to ever more servers", func(n int) (frames []timedFrame) {
		for i := range n / 3 {
			c := newConn("10.0.0.5", fmt.Sprintf("198.%d.%d.%d", 18+i>>16, i>>8&255, i&255), uint16(i), 25)
			c.at += int64(i) * 10e6
			frames = append(frames, c.open().frames...)
		}
		return frames
	}},
	{"hosts with a session each", func(n int) (frames []timedFrame) {
		for i := range n / 5 {
			c := newConn(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "192.0.2.25", 40000, 25)
			c.at += int64(i) * 10e6
			frames = append(frames, c.open().serverSends("220 mx\r\n").clientSends(fmt.Sprintf("EHLO h%d\r\n", i)).frames...)
		}
		return frames
	}},
	{"one session with ever more senders", func(n int) []timedFrame {
		c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n").clientSends("EHLO a\r\n").serverSends("250 mx\r\n")
		for i := range n / 4 {
			c.clientSends(fmt.Sprintf("MAIL FROM:<a@d%d.example>\r\n", i)).serverSends("250 ok\r\n").clientSends("RSET\r\n").serverSends("250 ok\r\n")
		}
		return c.frames
	}},
	{"one message to ever more recipients, to a server of ours", func(n int) []timedFrame {
		c := newConn("203.0.113.9", "10.0.0.25", 40000, 25).open().serverSends("220 mx\r\n").clientSends("EHLO a\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@b.example>\r\n").serverSends("250 ok\r\n")
		for i := range n / 2 {
			c.clientSends(fmt.Sprintf("RCPT TO:<u%d@d%d.example>\r\n", i, i)).serverSends([]string{"250 ok\r\n", "550 no\r\n"}[i%2])
		}
		return c.frames
	}},
	{"segments behind a hole", func(n int) []timedFrame {
		c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
		c.seq[0] += 100
		for range n {
			c.clientSends("x")
		}
		return c.frames
	}},
	{"refusals that name ever other lists", func(n int) []timedFrame {
		c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n").clientSends("EHLO a\r\n").serverSends("250 mx\r\n")
		for i := range n / 2 {
			c.clientSends("MAIL FROM:<a@b.example>\r\n").serverSends(fmt.Sprintf("550 5.7.1 [10.1.%d.%d] is on zen%d.example.org\r\n", i>>8&255, i&255, i))
		}
		return c.frames
	}},
	{"a mail server of ours and times that jump", func(n int) (frames []timedFrame) {
		for i := range n / 12 {
			c := newConn("10.0.0.25", "192.0.2.25", uint16(i), 25)
			c.at += int64(i) * 14 * 24 * hour
			frames = append(frames, c.open().mail().frames...)
		}
		return frames
	}},
	{"lines of 1,400 bytes that do not end", func(n int) []timedFrame {
		c := newConn("10.0.0.5", "192.0.2.25", 40000, 25).open().serverSends("220 mx\r\n")
		text := strings.Repeat("x", 1400)
		for range n {
			c.clientSends(text)
		}
		return c.frames
	}},
}

// TestLinearFrames checks that twice as many frames take twice as long.
func TestLinearFrames(t *testing.T) {
	took := func(frames []timedFrame) time.Duration {
		e := New(Config{MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.25")}, AllSessions: true, Limits: Limits{Memory: 32 << 20}, Seed: []byte("linear")},
			Output{Session: func(*finding.Session) uint64 { return 1 }, Finding: func(*finding.Finding) {}, Source: func(*finding.SourceRecord) {}, Server: func(*mailserver.Record) {}})
		w := e.Worker()
		var list []frame.Frame
		for _, f := range frames {
			list = append(list, frame.Frame{Data: f.data, Time: f.at, Link: 1})
		}
		runtime.GC() // the garbage of one run is not to be collected in the time of the next
		began := fuzztime.ProcessorTime()
		for len(list) > 0 {
			n := min(512, len(list))
			w.Take(list[:n])
			w.EmitDue()
			list = list[n:]
		}
		e.Finish("end_of_input")
		return fuzztime.ProcessorTime() - began
	}
	const n, most = 24_000, 2.5
	worst := 0.0
	for _, f := range linearFamilies {
		once, twice := f.play(n), f.play(2*n)
		least, leastTwice, ratio := time.Hour, time.Hour, 0.0
		for i := range 12 {
			least, leastTwice = min(least, took(once)), min(leastTwice, took(twice))
			if ratio = float64(leastTwice) / float64(least); i >= 2 && ratio <= most {
				break
			}
		}
		worst = max(worst, ratio)
		if ratio > most {
			t.Errorf("%s: twice as much takes %.2f times as long (%v, %v)", f.name, ratio, least, leastTwice)
		}
		t.Logf("%-58s %5.0f ns a frame, x%.2f", f.name, float64(leastTwice)/float64(len(twice)), ratio)
	}
	t.Logf("R7: %d families of frames through the engine: twice as much takes at most %.2f times as long (goal %.1f)", len(linearFamilies), worst, most)
}
