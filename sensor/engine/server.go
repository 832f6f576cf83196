package engine

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/dns"
	"spamsensor/smtpsniff"
)

// Mail servers of ours are watched besides: a server's sessions are in the shards of its
// clients, so what the shards see of it (a transaction that ended, a session, an attempt) goes the way of sessions and
// findings, as records in the order of the packets, and is worked on where these are given out. There one
// goroutine at a time owns all servers, and the result does not depend on how many workers there are.
//
// Servers are those that are declared, and hosts of ours that answered to a recipient.

// servers are all that are watched.
type servers struct {
	known  atomic.Pointer[map[flowtable.Addr]*mailServer] // replaced when one is new; shards read it
	local  detect.Domains
	full   atomic.Uint64 // servers, senders and recipients that found no room
	next   int64         // when records are given out
	ticked int64         // the latest second
	room   detect.Room   // for what waits in their queues
}

// mailServer is one of them. The fields belong to who holds tickMu.
type mailServer struct {
	detect.MailServer
	addr     netip.Addr
	declared bool
	open     [detect.Classes]*serverFinding
	resumed  bool // what it did since the checkpoint is not known
}

// at moves a server's time on.
func (s *mailServer) at(now int64, tell func(detect.ServerVerdict)) {
	if s.resumed {
		s.resumed = false
		s.Resume(now)
		for _, f := range s.open {
			if f != nil {
				f.Last = min(f.Last, now)
			}
		}
	}
	s.Tick(max(now, s.Last), tell)
}

const (
	// maxRcpts bounds the recipients of a transaction that are looked at; RFC 5321, section
	// 4.5.3.1.8, has servers take 100.
	maxRcpts = 100
)

func (e *Engine) initServers() {
	e.servers.room.Words = e.cfg.Limits.QueueBytes / 4
	known := map[flowtable.Addr]*mailServer{}
	for a, r := range e.allow.roles {
		if r.server {
			known[a] = &mailServer{addr: r.net.Addr(), declared: true}
			known[a].Sound(&e.servers.room)
		}
	}
	e.servers.known.Store(&known)
	if len(e.cfg.LocalDomains) > 0 {
		e.servers.local = detect.Domains{}
		for _, d := range e.cfg.LocalDomains {
			e.servers.local[d] = true
		}
	}
}

// watching is a watched server, nil if it is none.
func (e *Engine) watching(a flowtable.Addr) *mailServer {
	known := *e.servers.known.Load()
	if len(known) == 0 {
		return nil
	}
	return known[a]
}

// found begins to watch a server that nobody declared.
func (e *Engine) found(a flowtable.Addr, v6 bool) *mailServer {
	known := *e.servers.known.Load()
	if len(known) >= e.cfg.Limits.Servers {
		e.servers.full.Add(1)
		return nil
	}
	more := make(map[flowtable.Addr]*mailServer, len(known)+1)
	for k, s := range known {
		more[k] = s
	}
	more[a] = &mailServer{addr: addr(a, v6)}
	more[a].Sound(&e.servers.room)
	e.servers.known.Store(&more)
	return more[a]
}

// serverSeen is an observation of a server: one of mail, session, attempt and answer is set.
type serverSeen struct {
	client, server flowtable.Addr
	v6             bool
	outside        bool // the server is none of ours
	mail           *detect.Mail
	session        *detect.ServerSession
	attempt        tryState
	net, host      uint32
	answer         *nameAnswer
}

// nameAnswer says which networks the servers of a name are in: the DNS said it.
type nameAnswer struct {
	name uint32   // hash of the registered domain
	nets []uint32 // hashes
}

// tryState says what became of an attempt of a server.
type tryState int8

const (
	tryBegins tryState = 1 + iota
	tryAnswered
	tryRefused
)

