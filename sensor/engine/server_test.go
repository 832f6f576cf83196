package engine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// dialogue sends lines: "C:" and "S:".
func (c *conn) dialogue(text string) *conn {
	c.open()
	for line := range strings.Lines(text) {
		who, what, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if who == "C" {
			c.clientSends(what + "\r\n")
		} else if who == "S" {
			c.serverSends(what + "\r\n")
		}
	}
	return c.close()
}

// message is a dialogue with one message, with these replies to RCPT and at the end.
func message(from, to, rcpt, end string) string {
	text := "S: 220 mx ESMTP\nC: EHLO c.example\nS: 250 mx\nC: MAIL FROM:<" + from + ">\nS: 250 ok\nC: RCPT TO:<" + to + ">\nS: " + rcpt + "\n"
	if strings.HasPrefix(rcpt, "2") && end != "" {
		text += "C: DATA\nS: 354 go\nC: hello\nC: .\nS: " + end + "\n"
	}
	return text + "C: QUIT\nS: 221 bye\n"
}

const (
	ourServer = "10.0.0.25"
	stranger  = "203.0.113.9"
)

// play passes connections to an engine, one after the other, and collects the findings and records
// about servers.
type play struct {
	e        *Engine
	w        feeder
	at       int64
	port     uint16
	findings []finding.Finding
	servers  map[string]mailserver.Record
	sites    []finding.Site
	given    []*finding.Session
}

func newPlay(cfg Config) *play {
	p := &play{at: epoch, port: 40000, servers: map[string]mailserver.Record{}}
	cfg.Limits = Limits{Attempts: 4096, Flows: 4096, Sources: 4096, Sessions: 1024, Hosts: 1024}
	p.e = New(cfg, Output{
		Finding: func(f *finding.Finding) {
			if f.Class >= verdict.OpenRelay {
				p.findings = append(p.findings, *f)
			}
		},
		Server: func(s *mailserver.Record) { p.servers[s.Addr.String()] = *s },
		Session: func(s *finding.Session) uint64 {
			p.given = append(p.given, s)
			if len(s.MailFrom) > 0 && s.Client.Addr().String() == stranger && s.Messages > 0 {
				return 77
			}
			return 0
		},
		Site: func(s *finding.Site) { p.sites = append(p.sites, *s) },
	})
	p.w = feeder{w: p.e.Worker(), size: 1}
	return p
}

func (p *play) conn(client, server string, port uint16, text string) {
	p.port++
	c := newConn(client, server, p.port, port)
	c.at = p.at
	for _, f := range c.dialogue(text).frames {
		p.w.take(f)
	}
	p.at = c.at + second
}

func (p *play) said() (text string) {
	for _, f := range p.findings {
		text += fmt.Sprintf("%s %s %s %s; ", f.Source.Addr, f.Action, f.Class, f.Level)
	}
	return strings.TrimSuffix(text, "; ")
}

func relayConfig() Config {
	return Config{LocalDomains: []string{"corp.example", "backup.example"}, MailServers: []netip.Addr{netip.MustParseAddr(ourServer)}}
}

// TestOpenRelay checks that refusals show only that the server refused to relay, that the first
// relayed message is a finding at its reply, and that its departure confirms it.
func TestOpenRelay(t *testing.T) {
	cfg := relayConfig()
	cfg.AllSessions = true
	p := newPlay(cfg)
	for range 3 {
		p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "554 5.7.1 Relay access denied", ""))
	}
	p.conn("198.51.100.7", ourServer, 25, message("a@spam.example", "v@victim.example", "550 5.7.1 Unable to relay", ""))
	p.conn("198.51.100.7", ourServer, 25, message("a@spam.example", "bob@corp.example", "250 ok", "250 queued"))
	if p.said() != "" {
		t.Fatal(p.said())
	}
	p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	if want := "10.0.0.25 opened open_relay likely"; p.said() != want {
		t.Fatal(p.said())
	}
	p.conn(ourServer, "192.0.2.99", 25, message("a@spam.example", "V@Victim.example", "250 ok", "250 queued"))
	if want := "10.0.0.25 opened open_relay likely; 10.0.0.25 updated open_relay confirmed"; p.said() != want {
		t.Fatal(p.said())
	}
	if r := p.findings[1].Relay; r == nil || r.Client.String() != stranger || r.RcptDomain != "victim.example" || r.MailFrom != "a@spam.example" {
		t.Errorf("the proof: %+v", r)
	}
	p.e.Finish("end_of_input")
	s := p.servers[ourServer]
	if s.RelayDenied != 4 || s.RelayStrangers != 2 || s.Relayed != 1 || s.Count.MessagesIn != 2 || s.Count.MessagesOut != 1 {
		t.Errorf("%+v", s)
	}
	if last := p.findings[len(p.findings)-1]; last.Action != "closed" || last.CloseReason != "end_of_input" || !slices.Equal(last.Evidence, []uint64{77}) {
		t.Errorf("the finding is not closed: %+v", last)
	}
}

