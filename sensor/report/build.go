package report

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// Model returns what the report says of a run. The Report may collect further facts afterwards; the
// model does not change.
func (r *Report) Model(in *Input) *Model {
	shown := *in
	in = &shown
	r.unjudged(in)
	r.first = r.worstFindings()
	found, ignored := r.sorted(), r.ignored()
	m := &Model{Only: r.restriction(in), Version: in.Version, Sensor: in.Sensor, Live: in.Live,
		Period:   Period{Time(in.First), Time(in.Last)},
		Findings: []Finding{}, MoreFindings: r.more, Withdrawn: r.withdrawn(),
		Site: r.siteFacts(), Hosts: []Host{}, HostCount: r.hostCount, Servers: r.mailServers(),
		Declared: r.declared(in.Roles), Relays: in.Relays,
		Health: slices.Clone(r.health), Hints: r.hints(in, found), Unused: in.Unused,
		Input: *in}
	for _, f := range found {
		m.Findings = append(m.Findings, r.findingModel(f, in.Last))
	}
	for _, f := range ignored {
		m.Ignored = append(m.Ignored, r.findingModel(f, in.Last))
	}
	for i := range r.hosts {
		m.Hosts = append(m.Hosts, r.hostModel(&r.hosts[i]))
	}
	renew(m)
	m.Site.Others = otherAddresses(m)
	m.Headline = r.headline(in, found, ignored, m.Site.Others)
	m.Headline.More = append(m.Only.sentences(), m.Headline.More...)
	m.Sessions, m.MoreSessions = r.tableModel()
	m.Limits = Limits{r.tls, in.SeenClient, in.SeenServer, in.Gaps, in.Midstream}
	r.addTimes(m)
	m.Replies = replies(m)
	return m
}

// renew gives the findings about hosts the present counts of their hosts: those of an event are as
// old as the event, and the host of a finding that is closed may go on.
func renew(m *Model) {
	hosts := map[netip.Addr][]*Host{} // one for each VLAN or tunnel
	for i := range m.Hosts {
		h := &m.Hosts[i]
		hosts[h.IP] = append(hosts[h.IP], h)
	}
	for _, list := range [][]Finding{m.Findings, m.Ignored} {
		for i := range list {
			f := &list[i]
			if f.Class >= verdict.OpenRelay || f.lost() {
				continue
			}
			for _, h := range hosts[f.IP] {
				f.renew(h)
			}
		}
	}
}

// renew takes over what a host has done until now, if it is the machine of the finding.
func (f *Finding) renew(h *Host) {
	if h.MAC != f.MAC || !slices.Equal(h.VLAN, f.VLAN) {
		return
	}
	f.Last = max(f.Last, h.Last)
	// The counts of an address that had another machine before have that machine's, too, and those
	// of a finding may have those of the other addresses of its machine.
	if h.First >= f.First && h.Counts.Attempts >= f.Counts.Attempts {
		f.Counts, f.Ports, f.Destinations = h.Counts, h.Ports, h.Destinations
	}
}

// declared are the hosts with a role. Of several roles of a host the last one holds.
func (r *Report) declared(roles []Declared) []Declared {
	list := []Declared{}
	for _, d := range roles {
		d.Name = r.names[d.IP]
		if i := slices.IndexFunc(list, func(x Declared) bool { return x.IP == d.IP }); i >= 0 {
			list[i] = d
			continue
		}
		list = append(list, d)
	}
	return list
}