// envelope is the transaction of a session in hand.
type envelope struct {
	mail     detect.Mail
	open     bool
	answered int // replies to RCPT so far
	refused  bool
	listed   bool
	why      detect.Cause // of the latest refusal
	name     uint32       // hash of the domain in the server's greeting; zero if it names none
	full     bool         // a recipient found no room: those behind it are not looked at
	held     int          // bytes taken of shard.mailBytes, about
}

// hold takes room for a part of a transaction with a text of n bytes.
func (s *shard) hold(x *envelope, n int) bool {
	if n += 128; n > s.mailBytes {
		s.e.servers.full.Add(1)
		return false
	}
	x.held += n
	s.mailBytes -= n
	return true
}

// release gives the room back.
func (s *shard) release(x *envelope) {
	s.mailBytes += x.held
	x.held = 0
}

// forgetEnvelope lets go of the transaction of a session that is not looked at any more.
func (s *shard) forgetEnvelope(session uint32) {
	if int(session) < len(s.envelopes) && s.envelopes[session] != nil {
		s.release(s.envelopes[session])
		s.envelopes[session] = nil
	}
}

// watch notes at a flow's beginning whether one end can be a server of ours: any host inside
// can, and a declared one may have an address that home_net does not name.
func (s *shard) watch(f *flow, k *flowtable.Key) {
	if !f.has(external) || s.e.watching(k.Server) != nil {
		f.flags |= inside | watched
	}
	if s.e.watching(k.Client) != nil {
		f.flags |= watched
		if src := s.sourceOf(f.source, f.sourceGen); src != nil {
			src.flags |= serving
		}
	}
}

// overheard follows the transactions of a session with a server of ours. It reads the events of the
// listener that heard is called for.
func (s *shard) overheard(f *flow, talk *smtpsniff.Session) {
	if !f.has(watched) {
		return
	}
	k := s.t.Flows.KeyOf(s.current)
	x := s.envelope(f)
	for i := range s.sniff.Events {
		ev := &s.sniff.Events[i]
		switch ev.Kind {
		case smtpsniff.MailSaid:
			s.endMail(f, k, talk, x)
			if x.answered, x.full = 0, false; !s.hold(x, len(ev.Text)) {
				continue
			}
			x.open = true
			x.mail = detect.Mail{From: s.e.table.Secret.Bytes(bytes.ToLower(ev.Text)), FromText: string(ev.Text)}
			if domain := smtpsniff.Domain(ev.Text); len(domain) > 0 {
				x.mail.FromDomain = uint32(s.e.table.Secret.Bytes(bytes.ToLower(domain)))
			}
		case smtpsniff.RcptSaid:
			if x.open && len(x.mail.Rcpts) < maxRcpts && !x.full {
				if x.full = !s.hold(x, len(ev.Text)); x.full {
					continue
				}
				domain := string(bytes.ToLower(smtpsniff.Domain(ev.Text)))
				x.mail.Rcpts = append(x.mail.Rcpts, detect.Recipient{Hash: s.e.table.Secret.Bytes(bytes.ToLower(ev.Text)), Domain: uint32(s.e.table.Secret.Bytes([]byte(domain))),
					Name: domain, Where: s.e.locality(k, domain)})
			}
		case smtpsniff.Accepted:
			x.mail.Taken = true
			s.endMail(f, k, talk, x)
		case smtpsniff.Replied:
			s.replied(f, k, talk, x, ev)
		}
	}
}

// locality is whose domain a recipient of a session has. The configured domains are those of the declared servers, if
// there are any: another server of ours then has domains that nobody configured, and they are learned.
func (e *Engine) locality(k *flowtable.Key, domain string) detect.Locality {
	where := e.servers.local.Locality(domain)
	known := e.allow.roles[k.Server] != nil || e.allow.roles[k.Client] != nil
	if where == detect.ForeignDomain && !known && len(e.cfg.MailServers) > 0 && e.home.has(k.Server, k.Scope.V6()) {
		return detect.UnknownDomain
	}
	return where
}

