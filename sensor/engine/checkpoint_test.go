package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/verdict"
)

// checkpoint is the saved state of an engine, after it was written and read again, and its bytes.
func checkpoint(t *testing.T, e *Engine) (*Saved, []byte) {
	t.Helper()
	text, err := json.Marshal(e.Save())
	if err != nil {
		t.Fatal(err)
	}
	saved := new(Saved)
	if err := json.Unmarshal(text, saved); err != nil {
		t.Fatal(err)
	}
	return saved, text
}

// lives passes days of mail to engines: at the delivery cut the state of the first is saved, after
// a stop or without one, and another engine continues. It returns the findings about a host.
func lives(t *testing.T, cut int, stop bool, host string, deliver func(p *play, i int)) (emitted []finding.Finding) {
	t.Helper()
	cfg := Config{Live: true, Seed: []byte("0123456789abcdef")}
	begin := func() *play {
		p := newPlay(cfg)
		p.e.out.Finding = func(f *finding.Finding) {
			if f.Source.Addr == netip.MustParseAddr(host) {
				emitted = append(emitted, *f)
			}
		}
		return p
	}
	p := begin()
	for i := range 80 {
		if i == cut {
			if stop {
				p.e.Finish("shutdown")
			}
			saved, _ := checkpoint(t, p.e)
			q := begin()
			q.e.Restore(saved)
			q.at, q.port = p.at, p.port
			p = q
		}
		deliver(p, i)
		p.at += 30 * second
	}
	p.e.Finish("shutdown")
	return emitted
}

// outline is the events of findings without their numbers.
func outline(emitted []finding.Finding) string {
	var b strings.Builder
	for _, f := range emitted {
		fmt.Fprintf(&b, "%s %s %s; ", f.Action, f.Class, f.Level)
	}
	return b.String()
}

// turns is the outline without events that say nothing new: a finding that is resumed has its next
// update later.
func turns(emitted []finding.Finding) string {
	level := map[verdict.Class]verdict.Level{}
	return outline(slices.DeleteFunc(slices.Clone(emitted), func(f finding.Finding) bool {
		same := level[f.Class] == f.Level && (f.Action == finding.Updated || f.Action == finding.Resumed)
		level[f.Class] = f.Level
		return same
	}))
}

// eventsOf is the number of the events of a finding.
func eventsOf(emitted []finding.Finding, id string) (n int) {
	for _, f := range emitted {
		if f.ID == id {
			n++
		}
	}
	return n
}

func bots(p *play, i int) {
	text := "S: 554 5.7.1 go away\n"
	if i%4 == 3 {
		text = strings.Replace(message("a@b.example", "c@d.example", "550 5.1.1 unknown user", ""), "EHLO c.example", "HELO pc", 1)
	}
	p.conn("10.0.0.66", fmt.Sprintf("192.%d.%d.9", i, i), 25, text)
}

func undeclared(p *play, i int) {
	p.conn("10.0.0.26", fmt.Sprintf("192.%d.%d.9", i, i), 25,
		strings.Replace(message("a@b.example", "c@d.example", "250 ok", "250 queued"), "EHLO c.example", "EHLO mail.b.example", 1))
}

// TestFindingsSurvive checks that a restart at any time neither repeats a finding's event nor loses
// one, and that the verdict continues from its last state.
func TestFindingsSurvive(t *testing.T) {
	for _, c := range []struct {
		name, host string
		deliver    func(*play, int)
	}{{"a bot", "10.0.0.66", bots}, {"an undeclared server", "10.0.0.26", undeclared}} {
		t.Run(c.name, func(t *testing.T) {
			want := lives(t, -1, false, c.host, c.deliver)
			if len(want) < 3 {
				t.Fatal("nothing is tested:", outline(want))
			}
			for cut := 2; cut < 80; cut += 7 {
				got := lives(t, cut, false, c.host, c.deliver)
				if turns(got) != turns(want) {
					t.Errorf("killed before %d:\n%s\nwant\n%s", cut, outline(got), outline(want))
					continue
				}
				if n := strings.Count(outline(got), "resumed "); n > 1 || n == 0 && cut > 30 {
					t.Errorf("killed before %d: resumed %d times: %s", cut, n, outline(got))
				}
				last, should := got[len(got)-1], want[len(want)-1]
				if last.ID != should.ID || last.Seq-should.Seq != eventsOf(got, last.ID)-eventsOf(want, last.ID) || last.Score != should.Score || len(last.Reasons) != len(should.Reasons) ||
					last.Source.DestNets != should.Source.DestNets || last.Source.Counters.Attempts != should.Source.Counters.Attempts {
					t.Errorf("killed before %d:\n%+v\nwant\n%+v", cut, last, should)
				}
				for i := range last.Reasons[:min(len(last.Reasons), len(should.Reasons))] {
					if r := last.Reasons[i]; r.Code != detect.ManyNetworks && r.Text != should.Reasons[i].Text { // the window of an hour begins again
						t.Errorf("killed before %d: %q, want %q", cut, last.Reasons[i].Text, should.Reasons[i].Text)
					}
				}
			}
		})
	}
}

