package campaign

// Scenario is a way in which a host behaves, and the finding that the sensor should have about it.
// The expectations were written down before any result was known.
type Scenario struct {
	Name, About string
	Expect      Expect
	// Allowed are classes of findings that its hosts may have beside the expected one.
	Allowed []string
	// Ten is its letter among the ten scenarios of DETECTION 3.2, "" for the others.
	Ten string
	// Limit marks a scenario that the design declares as not detectable. It is reported, and is no
	// part of recall.
	Limit bool
	// Egress is the firewall that its site needs; "" means Open.
	Egress Egress
	start  func(s *Site, sc *Scenario, n int)
}

// Expect is a correct diagnosis: a finding of this class, at this level or above, with a reason of
// this family and a text that matches Pattern, a regular expression. Empty fields match everything.
// Without a class the host is clean, and each finding that accuses it is wrong.
type Expect struct {
	Class, Level, Family, Pattern string
	Egress                        string // the egress that the finding names
}

// egress is the firewall that its site needs.
func (sc *Scenario) egress() Egress {
	if sc.Egress == "" {
		return Open
	}
	return sc.Egress
}

// addTo adds host number n of the scenario to a site.
func (sc *Scenario) addTo(s *Site, n int) { sc.start(s, sc, n) }

// spambotLikely is the expectation for a bot without further conditions.
var spambotLikely = Expect{Class: "spambot", Level: "likely"}