// replied is a reply to a part of a transaction.
func (s *shard) replied(f *flow, k *flowtable.Key, talk *smtpsniff.Session, x *envelope, ev *smtpsniff.Event) {
	refused := ev.Code >= 400
	if refused && !f.has(inside) {
		why, c, _ := s.causeOf(ev)
		x.mail.Why, x.why = why, why
		if c.List != "" {
			x.mail.Listed, x.listed = true, true
		}
	}
	over := func(phase detect.PhaseClass) {
		if x.open && refused {
			x.mail.Code, x.mail.Phase = ev.Code, phase
			s.endMail(f, k, talk, x)
		}
	}
	switch ev.Phase {
	case smtpsniff.Banner:
		x.refused = x.refused || refused
		if !f.has(inside) {
			x.name = s.domainOf(greeting(talk.Banner()))
		}
	case smtpsniff.Helo:
		x.refused = x.refused || refused && (ev.Code < 500 || ev.Code > 504)
	case smtpsniff.Mail:
		over(detect.AtMail)
	case smtpsniff.Rcpt:
		if x.open && x.answered < len(x.mail.Rcpts) {
			to := &x.mail.Rcpts[x.answered]
			to.Code = ev.Code
			to.Relay = refused && bytes.Contains(bytes.ToLower(ev.Text), []byte("relay"))
			if refused {
				x.mail.Phase = detect.AtRcpt
				why, _, _ := s.causeOf(ev)
				to.Absent = why == detect.UserUnknown
			}
		}
		x.answered++
	case smtpsniff.Data, smtpsniff.EndOfData:
		over(detect.AtData)
	}
}

// greeting is the name that a server gives in its greeting (RFC 5321, section 4.2: it is the first word), in lower case; empty if
// it is none.
func greeting(banner []byte) string {
	word, _, _ := bytes.Cut(banner, []byte{' '})
	if name := string(bytes.ToLower(word)); detect.ClassifyHelo(name) == detect.HeloProper {
		return name
	}
	return ""
}

// domainOf is the hash of the registered domain of a mail server's name, zero for none.
func (s *shard) domainOf(name string) uint32 {
	if name == "" {
		return 0
	}
	return uint32(s.e.table.Secret.Bytes([]byte(dns.Registered(name))))
}

// answeredName hands on where the DNS says the servers of a name are, if there are servers of ours to use that.
func (s *shard) answeredName(m *dns.Message, now int64) {
	if len(*s.e.servers.known.Load()) == 0 {
		return
	}
	a := &nameAnswer{name: s.domainOf(m.Name)}
	for _, ip := range m.Addrs[:m.NAddrs] {
		a.nets = append(a.nets, s.e.net(ip, !netip.AddrFrom16(ip).Is4In6()))
	}
	s.record(record{server: &serverSeen{answer: a}, time: now})
}

// endMail gives out the transaction in hand.
func (s *shard) endMail(f *flow, k *flowtable.Key, talk *smtpsniff.Session, x *envelope) {
	if !x.open {
		return
	}
	x.open = false
	s.release(x)
	m := x.mail
	x.mail = detect.Mail{}
	m.Time, m.Over = f.last, !m.Taken
	v6 := k.Scope.V6()
	other := k.Server
	if f.has(inside) {
		other = k.Client
		m.Stranger = !s.e.home.has(k.Client, v6) && s.e.watching(k.Client) == nil && !s.e.relays.has(k.Client, v6) &&
			(talk.Auth < smtpsniff.AuthTried || talk.Auth == smtpsniff.AuthFailed)
		if talk.Auth == smtpsniff.AuthOK {
			m.Account = talk.Account
		}
	}
	m.Name = x.name
	if m.Stranger && m.Taken && slices.ContainsFunc(m.Rcpts, func(to detect.Recipient) bool { return to.Code/100 == 2 && to.Where != detect.LocalDomain }) {
		f.flags |= relayed
	}
	m.Client, m.Net, m.Host = addr(other, v6), s.e.net(other, v6), s.e.destination(&other)
	s.seen(f.last, k, !f.has(inside), serverSeen{mail: &m})
}

