package mailserver

import (
	"fmt"
	"strings"

	"spamsensor/sensor/verdict"
)

// Relay decides whether a mail server is an open relay: whether it forwards mail for strangers.
//
// A stranger is an external client that did not authenticate. A server of ours that accepts a
// message from a stranger for a recipient in a foreign domain relays: the finding is likely at the
// first such message, and confirmed when that message leaves the server. Mail to local domains may
// be forwarded, expanded to a list, or handed to another server. All of that is legitimate, so mail
// that leaves the server is never evidence against it.
//
// Local domains are configured, and their subdomains are local too. A domain for which the server
// is a backup is one of them. Without a configuration they are learned: a domain is local if
// strangers of three networks deliver mail for it. Until then nothing is proved. A message for a
// new domain is suspicious if the same recipient leaves the server for the Internet within five
// minutes, and likely relayed if one network delivers such messages for three domains that all
// appeared within a day, on a server that has been watched for a week. Many more new domains within
// a day than were known before are likely relayed, too, on a server that has been watched for a
// day.
//
// A local recipient can name another one to which mail is to be forwarded: user%there@here,
// there!user@here, "user@there"@here, or an address literal that may be the server's own. Accepting
// such a message is no proof; its leaving for that recipient within five minutes is.
//
// Refusals are counted as well: each refusal of a stranger's foreign recipient is a test that the
// server passed.
//
// The fields are the format of the checkpoint.
type Relay struct {
	Start   int64                    `json:"Start"`
	Domains map[uint32]LearnedDomain `json:"Domains,omitempty"` // by hash
	// refused foreign recipients of strangers
	Denied     uint64   `json:"Denied"`
	DeniedLast int64    `json:"DeniedLast"`
	Strangers  []uint32 `json:"Strangers,omitempty"` // their networks, up to 256
	// accepted foreign recipients of strangers without a message
	Possible uint64 `json:"Possible"`
	Relayed  uint64 `json:"Relayed"` // messages
	Last     int64  `json:"Last"`    // time of the latest
	// one of them left the server again
	Confirmed bool `json:"Confirmed"`
	Suspected bool `json:"Suspected"`

	transit map[uint64]inTransit // messages that may leave again, by recipient
	// domains whose mail left again today, by the network of the stranger
	passedDomains map[uint32]map[uint32]bool
	passedDay     int64
	in            map[uint32]uint64 // bytes from external networks this hour
	inHour        int64
	encrypted     encryptedRelay
}

// LearnedDomain is a domain for which strangers deliver mail.
type LearnedDomain struct {
	First int64     `json:"First"`
	Nets  [3]uint32 `json:"Nets"` // of them
	N     uint8     `json:"N"`
}

// isLocal reports whether so many networks deliver mail for a domain that it is local.
func (d LearnedDomain) isLocal() bool { return int(d.N) == len(d.Nets) }

// inTransit is a message of a stranger that may leave the server again.
type inTransit struct {
	at, first   int64
	net, domain uint32
	proof       verdict.RelayProof
	proved      bool
	onward      bool // its local recipient names another one to forward to
}

const (
	maxLearned   = 4096 // domains
	maxStrangers = 256
	maxInTransit = 1024
	transitTime  = 5 * minute
	relayLearn   = 7 * day
)

// Localities of a domain.
const (
	UnknownDomain Locality = iota
	LocalDomain
	ForeignDomain
)

// Locality says whether a domain is ours.
type Locality uint8

// Domains are the configured local domains, in lower case. Nil means that none is configured.
type Domains map[string]bool

// Locality looks a domain up. An address without a domain is local, and so is one at an address
// literal: only the server itself can be meant.
func (d Domains) Locality(domain string) Locality {
	if domain == "" || strings.HasPrefix(domain, "[") {
		return LocalDomain
	}
	if d == nil {
		return UnknownDomain
	}
	for rest := strings.ToLower(strings.TrimSuffix(domain, ".")); ; {
		// once for each label: a name has 255 bytes at most
		if d[rest] {
			return LocalDomain
		}
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			return ForeignDomain
		}
		rest = rest[dot+1:]
	}
}

// inbound observes a message, or an attempt at one, that a client delivers.
func (r *Relay) inbound(m *Mail, out *verdicts) {
	if r.Start == 0 {
		r.Start = m.Time
	}
	if !m.Stranger {
		return
	}
	for i := range m.Rcpts {
		to := &m.Rcpts[i]
		foreign := to.Where == ForeignDomain
		accepted := to.Code/100 == 2
		switch {
		case to.Onward != 0 && to.Where != ForeignDomain && accepted && m.Accepted:
			r.onward(m, to)
		case to.Where == LocalDomain:
		case accepted && m.Accepted:
			r.accepted(m, to, foreign, out)
		case foreign && accepted && m.Over:
			r.Possible++
			if r.Possible == 1 && r.Relayed == 0 {
				out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Suspect,
					Code: "relay_possible", Time: m.Time, Value: 1, Threshold: 1,
					Relay: m.proof(to), Client: m.Client,
					Text: fmt.Sprintf("It accepted a recipient in %s from the external client "+
						"%s, which then sent no message: some servers refuse only at the end.",
						to.Name, m.Client)})
			}
		case (foreign || to.Relay) && to.Code >= 400 && to.denies():
			r.deny(m)
		}
	}
}

