package engine

import (
	"slices"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// TestLinkToOwnHelp checks that a link to the server's own help names no blocklist, and that a link
// to a list of another site does.
func TestLinkToOwnHelp(t *testing.T) {
	for _, c := range []struct {
		name, greeting string
		want           bool
	}{
		{"its own help", "mx.mail.example.org ESMTP", false},
		{"a list's page", "mx.example.com ESMTP", true},
		{"a server without a name", "ready", true},
	} {
		r := analyse(Config{}, bot(3, func(k *conn) {
			k.open().serverSends("220 " + c.greeting + "\r\n").clientSends("EHLO a.example.com\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.com>\r\n").
				serverSends("550 5.7.1 your address is blacklisted. See https://blocklist.example.org/?p=7\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
		}))
		listed := slices.ContainsFunc(r.findings, func(f finding.Finding) bool { return f.Class == verdict.OnBlocklist })
		session := slices.ContainsFunc(r.sessions, func(s finding.Session) bool { return s.Blocklist != "" })
		if listed != c.want || session != c.want {
			t.Errorf("%s: finding %v, session %v", c.name, listed, session)
		}
	}
}

// TestEvidenceBeforeTheFinding checks that a bot's sessions before its finding are emitted,
// although its user's mail client had sessions first.
func TestEvidenceBeforeTheFinding(t *testing.T) {
	var frames []timedFrame
	for i := range 6 {
		c := newConn("10.0.0.5", "192.0.2.25", uint16(20000+i), 465)
		c.at += int64(i) * 60 * second
		frames = append(frames, c.open().clientSends("\x16\x03\x01\x00\x02\x01\x00").serverSends("\x16\x03\x03\x00\x02\x02\x00").close().frames...)
	}
	frames = together(frames, at(bot(12, refusing), 400*second))
	var told []finding.Session
	e := New(Config{SessionsPerFinding: 5, Limits: Limits{Attempts: 4096, Flows: 4096, Sources: 4096, Sessions: 1024, Hosts: 1024}}, Output{
		Session: func(s *finding.Session) uint64 { told = append(told, *s); return uint64(len(told)) },
		Finding: func(*finding.Finding) {},
	})
	w := feeder{w: e.Worker(), size: 1}
	for _, f := range frames {
		w.take(f)
	}
	e.Finish("end_of_input")
	if len(told) != 5 {
		t.Fatalf("%d sessions", len(told))
	}
	for _, s := range told {
		if s.Server.Port() != 25 {
			t.Errorf("told %s, which says nothing", s.Server)
		}
	}
}
