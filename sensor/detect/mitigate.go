package detect

import (
	"spamsensor/sensor/verdict"
)

// This file holds the cases in which one thing that was seen weakens another. Cases that lower
// reasons are rows below. Cases that change the score or the level are predicates in verdict.go,
// where Judge asks them. All of them, in the order in which they come about:
//
//	with an observation   others resolve through it      all lookups off
//	                      answers came late              Failures off
//	                      mail accepted before decision  Refusals off
//	before the sum        takes mail in                  Refusals because of a list off
//	                      returns mail                   UnknownUsers off
//	                      looks like an MTA              MX, host lookups off; later TLS names too
//	                      a queue that is rejected       MX, host lookups, Failures off
//	                      uplink outage                  Failures off
//	                      several machines behind NAT    TLS names and submission spread off
//	the score             failover                       the family Volume halved
//	                      silentFlood                   its cap raised
//	                      suspectByRate                  at least suspect
//	the level             silentFlood                   one family is enough for likely
//	                      dialogueProven, notSpoofed     else not confirmed, or not likely
//	                      isProbe                        no level
//	                      undeclared server              suspect
//	                      scanner and other classes      at most suspect
//	                      failover                       suspect until the day is over

// mitigation is a case in which reasons do not count any more.
type mitigation struct {
	name    string
	when    func(p *Profile) bool
	weakens codeSet
	// rejudge says that the verdict must be judged again if a reason was there. Cases that Judge
	// itself looks at need no second time.
	rejudge bool
}

// The cases that come with an observation.
var (
	// A resolver passes on the queries of its clients.
	othersQueries = mitigation{"others resolve through it", (*Profile).isResolver,
		1<<MXLookups | 1<<HostLookups | 1<<ListLookups, true}

	// Answers to first contacts can come late: then fewer of them failed than it seemed.
	lateAnswers = mitigation{"answers to first contacts came late",
		(*Profile).contactsRecovered, 1 << Failures, true}

	// Two refusals in a row are a beginning; with messages accepted after them the test is not on
	// its way to a decision any more. The test itself is in refusals.go; a source that nearly all
	// servers accept mail from has the reason in welcome.go.
	acceptedMail = mitigation{"messages were accepted before the test decided",
		(*Profile).refusalsRecovered, 1 << Refusals, true}
)

// The cases that Judge looks at, in its order.
var (
	// A host that accepts mail for people is a mail server. If it was refused because of a
	// blocklist alone, or the test had not decided yet, the refusals say that it is listed and not
	// that it is a bot. This is looked at once, when Serves appears.
	listedServer = mitigation{"refused because of a list, and takes mail in",
		(*Profile).refusedForListAlone,
		1 << Refusals, false}

	beforeSum = [...]mitigation{
		// What it returns goes to senders that somebody forged.
		{"returns mail", (*Profile).unknownOfReturned, 1 << UnknownUsers, false},
		// A mail server looks up the mail servers of recipients.
		{"looks like an MTA", (*Profile).maybeMTA, 1<<MXLookups | 1<<HostLookups, false},
		// And so does one all of whose connections are rejected.
		{"a queue that is rejected", (*Profile).rejectedQueue,
			1<<MXLookups | 1<<HostLookups | 1<<Failures, false},
		// In TLS it names the servers that it looked up. That is believed once it gave its one name
		// in 20 sessions, or as long as it reaches its servers: a list has many at once.
		{"looks like an MTA, and reaches its servers", (*Profile).likelyMTA,
			1 << TLSNames, false},
		// While an uplink is down, every contact fails.
		{"uplink outage", (*Profile).uplinkOutage, 1 << Failures, false},
		// Many people behind one address have many providers.
		{"several machines behind NAT", (*Profile).BehindNAT,
			1<<TLSNames | 1<<SubmitSpread, false},
		// Their providers are many networks.
		{"several machines behind NAT submit mail", (*Profile).submitsBehindNAT,
			1<<NewNetworks | 1<<ManyNetworks | 1<<HostLookups, false},
	}
)

// weaken lowers the reasons of a case if it holds.
func (p *Profile) weaken(m *mitigation) {
	if p.raised&m.weakens == 0 || !m.when(p) {
		return
	}
	for set := p.raised & m.weakens; set != 0; set = set.rest() {
		code := set.first()
		p.changed = p.changed || m.rejudge && p.has(code)
		p.lower(code)
	}
}

