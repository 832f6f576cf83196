// Package providers counts the providers that a source contacts, where only networks of servers
// are seen: a provider has servers in many networks, and a mail client that uses one of them meets
// several in an hour.
//
// Words:
//   - A unit is what counts once: a provider, or a network whose provider is not known.
//   - A name is the keyed hash of a registered domain. It comes from an answer of the DNS that led
//     to a server (Resolved), from the name that the client asks for in TLS (Asked), or from the
//     name with which the server greets (Greeted).
//   - An account is a provider that lets the source submit mail.
//
// The life of a unit:
//
//	SYN to a new network --> [Ledger.Contacted]  a new unit: a provider that the DNS named, or
//	                                             the network; none if the provider is known
//	greeting, TLS name   --> [Ledger.Named]      the network gets its provider's name; if the
//	                                             provider is known, the unit is taken back
//	TLS or login works   --> [Accounts.Add]      the unit counts no more, as long as a person
//	                                             may have as many accounts
//
// A name can only join networks that would count one by one, never add one. A network counts at
// most once, whatever names its servers have.
//
// # What a lie can do
//
// A client chooses which names it looks up and asks for, and a bot may own a domain under which
// the DNS names the servers of others. So a name that the client chose joins a bounded number of
// networks: Resolved 32, because a provider that rotates its addresses shows about two dozen to a
// client, and Asked 16. Beyond that networks count one by one again: a bot that hides 300 servers
// behind one name is found at the 33rd instead of the fourth, and each further name costs it a
// domain, which counts itself. A server chooses its greeting. It joins 96 networks: it is read in
// a session that both sides hold, and servers of others do not lie for a bot. If greetings show
// more than three names behind one name of the DNS, the others count for themselves.
//
// # What it does not do
//
// The package knows no addresses and no texts, and gives no verdict: package detect does. All of it
// is bounded: 16 providers, 96 networks and 24 units of a source are kept, and the oldest is
// forgotten first. A forgotten provider counts again. Time is the time of the packets.
package providers

const (
	second = int64(1e9) // times are nanoseconds since 1970
	hour   = 3600       // seconds
	day    = 86400
)