// seen gives out an observation.
func (s *shard) seen(now int64, k *flowtable.Key, outside bool, x serverSeen) {
	x.client, x.server, x.v6, x.outside = k.Client, k.Server, k.Scope.V6(), outside
	s.record(record{server: &x, time: now})
}

// envelope is the one of a flow's session.
func (s *shard) envelope(f *flow) *envelope {
	for int(f.session) >= len(s.envelopes) {
		s.envelopes = append(s.envelopes, nil)
	}
	if s.envelopes[f.session] == nil {
		s.envelopes[f.session] = &envelope{}
	}
	return s.envelopes[f.session]
}

// letGo ends the transaction in hand, and frees the place for another session.
func (s *shard) letGo(f *flow, k *flowtable.Key, talk *smtpsniff.Session) (x envelope) {
	if talk == nil || int(f.session) >= len(s.envelopes) || s.envelopes[f.session] == nil {
		return x
	}
	s.endMail(f, k, talk, s.envelopes[f.session])
	x, *s.envelopes[f.session] = *s.envelopes[f.session], x
	return x
}

// serverSession is the end of a flow, if one end of it is a server of ours.
func (s *shard) serverSession(k *flowtable.Key, f *flow, talk *smtpsniff.Session) {
	if !f.has(watched) {
		return
	}
	x := s.letGo(f, k, talk)
	if !f.has(opened) {
		return
	}
	v6 := k.Scope.V6()
	_, up := f.conn.Counts(tcp.Client)
	d := &detect.ServerSession{Time: f.last, Inbound: f.has(inside), External: true, Submit: k.ServerPort != 25, Bytes: up}
	other := k.Server
	if d.Inbound {
		other = k.Client
		d.External = !s.e.home.has(k.Client, v6) && s.e.watching(k.Client) == nil && !s.e.relays.has(k.Client, v6)
		d.Client = addr(k.Client, v6)
		d.Own = s.e.home.has(k.Client, v6) && s.e.watching(k.Client) == nil
	}
	d.Net, d.Host = s.e.net(other, v6), s.e.destination(&other)
	if talk != nil {
		d.Auth, d.AuthFail = talk.Auth == smtpsniff.AuthOK, talk.Auth == smtpsniff.AuthFailed
		if d.Auth && d.Inbound {
			d.Account = talk.Account
		}
		d.Hidden, d.Messages = talk.Encryption != smtpsniff.Plain, talk.Messages
		d.Name = x.name
		d.Refused, d.Listed, d.Why = x.refused && talk.Mails == 0, x.listed, x.why
	}
	s.seen(f.last, k, !d.Inbound, serverSeen{session: d})
}

// serverAttempt is an attempt of a server to reach another one.
func (s *shard) serverAttempt(now int64, src *source, k *flowtable.Key, what tryState) {
	if src.flags&serving == 0 { // it may have been found since, and nobody answered it, so that no flow of it began
		if src.flags&home == 0 || s.e.watching(k.Client) == nil {
			return
		}
		src.flags |= serving
	}
	if v6 := k.Scope.V6(); s.e.watching(k.Server) == nil && !s.e.home.has(k.Server, v6) {
		s.seen(now, k, true, serverSeen{attempt: what, net: s.e.net(k.Server, v6), host: s.e.destination(&k.Server)})
	}
}