// hostModel is a host without what the timeline knows of it.
func (r *Report) hostModel(s *finding.SourceRecord) Host {
	c := &s.Counters
	h := Host{IP: s.Addr, Name: r.names[s.Addr], Role: s.Role, Level: s.Level.String(),
		Score: s.Score, VLAN: s.VLAN, Input: r.name(s.Input), First: Time(c.First),
		Last: Time(c.Last),
		Counts: Counts{Attempts: c.Attempts, Sessions: c.Sessions, Refused: c.Refused,
			Unreachable: c.Unreachable, Silent: s.Silent, GivenUp: s.GivenUp,
			Messages: c.Messages, Rejected: c.Rejected, Deferred: c.Deferred,
			Recipients: c.Recipients, RecipientsRejected: c.RecipientsRejected,
			TLSSessions: c.TLSSessions, AuthSessions: c.AuthSessions,
			ConcurrentMax: c.ConcurrentMax, MXLookups: s.MXLookups,
			DestIPs: s.DestIPs, DestNets: s.DestNets,
			HeloNames: s.HeloNames, SenderDomains: s.SenderDomains},
		Outside: s.Outside, Finding: r.first[s.Addr]}
	for _, p := range c.Ports {
		if p.Count > 0 {
			h.Ports = append(h.Ports, Port{p.Port, p.Count})
		}
	}
	if s.MAC != [6]byte{} {
		h.MAC = net.HardwareAddr(s.MAC[:]).String()
	}
	for _, d := range s.Destinations {
		h.Destinations = append(h.Destinations, Destination{d.Server, r.clean(d.Name)})
	}
	return h
}

// worstFindings are the ids of the first finding about each host that stands.
func (r *Report) worstFindings() map[netip.Addr]string {
	worst := map[netip.Addr]*finding.Finding{}
	for _, f := range r.findings {
		if w := worst[f.Source.Addr]; !f.Revoked() && f.Ignored == nil &&
			(w == nil || compare(f, w) < 0) {
			worst[f.Source.Addr] = f
		}
	}
	ids := make(map[netip.Addr]string, len(worst))
	for a, f := range worst {
		ids[a] = f.ID
	}
	return ids
}

// findingModel describes a finding; end is the end of the input.
func (r *Report) findingModel(f *finding.Finding, end int64) Finding {
	reasonsAt := Time(f.Time)
	if now := r.explained[f.ID]; now != nil && now.Class == f.Class && len(now.Reasons) > 0 {
		reasonsAt = Time(now.Time)
		latest := *f
		latest.Reasons, latest.Blind, latest.Advice = now.Reasons, now.Blind, now.Advice
		f = &latest
	}
	x := Finding{Host: r.hostModel(&f.Source), ID: f.ID, Class: f.Class, Title: title(f),
		What: predicate(f), Severity: f.Worst().String(), Open: f.Action != finding.Closed,
		Over: over(f, end), OnLink: f.OnLink,
		Decided:  Decision{Time(f.Decided.At), f.Decided.Attempts},
		LastSign: Time(f.LastSign()), Mode: f.Mode, Egress: f.Egress,
		Reasons: []Reason{}, Events: f.Evidence, Blind: f.Blind, Advice: f.Advice,
		SameMachine: f.SameMachine(), Also: f.Also, Reopened: f.Reopened, CleanFor: f.CleanFor,
		CloseReason: f.CloseReason, Time: Time(f.Time), ReasonsAt: reasonsAt,
		Story: slices.Clone(r.stories[f.ID])}
	x.Level, x.Finding = f.Highest.String(), f.ID
	for i := range f.Reasons {
		x.Reasons = append(x.Reasons, r.reasonModel(&f.Reasons[i]))
	}
	for _, p := range f.Periods {
		x.Periods = append(x.Periods, Period{Time(p.First), Time(p.Last)})
	}
	if a := f.Ack; a != nil {
		x.Ack = &Ack{r.clean(a.By), r.clean(a.Why), Time(a.At)}
	}
	if i := f.Ignored; i != nil {
		x.Ignored = &Ignored{r.clean(i.Why), Time(i.Until)}
	}
	x.Advice = delisting(ordered(x.Advice, x.OnLink && x.MAC != ""), x.Reasons)
	x.Proof = r.proof(f)
	return x
}

func (r *Report) reasonModel(t *finding.ReasonText) Reason {
	x := Reason{Code: t.Server, Value: t.Reason.Value, Threshold: t.Reason.Threshold,
		Weight: t.Reason.Weight, Text: r.clean(t.Text), First: Time(t.Reason.First),
		Last: Time(t.Reason.Last)}
	if t.Server == "" {
		x.Code, x.Family = t.Code.String(), t.Code.Family().String()
	}
	return x
}