// All are the scenarios, in the order of the report.
var All = []*Scenario{
	// The ten of DETECTION 3.2.
	{Name: "plaintext-bot", Ten: "A", start: plaintextBot,
		About:  "port 25, everything in clear, 0.3 to 6.9 messages/s",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A"}},
	{Name: "starttls-bot", Ten: "B", start: starttlsBot,
		About:  "port 25, goes over to TLS wherever it is offered",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A"}},
	{Name: "blocked-drop", Ten: "C", start: blockedBot, Egress: Drop,
		About:  "port 25 is dropped by the firewall: SYNs and nothing else",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A", Egress: "drop"}},
	{Name: "banner-554", Ten: "D", start: bannerBot,
		About:  "refused in the banner by most servers",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "C"}},
	{Name: "slow-bot", Ten: "E", start: slowBot,
		About:  "one message in 15 s: 10 MAIL FROM in 120 s are never reached",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A"}},
	{Name: "bot-587", Ten: "F", start: submissionBot,
		About:  "ports 465 and 587, TLS, many providers",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A", Pattern: "(?i)submi"}},
	{Name: "declared-server", Ten: "G", start: declaredServer,
		About:   "a declared mail server at work",
		Allowed: serverClasses},
	{Name: "open-relay", Ten: "H", start: openRelay,
		About:  "a declared server begins to relay for strangers",
		Expect: Expect{Class: "open_relay", Level: "confirmed"}, Allowed: serverClasses},
	{Name: "rcpt-rejected", Ten: "I", start: unknownRcptBot,
		About: "an old address list: most recipients are unknown",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "C",
			Pattern: "(?i)unknown|no such|not exist|recipient"}},
	{Name: "blocklist-text", Ten: "J", start: listedBot,
		About:  "refusals name a blocklist",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "C"}},

	// Bots of all kinds.
	{Name: "burst-mixed", start: burstMixed,
		About:  "Emotet: batches of ten, then 8 s; ports 25, 465, 587; 97 % fail",
		Expect: spambotLikely},
	{Name: "burst-tls", start: burstTLS,
		About:  "the same pace on 465 and 587 with TLS from the first byte, answered",
		Expect: spambotLikely},
	{Name: "burst-2009", start: burst2009,
		About:  "12 SYNs to port 25 in 0.1 s, then a pause",
		Expect: spambotLikely},
	{Name: "blocked-reset", start: blockedBot, Egress: Reset,
		About:  "port 25 is reset by the firewall",
		Expect: Expect{Class: "spambot", Level: "likely", Egress: "reset"}},
	{Name: "blocked-icmp", start: blockedBot, Egress: Admin,
		About:  "port 25 is prohibited by ICMP",
		Expect: Expect{Class: "spambot", Level: "likely", Egress: "icmp"}},
	{Name: "random-bot", start: randomBot,
		About:  "any rate from 1 in 2 h to 6.9/s, any burst, port mix, outcome, name",
		Expect: spambotLikely},
	{Name: "twelve-a-day", start: twelveADay,
		About:  "12 new destinations a day, in clear",
		Expect: Expect{Class: "spambot", Level: "suspect"}},
	{Name: "hammerer", start: hammerer,
		About:  "one provider: 358 connections to 14 servers in 100 s",
		Expect: spambotLikely},
	{Name: "stolen-accounts", start: stolenAccounts,
		About:  "valid passwords of many people at many providers, 587 with TLS",
		Expect: spambotLikely},
	{Name: "infected-later", start: infectedLater,
		About:  "a workstation that works for hours and then becomes a bot",
		Expect: spambotLikely},
	{Name: "bot-behind-nat", start: botBehindNAT,
		About:  "one bot among 30 people behind one address",
		Expect: spambotLikely},
	{Name: "relay-tls", start: relayTLS,
		About:  "an open relay whose strangers use STARTTLS",
		Expect: Expect{Class: "open_relay", Level: "suspect"}, Allowed: serverClasses},
	{Name: "server-x10", start: serverTen,
		About:  "a declared server sends ten times its volume after three days",
		Expect: Expect{Class: "volume_anomaly", Level: "suspect"}, Allowed: serverClasses},
	{Name: "server-x50", start: serverFifty,
		About:  "the same, fifty times",
		Expect: Expect{Class: "volume_anomaly", Level: "suspect"}, Allowed: serverClasses},
	{Name: "stolen-login", start: stolenLogin,
		About:  "one account of a declared server, used from 40 to 132 networks",
		Expect: Expect{Class: "hijacked_account", Level: "suspect"}, Allowed: serverClasses},
	{Name: "listed-server", start: listedServer,
		About:  "a declared server whose mail is refused because of a blocklist",
		Expect: Expect{Class: "blocklisted", Level: "suspect"}, Allowed: serverClasses},

	{Name: "rotating-ipv6", start: rotatingIPv6Bot,
		About:  "a slow bot with a new IPv6 address for every third mail",
		Expect: spambotLikely},

	// Hosts that a device on the way out does not let through, and hosts that look for servers.
	{Name: "rejected-bot", start: rejectedBot,
		About:  "one server in one to five minutes, each rejected once by RST or ICMP",
		Expect: spambotLikely},
	{Name: "unheard-bot", start: unheardBot,
		About:  "a proxy completes its handshakes, and nobody greets it",
		Expect: spambotLikely},
	{Name: "sweep-inside", start: sweepInside,
		About:  "port 25 of an own network, closed or dead",
		Expect: Expect{Class: "scanner", Level: "suspect"}, Allowed: []string{"direct_smtp"}},
	{Name: "sweep-outside", start: sweepOutside,
		About:  "port 25 of one to three networks on the Internet",
		Expect: Expect{Class: "scanner", Level: "suspect"}, Allowed: []string{"direct_smtp"}},
	{Name: "rejected-setup", start: rejectedSetup,
		About:   "a mail client guesses servers behind a firewall that rejects",
		Allowed: []string{"direct_smtp"}},
	{Name: "rejected-probe", start: rejectedProbe,
		About:   "monitoring of two to five servers that are all rejected",
		Allowed: []string{"direct_smtp"}},
	{Name: "rejected-server", start: rejectedServer,
		About:   "an undeclared server whose provider begins to reject port 25",
		Allowed: []string{"undeclared_server", "direct_smtp"}},

	// Many mails on one connection, and refusals that repeat themselves.
	{Name: "one-connection", start: oneConnectionBot,
		About:  "all mails on one connection to each of one to five relays",
		Expect: spambotLikely},
	{Name: "list-server", start: listServer,
		About:   "mailing lists with 30 % dead recipients, a connection each",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "caching-server", start: cachingServer,
		About:   "up to 100 mails on one connection",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "greylisted-server", start: greylistedServer,
		About:   "half of its destinations greylist, with and without PIPELINING",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "disliked-server", start: dislikedServer,
		About:   "one large provider takes none of its mail",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "tls-all-day", start: tlsAllDay,
		About:  "30 to 60 providers a day, 465 and 587, each named in TLS",
		Expect: spambotLikely},
	{Name: "dead-third", start: deadThird,
		About:  "port 25 in TLS, one full name, no lookups, a quarter to two fifths are dead",
		Expect: spambotLikely},
	{Name: "nat64-bot", start: nat64Bot,
		About:  "a bot in a network of IPv6 alone, behind NAT64",
		Expect: spambotLikely},
	{Name: "dual-stack-bot", start: dualStackBot,
		About:  "a slow bot that uses IPv4 and IPv6 side by side",
		Expect: spambotLikely},
	{Name: "quiet-ipv4", start: quietIPv4,
		About:  "a bot that uses IPv6 alone on a workstation whose user has IPv4",
		Expect: spambotLikely},
	{Name: "moving-bot", start: movingBot,
		About:  "a slow bot whose machine gets another IPv4 address one to four times",
		Expect: spambotLikely},

	{Name: "null-sender-bot", start: nullSenderBot,
		About:  "spam with the null sender, and nobody brings it mail",
		Expect: spambotLikely},
	{Name: "bouncer", start: bouncer,
		About:  "a server, declared or not, that returns mail to forged senders",
		Expect: Expect{Class: "backscatter", Level: "suspect"},
		Allowed: append([]string{"undeclared_server", "direct_smtp", "blocklisted",
			"volume_anomaly"}, serverClasses...)},
	{Name: "bouncer-and-bot", start: bouncerAndBot,
		About:   "the same with spam of its own in the name of others",
		Expect:  spambotLikely,
		Allowed: []string{"backscatter", "undeclared_server", "blocklisted", "volume_anomaly"}},

	// What goes through the site's own mail server, or is behind its address.
	{Name: "inside-bot", start: insideBot,
		About:  "a PC whose spam goes through the site's own server",
		Expect: spambotLikely},
	{Name: "inside-refused", start: insideRefused,
		About:  "a PC whose spam the site's own server refuses",
		Expect: spambotLikely},
	{Name: "bot-behind-server", start: botBehindServer,
		About:  "a bot behind the address of a declared server",
		Expect: Expect{Class: "spambot", Level: "suspect"}, Allowed: serverClasses},
	{Name: "bridge", start: bridge,
		About:  "strangers who come in through an address inside are relayed",
		Expect: spambotLikely},

	// Bots that the design declares as not detectable.
	{Name: "limit-one-server", start: limitOne, Limit: true,
		About:  "one destination only, in clear",
		Expect: spambotLikely},
	{Name: "limit-3-an-hour", start: limitThree, Limit: true,
		About:  "at most three destinations an hour, proper name, TLS",
		Expect: spambotLikely},
	{Name: "limit-perfect", start: limitPerfect, Limit: true,
		About:  "587, TLS, a valid account, one provider, a proper name",
		Expect: spambotLikely},
	{Name: "limit-behind-server", start: limitBehind, Limit: true,
		About:  "mail for the people of the site, through its own server",
		Expect: spambotLikely},
	{Name: "limit-4-a-day", start: limitFour, Limit: true,
		About:  "four new networks a day",
		Expect: spambotLikely},

	{Name: "limit-rejected", start: rejectedUnnamed, Limit: true,
		About:  "every attempt is rejected at once, and no lookup is seen",
		Expect: spambotLikely},

	// Clean hosts.
	Workstation,
	{Name: "mobile", start: mobile,
		About: "a telephone with one to three accounts"},
	{Name: "undeclared-server", start: undeclaredServer,
		About:   "a mail server that nobody declared",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "undeclared-local", start: undeclaredLocal,
		About: "the same with the name that its set-up gave it: server.local, " +
			"localhost.localdomain",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "undeclared-listed", start: undeclaredListed,
		About:   "a mail server that nobody declared, and whose address is on a blocklist",
		Allowed: []string{"undeclared_server", "direct_smtp", "blocklisted"}},
	{Name: "autoresponder", start: autoresponder,
		About: "a server, declared or not, that answers mail of people automatically",
		Allowed: append([]string{"backscatter", "undeclared_server", "direct_smtp",
			"blocklisted"}, serverClasses...)},
	{Name: "newsletter", start: newsletter,
		About:   "a declared bulk host: 10,000 recipients in a morning",
		Allowed: serverClasses},
	{Name: "flush-declared", start: flushDeclared,
		About:   "queue flush after six hours without a line, declared",
		Allowed: serverClasses},
	{Name: "flush-undeclared", start: flushUndeclared,
		About:   "the same of a server that nobody declared",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "scanner-inside", start: scannerInside,
		About:   "a vulnerability scanner sweeps the own networks",
		Allowed: []string{"scanner"}},
	{Name: "scanner-outside", start: scannerOutside,
		About:   "a port scan of 40 hosts on the Internet",
		Allowed: []string{"scanner", "direct_smtp", "not_smtp"}},
	{Name: "verifier", start: calloutServer,
		About:   "a declared server that asks others whether senders exist",
		Allowed: serverClasses},
	{Name: "probe", start: probe,
		About:   "monitoring: up to five servers every minute",
		Allowed: []string{"direct_smtp"}},
	{Name: "printer", start: printer,
		About:   "scan to mail, one server, a bare name",
		Allowed: []string{"direct_smtp"}},
	{Name: "backup-reports", start: backupReports,
		About:   "20 to 60 reports in a row to one relay every night",
		Allowed: []string{"direct_smtp"}},
	{Name: "connection-pool", start: connectionPool,
		About:   "an application with 40 connections to one relay at a time",
		Allowed: []string{"direct_smtp"}},
	{Name: "nat-pool", start: natPool,
		About:   "30 people behind one address",
		Allowed: []string{"direct_smtp"}},
	{Name: "dhcp-heir", start: dhcpHeir,
		About:   "gets the address that a bot had until then",
		Allowed: []string{"direct_smtp"}},
	{Name: "five-mx", start: fiveMX,
		About:   "one mail to five MX in five networks that do not answer",
		Allowed: []string{"direct_smtp"}},
	{Name: "account-setup", start: accountSetup,
		About:   "a mail client that looks for the servers of an account",
		Allowed: []string{"direct_smtp"}},
	{Name: "ipv6-privacy", start: privacy,
		About: "a workstation with a new IPv6 address every day"},
	{Name: "cloud-office", start: cloudOffice,
		About: "one provider with 8 to 30 networks: Microsoft 365, Google Workspace"},
	{Name: "cloud-application", start: cloudApplication,
		About: "an application that sends through a provider which rotates its addresses"},
	{Name: "direct-send", start: directSend,
		About:   "a copier that delivers to its own firm's provider on port 25",
		Allowed: []string{"direct_smtp"}},
	{Name: "many-accounts", start: manyAccounts,
		About: "a telephone or laptop with four to nine accounts, set up in one go"},
	{Name: "guessed-accounts", start: guessedAccounts,
		About:   "a mail client that guesses the servers of two to four accounts",
		Allowed: []string{"direct_smtp"}},
	{Name: "consultant", start: consultant,
		About: "looks after the mail of customers: 8 to 12 providers a day"},
	{Name: "nat64-office", start: nat64Office,
		About: "a workstation in a network of IPv6 alone, behind NAT64"},
	{Name: "dual-stack-server", start: dualStackServer,
		About:   "a mail server that nobody declared, with IPv4 and IPv6",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "broken-ipv6", start: brokenIPv6,
		About:   "the same whose IPv6 has no route: it tries each server there first",
		Allowed: []string{"undeclared_server", "direct_smtp"}},
	{Name: "laptop", start: laptop,
		About: "a workstation that moves between two networks of the site"},
	{Name: "developer", start: developer,
		About: "tests that say localhost to the site's own server"},
	{Name: "sandbox", start: sandbox,
		About: "test mail in many names to one provider, with a login"},
	{Name: "load-balancer", start: loadBalancer,
		About: "brings the world's mail to the site's own server"},
	{Name: "inbound-gateway", start: inboundGateway,
		About: "the same with one name of its own"},
	{Name: "pop-connector", start: popConnector,
		About: "mail from mailboxes elsewhere, handed to the own server"},
	{Name: "ticket-system", start: ticketSystem,
		About: "one sender, recipients everywhere, through the own server"},
	{Name: "relay-chain", start: relayChain,
		About: "forwarded mail of strangers through two servers of the site"},
	{Name: "vpn-pool", start: vpnPool,
		About: "80 people behind one address, each with own providers"},
	{Name: "servers-behind-nat", start: serversBehindNAT,
		About:   "three servers and ten people behind a declared address",
		Allowed: serverClasses},
}

// Workstation is the clean host that is added to the sites of bots.
var Workstation = &Scenario{Name: "workstation",
	About: "one to three accounts, up to 0.5 new networks a day", start: workstation}

// serverClasses are classes of findings about a mail server that do not accuse the host.
var serverClasses = []string{"relay_refused"}

// dhcpBot is the bot that had the address of a dhcp-heir before it.
var dhcpBot = &Scenario{Name: "dhcp-bot", About: "a bot that hands its address on",
	Expect: spambotLikely}