// mitigate brings the signs of a mail server up to date and lowers the reasons that do not count in
// their presence.
func (p *Profile) mitigate(now int64) {
	served := p.has(Serves)
	p.refresh(Serves, now) // first: it decides which test of refusals is in force
	if p.has(Serves) && !served {
		p.weaken(&listedServer)
	}
	p.refresh(OneName, now)
	p.refresh(Welcome, now)
	p.refresh(Retries, now)
	for i := range beforeSum {
		if m := &beforeSum[i]; p.raised&m.weakens != 0 {
			p.weaken(m)
		}
	}
}

// mitigatingWeight is the weight of each sign of a mail server.
const mitigatingWeight = -2.3

// refresh sets a reason of the mitigating family, or lowers it if it does not hold any more.
func (p *Profile) refresh(code Code, now int64) {
	holds, value, threshold := detectors[code].holds(p)
	r := &p.reasons[code]
	if !holds {
		p.lower(code)
		return
	}
	p.raised |= code.bit()
	if r.First == 0 {
		r.First = now
	}
	*r = verdict.Reason{First: r.First, Last: now, Value: value, Threshold: threshold,
		Weight: mitigatingWeight}
}

// isResolver reports whether other hosts resolve names through the source.
func (p *Profile) isResolver() bool { return p.lookups != nil && p.lookups.Resolver }

// maybeMTA reports whether nothing in a source's dialogues separates it from a mail server: it
// gives one full name, and few of its sessions are refused.
func (p *Profile) maybeMTA() bool {
	t := p.refusalTestInForce()
	// Two unknown recipients happen to every server, but hardly in a row. More happen to a server
	// with one name in many sessions, of which those in TLS are not decided, and to a server that
	// passes on what others bring.
	few := t.Refused*5 <= t.Sessions || t.LLR < 0 ||
		(t.Refused < 3 || p.has(OneName) || p.has(Serves)) && !p.has(Refusals)
	return p.oneName() && few
}

// rejectedQueue reports whether a source comes back to the servers that rejected it as a mail queue
// does, and its dialogues, if it had any, are those of a mail server: a provider may have begun to
// block port 25. Then first contacts fail whatever the source is.
func (p *Profile) rejectedQueue() bool {
	return p.has(Retries) && (p.sessions == 0 || p.maybeMTA())
}

// mostReached is how many first contacts work for each that fails, at least, of a source that knows
// its servers. Of a mail server's 3 in 100 fail, of a bot's 20 to 40; see contacts.Share.
const mostReached = 8

// likelyMTA is maybeMTA for a source that has one more sign: its name is one of the signs in its
// favour, or it reaches its servers.
func (p *Profile) likelyMTA() bool {
	return p.maybeMTA() &&
		(p.has(OneName) || p.contacts.Failed()*mostReached < p.contacts.Worked())
}

// uplinkOutage reports whether an outage of the uplink, or of servers, explains failed first
// contacts better than a list of addresses: the source gave one full name in three sessions or
// more, reached as many networks at the first contact, and is not refused. A small server that has
// delivered little when the uplink goes down has not shown more yet.
func (p *Profile) uplinkOutage() bool {
	return p.maybeMTA() && p.mta.Sessions >= 3 && p.contacts.Worked() >= 3 &&
		(!p.share.Fails() || p.has(Serves))
}

// directNetworks is how many networks several machines behind one address may contact on port 25:
// the next one is the fourth, see newNetworksTest.
const directNetworks = 3

// submitsBehindNAT reports whether the networks that several machines behind NAT contact are nearly
// all contacted to submit mail, and the sessions come about: these are the providers of people.
func (p *Profile) submitsBehindNAT() bool {
	return !p.has(Failures) && uint64(p.sessions)*5 >= uint64(p.behaviour.Attempts)*4 &&
		p.nets.Len() <= int(p.submitNets)+directNetworks && p.BehindNAT()
}

// refusalTestInForce is the test of refusals that counts. A mail server that takes mail in for
// people stays one when its address comes on a blocklist, be it because of a stolen account or of
// another machine behind the same address; and what it returns, with the null sender, is refused as
// much as its senders are forged. So refusals that name a list, and refusals of returned mail, are
// left out for it. Nobody delivers mail to a bot.
func (p *Profile) refusalTestInForce() *refusalTest {
	if p.has(Serves) {
		return &p.refusalTestUnlisted
	}
	return &p.refusalTest
}

// refusedForListAlone reports whether few sessions were refused for another reason than a list, or
// the test had not decided.
func (p *Profile) refusedForListAlone() bool {
	t := p.refusalTestInForce()
	return t.Refused*5 <= t.Sessions || !p.refusalsDecided()
}
