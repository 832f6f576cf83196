package mailserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
)

// each calls f for each element.
func each[T any](list []T, f func(T)) {
	for _, x := range list {
		f(x)
	}
}

// decided collects verdicts as text: class level code.
type decided []string

func (t *decided) add(v verdict.Verdict) {
	*t = append(*t, fmt.Sprintf("%s %s %s", v.Class, v.Level, v.Code))
}

// mail builds an observation.
func mail(at int64, net uint32, stranger, taken bool, rcpts ...Recipient) *Mail {
	return &Mail{Time: at, Net: net, From: 7, FromText: "a@spam.example", Stranger: stranger, Accepted: taken, Over: !taken, Rcpts: rcpts, Client: netip.MustParseAddr("203.0.113.9")}
}

// to builds a recipient in a domain, which is looked up in local.
func to(local Domains, address string, code uint16) Recipient {
	domain := address[strings.LastIndexByte(address, '@')+1:]
	h := uint64(14695981039346656037)
	d := uint32(2166136261)
	for _, c := range []byte(address) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	for _, c := range []byte(domain) {
		d = (d ^ uint32(c)) * 16777619
	}
	return Recipient{Hash: h, Domain: d, Name: domain, Where: local.Locality(domain), Code: code}
}

func TestLocality(t *testing.T) {
	d := Domains{"example.org": true}
	for domain, want := range map[string]Locality{"example.org": LocalDomain, "EXAMPLE.org.": LocalDomain, "sub.example.org": LocalDomain, "badexample.org": ForeignDomain,
		"example.net": ForeignDomain, "": LocalDomain, "[192.0.2.1]": LocalDomain, "org": ForeignDomain} {
		if got := d.Locality(domain); got != want {
			t.Errorf("%q: %d, want %d", domain, got, want)
		}
	}
	if Domains(nil).Locality("example.org") != UnknownDomain {
		t.Error("without a configuration nothing is foreign")
	}
}

func TestRelay(t *testing.T) {
	local := Domains{"corp.example": true, "backup.example": true}
	const now = 1700000000 * second
	foreign := func(code uint16) Recipient { return to(local, "x@victim.example", code) }
	ours := to(local, "bob@corp.example", 250)
	for name, row := range map[string]struct {
		in, out []*Mail
		want    string
		denied  uint64
	}{
		"relayed":              {in: []*Mail{mail(now, 1, true, true, foreign(250))}, want: "open_relay likely relay_proved"},
		"relayed and left":     {in: []*Mail{mail(now, 1, true, true, foreign(250))}, out: []*Mail{mail(now+minute, 2, false, true, foreign(250))}, want: "open_relay likely relay_proved; open_relay confirmed relay_passed_on"},
		"among local ones":     {in: []*Mail{mail(now, 1, true, true, ours, foreign(251))}, want: "open_relay likely relay_proved"},
		"accepted, no message": {in: []*Mail{mail(now, 1, true, false, foreign(250))}, want: "open_relay suspect relay_possible"},
		"refused":              {in: []*Mail{mail(now, 1, true, false, foreign(554)), mail(now+1, 2, true, false, foreign(454))}, denied: 2},
		"unknown user":         {in: []*Mail{mail(now, 1, true, false, to(local, "nobody@corp.example", 550))}},
		"one-sided":            {in: []*Mail{mail(now, 1, true, false, foreign(0))}},
		"greylisted":           {in: []*Mail{mail(now, 1, true, false, foreign(451))}},
		"local":                {in: []*Mail{mail(now, 1, true, true, ours)}},
		"backup MX":            {in: []*Mail{mail(now, 1, true, true, to(local, "x@backup.example", 250))}, out: []*Mail{mail(now+second, 5, false, true, to(local, "x@backup.example", 250))}},
		"forwarded":            {in: []*Mail{mail(now, 1, true, true, ours)}, out: []*Mail{mail(now+second, 5, false, true, to(local, "bob@home.example", 250))}},
		"list": {in: []*Mail{mail(now, 1, true, true, to(local, "list@corp.example", 250))},
			out: []*Mail{mail(now+second, 5, false, true, to(local, "a@one.example", 250), to(local, "b@two.example", 250))}},
		"roaming user": {in: []*Mail{mail(now, 1, false, true, foreign(250))}, out: []*Mail{mail(now+second, 5, false, true, foreign(250))}},
	} {
		var s Server
		var got decided
		for _, m := range row.in {
			each(s.Advance(m.Time), got.add)
			each(s.Observe(&Observation{Kind: InboundMail, Mail: m}), got.add)
		}
		for _, m := range row.out {
			each(s.Advance(m.Time), got.add)
			each(s.Observe(&Observation{Kind: OutboundMail, Mail: m, Outside: true}), got.add)
		}
		if text := strings.Join(got, "; "); text != row.want || s.Relay.Denied != row.denied {
			t.Errorf("%s: %q, %d denied; want %q, %d", name, text, s.Relay.Denied, row.want, row.denied)
		}
	}
}

