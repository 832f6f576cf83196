package detect

import (
	"math"

	"spamsensor/sensor/verdict"
)

// Prior is the natural logarithm of the odds that an arbitrary host sends spam.
const Prior = -6.9

// Times of the verdict's life.
const (
	// holdLevel is how long a level is held without new evidence; then it drops by one.
	holdLevel = day
	// forgetReason is how long a reason counts after it was found for the last time: as long as
	// the highest level takes to drop to none.
	forgetReason = 3 * holdLevel
)

// The scores of the levels, in natural logarithms of odds: even, 100 to 1, 10,000 to 1.
const suspectScore, likelyScore, confirmedScore = 0, 4.6, 9.2

// Judge sums up. The functions below it stand in the order in which it asks them.
func (p *Profile) Judge(n *Counters, now int64) verdict.Verdict {
	p.changed = false
	// Mitigations first: a reason that does not count must not add to a sum.
	p.mitigate(now)
	sums, latest, forgot := p.sumReasons(now)
	v := p.score(&sums, now)
	v.Level = p.levelOf(&v)
	v.Class = p.class()
	v.Level = p.levelOfClass(&v)
	p.limitByRole(&v)
	if v.Level < verdict.Suspect && p.level == verdict.Suspect && p.failover(now) {
		v.Level = verdict.Suspect // until the day is over
	}
	if !p.keeps() {
		v.Level -= min(v.Level, verdict.Level(max(0, now-latest)/holdLevel))
	}
	v.Aged = forgot || now-latest >= holdLevel
	if v.Level > p.level ||
		v.Level == p.level && v.Level > verdict.NoLevel && v.Class != p.verdict.Class {
		p.decided = verdict.Decision{At: max(latest, p.since(n)), Attempts: p.attempts(n)}
	}
	p.level, p.verdict = v.Level, v
	return v
}

// sumReasons adds up the weights of each family, and drops reasons that are too old. latest is when
// a detector that is not mitigating found its reason for the last time; forgot says that a reason
// was dropped.
func (p *Profile) sumReasons(now int64) (sums [families]float64, latest int64, forgot bool) {
	for set := p.raised; set != 0; set = set.rest() {
		code := set.first()
		r := &p.reasons[code]
		if r.First == 0 {
			continue
		}
		if now-r.Last > forgetReason && !p.keeps() {
			p.lower(code)
			forgot = true
			continue
		}
		family := code.Family()
		sums[family] += r.Weight
		if family != Mitigating {
			latest = max(latest, r.Last)
		}
	}
	return sums, latest, forgot
}

// keeps reports whether time alone changes nothing of the verdict any more.
func (p *Profile) keeps() bool { return p.Keep && p.verdict.Level >= verdict.Likely }

// score is the capped sum of the families.
func (p *Profile) score(sums *[families]float64, now int64) verdict.Verdict {
	if p.failover(now) {
		sums[Volume] /= 2
	}
	v := verdict.Verdict{Score: Prior}
	// A family counts for the number of families if its sum is positive, however small.
	for i, s := range sums {
		if s == 0 {
			continue
		}
		if s > 0 {
			v.Families++
		}
		limit := familyCap[i]
		if Family(i) == Volume && p.silentFlood() {
			limit += floodLift
		}
		if s > limit {
			s = limit
		}
		v.Score += s
	}
	// The cap of the mitigating family is zero, so that the loop took its negative sum as it is.
	if s := sums[Mitigating]; s < -mitigatingCap {
		v.Score += -mitigatingCap - s
	}
	v.Score = math.Round(v.Score*100)/100 + 0 // no negative zero
	if p.suspectByRate() || p.sweeps() {
		v.Score = max(v.Score, suspectScore)
	}
	return v
}

// failover reports whether all attempts are one burst: a mail that was tried at up to five servers
// of its recipient's provider, and no new network for an hour since.
func (p *Profile) failover(now int64) bool {
	return !p.has(ForeignMail) && p.providers.Units() <= 5 && now-p.newNetworks.At > hour
}

// silentFlood reports whether the source floods and no word of it or to it was seen. The detectors
// that could speak for or against it have nothing to look at.
func (p *Profile) silentFlood() bool { return p.has(Flood) && !p.heard() && !p.BehindNAT() }

// suspectByRate reports whether the attempt rate alone makes a source suspect. A bot that uses one
// provider contacts no new network, and in TLS no other detector sees it. A higher level needs
// other reasons. A printer or a job that sends its reports has a few servers, always the same, and
// a server to which others bring mail may have a queue.
func (p *Profile) suspectByRate() bool {
	return p.has(Burst) && !p.has(Serves) && p.addrs.Len() > probeTargets
}

// networksUnread is how many networks stand in for the third family where no dialogue can be read.
const networksUnread = 25

// levelOf is the level that score, families and evidence allow.
func (p *Profile) levelOf(v *verdict.Verdict) verdict.Level {
	switch {
	case v.Score >= confirmedScore && p.dialogueProven() && (v.Families >= 3 ||
		v.Families == 2 && p.heloNames.given == 0 && p.providers.Units() >= networksUnread):
		return verdict.Confirmed
	case v.Score >= likelyScore && (v.Families >= 2 || p.silentFlood()) && p.notSpoofed():
		return verdict.Likely
	case v.Score >= suspectScore:
		return verdict.Suspect
	}
	return verdict.NoLevel
}

// dialogueProven reports whether the source itself is known to have said something in a session.
func (p *Profile) dialogueProven() bool { return p.attested > 0 || p.oneSided && p.spoken > 0 }