// denies reports whether a refusal is about relaying: its text says so, or its code is one that
// servers use for it (RFC 5321, section 3.6.2: 550; Postfix 554 and 454, qmail 553, older ones
// 551).
func (to *Recipient) denies() bool {
	switch to.Code {
	case 454, 550, 551, 553, 554:
		return true
	}
	return to.Relay
}

func (r *Relay) deny(m *Mail) {
	r.Denied++
	r.DeniedLast = max(r.DeniedLast, m.Time)
	for _, n := range r.Strangers {
		if n == m.Net {
			return
		}
	}
	if len(r.Strangers) < maxStrangers {
		r.Strangers = append(r.Strangers, m.Net)
	}
}

// accepted observes a stranger's message that was accepted for a domain that is not known to be
// local.
func (r *Relay) accepted(m *Mail, to *Recipient, foreign bool, out *verdicts) {
	if foreign {
		r.Relayed++
		r.Last = m.Time
		out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Likely,
			Code: "relay_proved", Time: m.Time, Value: float64(r.Relayed), Threshold: 1,
			Relay: m.proof(to), Client: m.Client,
			Text: fmt.Sprintf("It accepted a message from the external client %s for %s, which "+
				"is none of your domains, without authentication.", m.Client, to.Name)})
	}
	first := m.Time
	if !foreign {
		known, at := r.learn(m, to)
		if known {
			return
		}
		first = at
		if first == m.Time {
			r.newDomain(m, to, out)
		}
	}
	r.addTransit(to.Hash, inTransit{at: m.Time, first: first, net: m.Net, domain: to.Domain,
		proof: *m.proof(to), proved: foreign})
}

// minNewDomains is how many domains must be new within a day, and newToOld how many times as many
// as those that were known.
const minNewDomains, newToOld = 20, 10

// newDomain observes the first message for a domain that is not known to be local, where none is
// configured. Where the server sends on in TLS, nobody sees the same recipient leave. But the local
// domains of a server that was watched for a day are known by then. A server that accepts mail for
// many times as many others within a day, each of which one network alone brings, relays. A server
// for many customers knows many domains, so that a few new ones are not many.
func (r *Relay) newDomain(m *Mail, to *Recipient, out *verdicts) {
	if len(r.Domains) < minNewDomains || m.Time-r.Start < day {
		return
	}
	n, known, local := 0, 0, false
	for _, d := range r.Domains { // maxLearned at most, and as often
		if d.N == 1 && m.Time-d.First <= day {
			n++
			continue
		}
		known++
		local = local || d.isLocal()
	}
	if n < minNewDomains || n < newToOld*known || !local {
		return
	}
	out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Likely,
		Code: "relay_new_domains", Time: m.Time, Value: float64(n), Threshold: minNewDomains,
		Relay: m.proof(to), Client: m.Client,
		Text: fmt.Sprintf("It accepted messages of external clients such as %s, without "+
			"authentication, for %d domains that are new today, each from one network alone; "+
			"before it accepted mail for %s. If you accept mail for them, declare them: "+
			"--local-domain %s.", m.Client, n,
			verdict.Count(uint32(known), "domain", "domains"), to.Name)})
}

// onward observes a stranger's message for a local recipient that names another one to forward to.
// The message is a proof only if it goes there.
func (r *Relay) onward(m *Mail, to *Recipient) {
	if to.Where == UnknownDomain {
		r.learn(m, to)
	}
	p := inTransit{at: m.Time, first: m.Time, net: m.Net, domain: to.Domain, proof: *m.proof(to),
		onward: true}
	p.proof.RcptDomain = to.OnwardName
	r.addTransit(to.Onward, p)
}

// addTransit notes a message that may leave again.
func (r *Relay) addTransit(rcpt uint64, p inTransit) {
	if r.transit == nil {
		r.transit = map[uint64]inTransit{}
	}
	if len(r.transit) < maxInTransit {
		r.transit[rcpt] = p
	}
}

// learn notes a network that delivers mail for a domain; known says that the domain is local.
func (r *Relay) learn(m *Mail, to *Recipient) (known bool, first int64) {
	if r.Domains == nil {
		r.Domains = map[uint32]LearnedDomain{}
	}
	d, seen := r.Domains[to.Domain]
	if !seen && len(r.Domains) >= maxLearned {
		return true, 0 // nothing can be said about it
	}
	if d.First == 0 {
		d.First = m.Time
	}
	if !d.isLocal() {
		fresh := true
		for _, n := range d.Nets[:d.N] {
			fresh = fresh && n != m.Net
		}
		if fresh {
			d.Nets[d.N] = m.Net
			d.N++
		}
	}
	r.Domains[to.Domain] = d
	return d.isLocal(), d.First
}

// IsLearned reports whether strangers of three networks deliver mail for a domain.
func (r *Relay) IsLearned(domain uint32) bool { return r.Domains[domain].isLocal() }

