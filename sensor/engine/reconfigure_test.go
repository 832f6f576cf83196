package engine

import (
	"net/netip"
	"strings"
	"sync"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/peer"
)

// TestReconfigure checks that findings follow a configuration that is replaced while the engine
// runs: two halves of a bot's traffic, under one configuration each.
func TestReconfigure(t *testing.T) {
	frames := bot(60, refusing)
	relaying := together(bot(60, delivering))
	ten := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}
	host := netip.MustParseAddr("10.0.0.5")
	ours := Config{Home: ten, HomeStated: true}
	other := Config{Home: elsewhere, HomeStated: true}
	declared, probe, ignored, deaf := ours, ours, ours, ours
	declared.MailServers = []netip.Addr{host}
	probe.Roles = []peer.Role{{Addr: host, Kind: "probe"}}
	ignored.Ignore = []peer.Ignore{{Net: netip.PrefixFrom(host, 32), Why: "lab"}}
	deaf.Detect = detect.DefaultConfig()
	deaf.Detect.Alpha = 1e-30
	deaf.Detect.ManyNetworks, deaf.Detect.MassNetworks = 31, 32
	deaf.Detect.FastAttempts, deaf.Detect.NewNetworksThreshold = 60, 1000
	for _, c := range []struct {
		name          string
		frames        []timedFrame
		before, after Config
		first, second string // the events under each: what their story has, or !what it lacks
		ignored       bool   // the last event says so
	}{
		{"the same", frames, ours, ours, "opened spambot", "!closed", false},
		{"a bot becomes a mail server", frames, ours, declared, "opened spambot", "updated spambot likely", false},
		{"it becomes a mail server", relaying, ours, declared, "opened undeclared_server", "closed undeclared_server", false},
		{"it becomes a probe", frames, ours, probe, "opened spambot", "closed spambot", false},
		{"it is ignored", frames, ours, ignored, "opened spambot", "updated spambot", true},
		{"it is no longer ignored", frames, ignored, ours, "opened spambot", "updated spambot", false},
		{"it is no longer a mail server", relaying, declared, ours, "!undeclared_server", "opened undeclared_server", false},
		{"its network is not ours", frames, ours, other, "opened spambot", "closed spambot", false},
		{"its network becomes ours", frames, other, ours, "!opened", "opened spambot", false},
		{"the thresholds drop", frames, deaf, ours, "!opened spambot likely", "spambot confirmed", false},
	} {
		var events []finding.Finding
		before, after := c.before, c.after
		before.Live, after.Live = true, true
		e := New(before, Output{Finding: func(f *finding.Finding) { events = append(events, *f) }})
		w := e.Worker()
		take := func(list []timedFrame) {
			for _, f := range list {
				w.Take([]frame.Frame{{Time: f.at, Data: f.data, Link: frame.Ethernet}})
			}
		}
		frames, half := c.frames, len(c.frames)/2
		take(frames[:half])
		first := story(events, "10.0.0.5")
		events = nil
		e.Reconfigure(&after)
		if reconsidered := story(events, "10.0.0.5"); strings.HasPrefix(c.second, "closed") &&
			!strings.Contains(reconsidered, c.second) {
			t.Errorf("%s: at once there is %q, want %q", c.name, reconsidered, c.second)
		}
		take(frames[half:])
		w.Idle(frames[len(frames)-1].at + 2*second)
		second := story(events, "10.0.0.5")
		for _, x := range []struct{ story, want string }{{first, c.first}, {second, c.second}} {
			what, lacks := strings.CutPrefix(x.want, "!")
			if strings.Contains(x.story, what) == lacks {
				t.Errorf("%s: %q, want %q", c.name, x.story, x.want)
			}
		}
		if strings.HasPrefix(c.second, "closed") && strings.Contains(second, c.first) {
			t.Errorf("%s: it is accused again: %s", c.name, second)
		}
		if n := len(events); n > 0 && (events[n-1].Ignored != nil) != c.ignored {
			t.Errorf("%s: the last event is ignored: %v", c.name, events[n-1].Ignored)
		}
		e.Finish("shutdown")
	}
}

// delivering is a connection of a mail server, which delivers a message.
func delivering(c *conn) {
	c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO mail.b.example\r\n").serverSends("250 mx\r\n").
		clientSends("MAIL FROM:<a@b.example>\r\n").serverSends("250 ok\r\n").clientSends("RCPT TO:<c@d.example>\r\n").serverSends("250 ok\r\n").
		clientSends("DATA\r\n").serverSends("354 go\r\n").clientSends("Subject: x\r\n\r\nhello\r\n.\r\n").serverSends("250 queued\r\n").
		clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
}

// TestReconfigureKeepsUses checks that entries of the configuration which stay keep the number of
// their uses, and that a server which was declared is watched.
func TestReconfigureKeepsUses(t *testing.T) {
	server := netip.MustParseAddr("10.0.0.5")
	cfg := Config{MailServers: []netip.Addr{server}}
	e := New(cfg, Output{})
	w := e.Worker()
	for _, f := range bot(3, refusing) {
		w.Take([]frame.Frame{{Time: f.at, Data: f.data, Link: frame.Ethernet}})
	}
	cfg.MailServers = append(cfg.MailServers, netip.MustParseAddr("10.0.0.6"))
	e.Reconfigure(&cfg)
	if got := strings.Join(e.Unused(), ", "); got != "smtp_servers 10.0.0.6" {
		t.Errorf("unused: %s", got)
	}
	if !e.servers.Watches(netip.MustParseAddr("10.0.0.6").As16()) {
		t.Error("the new server is not watched")
	}
	e.Reconfigure(&Config{})
	if got := e.Unused(); len(got) != 0 {
		t.Errorf("unused: %s", got)
	}
}

// TestReconfigureBesideWorkers replaces the configuration while workers take in frames and others
// ask: no frame is lost, and the race detector finds nothing.
func TestReconfigureBesideWorkers(t *testing.T) {
	frames := bot(60, refusing)
	var list []frame.Frame
	for _, f := range frames {
		list = append(list, frame.Frame{Time: f.at, Data: f.data, Link: frame.Ethernet})
	}
	a := Config{Live: true, MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.5")}, LocalDomains: []string{"example.org"}, SourceInterval: second}
	b := Config{Live: true, Home: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, HomeStated: true, ShowSenders: true, AllSessions: true}
	e := New(a, Output{Finding: func(*finding.Finding) {}, Source: func(*finding.SourceRecord) {},
		Session: func(*finding.Session) uint64 { return 1 }})
	const workers, rounds = 2, 2
	var wg, feeding sync.WaitGroup
	done := make(chan struct{})
	for range workers {
		w := e.Worker()
		feeding.Go(func() {
			for range rounds {
				for i := 0; i < len(list); i += 64 {
					w.Take(list[i:min(i+64, len(list))])
					w.EmitDue()
				}
				w.Idle(list[len(list)-1].Time)
			}
		})
	}
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			cfg := a
			if i%2 == 0 {
				cfg = b
			}
			e.Reconfigure(&cfg)
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			e.Stats()
			e.Explain(func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.5") })
			e.Save()
		}
	})
	feeding.Wait()
	close(done)
	wg.Wait()
	if st := e.Stats(); st.Frames != uint64(workers*rounds*len(list)) || st.Panics > 0 {
		t.Errorf("%d frames of %d, %d panics: %s", st.Frames, workers*rounds*len(list), st.Panics, st.PanicAt)
	}
}