// observe works on an observation. The caller holds tickMu.
func (e *Engine) observe(x *serverSeen, now int64) {
	if x.answer != nil {
		for _, s := range e.allServers() {
			for _, net := range x.answer.nets {
				s.Queue.Belongs(net, x.answer.name, true)
			}
		}
		return
	}
	if !x.outside {
		s := e.watching(x.server)
		if s == nil && x.mail != nil && answered(x.mail) {
			s = e.found(x.server, x.v6)
		}
		if s != nil {
			tell := e.teller(s)
			s.at(now, tell)
			switch {
			case x.mail != nil:
				s.Brought(x.mail, tell)
			case x.session != nil:
				s.Session(x.session, tell)
			}
		}
	}
	s := e.watching(x.client)
	if s == nil {
		return
	}
	tell := e.teller(s)
	s.at(now, tell)
	switch {
	case x.mail != nil:
		s.Sent(x.mail, x.outside, tell)
	case x.session != nil && x.outside:
		s.Session(x.session, tell)
	case x.attempt == tryBegins:
		s.Queue.Connecting(x.net, x.host, now)
	case x.attempt == tryAnswered:
		s.Queue.Answer(x.net, x.host)
	case x.attempt == tryRefused:
		s.Queue.Fail(x.net, x.host, false, now)
	}
}

// answered reports whether the server said something to a recipient.
func answered(m *detect.Mail) bool {
	return slices.ContainsFunc(m.Rcpts, func(to detect.Recipient) bool { return to.Code != 0 })
}

// tickServers moves the servers' time on, once a second, and gives out their records when it
// is time. What a server does moves its time on as well.
func (e *Engine) tickServers(now int64) {
	if now/second == e.servers.ticked {
		return
	}
	e.servers.ticked = now / second
	for _, s := range e.allServers() {
		if s.First != 0 {
			s.at(now, e.teller(s))
			e.closeCalm(s, now)
			if e.cfg.Live { // a file's end is near
				e.tellProof(s, now)
			}
		}
	}
	if e.servers.next == 0 {
		e.servers.next = now - now%hour + hour
	}
	if now >= e.servers.next {
		e.servers.next = now - now%hour + hour
		e.tellServers(now)
	}
}

// tellServers gives out what is known of each server that was seen.
func (e *Engine) tellServers(now int64) {
	for _, s := range e.allServers() {
		if s.First == 0 || e.out.Server == nil {
			continue
		}
		r := s.Record(now)
		r.Addr, r.Declared, r.DomainsTold = s.addr, s.declared, e.servers.local != nil
		r.Count.Port25 = slices.Clone(r.Count.Port25)
		e.out.Server(&r)
	}
}

// allServers are the servers in the order of their addresses.
func (e *Engine) allServers() (list []*mailServer) {
	for _, s := range *e.servers.known.Load() {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *mailServer) int { return a.addr.Compare(b.addr) })
	return list
}

// serverFinding is an open finding about a server.
type serverFinding struct {
	ID      string
	Seq     int
	Level   detect.Level
	Opened  int64
	Last    int64 // verdict
	Reasons []detect.ReasonText
	Relay   *detect.RelayProof
	Client  netip.Addr // whose sessions are evidence
	Events  []uint64   // of them
	told    int        // of these
	toldAt  int64
}

const (
	maxServerReasons = 8
	// calm is how long nothing must be found until a finding is closed.
	calm      = 24 * hour
	calmRelay = 7 * 24 * hour
)

// teller makes findings of verdicts about a server.
func (e *Engine) teller(s *mailServer) func(detect.ServerVerdict) {
	return func(v detect.ServerVerdict) {
		f := s.open[v.Class]
		action := "updated"
		if f == nil {
			action = "opened"
			f = &serverFinding{ID: fmt.Sprintf("%s-%s-%d", v.Class, s.addr, v.Time/second), Opened: v.Time}
			s.open[v.Class] = f
		}
		f.Last = v.Time
		worse := v.Level > f.Level
		f.Level = max(f.Level, v.Level)
		if v.Relay != nil {
			f.Relay = v.Relay
		}
		if v.Client.IsValid() {
			f.Client = v.Client
		}
		fresh := f.because(&v)
		if action == "opened" || worse || fresh {
			e.tellFinding(s, v.Class, action, v.Time, "")
		}
	}
}

