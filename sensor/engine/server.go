package engine

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Mail servers are watched as receivers, too. A server's sessions are in the shards of its clients,
// so the shards add their observations of it (a completed transaction, a session, an attempt) to
// their journals. At the end of a round they are judged in packet order, by the one goroutine that
// holds tickMu. So the result does not depend on the number of workers.
//
// Servers are the declared ones, and internal hosts that replied to a recipient.

// servers are the watched mail servers.
type servers struct {
	// known is replaced as a whole when a server is added, so that shards read it without a lock.
	known        atomic.Pointer[map[flowtable.Addr]*mailServer]
	localDomains mailserver.Domains // the configured ones, nil if domains are learned
	full         atomic.Uint64      // servers, senders and recipients that were dropped at a limit
	nextHour     int64              // the next full hour, at which server events are emitted
	lastTick     int64              // the second of the latest tick
	quietSpent   int64              // quiet hours that were emitted one by one; see rollHours
	budget       sketch.Budget      // for the queues of all servers
}

// mailServer is a watched server. The holder of tickMu owns its fields.
type mailServer struct {
	mailserver.Server
	addr     netip.Addr // its address
	declared bool
	findings finding.Book // the open finding of each class
	resumed  bool         // restored, and not observed since the checkpoint
}

// maxBehind is how far the packets' time can be behind a server's own time without a clock that was
// put back.
const maxBehind = hour

// advance moves a server's time on. After a restart, or after a clock that was put back, the
// server's series resume at the new time.
func (s *mailServer) advance(now int64) []verdict.Verdict {
	if s.resumed || now < s.Last-maxBehind {
		s.resumed = false
		s.Resume(now)
		s.findings.Rewind(now)
	}
	return s.Advance(max(now, s.Last))
}

// initServers begins to watch the declared servers.
func (e *Engine) initServers() {
	e.servers.budget.Words = e.cfg.Limits.QueueBytes / 4
	known := map[flowtable.Addr]*mailServer{}
	for _, a := range e.peers.Servers() {
		s := &mailServer{addr: a, declared: true}
		s.Repair(&e.servers.budget)
		known[a.As16()] = s
	}
	e.servers.known.Store(&known)
	if len(e.cfg.LocalDomains) > 0 {
		e.servers.localDomains = mailserver.Domains{}
		for _, d := range e.cfg.LocalDomains {
			e.servers.localDomains[d] = true
		}
	}
}

// watchedServer returns a watched server, nil if the address is not one.
func (e *Engine) watchedServer(a flowtable.Addr) *mailServer {
	known := *e.servers.known.Load()
	if len(known) == 0 {
		return nil
	}
	return known[a]
}

// watchServer begins to watch an undeclared server. It returns nil at the limit. The map is copied,
// because shards read the old one meanwhile; this is rare.
func (e *Engine) watchServer(a flowtable.Addr, v6 bool) *mailServer {
	known := *e.servers.known.Load()
	if len(known) >= e.cfg.Limits.Servers {
		e.servers.full.Add(1)
		return nil
	}
	more := make(map[flowtable.Addr]*mailServer, len(known)+1)
	for k, s := range known {
		more[k] = s
	}
	more[a] = &mailServer{addr: peer.NetIP(a, v6)}
	more[a].Repair(&e.servers.budget)
	e.servers.known.Store(&more)
	return more[a]
}

// judgeServer gives an observation to the detectors of the servers that it concerns: the DNS answer
// to all, anything else to its server and its client. The caller holds tickMu.
func (e *Engine) judgeServer(x *serverObservation, now int64) {
	// The answer concerns the queues of all servers.
	if x.dnsAnswer != nil {
		for _, s := range e.allServers() {
			for _, net := range x.dnsAnswer.nets {
				s.Observe(&mailserver.Observation{Kind: mailserver.Resolved, Net: net,
					Name: x.dnsAnswer.name})
			}
		}
		return
	}
	if !x.outside {
		s := e.watchedServer(x.server)
		// A host that replied to a recipient is a mail server.
		if s == nil && x.mail != nil && answered(x.mail) {
			s = e.watchServer(x.server, x.v6)
		}
		if s != nil {
			e.publish(s, s.advance(now))
			switch {
			case x.mail != nil:
				e.publish(s, s.Observe(&mailserver.Observation{Kind: mailserver.InboundMail,
					Mail: x.mail}))
			case x.session != nil:
				e.publish(s, s.Observe(&mailserver.Observation{Kind: mailserver.SessionEnd,
					Session: x.session}))
			}
		}
	}
	s := e.watchedServer(x.client)
	if s == nil {
		return
	}
	e.publish(s, s.advance(now))
	o := mailserver.Observation{Time: now, Mail: x.mail, Outside: x.outside, Session: x.session,
		Net: x.net, Host: x.host}
	switch {
	case x.mail != nil:
		o.Kind = mailserver.OutboundMail
	case x.session != nil && x.outside:
		o.Kind = mailserver.SessionEnd
	case x.attempt == attemptBegan:
		o.Kind = mailserver.Connecting
	case x.attempt == attemptAnswered:
		o.Kind = mailserver.Answered
	case x.attempt == attemptRefused:
		o.Kind = mailserver.Refused
	default:
		return
	}
	e.publish(s, s.Observe(&o))
}

