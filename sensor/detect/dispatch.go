package detect

import "spamsensor/sensor/sketch"

// detect keeps what several detectors, or the verdict itself, look at, and then calls the detectors
// that look at the kind of the observation, in the order of the table of detectors. Each raises or
// lowers its own reason only.
//
// It is a switch and no table of functions: behind a call through a table each observation would be
// allocated, or copied for each detector, which took a third of the instructions of a SYN.
func (p *Profile) detect(c *Config, n *Counters, o *Observation) {
	switch o.Kind {
	case KindSYN:
		if p.recordSYN(o) {
			p.detectSYN(c, n, o)
		}
	case KindSYNACK:
		p.recordAnswer(o)
		p.nameFirst(c, o)
		contactAnswered(p, c, o)
	case KindEstablished:
		p.recordEstablished(o)
		contactAnswered(p, c, o)
	case KindRetransmit:
		if p.recordRetransmit(o) {
			contactRetransmitted(p, c, o)
			observeSilence(p, o)
		}
	case KindRefused, KindUnreachable:
		p.recordError(o)
		contactRefused(p, c, o)
		observeDeferral(p, o)
	case KindBothSides:
		p.bothSides(o.Net)
	case KindHalfOpen:
		sketch.Increment(&p.behaviour.HalfOpen)
	case KindSessionEnd:
		p.recordEnd(o)
	case KindConflict:
		observeConflicts(p, o)
	case KindTLSName:
		observeTLSNames(p, c, o)
	case KindLookups:
		p.lookups = o.Lookups
		p.weaken(&othersQueries)
		observeMXLookups(p, c, o)
		observeHostLookups(p, c, o)
		observeListLookups(p, o)
	case KindNamed:
		p.serverNamed(c, o.Net, o.Hash, o.Origin, o.Time)
	case KindAccount:
		p.accountWorks(c, o)
	case KindServed:
		observeServes(p, o)
	case KindHanded:
		observeForeignMail(p, o)
	case KindTaken:
		sketch.Increment(&p.taken)
	default:
		p.detectDialogue(c, o)
	}
}

// detectDialogue is detect for what client and server said.
func (p *Profile) detectDialogue(c *Config, o *Observation) {
	switch o.Kind {
	case KindGreeted:
		sketch.Increment(&p.greeted)
	case KindClientSpoke:
		sketch.Increment(&p.spoken)
	case KindAttested:
		sketch.Increment(&p.attested)
		p.changed = p.changed || p.attested == 1 // see dialogueProven
	case KindHelo:
		if !o.Own {
			sketch.Increment(&p.spoken)
		}
		p.recordHelo(o)
		observeHeloName(p, o)
		observeHeloNames(p, c, o)
		observeOneName(p, o)
	case KindSender:
		o.fresh = p.envelope.distinct.Add(o.Hash, nil)
		observeSenderDomains(p, c, o)
	case KindRecipient:
		observeRecipientDomains(p, c, o)
	case KindRecipientReply:
		observeUnknownUsers(p, c, o)
	case KindDecided:
		observeRefusals(p, c, o)
		senderRefused(p, c, o)
	case KindDeferred:
		observeDeferral(p, o)
	case KindRelayDenied:
		observeRelayDenials(p, o)
	case KindListed:
		observeBlocklisted(p, o)
	case KindDialect:
		observeOddities(p, o)
	}
}

// detectSYN is for an attempt, the most frequent observation.
func (p *Profile) detectSYN(c *Config, n *Counters, o *Observation) {
	observeNewNetworks(p, c, o)
	observeManyNetworks(p, c, o)
	observeBurst(p, c, n, o)
	observeConcurrent(p, c, n, o)
	observeSubmitSpread(p, c, o)
	observeFlood(p, o)
	observeSweep(p, o)
	observeFailures(p, o)
	observeRetries(p, o)
}