// TestRelayLearned checks that without a configuration one message is no proof, that a domain for
// which several external clients bring mail is local, and that a relay for many domains is found
// nevertheless.
func TestRelayLearned(t *testing.T) {
	var s Server
	var got decided
	pass := func(at int64, net uint32, address string) {
		each(s.Advance(at), got.add)
		each(s.Observe(&Observation{Kind: InboundMail, Mail: mail(at, net, true, true, to(nil, address, 250))}), got.add)
		each(s.Advance(at+second), got.add)
		each(s.Observe(&Observation{Kind: OutboundMail, Mail: mail(at+second, 99, false, true, to(nil, address, 250)), Outside: true}), got.add)
	}
	now := 1700000000 * second
	for net := range uint32(3) { // a backup MX
		each(s.Observe(&Observation{Kind: InboundMail, Mail: mail(now, net, true, true, to(nil, "a@backup.example", 250))}), got.add)
	}
	for i := range int64(20) {
		pass(now+(1+i)*minute, uint32(i%5), "b@backup.example")
	}
	if len(got) > 0 {
		t.Fatalf("a learned domain: %v", got)
	}
	later := now + 8*day
	pass(later, 7, "x@one.example")
	if want := (decided{"open_relay suspect relay_suspected"}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("the first unknown domain: %v", got)
	}
	pass(later+minute, 7, "x@two.example")
	pass(later+2*minute, 7, "x@three.example")
	if got[len(got)-1] != "open_relay likely relay_suspected" {
		t.Errorf("three unknown domains: %v", got)
	}
}