// answered reports whether the server replied to a recipient.
func answered(m *mailserver.Mail) bool {
	return slices.ContainsFunc(m.Rcpts, func(to mailserver.Recipient) bool { return to.Code != 0 })
}

// tickServers moves the servers' time on once a second. A server's own observations move its time
// on as well. The caller holds tickMu.
func (e *Engine) tickServers(now int64) {
	if now/second == e.servers.lastTick {
		return
	}
	e.servers.lastTick = now / second
	e.rollHours(now)
	for _, s := range e.allServers() {
		if s.First != 0 {
			e.publish(s, s.advance(now))
			e.commit(s, s.findings.Calm(now), now)
			if e.cfg.Live { // at the end of a file the findings are closed anyway
				e.commit(s, s.findings.NewEvidence(now), now)
			}
		}
	}
}

const (
	// quietHours is how many hours without traffic are emitted one by one.
	quietHours = 48
	// quietEach is how many more quiet hours each hour with traffic earns.
	quietEach = 4
)

// rollHours emits the servers' events at each full hour up to now, and closes quiet findings. In a
// live capture this is due once a second. A file comes in rounds that can span days, so it runs
// between the journal's entries, too.
//
// Hours without traffic are emitted one by one while there are few, so that a reader sees a quiet
// night. A jump of the clock by more than quietHours, in either direction, only sets the next hour.
func (e *Engine) rollHours(now int64) {
	// The first call and a jump only set the next hour.
	full := now - now%hour
	if e.servers.nextHour == 0 || full > e.servers.nextHour+quietHours*hour ||
		full < e.servers.nextHour-quietHours*hour {
		e.servers.nextHour = full + hour
		return
	}
	switch quiet := (full - e.servers.nextHour) / hour; {
	case quiet > quietHours-e.servers.quietSpent:
		// so that a few frames cannot cause 48 events of each server again and again
		e.servers.nextHour = full + hour
		return
	// Emitted quiet hours are spent, and traffic earns them back.
	case quiet > 0:
		e.servers.quietSpent += quiet
	case quiet == 0 && now >= e.servers.nextHour:
		e.servers.quietSpent = max(0, e.servers.quietSpent-quietEach)
	}
	for ; now >= e.servers.nextHour; e.servers.nextHour += hour { // at most quietHours + 1
		for _, s := range e.allServers() {
			if s.First != 0 {
				e.publish(s, s.advance(e.servers.nextHour))
				e.commit(s, s.findings.Calm(e.servers.nextHour), e.servers.nextHour)
			}
		}
		e.emitServers(e.servers.nextHour)
	}
}

// emitServers emits the event of each server that was seen. now is its time, in ns.
func (e *Engine) emitServers(now int64) {
	for _, s := range e.allServers() {
		if s.First == 0 || e.out.Server == nil {
			continue
		}
		r := s.Record(now)
		r.Addr, r.Declared, r.DomainsConfigured = s.addr, s.declared, e.servers.localDomains != nil
		r.Count.Port25 = slices.Clone(r.Count.Port25)
		e.out.Server(&r)
	}
}

// allServers returns the servers in the order of their addresses, so that events do not depend on
// the order of a map.
func (e *Engine) allServers() (list []*mailServer) {
	for _, s := range *e.servers.known.Load() {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *mailServer) int { return a.addr.Compare(b.addr) })
	return list
}

// SavedServer is a mail server in the checkpoint: its state, and its open findings by class.
type SavedServer struct {
	Addr     netip.Addr                            `json:"Addr"`
	State    *mailserver.Server                    `json:"State"`
	Findings map[verdict.Class]*finding.SavedProof `json:"Findings,omitempty"`
}

// saveServers copies the servers that were seen.
func (e *Engine) saveServers() (list []SavedServer) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	for _, s := range e.allServers() {
		if s.First == 0 {
			continue
		}
		list = append(list, s.save())
	}
	return list
}

// save copies a server. The caller holds tickMu.
func (s *mailServer) save() SavedServer {
	return SavedServer{Addr: s.addr, State: s.Server.Clone(), Findings: s.findings.SaveProofs()}
}

// restoreServers restores the servers that saveServers copied. A server beyond the limit is
// dropped, a finding of another class is dropped, and a level is at most confirmed.
func (e *Engine) restoreServers(list []SavedServer) {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	for _, d := range list {
		if !d.Addr.IsValid() || d.State == nil {
			continue
		}
		a := d.Addr.As16()
		s := e.watchedServer(a)
		if s == nil {
			s = e.watchServer(a, d.Addr.Is6())
		}
		if s == nil {
			continue
		}
		s.Server = *d.State
		s.Server.Repair(&e.servers.budget)
		// The time since the checkpoint is unknown: advance resumes the series at the next packet.
		s.resumed = true
		s.findings.RestoreProofs(d.Findings)
	}
}

// finishServers closes the servers' findings and emits their events at the end of the input. The
// caller holds tickMu.
func (e *Engine) finishServers(now int64, reason string) {
	for _, s := range e.allServers() {
		if s.First == 0 {
			continue
		}
		e.publish(s, s.advance(now))
		e.commit(s, s.findings.CloseAll(reason), now)
	}
	e.emitServers(now)
}
