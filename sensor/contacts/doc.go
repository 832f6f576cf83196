// Package contacts judges the outcome of a source's connection attempts. A [Test] decides whether
// first contacts with providers fail as a bot's do, and not as a mail server's; [Share] decides the
// same where most of them work. The counts of [Ports] show whether something on the way out stops
// the attempts: the state of [Egress].
//
// # The test
//
// The test is threshold random walk (Jung, Paxson, Berger and Balakrishnan, "Fast Portscan
// Detection Using Sequential Hypothesis Testing", 2004) on the first contacts with networks. Most
// first contacts of a host that has mail to deliver succeed, because the DNS named the servers.
// Those of a host that works off a list fail.
//
//	 begin
//	   |
//	waiting --- answer: success, step down ---------+---> resolved
//	   |    --- error: failure, step up ------------+
//	   |                                            |
//	SYN sent again: failure, step up                |
//	   |                                            |
//	silent ---- answer: the failure is taken back --+
//
// A contact is one with a provider, or with a network whose provider is not known: it works if any
// server answers. So a broken route for IPv6 is no failure if the provider answers by IPv4.
//
// An attempt without an answer fails when its SYN is sent again: a TCP that does so has had no
// answer for a second, and waiting for the RST would take 75.7 s with a real bot's traffic. A
// SYN-ACK that comes later takes the failure back. A SYN without an answer that is not sent again
// is no result: another machine may have sent it with the source's address. Where no answer is ever
// seen the mirror port may show one direction alone, or first SYNs only: there such a contact
// counts as answered.
//
// # What it does not do
//
// The package gives no verdict and no weight: package detect does. Providers and networks are keyed
// hashes; which contact is the first is known to the caller. Time is the time of
// the packets.
package contacts

const second = int64(1e9) // times are nanoseconds since 1970