// proof are the sessions that a finding rests on.
func (r *Report) proof(f *finding.Finding) (list []Session) {
	switch {
	case f.Class == verdict.DirectSMTP:
		return nil
	case f.Class < verdict.OpenRelay:
		for _, s := range r.sessions[f.Source.Addr].list {
			list = append(list, r.sessionModel(f.Source.Addr, &s))
		}
		sortByStart(list)
		return list
	}
	// About a mail server: sessions of the external client, or those that the evidence names.
	for _, client := range slices.SortedFunc(maps.Keys(r.sessions), netip.Addr.Compare) {
		if f.Relay != nil && f.Relay.Client != client {
			continue
		}
		for _, s := range r.sessions[client].list {
			if s.to.Addr() == f.Source.Addr &&
				(s.number == 0 && !r.named[client] || slices.Contains(f.Evidence, s.number)) &&
				len(list) < maxSessions {
				list = append(list, r.sessionModel(client, &s))
			}
		}
	}
	return list
}

func sortByStart(list []Session) {
	slices.SortStableFunc(list, func(a, b Session) int { return cmp.Compare(a.Start, b.Start) })
}

func (r *Report) sessionModel(client netip.Addr, s *session) Session {
	x := Session{Number: s.number, Start: Time(s.start), Client: client, Server: s.to,
		Helo: r.clean(s.helo), Messages: s.accepted, TLS: s.tls, Code: s.refused.Code,
		Kind: s.kind.String(), Phase: s.refused.Phase, Reply: r.clean(s.refused.Text)}
	for _, a := range s.from {
		x.MailFrom = append(x.MailFrom, r.clean(a))
	}
	return x
}

// siteFacts is what receiving servers said of the site as a whole.
func (r *Report) siteFacts() (s Site) {
	if r.site == nil {
		return s
	}
	if r.site.PublicIP.IsValid() {
		s.PublicIP, s.Quoted = r.site.PublicIP.String(), r.site.Servers
	}
	for _, l := range r.site.Lists {
		s.Blocklists = append(s.Blocklists, Blocklist{r.clean(l.Name), Time(l.First), Time(l.Last),
			l.Count, r.clean(l.Sample)})
	}
	return s
}

// mailServers are the mail servers, those that send most first.
func (r *Report) mailServers() []Server {
	list := []Server{}
	for _, s := range slices.SortedFunc(maps.Values(r.mail), func(a, b mailserver.Record) int {
		return cmp.Or(-cmp.Compare(a.Count.MessagesOut, b.Count.MessagesOut),
			a.Addr.Compare(b.Addr))
	}) {
		list = append(list, r.serverModel(&s))
	}
	return list
}

func (r *Report) serverModel(s *mailserver.Record) Server {
	c := &s.Count
	x := Server{Encrypted: min(r.encrypted(s.Addr), c.SessionsOut), Finding: r.first[s.Addr],
		IP: s.Addr, Name: r.names[s.Addr], Declared: s.Declared, First: Time(s.First),
		Sent: r.sent(s), Counted: c.MessagesOut, Received: c.MessagesIn,
		Recipients: c.RecipientsOut,
		Sessions:   c.SessionsOut, Bytes: c.BytesOut, Failed: c.FailedOut, Deferred: c.DeferredOut,
		Bounces: c.BouncesOut, AuthOK: c.AuthOK, AuthFailed: c.AuthFailed,
		Queue: Queue{s.Queue.Estimate, s.Queue.Destinations, s.Queue.Oldest, s.Queue.Listed,
			s.Queue.LowerBound},
		Relay: Relay{s.Relayed, s.RelayDenied, Time(s.RelayDeniedLast), s.RelayStrangers,
			s.DomainsConfigured},
		Backscatter: c.Backscatter(), Hours: slices.Clone(r.hours[s.Addr])}
	if s.Hour.Known {
		x.Usual = &s.Hour.Mean
	}
	if o := &s.Outage; o.From != 0 {
		x.Outage = &Outage{Time(o.From), Time(o.To), o.Waited}
	}
	for phase, n := range c.FailedBy {
		if n > 0 {
			x.FailedAt = append(x.FailedAt, Cause{phaseText[phase], n})
		}
	}
	for cause, n := range c.FailedWhy {
		if n > 0 {
			x.FailedWhy = append(x.FailedWhy, Cause{refusal.Reason(cause).String(), n})
		}
	}
	slices.SortStableFunc(x.FailedWhy, func(a, b Cause) int { return cmp.Compare(b.N, a.N) })
	for _, a := range slices.SortedFunc(slices.Values(c.Port25), netip.Addr.Compare) {
		x.Port25 = append(x.Port25, a.String())
	}
	return x
}

