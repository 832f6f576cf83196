// Package lookups keeps the DNS queries of a host that are about mail: the domains whose mail
// servers it asked for, the mail hosts that it looked up by name, and its queries to blocklists.
//
// A [Log] belongs to one host. It holds queries and their times; the detectors of package detect
// judge them. Domains are kept as keyed hashes. Names are kept where a finding shows one: the
// latest query to a blocklist, and eight answers, of which one may become an example. Of 64
// addresses that answers named the domain is known: whose server a host connects to. A Log knows
// no packet and no DNS message: package dns reads those.
//
// [Names] are domains that were named lately, in lookups or in TLS handshakes.
package lookups

const second = int64(1e9) // times are nanoseconds since 1970