// because notes a reason; fresh says that it is a new one.
func (f *serverFinding) because(v *detect.ServerVerdict) (fresh bool) {
	for i := range f.Reasons {
		r := &f.Reasons[i]
		if r.Server == v.Code {
			r.Reason.Last, r.Text = v.Time, v.Text
			r.Reason.Value = max(r.Reason.Value, v.Value)
			return false
		}
	}
	if len(f.Reasons) < maxServerReasons {
		f.Reasons = append(f.Reasons, detect.ReasonText{Server: v.Code, Text: v.Text,
			Reason: detect.Reason{First: v.Time, Last: v.Time, Value: v.Value, Threshold: v.Threshold}})
	}
	return true
}

// mayProve reports whether a session can be what a finding about a server of ours rests on: a stranger's whose message
// was taken for somebody else, one with a login, or one that cannot be read. Whether it is is known where findings are made.
func (s *shard) mayProve(f *flow, talk *smtpsniff.Session) bool {
	return f.has(inside) && talk != nil && (f.has(relayed) || talk.Auth == smtpsniff.AuthOK || talk.Encryption != smtpsniff.Plain)
}

// restsOn calls do for each open finding about a server that rests on the client of a session and has room for its event.
func (e *Engine) restsOn(x *detect.Session, do func(f *serverFinding)) {
	s := e.watching(x.Server.Addr().As16())
	if s == nil {
		return
	}
	for _, f := range s.open {
		if f != nil && f.Client == x.Client.Addr() && len(f.Events) < maxEvidence {
			do(f)
		}
	}
}

// proved reports whether a finding about a server rests on the client of a session.
func (e *Engine) proved(x *detect.Session) (yes bool) {
	e.restsOn(x, func(*serverFinding) { yes = true })
	return yes
}

// proves notes the event of a session as evidence, if a finding about a server rests on its client.
func (e *Engine) proves(x *detect.Session, event uint64) {
	if event != 0 {
		e.restsOn(x, func(f *serverFinding) { f.Events = append(f.Events, event) })
	}
}

// tellProof tells findings again whose sessions ended after they had been opened: at the first, and then now and then.
func (e *Engine) tellProof(s *mailServer, now int64) {
	for c, f := range s.open {
		if f != nil && len(f.Events) > f.told && (f.told == 0 || now-f.toldAt >= updateEvery) {
			e.tellFinding(s, detect.Class(c), "updated", now, "")
		}
	}
}

// closeCalm closes findings for which nothing came any more.
func (e *Engine) closeCalm(s *mailServer, now int64) {
	for c, f := range s.open {
		wait := int64(calm)
		if detect.Class(c) == detect.OpenRelay {
			wait = calmRelay
		}
		if f != nil && now-f.Last > wait {
			e.tellFinding(s, detect.Class(c), "closed", now, "quiet")
		}
	}
}

// tellFinding gives out an event of a finding about a server; a closed one is forgotten.
func (e *Engine) tellFinding(s *mailServer, c detect.Class, action string, now int64, reason string) {
	f := s.open[c]
	f.Seq++
	f.told, f.toldAt = len(f.Events), now
	if action == "closed" {
		s.open[c] = nil
	}
	if e.out.Finding == nil {
		return
	}
	d := &detect.Finding{ID: f.ID, Seq: f.Seq, Action: action, Class: c, Level: f.Level, Time: now, CloseReason: reason, Mode: "clear", Egress: "open",
		Decided: detect.Decision{At: f.Opened, Attempts: 1}, Reasons: slices.Clone(f.Reasons), Relay: f.Relay, Evidence: slices.Clone(f.Events)}
	d.Severity = [...]detect.Severity{detect.Info, detect.Low, detect.Medium, detect.High}[f.Level]
	if c == detect.OpenRelay || c == detect.HijackedAccount {
		d.Severity = [...]detect.Severity{detect.Info, detect.Medium, detect.High, detect.Critical}[f.Level]
	}
	d.Source = detect.SourceRecord{Addr: s.addr, Role: "mailserver", Time: now, Level: f.Level, Facts: detect.Facts{First: s.First, Last: f.Last}}
	d.DecidedIn = max(0, f.Opened-s.First)
	d.Advice = serverAdvice(c, s.addr, f.Reasons)
	if e.servers.local == nil && c == detect.OpenRelay {
		d.Blind = append(d.Blind, "your domains are not configured (local_domains): that these are not yours is inferred")
	}
	e.out.Finding(d)
}