// outbound observes a message that the server delivers to an external one.
func (r *Relay) outbound(m *Mail, out *verdicts) {
	for i := range m.Rcpts {
		p, ok := r.transit[m.Rcpts[i].Hash]
		if !ok || m.Time-p.at > transitTime {
			continue
		}
		delete(r.transit, m.Rcpts[i].Hash)
		p.proof.ReplyCode = m.Rcpts[i].Code
		if p.onward {
			r.Confirmed, r.Last = true, m.Time
			r.Relayed++
			out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Confirmed,
				Code: "relay_onward", Time: m.Time, Value: float64(r.Relayed), Threshold: 1,
				Relay: &p.proof, Client: p.proof.Client, To: m.Client,
				Text: fmt.Sprintf("It accepted a message from the external client %s with a "+
					"recipient that asks for delivery to %s, as in user%%%s@your.domain, and "+
					"relayed it to %s.", p.proof.Client, p.proof.RcptDomain, p.proof.RcptDomain,
					m.Client)})
			continue
		}
		if p.proved {
			r.Confirmed = true
			out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Confirmed,
				Code: "relay_passed_on", Time: m.Time, Value: float64(r.Relayed), Threshold: 1,
				Relay: &p.proof, Client: p.proof.Client, To: m.Client,
				Text: fmt.Sprintf("%s it relayed the external client's message for %s to %s.",
					afterwards(m.Time-p.at), p.proof.RcptDomain, m.Client)})
			continue
		}
		r.passedOn(&p, m, out)
	}
}

// afterwards is the time since an event, at the beginning of a sentence.
func afterwards(ns int64) string {
	if ns < second {
		return "At once"
	}
	return fmt.Sprintf("%d s later", ns/second)
}

// passedOn counts domains whose mail came and left again while no domain is configured.
func (r *Relay) passedOn(p *inTransit, m *Mail, out *verdicts) {
	if r.passedDomains == nil {
		r.passedDomains = map[uint32]map[uint32]bool{}
	}
	if r.IsLearned(p.domain) || m.Time-p.first > day {
		return
	}
	if r.passedDomains[p.net] == nil {
		if len(r.passedDomains) >= maxStrangers {
			clear(r.passedDomains)
		}
		r.passedDomains[p.net] = map[uint32]bool{}
	}
	domains := r.passedDomains[p.net]
	if len(domains) < 64 {
		domains[p.domain] = true
	}
	n := len(domains)
	v := verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Suspect, Code: "relay_suspected",
		Time: m.Time, Value: float64(n), Threshold: 3, Relay: &p.proof, Client: p.proof.Client,
		To: m.Client,
		Text: fmt.Sprintf("Messages that the external client %s delivered for %s left for the "+
			"Internet at once. If you accept mail for %s, declare it: --local-domain %s.",
			p.proof.Client, verdict.Plural(n,
				"new domain"), p.proof.RcptDomain, p.proof.RcptDomain)}
	if n >= 3 && m.Time-r.Start >= relayLearn || n >= 10 {
		v.Level = verdict.Likely
	}
	if n == 1 && r.Suspected {
		return
	}
	r.Suspected = true
	out.add(v)
}

// session observes the end of a session, for servers whose dialogues are encrypted: a server that
// suddenly sends much while one network delivers most of its inbound bytes is suspicious.
func (r *Relay) session(s *Session, out *verdicts) {
	switch {
	case !s.External || s.Bytes < submitted:
	case s.Inbound && s.Hidden && !s.Auth && !s.Submit:
		r.encrypted.in(s)
	case !s.Inbound:
		r.encrypted.out(s, out)
	}
	if !s.Inbound || !s.External || s.Auth {
		return
	}
	if h := s.Time / hour; h != r.inHour || r.in == nil {
		r.in, r.inHour = map[uint32]uint64{}, h
	}
	if _, known := r.in[s.Net]; known || len(r.in) < maxStrangers {
		r.in[s.Net] += s.Bytes
	}
}

// minInBytes is the number of inbound bytes in an hour from which on shares mean anything.
const minInBytes = 256 << 10

// burst observes that the server sends more than usual.
func (r *Relay) burst(a *volumeAlarm, out *verdicts) {
	var sum, top uint64
	for _, n := range r.in {
		sum += n
		top = max(top, n)
	}
	if a.Time/hour != r.inHour || sum < minInBytes || top*2 <= sum {
		return
	}
	out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Suspect,
		Code: "relay_by_volume", Time: a.Time, Value: float64(top) / float64(sum), Threshold: 0.5,
		Text: fmt.Sprintf("It sends far more than usual while one external network delivers %d "+
			"%% of its inbound mail: it may relay for that network.", 100*top/sum)})
}

// tick drops messages that did not leave within transitTime.
func (r *Relay) tick(now int64) {
	for k, p := range r.transit {
		if now-p.at > transitTime {
			delete(r.transit, k)
		}
	}
	if now/day != r.passedDay {
		clear(r.passedDomains)
		r.passedDay = now / day
	}
}