// TestStopped checks that a finding is suspended when the sensor stops, and resumed as the same one
// at its next start: whoever counts open findings sees neither an end nor a new one.
func TestStopped(t *testing.T) {
	emitted := lives(t, 60, true, "10.0.0.66", bots)
	main := map[string]string{}
	for _, f := range emitted {
		main[f.Class.String()] += fmt.Sprintf("%s %s %d %d %s; ", f.ID, f.Action, f.Seq, f.Reopened, f.CloseReason)
	}
	s := main["spambot"]
	if strings.Count(s, " opened ") != 1 || strings.Count(s, " suspended ") != 2 || strings.Count(s, " resumed ") != 1 || strings.Contains(s, "closed") {
		t.Errorf("%s", s)
	}
	if stop, start := strings.Index(s, " suspended "), strings.Index(s, " resumed "); start < stop {
		t.Errorf("%s", s)
	}
	if len(main) != 2 || strings.Contains(fmt.Sprint(main), "again") {
		t.Errorf("%v", main)
	}
	for _, f := range emitted {
		if f.Reopened != 0 {
			t.Errorf("it is said to have been clean: %+v", f)
		}
	}
}

// TestVerdictComesBackAlone checks that a restarted sensor resumes the finding of a host, and opens
// none at the first contact of it.
func TestVerdictComesBackAlone(t *testing.T) {
	for _, wait := range []int64{0, 5 * second, 3 * minute} {
		var emitted []finding.Finding
		cfg := Config{Live: true, Seed: []byte("0123456789abcdef")}
		begin := func() *play {
			p := newPlay(cfg)
			p.e.out.Finding = func(f *finding.Finding) { emitted = append(emitted, *f) }
			return p
		}
		p := begin()
		at := p.at
		for i := range 20 { // all at once, so that the verdict exists before the tick
			bots(p, i)
			p.at = at
		}
		if s := outline(emitted); !strings.HasPrefix(s, "opened spambot ") {
			t.Fatal("nothing is tested:", s)
		}
		p.e.Finish("shutdown")
		saved, _ := checkpoint(t, p.e)
		q := begin()
		q.e.Restore(saved)
		q.e.Start(p.at + minute)
		emitted = nil
		q.at, q.port = p.at+minute+wait, p.port
		q.w.w.Idle(q.at)
		for i := range 3 {
			bots(q, 20+i)
			q.at += 30 * second
		}
		if s := outline(emitted); strings.Contains(s, "direct_smtp") || !strings.HasPrefix(s, "resumed spambot ") || strings.Contains(s, "opened") {
			t.Errorf("after %d s: %s", wait/second, s)
		}
	}
}

// TestNoEventTwice checks that a sensor that is killed between two checkpoints repeats
// nothing: no event number of a finding is used twice, and no open finding is opened again.
func TestNoEventTwice(t *testing.T) {
	for _, c := range []struct {
		host    string
		deliver func(*play, int)
	}{{"10.0.0.66", bots}, {"10.0.0.26", undeclared}} {
		for cut := 1; cut < 60; cut += 4 { // the time of the checkpoint; the sensor is killed nine deliveries later
			cfg := Config{Live: true, Seed: []byte("0123456789abcdef")}
			var emitted []finding.Finding
			var kept []byte // the journal entries, as lines
			begin := func() *play {
				p := newPlay(cfg)
				p.e.out.Keep = func(s *Saved) {
					b, err := json.Marshal(s)
					if err != nil {
						t.Fatal(err)
					}
					kept = append(append(kept, b...), '\n')
				}
				p.e.out.Finding = func(f *finding.Finding) { emitted = append(emitted, *f) }
				return p
			}
			p := begin()
			saved := &Saved{Seed: cfg.Seed}
			for i := range 80 {
				switch i {
				case cut:
					saved, _ = checkpoint(t, p.e)
					kept = nil
				case cut + 9:
					for line := range bytes.Lines(kept) {
						entry := new(Saved)
						if err := json.Unmarshal(line, entry); err != nil {
							t.Fatal(err)
						}
						saved.Replay(entry, true)
						if saved.Replay(entry, true) {
							t.Error("an entry is taken over twice")
						}
					}
					q := begin()
					q.e.Restore(saved)
					q.at, q.port = p.at, p.port
					p = q
				}
				c.deliver(p, i)
				p.at += 30 * second
			}
			p.e.Finish("shutdown")
			seen, open := map[string]bool{}, map[string]bool{}
			for _, f := range emitted {
				if n := fmt.Sprint(f.ID, " ", f.Seq); seen[n] {
					t.Fatalf("killed after %d: %s is emitted twice: %s", cut, n, outline(emitted))
				} else {
					seen[n] = true
				}
				who := fmt.Sprint(f.Class, " ", f.Source.Addr)
				if f.Action == "opened" && open[who] {
					t.Fatalf("killed after %d: %s is opened twice: %s", cut, who, outline(emitted))
				}
				open[who] = f.Action != "closed"
			}
			if len(emitted) < 3 {
				t.Fatal("nothing is tested: ", outline(emitted))
			}
		}
	}
}

