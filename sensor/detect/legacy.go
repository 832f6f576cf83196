package detect

import (
	"spamsensor/smtpsniff/refusal"
)

type Attempt struct {
	Time      int64
	Addr, Net uint32
	Port      uint16
	TTL       uint8
	External  bool
	Relay     bool
}

func (a *Attempt) o() Observation {
	return Observation{Kind: KindSYN, Time: a.Time, Addr: a.Addr, Net: a.Net, Port: a.Port, TTL: a.TTL, External: a.External, Relay: a.Relay}
}
func (n *Counters) Attempted(a *Attempt) bool { o := a.o(); return n.Observe(&o) }
func (n *Counters) Helo(hash uint32) bool {
	return n.Observe(&Observation{Kind: KindHelo, Hash: hash})
}
func (n *Counters) Sender(hash uint32) bool {
	return n.Observe(&Observation{Kind: KindSender, Hash: hash})
}
func (p *Profile) Attempted(c *Config, n *Counters, a *Attempt) { p.Observe(c, n, a.o()) }
func (p *Profile) SYNRetransmitted(c *Config, addr, net, isn uint32, after, now int64) {
	p.Observe(c, nil, Observation{Kind: KindRetransmit, Addr: addr, Net: net, Hash: isn, After: after, Time: now})
}
func (p *Profile) Answered(c *Config, addr uint32, port uint16, now int64) {
	p.Observe(c, nil, Observation{Kind: KindSYNACK, Addr: addr, Port: port, Time: now})
}
func (p *Profile) Failed(c *Config, addr uint32, port uint16, icmp bool, now int64) {
	k := KindRefused
	if icmp {
		k = KindUnreachable
	}
	p.Observe(c, nil, Observation{Kind: k, Addr: addr, Port: port, Time: now})
}
func (p *Profile) Opened(c *Config, addr, net uint32, port uint16, oneSide bool, now int64) {
	p.Observe(c, nil, Observation{Kind: KindEstablished, Addr: addr, Net: net, Port: port, OneSided: oneSide, Time: now})
}
func (p *Profile) TwoSided(net uint32) {
	p.Observe(nil, nil, Observation{Kind: KindBothSides, Net: net})
}
func (p *Profile) HalfOpen()    { p.Observe(nil, nil, Observation{Kind: KindHalfOpen}) }
func (p *Profile) ClientSpoke() { p.Observe(nil, nil, Observation{Kind: KindClientSpoke}) }
func (p *Profile) Attested()    { p.Observe(nil, nil, Observation{Kind: KindAttested}) }
func (p *Profile) Helo(c *Config, name []byte, hash uint32, direct, abroad bool, now int64) {
	o := Observation{Kind: KindHelo, Text: name, Hash: hash, External: direct || abroad, Time: now}
	if direct {
		o.Port = 25
	}
	p.Observe(c, nil, o)
}
func (p *Profile) Sender(c *Config, hash uint32, direct bool, now int64) bool {
	return p.Observe(c, nil, Observation{Kind: KindSender, Hash: hash, External: direct, Time: now})
}
func (p *Profile) Recipient(c *Config, hash uint32, direct bool, now int64) {
	p.Observe(c, nil, Observation{Kind: KindRecipient, Hash: hash, External: direct, Time: now})
}
func (p *Profile) RecipientAnswered(c *Config, unknown bool, now int64) {
	p.Observe(c, nil, Observation{Kind: KindRecipientReply, Unknown: unknown, Time: now})
}
func (p *Profile) SessionDecided(c *Config, refused, listed bool, now int64) {
	p.Observe(c, nil, Observation{Kind: KindDecided, Refused: refused, Listed: listed, Time: now})
}
func (p *Profile) Deferred(server uint32, now int64) {
	p.Observe(nil, nil, Observation{Kind: KindDeferred, Addr: server, Time: now})
}
func (p *Profile) RelayDenied(server uint32, now int64) {
	p.Observe(nil, nil, Observation{Kind: KindRelayDenied, Addr: server, Time: now})
}
func (p *Profile) BlocklistNamed(list, text string, why refusal.Reason, now int64) {
	p.Observe(nil, nil, Observation{Kind: KindListed, Listing: &Listing{list, text, why}, Time: now})
}
func (p *Profile) Conflicting(now int64) {
	p.Observe(nil, nil, Observation{Kind: KindConflict, Time: now})
}
func (p *Profile) SessionOver(mute, mail, welcomed, check bool) {
	p.Observe(nil, nil, Observation{Kind: KindSessionEnd, Silent: mute, Mail: mail, Accepted: welcomed, Callout: check})
}
func (p *Profile) Dialect(x Oddity, now int64) {
	p.Observe(nil, nil, Observation{Kind: KindDialect, Oddities: x, Time: now})
}
func (p *Profile) TLSServerNamed(c *Config, domain uint32, now int64) {
	p.Observe(c, nil, Observation{Kind: KindTLSName, Hash: domain, Time: now})
}
func (p *Profile) LookedUp(c *Config, l *Lookups, now int64) {
	p.Observe(c, nil, Observation{Kind: KindLookups, Lookups: l, Time: now})
}
func (p *Profile) Served(client uint32, now int64) {
	p.Observe(nil, nil, Observation{Kind: KindServed, Hash: client, Time: now})
}
func (p *Profile) FoundLately(code Code, now int64) bool { return false }
func (p *Profile) SeenTwoSided() bool                    { return p.twoSided > 0 }
func (p *Profile) Score() float64                        { return p.verdict.Score }
func (p *Profile) Came(ttl uint8)                        { p.SetHopLimit(ttl) }
func ClassifyHelo(name string) heloClass                 { return classifyHelo(name) }

const HeloProper = heloProper