// serverAdvice says what to do; reasons are the finding's, the latest last.
func serverAdvice(c detect.Class, a netip.Addr, reasons []detect.ReasonText) string {
	switch c {
	case detect.OpenRelay:
		return fmt.Sprintf("Restrict relaying on %s to your networks and authenticated users (Postfix: mynetworks, smtpd_relay_restrictions), and look through its queue. Domains that it takes mail for belong into local_domains.", a)
	case detect.HijackedAccount:
		return fmt.Sprintf("Find the account in the log of %s (many client addresses, many recipients), lock it, change its password, and remove its mail from the queue.", a)
	}
	code := ""
	if len(reasons) > 0 {
		code = reasons[len(reasons)-1].Server
	}
	switch code {
	case "queue_blocklisted":
		return fmt.Sprintf("Find out why %s is on the list before you ask for removal: an account or a host that sends spam through it. What waits goes out by itself once the address is removed.", a)
	case "queue_grew":
		return fmt.Sprintf("Look at the queue of %s (Postfix: mailq). If most of it is for one destination, that one has trouble and the mail will go out later; if it is for many, and nobody here wrote it, an account is stolen.", a)
	case "volume_stopped":
		return fmt.Sprintf("Look whether %s still runs, reaches the Internet, and resolves names; on a holiday there may be nothing to send.", a)
	case "volume_burst", "volume_rise":
		return fmt.Sprintf("Ask whether somebody sends a newsletter or many invoices through %s. If nobody does, look into its log for the account or host that sends most, and lock it.", a)
	}
	return fmt.Sprintf("Look at the queue and the log of %s: who sends, to whom, and since when.", a)
}

// SavedServer is a mail server in the checkpoint.
type SavedServer struct {
	Addr     netip.Addr
	State    *detect.MailServer
	Findings map[detect.Class]*serverFinding `json:",omitempty"`
}

// saveServers copies the servers. What refers to nothing outside is copied by writing and reading
// it, because much of it is maps.
func (e *Engine) saveServers() (list []SavedServer) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	for _, s := range e.allServers() {
		if s.First == 0 {
			continue
		}
		d := SavedServer{Addr: s.addr, State: s.MailServer.Clone(), Findings: map[detect.Class]*serverFinding{}}
		for c, f := range s.open {
			if f != nil {
				copied := *f
				copied.Reasons = slices.Clone(f.Reasons)
				copied.Events = nil // numbers of one run
				d.Findings[detect.Class(c)] = &copied
			}
		}
		list = append(list, d)
	}
	return list
}

// restoreServers takes over what saveServers copied.
func (e *Engine) restoreServers(list []SavedServer) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	for _, d := range list {
		if !d.Addr.IsValid() || d.State == nil {
			continue
		}
		a := d.Addr.As16()
		s := e.watching(a)
		if s == nil {
			s = e.found(a, d.Addr.Is6())
		}
		if s == nil {
			continue
		}
		s.MailServer = *d.State
		s.MailServer.Sound(&e.servers.room)
		s.resumed = true
		for c, f := range d.Findings {
			if c >= detect.OpenRelay && c < detect.Classes && f != nil {
				f.Level = min(f.Level, detect.Confirmed)
				s.open[c] = f
			}
		}
	}
}

// finishServers ends the servers' findings and gives out their records. The caller holds
// tickMu.
func (e *Engine) finishServers(now int64, reason string) {
	for _, s := range e.allServers() {
		if s.First == 0 {
			continue
		}
		s.at(now, e.teller(s))
		for c, f := range s.open {
			if f != nil {
				e.tellFinding(s, detect.Class(c), "closed", now, reason)
			}
		}
	}
	e.tellServers(now)
}