// TestRelayNewDomains checks a server whose outgoing mail is encrypted, so that nobody sees what
// leaves it: many more domains within a day than it had before are no customers.
func TestRelayNewDomains(t *testing.T) {
	for _, c := range []struct {
		name       string
		old, fresh int
		watched    int64
		nets       uint32 // that bring mail for each of the new ones
		want       bool
	}{
		{"a relay", 1, 25, 2 * day, 1, true},
		{"few domains", 1, 15, 2 * day, 1, false},
		{"a server for many customers", 20, 40, 2 * day, 1, false},
		{"domains of everybody", 1, 25, 2 * day, 3, false},
		{"a server that was just found", 1, 25, hour, 1, false},
	} {
		var s Server
		var got decided
		bring := func(at int64, net uint32, domain string) {
			each(s.Advance(at), got.add)
			each(s.Observe(&Observation{Kind: InboundMail, Mail: mail(at, net, true, true, to(nil, "a@"+domain, 250))}), got.add)
		}
		now := 1700000000 * second
		for i := range c.old {
			for net := range uint32(3) {
				bring(now+int64(i)*second, net, fmt.Sprintf("old%d.example", i))
			}
		}
		for i := range c.fresh {
			for net := range c.nets {
				bring(now+c.watched+int64(i)*minute, 7+net+uint32(i%2), fmt.Sprintf("new%d.example", i))
			}
		}
		if found := slices.Contains(got, "open_relay likely relay_new_domains"); found != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestQueue(t *testing.T) {
	var s Server
	var got decided
	at := 1700000000 * second
	send := func(address string, net uint32, taken bool, code uint16, listed bool) {
		m := mail(at, net, false, taken, to(nil, address, code))
		m.Listed = listed
		each(s.Observe(&Observation{Kind: OutboundMail, Mail: m, Outside: true}), got.add)
	}
	check := func(what string, estimate, listed, destinations int) {
		t.Helper()
		if q := s.Queue.state(at); q.Estimate != estimate || q.Listed != listed || q.Destinations != destinations {
			t.Errorf("%s: %+v", what, q)
		}
	}
	each(s.Advance(at), got.add)
	send("a@x.example", 1, false, 450, false)
	send("b@x.example", 1, false, 451, true)
	send("c@y.example", 2, false, 550, false)
	send("d@y.example", 2, true, 250, false)
	check("two deferred", 2, 1, 1)
	each(s.Observe(&Observation{Kind: SessionEnd, Session: &Session{Time: at, Net: 3, External: true, Refused: true}}), got.add)
	check("a banner refused", 3, 1, 2)
	s.Queue.connecting(4, 4, at)
	at += 31 * second
	s.Queue.tick(at)
	check("no answer", 4, 1, 3)
	send("a@x.example", 1, true, 250, false)
	check("delivered", 3, 1, 3)
	at += 20 * minute
	send("e@z.example", 4, true, 250, false)
	check("what waited for the silent one is delivered", 2, 1, 2)
	at += 2*hour - 20*minute
	send("b@x.example", 1, false, 451, true)
	at += 4 * hour
	s.Queue.tick(at)
	check("tried again after two hours: it may still come", 1, 1, 1)
	at += 3 * hour
	s.Queue.tick(at)
	check("given up", 0, 0, 0)
	for i := range 30 {
		send(fmt.Sprintf("%d@x.example", i), 1, false, 451, true)
	}
	each(s.Advance(at+minute), got.add)
	if want := (decided{"volume_anomaly likely queue_blocklisted"}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("30 wait because of a blocklist: %v", got)
	}
}

func TestQueueIsBounded(t *testing.T) {
	var q Queue
	for i := range uint64(maxWaiting) + 10 {
		q.deferred(i, 1, 1, false, second)
	}
	for i := range uint32(maxUnreachable) + 10 {
		q.fail(i, i, false, second)
	}
	for i := range uint32(maxAttempts) + 10 {
		q.connecting(i, i, second)
	}
	if len(q.Waiting) != maxWaiting || q.messages != maxUnreachable || len(q.attempts) != maxAttempts || q.state(second).Full != 30 {
		t.Errorf("%d waiting, %d for silent ones, %d tries, %d without room", len(q.Waiting), q.messages, len(q.attempts), q.Full)
	}
}

func TestHijack(t *testing.T) {
	alarm := func(m Metric, at int64) volumeAlarm {
		return volumeAlarm{Metric: m, Kind: "burst", Time: at, Value: 40, Expected: 3}
	}
	for name, row := range map[string]struct {
		alarms []volumeAlarm
		want   string
	}{
		"volume alone":            {[]volumeAlarm{alarm(OutMessages, hour)}, "volume_anomaly likely volume_burst"},
		"spread alone":            {[]volumeAlarm{alarm(SubmitNetworks, hour)}, "hijacked_account suspect submission_spread"},
		"spread and volume":       {[]volumeAlarm{alarm(SubmitNetworks, hour), alarm(OutRecipients, hour+20*minute)}, "hijacked_account suspect submission_spread; volume_anomaly likely volume_burst; hijacked_account likely submission_spread_volume"},
		"volume, spread, refused": {[]volumeAlarm{alarm(OutMessages, hour), alarm(SubmitNetworks, hour+minute), alarm(OutRefusals, hour+2*minute)}, "volume_anomaly likely volume_burst; hijacked_account likely submission_spread_volume; volume_anomaly likely volume_burst; hijacked_account confirmed submission_spread_volume_refused"},
		"volume an hour later":    {[]volumeAlarm{alarm(SubmitNetworks, hour), alarm(OutMessages, 2*hour)}, "hijacked_account suspect submission_spread; volume_anomaly likely volume_burst"},
	} {
		var s Server
		var got decided
		for _, a := range row.alarms {
			{
				s.out = s.out[:0]
				s.alarm(a, &s.out)
				each(s.out, got.add)
			}
		}
		if text := strings.Join(got, "; "); text != row.want {
			t.Errorf("%s: %s\nwant %s", name, text, row.want)
		}
	}
}

// TestRelayByVolume checks encrypted traffic: a server that sends much while one network brings
// most of it is suspicious, and a server to which many networks bring mail is not.
func TestRelayByVolume(t *testing.T) {
	for nets, want := range map[uint32]int{1: 1, 8: 0} {
		var s Server
		var got decided
		at := 1700000000 * second
		each(s.Advance(at), got.add)
		for i := range uint32(40) {
			each(s.Observe(&Observation{Kind: SessionEnd, Session: &Session{Time: at, Net: i % nets, Inbound: true, External: true, Hidden: true, Bytes: 20000}}), got.add)
		}
		got = nil
		{
			s.out = s.out[:0]
			s.alarm(volumeAlarm{Metric: OutSessions, Kind: "burst", Time: at, Value: 400, Expected: 3}, &s.out)
			each(s.out, got.add)
		}
		if n := strings.Count(strings.Join(got, ";"), "relay_by_volume"); n != want {
			t.Errorf("%d networks: %v", nets, got)
		}
	}
}
