// Package mailserver turns observations about a mail server of ours into verdicts: does the server
// relay for strangers, is one of its accounts used by somebody else, does it send more or less than
// usual, does its queue grow.
//
// Words: a [Server] is the whole state of one watched mail server; a [Mail] is the observation of
// one transaction, a [Session] is the observation of one session; a baseline is the usual volume of
// the server; a verdict (package verdict) is a judgement with its reason.
//
//	transactions --> Relay     open relay
//	             --> Accounts  hijacked account, by the names of accounts
//	             --> Queue     what waits; outages
//	sessions     --> Traffic   volume against the baseline --> Hijack, Relay: what it means
//
// The package does not judge hosts (package detect does), and it is pure: no clock, no input or
// output, no lock. Time is the time of the packets, in nanoseconds since 1970.
package mailserver