// TestNoRelay checks traffic that resembles relaying and is none.
func TestNoRelay(t *testing.T) {
	auth := "S: 220 mx ESMTP\nC: EHLO laptop\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGEAYg==\nS: 235 ok\n"
	rest := strings.SplitN(message("bob@corp.example", "v@victim.example", "250 ok", "250 queued"), "S: 250 mx\n", 2)[1]
	for name, text := range map[string][3]string{
		"a roaming user":           {stranger, "587", auth + rest},
		"a user whose AUTH is cut": {stranger, "587", strings.Replace(auth, "S: 235 ok\n", "", 1) + rest},
		"a workstation":            {"10.0.0.77", "25", message("bob@corp.example", "v@victim.example", "250 ok", "250 queued")},
		"another server of ours":   {"10.0.0.26", "25", message("x@y.example", "v@victim.example", "250 ok", "250 queued")},
		"a backup MX":              {stranger, "25", message("x@y.example", "v@backup.example", "250 ok", "250 queued")},
		"a subdomain":              {stranger, "25", message("x@y.example", "v@eu.corp.example", "250 ok", "250 queued")},
		"postmaster":               {stranger, "25", message("", "postmaster", "250 ok", "250 queued")},
		"a bounce":                 {stranger, "25", message("", "bob@corp.example", "250 ok", "250 queued")},
		"refused at the end":       {stranger, "25", message("x@y.example", "bob@corp.example", "250 ok", "554 5.7.1 spam")},
	} {
		p := newPlay(relayConfig())
		port := uint16(25)
		if text[1] == "587" {
			port = 587
		}
		p.conn(text[0], ourServer, port, text[2])
		// The messages that the server forwards are no evidence.
		p.conn(ourServer, "192.0.2.99", 25, message("bob@corp.example", "v@victim.example", "250 ok", "250 queued"))
		if p.said() != "" {
			t.Errorf("%s: %s", name, p.said())
		}
		p.e.Finish("end_of_input")
		if p.servers[ourServer].Relayed != 0 {
			t.Errorf("%s: counted as relayed", name)
		}
	}
}

// TestNoRelayUndeclared checks that the configured domains belong to the declared servers: an
// undeclared server accepts mail for its own domain.
func TestNoRelayUndeclared(t *testing.T) {
	p := newPlay(relayConfig())
	for i := range 5 {
		p.conn(fmt.Sprintf("198.51.%d.7", i), "10.0.0.60", 25, message("x@y.example", "bob@branch.example", "250 ok", "250 queued"))
	}
	if p.said() != "" {
		t.Error(p.said())
	}
	p.e.Finish("end_of_input")
	if s, ok := p.servers["10.0.0.60"]; !ok || s.Declared || s.Count.MessagesIn == 0 {
		t.Errorf("it was not watched: %+v", s)
	}
}

