package detect

import "spamsensor/sensor/verdict"

// Role is a function that the configuration declares for a host. A role explains reasons, and never
// all of them: behind the address of a server, or on it, can be a machine that sends spam.
type Role uint8

// The roles.
const (
	NoRole Role = iota
	MailServer
	Bulk
	NAT
	ScannerRole
	Probe
	roles
)

// roleRule is one row of the table of roles.
type roleRule struct {
	name, about string
	// explains says in words what the role explains, remains what it never does.
	explains, remains string
	// server says that other hosts may send through the host.
	server bool
	// still reports the highest level that a spambot with this role can have: what the role does
	// not explain is judged as without it.
	still func(p *Profile) verdict.Level
}

// roleRules is the table of roles: the manual has it, and everything that depends on a role asks
// it. A new role is a row.
var roleRules = [roles]roleRule{
	NoRole: {still: judgedAsAny},
	MailServer: {"mailserver", "sends mail to any server", "volume, networks, failed contacts, " +
		"lookups, refusals, blocklists, senders of other domains that it forwards", "more HELO " +
		"names than a few servers have; a name that no server gives, beside another name, if the " +
		"mail is refused; many unknown recipients of mail in foreign names that nobody brought it",
		true, (*Profile).levelOfServer},
	Bulk: {"bulk", "a mail server that sends newsletters", "as mailserver, and many full HELO " +
		"names, and more volume than usual", "as mailserver", true, (*Profile).levelOfBulk},
	NAT: {"nat", "a gateway with several machines behind it", "names in TLS, lookups of servers, " +
		"and networks on ports of submission, while its sessions succeed; several hop limits",
		"all else, above all on port 25", false, judgedAsAny},
	ScannerRole: {"scanner", "looks for mail servers and delivers nothing", "all of it, while it " +
		"delivers no mail", "mail in several names, or to many domains, that servers accept",
		false, (*Profile).levelOfSilent},
	Probe: {"probe", "tests mail servers and delivers nothing", "all of it, while it delivers no " +
		"mail", "as scanner", false, (*Profile).levelOfSilent},
}

// RoleNames are the names of the roles that can be declared.
func RoleNames() (list []string) {
	for _, r := range roleRules[MailServer:] {
		list = append(list, r.name)
	}
	return list
}

// RoleOf is the role with a name, NoRole if there is none.
func RoleOf(name string) Role {
	for i := range roleRules {
		if Role(i) != NoRole && roleRules[i].name == name {
			return Role(i)
		}
	}
	return NoRole
}

// Server reports whether other hosts may send through a host with the role.
func (r Role) Server() bool { return roleRules[r].server }

// Judged reports whether a host with the role is judged as any other host is.
func (r Role) Judged() bool { return r == NoRole || r == NAT }

// SetRole declares the role of the source. It holds from the next verdict on.
func (p *Profile) SetRole(r Role) { p.role = r }

// DeclaredRole is the role that was declared.
func (p *Profile) DeclaredRole() Role { return p.role }

// limitByRole lowers the level of a verdict to what the role of the source leaves.
func (p *Profile) limitByRole(v *verdict.Verdict) {
	if p.role.Judged() {
		return
	}
	most := roleRules[p.role].still(p)
	if v.Class != verdict.Spambot {
		most = verdict.NoLevel
	}
	if v.Level = min(v.Level, most); v.Level == verdict.NoLevel {
		v.Score, v.Families = Prior, 0
	}
}

// judgedAsAny is for roles that limit no level.
func judgedAsAny(*Profile) verdict.Level { return verdict.Confirmed }

// A declared server may be several ones with a name each. So many names within a day are not their
// names any more: full ones, full ones where hop limits show several machines, and ones of which
// one is no name of a server.
const serverNames, namesBehindNAT, namesWithOdd = 6, 5, 4

// levelOfServer is the level that is left for a declared mail server.
func (p *Profile) levelOfServer() verdict.Level {
	names := int(p.reasons[HeloNames].Value)
	if names >= serverNames || names >= namesBehindNAT && p.BehindNAT() {
		return verdict.Likely
	}
	return p.levelOfBulk()
}

// levelOfBulk is the level that is left for a mail server that may give many full names.
func (p *Profile) levelOfBulk() verdict.Level {
	odd, names := p.has(HeloName), int(p.reasons[HeloNames].Value)
	switch {
	case odd && names >= namesWithOdd:
		return verdict.Likely
	case odd && p.mta.SeveralNames && p.refusedInForeignNames():
		return verdict.Likely
	// Who brought such mail is named, and not the server: see passesOn.
	case p.refusedInForeignNames() && p.has(RecipientDomains) && !p.passesOn():
		return verdict.Suspect
	}
	return verdict.NoLevel
}

// manyForeign is how many domains of senders within a day are not the customers of one server.
const manyForeign = 10

// refusedInForeignNames reports whether recipients of mail in the name of many domains do not exist
// in a number that no honest list of addresses has, or if most of the mail is refused for another
// reason than a blocklist. A newsletter has few senders, and a forwarding server few dead
// addresses.
func (p *Profile) refusedInForeignNames() bool {
	t := &p.refusalTestUnlisted
	refused := t.Refused >= 6 && t.Refused*2 >= t.Sessions
	return p.reasons[SenderDomains].Value >= manyForeign &&
		(p.has(UnknownUsers) && p.unknownInForce().Proved || refused)
}

// fewTaken is how many messages others must have brought to a host that passes mail on, and
// triesEach how often it tries to deliver one at most, on average.
const fewTaken, triesEach = 3, 3

// passesOn reports whether the source sends what others bring: it gives one full name, and took
// about as many messages as it sends. Then the mail says nothing about the source itself.
func (p *Profile) passesOn() bool {
	return p.oneName() && !p.behaviour.SeveralMachines() && p.taken >= fewTaken &&
		uint64(p.taken)*triesEach >= uint64(p.mta.Sessions)
}

// deliveries is how many messages that servers accepted contradict a role that delivers nothing.
const deliveries = 5

// levelOfSilent is the level that is left for a host that is declared to deliver nothing.
func (p *Profile) levelOfSilent() verdict.Level {
	if p.refusalTest.Accepted >= deliveries && (p.has(SenderDomains) || p.has(RecipientDomains)) {
		return verdict.Confirmed
	}
	return verdict.NoLevel
}