// notSpoofed reports whether a machine with a TCP of its own made the attempts, and not another
// machine that sends SYNs with its address: a reason was read in a session, or the source itself
// chose enough networks or servers. A source that may be spoofed is at most suspect, however many
// SYNs there are.
func (p *Profile) notSpoofed() bool {
	if p.genuine(&p.guard) || p.oneSided && p.genuine(&p.guardOneSided) {
		return true
	}
	// Another machine that forges SYNs sees no answers, and cannot hold a dialogue.
	for set := p.raised; set != 0; set = set.rest() {
		code := set.first()
		if p.has(code) && p.reasons[code].Weight > 0 && readable[code.Family()] {
			return p.twoSided > 0 || p.oneSided && p.sessions > 0
		}
	}
	return false
}

// class is the class of a verdict.
func (p *Profile) class() verdict.Class {
	switch {
	case p.isScanner():
		return verdict.Scanner
	case p.actsAsMTA(), p.passesOn():
		return verdict.UndeclaredServer
	}
	return verdict.Spambot
}

// isScanner reports whether a source looks for mail servers: most of its destinations are internal,
// or it says nothing in its sessions, or it tries one port of a server after the other, or the
// addresses of a network one by one. A source
// that asks under many names whether servers accept addresses, and never sends, is a scanner too: a
// mail server that verifies senders uses one name, or none.
func (p *Profile) isScanner() bool {
	b := &p.behaviour
	if p.isListWasher() {
		return false
	}
	if b.IsVerifier() && (p.has(SenderDomains) || !p.oneName()) {
		return true
	}
	if p.addrs.Len() < 10 || b.MailSessions > 0 {
		return false
	}
	// Half of the attempts; 80 % of the connections; half of the destinations.
	internal := b.Internal*2 >= b.Attempts
	quiet, all := b.SilentSessions+b.HalfOpen, b.Sessions+b.HalfOpen
	// What was found to send spam, and now completes no connection any more, is not let off for
	// that: a firewall may have learnt of it.
	if p.level >= verdict.Likely {
		quiet, all = b.SilentSessions, b.Sessions
	}
	silent := quiet >= 5 && quiet*5 >= all*4
	sweeps := b.Sweeps >= 5 && int(b.Sweeps)*2 >= p.addrs.Len()
	return internal || silent || sweeps || p.sweeps()
}

// isListWasher reports whether a source only asks for addresses, of which a quarter does not exist
// or is refused, and neither receives mail nor sends any. Spammers clean their lists of addresses
// in this way. A mail server that verifies senders accepts their mail.
func (p *Profile) isListWasher() bool {
	b, t := &p.behaviour, &p.refusalTest
	return b.IsVerifier() && b.Callouts >= washCallouts && !p.has(Serves) &&
		t.Accepted == 0 && t.Refused*4 >= t.Refused+int(b.Callouts)
}

// actsAsMTA reports whether a source sends as a mail server does: with one full name, and most of
// its sessions accepted. Failed first contacts are no contrary proof: a queue that is flushed after
// an outage has them too. A source that speaks oddly in more than one way is no mail server, unless
// others bring it mail.
func (p *Profile) actsAsMTA() bool {
	if p.behaviour.IsVerifier() {
		return p.oneName() && !p.isListWasher()
	}
	accepted, total := p.acceptance()
	likes := accepted >= 3 && accepted*5 >= total*4 && !p.speaksOddly() || p.has(Serves)
	return !p.disqualified() && p.maybeMTA() && p.mta.Sessions >= 3 && likes
}

// oneName reports whether the source has always given the same full name.
func (p *Profile) oneName() bool { return p.mta.Sessions > 0 && !p.mta.SeveralNames }

// speaksOddly reports whether the source has two oddities, or a grave one.
func (p *Profile) speaksOddly() bool { return p.reasons[Oddities].Weight >= 1.4 }

// disqualifying are the reasons that no honest mail server gives, beside many unknown recipients.
const disqualifying codeSet = 1<<SubmitSpread | 1<<Refusals | 1<<RelayDenials | 1<<HeloNames |
	1<<ListLookups

// disqualified reports whether a reason rules out an honest mail server.
func (p *Profile) disqualified() bool {
	for set := p.raised & disqualifying; set != 0; set = set.rest() {
		if p.has(set.first()) {
			return true
		}
	}
	return p.has(UnknownUsers) && p.unknownInForce().Proved && !p.mailsOldList()
}

// mailsOldList reports whether a source with many unknown recipients is a mailing list of which
// some addresses are gone: servers accept its mails for the others, which are most, and it sends in
// the name of one or two domains.
func (p *Profile) mailsOldList() bool {
	t := p.unknownInForce()
	return p.has(Welcome) && t.Unknown*5 <= t.Recipients*2 && p.envelope.distinct.Len() <= 2
}

// levelOfClass is the level that the class allows.
func (p *Profile) levelOfClass(v *verdict.Verdict) verdict.Level {
	switch {
	case p.isProbe():
		return verdict.NoLevel
	case v.Class == verdict.UndeclaredServer && (p.has(NewNetworks) || p.has(ManyNetworks)):
		return verdict.Suspect // whatever its signs: it is not declared
	case v.Class != verdict.Spambot:
		return min(v.Level, verdict.Suspect)
	}
	return v.Level
}

// isProbe reports whether a source connects to the same few servers at regular intervals, as a
// monitoring system does.
func (p *Profile) isProbe() bool {
	b := &p.behaviour
	return !p.disqualified() && b.MailSessions == 0 && p.addrs.Len() <= probeTargets &&
		b.IsRegular()
}

// Role is the apparent role of the source.
func (p *Profile) Role() string {
	switch {
	case p.BehindNAT():
		return "nat"
	case p.isScanner():
		return "scanner"
	case p.isProbe():
		return "probe"
	case p.behaviour.IsVerifier():
		return "verifier"
	}
	return "workstation"
}