// encrypted is the number of encrypted sessions of a host as a client.
func (r *Report) encrypted(a netip.Addr) (n uint64) {
	for i := range r.hosts {
		if s := &r.hosts[i]; s.Addr == a {
			n = max(n, uint64(s.Counters.TLSSessions))
		}
	}
	return n
}

// sent is the number of messages that a server sent. The first messages of an undeclared server are
// counted only in its counters as a source.
func (r *Report) sent(s *mailserver.Record) uint64 {
	n := s.Count.MessagesOut
	if s.Declared {
		return n
	}
	for i := range r.hosts {
		if t := &r.hosts[i]; t.Addr == s.Addr {
			n = max(n, uint64(t.Counters.Messages))
		}
	}
	for _, f := range r.findings {
		if f.Source.Addr == s.Addr {
			n = max(n, uint64(f.Source.Counters.Messages))
		}
	}
	return n
}

// withdrawn are the findings that other evidence has withdrawn: those that accused a host of more
// than what stands now.
func (r *Report) withdrawn() (list []Withdrawn) {
	standing := map[netip.Addr]*finding.Finding{} // the verdict about a host
	for _, f := range r.findings {
		if finding.IsSum(f.Class) && !f.Revoked() {
			standing[f.Source.Addr] = f
		}
	}
	for _, f := range r.findings {
		if f.CloseReason != finding.Withdrawn && f.CloseReason != finding.Reclassified {
			continue
		}
		why, now := "later traffic speaks against it", standing[f.Source.Addr]
		if now != nil && (now.Class == verdict.Spambot || f.Class != verdict.Spambot) {
			continue // it became worse
		}
		if now != nil {
			why = fmt.Sprintf("by later traffic it %s", predicate(now))
		}
		list = append(list, Withdrawn{f.Source.Addr, title(f), Time(f.Time), why})
	}
	return list
}

// hints are options that would improve the next run.
func (r *Report) hints(in *Input, found []*finding.Finding) (hints []string) {
	if in.Live {
		return r.settings(in, found)
	}
	if !in.HomeSeen && in.Attempts > 0 {
		hint := "No address of your networks was seen, so every source was judged. Name your " +
			"networks"
		if p := r.home.guess(in.Attempts); p.IsValid() {
			hint = fmt.Sprintf("No address of your networks was seen, so every source was judged. "+
				"Name your networks: --home %s", p)
		}
		hints = append(hints, hint)
	}
	if _, s := finding.UnjudgedText(in.Unjudged, in.UnjudgedCount, in.Home); s != "" {
		hints = append(hints, strings.ToUpper(s[:1])+s[1:])
	}
	for _, f := range found {
		if f.Class == verdict.DirectSMTP {
			hints = append(hints,
				fmt.Sprintf("If %s is a mail server of yours: --mail-server %s", f.Source.Addr,
					f.Source.Addr))
			break
		}
	}
	for _, s := range r.undeclared() {
		if slices.ContainsFunc(hints,
			func(h string) bool { return strings.HasPrefix(h, "If "+s.String()+" ") }) {
			continue
		}
		hints = append(hints,
			fmt.Sprintf("%s accepts mail like a mail server. If it is one: --mail-server %s, "+
				"or in the configuration smtp_servers: [{ip: %q, role: mailserver}]. If not, "+
				"find out what it is.", s, s, s.String()))
	}
	if r.domainsMissing() {
		hints = append(hints,
			"To check whether your mail servers relay for external clients: --local-domain for "+
				"each domain that you accept mail for, backup domains included (local_domains "+
				"in the configuration).")
	}
	if in.Attempts == 0 {
		hints = append(hints,
			"No connection to a mail port was seen. Other ports: --set capture.ports=[25,1025]")
	}
	return hints
}