// TestClosedWithoutAFrame checks that a finding that is suspended because the sensor stops before
// its first frame has the current time, and not 1970; restored findings age without frames, and one
// that is over is closed.
func TestClosedWithoutAFrame(t *testing.T) {
	var emitted []finding.Finding
	cfg := Config{Live: true, Seed: []byte("0123456789abcdef")}
	p := newPlay(cfg)
	for i := range 20 {
		bots(p, i)
		p.at += 30 * second
	}
	saved, _ := checkpoint(t, p.e)
	for _, days := range []int64{0, 3} {
		emitted = nil
		q := newPlay(cfg)
		q.e.out.Finding = func(f *finding.Finding) { emitted = append(emitted, *f) }
		q.e.Restore(saved)
		now := p.at + minute
		q.e.Start(now)
		for range days * 24 {
			now += hour
			q.w.w.Idle(now)
		}
		q.e.Finish("shutdown")
		want := "suspended spambot confirmed; "
		if days > 0 {
			want = "updated spambot likely; updated spambot suspect; closed spambot suspect; "
		}
		last := emitted[len(emitted)-1]
		if !strings.HasSuffix(outline(emitted), want) || last.Time < p.at || last.Time > now {
			t.Errorf("after %d days, at %d (now %d): %s", days, last.Time, now, outline(emitted))
		}
	}
}

// TestServerOutside checks that the first SYN of a declared server counts although its address is
// in no home network.
func TestServerOutside(t *testing.T) {
	for _, kind := range []string{"mailserver", "bulk"} {
		p := newPlay(Config{Roles: []peer.Role{{Addr: netip.MustParseAddr("203.0.113.25"), Kind: kind}}})
		c := newConn("203.0.113.25", "192.0.2.99", 40000, 25)
		for _, f := range c.syn().frames {
			p.w.take(f)
		}
		p.at += 3 * minute
		p.conn("10.0.0.7", "192.0.2.9", 25, "S: 220 mx ESMTP\n")
		p.e.Finish("end_of_input")
		if s := p.servers["203.0.113.25"]; s.Queue.Estimate != 1 || !s.Declared {
			t.Errorf("%s: %+v", kind, s)
		}
	}
}

// TestMailBytes checks that the transactions of many simultaneous sessions stay within their
// memory, that those without room are counted, and that all memory is returned.
func TestMailBytes(t *testing.T) {
	cfg := relayConfig()
	cfg.Limits = Limits{Memory: 16 << 20}
	e := New(cfg, Output{})
	w := feeder{w: e.Worker(), size: 1}
	var open []*conn
	for i := range 400 {
		c := newConn(fmt.Sprintf("203.0.%d.%d", i/200, i%200+1), ourServer, 40000, 25)
		c.at += int64(i) * 1e6
		c.open().serverSends("220 mx\r\n").clientSends("EHLO x.example\r\n").serverSends("250 ok\r\n").clientSends("MAIL FROM:<a@b.example>\r\n").serverSends("250 ok\r\n")
		for range 60 {
			c.clientSends("RCPT TO:<bob@corp.example>\r\n").serverSends("250 ok\r\n")
		}
		for _, f := range c.frames {
			w.take(f)
		}
		c.frames = nil
		open = append(open, c)
	}
	room := func() (n int) {
		for i := range e.shards {
			n += e.shards[i].servers.MailBytes
		}
		return n
	}
	if full := e.servers.Full.Load(); full == 0 || room() > 100<<10 {
		t.Errorf("%d found no room, and %d bytes are left", full, room())
	}
	for _, c := range open {
		for _, f := range c.clientSends("QUIT\r\n").serverSends("221 bye\r\n").close().frames {
			w.take(f)
		}
	}
	e.Finish("end_of_input")
	if want := e.cfg.Limits.MailBytes / len(e.shards) * len(e.shards); room() != want {
		t.Errorf("%d bytes of %d were given back", room(), want)
	}
}

// TestDeclaredAfterRestart: a mail server that is declared is no undeclared one after a restart.
func TestDeclaredAfterRestart(t *testing.T) {
	for _, declared := range []bool{true, false} {
		var emitted []finding.Finding
		cfg := Config{Live: true, Seed: []byte("0123456789abcdef")}
		begin := func() *play {
			p := newPlay(cfg)
			p.e.out.Finding = func(f *finding.Finding) { emitted = append(emitted, *f) }
			return p
		}
		if declared {
			cfg.MailServers = []netip.Addr{netip.MustParseAddr("10.0.0.5")}
		}
		p := begin()
		for _, f := range delivery().frames {
			p.w.take(f)
			p.at = f.at
		}
		p.e.Finish("shutdown")
		saved, _ := checkpoint(t, p.e)
		q := begin()
		emitted = nil
		q.e.Restore(saved)
		q.e.Start(p.at + minute)
		q.w.w.Idle(p.at + 2*minute)
		if s := outline(emitted); strings.Contains(s, "direct_smtp") == declared {
			t.Errorf("declared %v: after a restart: %q", declared, s)
		}
	}
}
