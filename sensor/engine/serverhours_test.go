package engine

import (
	"net/netip"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
)

// TestHours checks that a server's records are hourly and its findings are closed in time, for any
// size of the portions in which a file is read.
func TestHours(t *testing.T) {
	var at []int64
	var closed int64
	for _, size := range []int{1, 1 << 20} {
		p := newPlay(relayConfig())
		p.w.size = size
		var hours []int64
		p.e.out.Server = func(r *mailserver.Record) { hours = append(hours, r.Time) }
		p.e.out.Finding = func(f *finding.Finding) {
			if f.Class == verdict.OpenRelay && f.Action == "closed" && f.CloseReason == "quiet" {
				closed = f.Time
			}
		}
		relayed := p.at
		p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
		for range 200 {
			p.conn(stranger, ourServer, 25, message("a@spam.example", "bob@corp.example", "250 ok", "250 queued"))
			p.at += hour - second
		}
		p.conn(stranger, ourServer, 25, message("a@spam.example", "bob@corp.example", "250 ok", "250 queued"))
		if size > 1 {
			p.w.flush()
		}
		if len(hours) < 199 || len(hours) > 201 {
			t.Errorf("portions of %d: %d records in 200 hours", size, len(hours))
		}
		for i := 1; i < len(hours); i++ {
			if hours[i]-hours[i-1] != hour || hours[i]%hour != 0 {
				t.Fatalf("portions of %d: records at %d and %d", size, hours[i-1], hours[i])
			}
		}
		if late := closed - relayed - finding.CalmRelay; late < 0 || late > 2*hour {
			t.Errorf("portions of %d: the finding is closed %d minutes after it was due", size, late/minute)
		}
		if at == nil {
			at = hours
		} else if len(at) != len(hours) {
			t.Errorf("%d and %d records", len(at), len(hours))
		}
	}
}

// TestServerTime checks that neither a frame with a time years ahead nor a clock that was put back
// stops the watch of a server.
func TestServerTime(t *testing.T) {
	p := newPlay(relayConfig())
	bring := func() {
		p.conn(stranger, ourServer, 25, message("a@them.example", "bob@corp.example", "250 ok", "250 queued"))
	}
	bring()
	c := newConn(stranger, ourServer, 999, 25)
	c.at = p.at
	frames := c.dialogue(message("a@them.example", "bob@corp.example", "250 ok", "250 queued")).frames
	for i, f := range frames {
		if i == len(frames)-4 {
			f.at += 5 * year
		}
		p.w.take(f)
	}
	bring()
	last := func() int64 { return p.e.Save().Servers[0].State.Last }
	if last() > p.at {
		t.Errorf("the server is %d days ahead", (last()-p.at)/(24*hour))
	}
	for range 3 {
		p.at += 30 * 24 * hour // the clock is wrong
		bring()
	}
	p.at -= 60 * 24 * hour
	bring()
	if last() > p.at {
		t.Errorf("the server is %d days ahead of the clock that was put back", (last()-p.at)/(24*hour))
	}
}

// Further evidence for an open finding updates it, and not at every message.
func TestFindingIsUpdatedRarely(t *testing.T) {
	p := newPlay(relayConfig())
	for range 100 {
		p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	}
	if n := len(p.findings); n != 1 {
		t.Errorf("%d events", n)
	}
	p.at += hour
	p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	if n := len(p.findings); n != 2 || p.findings[n-1].Action != "updated" {
		t.Errorf("%d events: %s", n, p.said())
	}
}

// TestQuietHoursAreBounded checks that repeated jumps of the time by less than two days do not emit
// a record for each hour in between.
func TestQuietHoursAreBounded(t *testing.T) {
	for _, c := range []struct {
		gap         int64 // time between two sessions
		least, most int   // records
	}{{hour, 30, 45}, {10 * hour, 50, 220}, {47 * hour, 40, 130}} {
		told := 0
		e := New(Config{MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.25")}}, Output{Server: func(*mailserver.Record) { told++ }})
		w := e.Worker()
		for i := range 40 {
			d := newConn("10.0.0.25", "192.0.2.25", uint16(40000+i), 25)
			d.at += int64(i) * c.gap
			var list []frame.Frame
			for _, f := range d.open().mail().close().frames {
				list = append(list, frame.Frame{Data: f.data, Time: f.at, Link: 1})
			}
			w.Take(list)
			w.EmitDue()
		}
		e.Finish("end_of_input")
		if told < c.least || told > c.most {
			t.Errorf("sessions %d hours apart: %d records, want %d to %d", c.gap/hour, told, c.least, c.most)
		}
	}
}
