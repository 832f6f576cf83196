package detect

// detect calls the detectors that look at the kind of an observation, in the order of the table of
// detectors. Each raises or lowers its own reason only.
//
// It is a switch and no table of functions: behind a call through a table each observation would be
// allocated, or copied for each detector, which took a third of the instructions of a SYN.
func (p *Profile) detect(c *Config, n *Counters, o *Observation) {
	switch o.Kind {
	case KindSYN:
		p.detectSYN(c, n, o)
	case KindSYNACK:
		p.nameFirst(c, o)
		contactAnswered(p, c, o)
	case KindEstablished:
		contactAnswered(p, c, o)
	case KindRetransmit:
		contactRetransmitted(p, c, o)
	case KindRefused, KindUnreachable:
		contactRefused(p, c, o)
		observeDeferral(p, o)
	case KindHelo:
		observeHeloName(p, o)
		observeHeloNames(p, c, o)
		observeOneName(p, o)
	case KindSender:
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
	case KindConflict:
		observeConflicts(p, o)
	case KindDialect:
		observeOddities(p, o)
	case KindTLSName:
		observeTLSNames(p, c, o)
	case KindLookups:
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