// TestServersFound checks that an internal host that accepts mail is watched although it is not
// declared, that an external one is not, and that a declared one outside home_net is.
func TestServersFound(t *testing.T) {
	p := newPlay(Config{MailServers: []netip.Addr{netip.MustParseAddr("198.51.100.25")}})
	p.conn(stranger, ourServer, 25, message("a@b.example", "bob@corp.example", "250 ok", "250 queued"))
	p.conn(stranger, "198.51.100.25", 25, message("a@b.example", "bob@corp.example", "250 ok", "250 queued"))
	p.conn("10.0.0.77", "192.0.2.99", 25, message("a@b.example", "bob@corp.example", "250 ok", "250 queued"))
	p.e.Finish("end_of_input")
	for addr, want := range map[string]string{ourServer: "false 1", "198.51.100.25": "true 1", "192.0.2.99": "none"} {
		got := "none"
		if s, ok := p.servers[addr]; ok {
			got = fmt.Sprint(s.Declared, s.Count.MessagesIn)
		}
		if strings.ReplaceAll(got, "true1", "true 1") != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// An undeclared server that relays for external clients has its finding also if a capture is taken
// in at once.
func TestFoundAtOnce(t *testing.T) {
	p := newPlay(Config{})
	p.w.size = 1 << 20
	for i := range 8 {
		to := fmt.Sprintf("v@victim%d.example", i)
		p.conn(stranger, ourServer, 25, message("a@spam.example", to, "250 ok", "250 queued"))
		p.conn(ourServer, fmt.Sprintf("192.0.%d.99", i), 25, message("a@spam.example", to, "250 ok", "250 queued"))
	}
	p.w.flush()
	p.e.Finish("end_of_input")
	if s := p.servers[ourServer]; s.Count.MessagesOut < 4 || !slices.ContainsFunc(p.findings, func(f finding.Finding) bool { return f.Class == verdict.OpenRelay }) {
		t.Errorf("%d of 8 messages were seen to leave, findings %+v", s.Count.MessagesOut, p.findings)
	}
}

// Deferred mail waits in the queue, and a named blocklist appears in the site event, with the
// address that two servers quote.
func TestServerQueue(t *testing.T) {
	p := newPlay(relayConfig())
	listed := "450 4.7.1 Client host [198.51.100.80] blocked using zen.spamhaus.org"
	p.conn(ourServer, "192.0.2.99", 25, message("bob@corp.example", "a@one.example", listed, ""))
	p.conn(ourServer, "192.0.3.99", 25, message("bob@corp.example", "b@two.example", listed, ""))
	p.conn(ourServer, "192.0.4.99", 25, message("bob@corp.example", "c@three.example", "250 ok", "451 4.3.0 later"))
	p.conn(ourServer, "192.0.5.99", 25, message("bob@corp.example", "d@four.example", "550 5.1.1 no such user", ""))
	p.conn(ourServer, "192.0.6.99", 25, "S: 421 4.7.0 busy\n")
	p.conn(ourServer, "192.0.2.99", 25, message("bob@corp.example", "a@one.example", "250 ok", "250 queued"))
	p.e.Finish("end_of_input")
	s := p.servers[ourServer]
	if s.Queue.Estimate != 3 || s.Queue.Listed != 1 || s.Count.FailedOut != 1 || s.Count.DeferredOut != 3 || s.Count.Listed != 2 ||
		s.Count.FailedBy != [mailserver.PhaseClasses]uint64{mailserver.AtConnect: 1, mailserver.AtRcpt: 3, mailserver.AtData: 1} {
		t.Errorf("%+v", s)
	}
	if why := s.Count.FailedWhy; why[refusal.Blocklisted] != 2 || why[refusal.UserUnknown] != 1 || why[refusal.ReceiverTrouble] != 1 || why[refusal.Busy] != 1 || s.Count.AbsentOut != 1 {
		t.Errorf("why: %v, %d do not exist", why, s.Count.AbsentOut)
	}
	last := p.sites[len(p.sites)-1]
	if last.PublicIP.String() != "198.51.100.80" || len(last.Lists) != 1 || last.Lists[0].Name != "zen.spamhaus.org" || last.Lists[0].Count != 2 {
		t.Errorf("%+v", last)
	}
}

// Internal hosts that use the server's port 25 are counted, and the share of bounces.
func TestSubmission(t *testing.T) {
	p := newPlay(relayConfig())
	for range 3 {
		p.conn("10.0.0.77", ourServer, 25, message("bob@corp.example", "v@victim.example", "250 ok", "250 queued"))
	}
	p.conn("10.0.0.78", ourServer, 587, message("bob@corp.example", "v@victim.example", "250 ok", "250 queued"))
	p.conn(stranger, ourServer, 25, message("a@b.example", "bob@corp.example", "250 ok", "250 queued"))
	for i := range 50 {
		from := "bob@corp.example"
		if i%4 == 0 {
			from = ""
		}
		p.conn(ourServer, "192.0.2.99", 25, message(from, "v@victim.example", "250 ok", "250 queued"))
	}
	p.e.Finish("end_of_input")
	c := p.servers[ourServer].Count
	if c.Port25In != 3 || c.SubmitIn != 1 || len(c.Port25) != 1 || c.Port25[0].String() != "10.0.0.77" || c.BouncesOut != 13 || !c.Backscatter() {
		t.Errorf("%+v", c)
	}
}

// A saved server goes on as if nothing had happened, and the history counts its traffic once.
func TestSaveRestore(t *testing.T) {
	cfg := relayConfig()
	cfg.Live, cfg.Seed = true, []byte("0123456789abcdef")
	p := newPlay(cfg)
	for i := range 12 {
		p.conn("10.0.0.66", fmt.Sprintf("192.0.%d.9", i), 25, "S: 554 go away\n")
	}
	p.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	p.conn(ourServer, "192.0.2.99", 25, message("bob@corp.example", "a@one.example", "450 later", ""))
	sum := Counts{}
	add := func(p *play) {
		for _, a := range p.e.Activity() {
			sum = sum.and(a.Counts)
		}
	}
	add(p)
	saved, text := checkpoint(t, p.e)

	q := newPlay(cfg)
	q.e.Restore(saved)
	q.at, q.port = p.at, p.port
	again, _ := json.Marshal(q.e.Save())
	if string(again) != string(text) {
		i := 0
		for i < min(len(text), len(again))-60 && text[i] == again[i] {
			i++
		}
		t.Errorf("saved again it is something else, from here on: %s", text[i:i+60])
	}
	q.conn(stranger, ourServer, 25, message("a@spam.example", "v@victim.example", "250 ok", "250 queued"))
	q.conn(ourServer, "192.0.2.99", 25, message("bob@corp.example", "a@one.example", "250 ok", "250 queued"))
	q.conn("10.0.0.66", "192.0.20.9", 25, "S: 554 go away\n")
	add(q)
	add(q)
	if got := (Counts{CountAttempts: 15, CountSessions: 15, CountMessages: 1, CountRecipients: 2, CountRejected: 14, CountSessionsIn: 2, CountMessagesIn: 2}); sum != got {
		t.Errorf("the history got %v", sum)
	}
	q.e.Finish("shutdown")
	s := q.servers[ourServer]
	if s.Relayed != 2 || s.Queue.Estimate != 0 || s.Count.MessagesOut != 1 || s.Count.DeferredOut != 1 || s.First != p.servers[ourServer].First && s.First == 0 {
		t.Errorf("%+v", s)
	}
	i := slices.IndexFunc(q.findings, func(f finding.Finding) bool { return f.Class == verdict.OpenRelay })
	if i < 0 || q.findings[i].Seq != 3 || q.findings[i].ID != p.findings[0].ID {
		t.Errorf("the finding does not go on: %+v", q.findings)
	}
	if !reflect.DeepEqual(saved.Seed, cfg.Seed) {
		t.Error("the secret is lost")
	}
}

// TestSince checks that a source that was evicted in between starts again.
func TestSince(t *testing.T) {
	for _, row := range [][3]Counts{{{5, 4}, {3, 4}, {2, 0}}, {{2, 1}, {3, 1}, {2, 1}}, {{1}, {}, {1}}} {
		if got := row[0].since(row[1]); got != row[2] {
			t.Errorf("%v since %v: %v, want %v", row[0], row[1], got, row[2])
		}
	}
}

// TestServersDeterministic checks that any number of helpers gives the same findings and records.
func TestServersDeterministic(t *testing.T) {
	var frames []timedFrame
	for i := range 300 {
		c := newConn(fmt.Sprintf("203.0.%d.9", i%100), ourServer, uint16(20000+i), 25)
		c.at = epoch + int64(i)*7*second
		rcpt, reply := "bob@corp.example", "250 ok"
		switch {
		case i%3 == 0:
			rcpt, reply = "v@victim.example", "554 5.7.1 Relay access denied"
		case i > 200 && i%3 == 1:
			rcpt = fmt.Sprintf("v%d@victim.example", i)
		}
		frames = append(frames, c.dialogue(message("a@b.example", rcpt, reply, "250 queued")).frames...)
		o := newConn(ourServer, fmt.Sprintf("198.51.%d.1", i%50), uint16(20000+i), 25)
		o.at = c.at - 40e6 // at the same time as the other
		frames = append(frames, o.dialogue(message("bob@corp.example", fmt.Sprintf("c%d@d.example", i), "451 later", "")).frames...)
	}
	slices.SortStableFunc(frames, func(a, b timedFrame) int { return int(a.at - b.at) })
	var first string
	for _, helpers := range []int{0, 2, 4} {
		cfg := relayConfig()
		cfg.Seed, cfg.Helpers = []byte("0123456789abcdef"), helpers
		p := newPlay(cfg)
		p.w.size = 4000
		for _, f := range frames {
			p.w.take(f)
		}
		p.w.flush()
		p.e.Finish("end_of_input")
		text, _ := json.Marshal(p.findings)
		got := fmt.Sprintf("%s %+v", text, p.servers)
		if first == "" {
			first = got
		}
		if got != first || p.servers[ourServer].Relayed != 33 || p.servers[ourServer].Queue.Estimate != 300 {
			t.Errorf("with %d helpers it is something else: relayed %d, %d wait", helpers, p.servers[ourServer].Relayed, p.servers[ourServer].Queue.Estimate)
		}
	}
}

// If only evidence is emitted, the session in which an external message was relayed is, and its
// finding is updated with it; other sessions are not.
func TestServerEvidence(t *testing.T) {
	cfg := relayConfig()
	cfg.Live = true
	p := newPlay(cfg)
	p.conn("203.0.113.8", ourServer, 25, message("a@x.example", "bob@corp.example", "250 ok", "250 queued"))
	p.conn("203.0.113.7", ourServer, 25, message("a@x.example", "b@y.example", "554 relay access denied", ""))
	p.conn("203.0.113.6", ourServer, 587, strings.Replace(message("a@corp.example", "b@y.example", "250 ok", "250 queued"), "C: MAIL", "C: AUTH PLAIN AGEAYg==\nS: 235 ok\nC: MAIL", 1))
	p.conn(stranger, ourServer, 25, message("a@spam.example", "b@y.example", "250 ok", "250 queued"))
	for range 20 { // time goes by
		p.conn("203.0.113.8", ourServer, 25, message("a@x.example", "bob@corp.example", "250 ok", "250 queued"))
	}
	if len(p.given) != 1 || p.given[0].Client.Addr().String() != stranger {
		t.Errorf("sessions that were told: %v", p.given)
	}
	last := p.findings[len(p.findings)-1]
	if want := "10.0.0.25 opened open_relay likely; 10.0.0.25 updated open_relay likely"; p.said() != want || !slices.Equal(last.Evidence, []uint64{77}) {
		t.Errorf("%s, evidence %v", p.said(), last.Evidence)
	}
}

// TestFoundServerQueue checks that the queue of an undeclared server is counted although no server
// answers it.
func TestFoundServerQueue(t *testing.T) {
	p := newPlay(Config{Live: true})
	p.syn(ourServer, "192.0.2.99") // the host is known before it is a server
	p.conn(stranger, ourServer, 25, message("a@x.example", "bob@corp.example", "250 ok", "250 queued"))
	p.at += minute
	for range 3 {
		p.syn(ourServer, "192.0.2.99")
	}
	p.e.Finish("shutdown")
	if s := p.servers[ourServer]; s.Declared || s.Queue.Estimate != 3 || !s.Queue.LowerBound {
		t.Errorf("three letters wait: %+v", s.Queue)
	}
}

// syn is an attempt that is reset.
func (p *play) syn(client, server string) {
	p.port++
	c := newConn(client, server, p.port, 25)
	c.at = p.at
	c.reset()
	for _, f := range c.frames {
		p.w.take(f)
	}
	p.at = c.at + second
}
