package campaign

// Scenario is a way of living, and what the sensor should say of it, written down before any result
// was seen.
type Scenario struct {
	Name, About string
	Expect      Expect
	// Allowed are classes that may be said of its hosts besides the expected one.
	Allowed []string
	// Ten is its letter among the ten scenarios of DETECTION 3.2; empty if it is none of them.
	Ten string
	// Limit marks what the design says that it cannot find: reported, and no part of recall.
	Limit bool
	// Egress is the firewall that its site needs; empty is Open.
	Egress Egress
	live   func(s *Site, sc *Scenario, n int)
}

// Expect is a correct diagnosis: a finding of this class, at this level or above, that gives a
// reason of this family, or whose reasons say this (a regular expression). Without a class the host
// is clean, and any finding that accuses it is wrong.
type Expect struct {
	Class, Level, Family, Says string
	Egress                     string // the finding says so
}

func (sc *Scenario) egress() Egress {
	if sc.Egress == "" {
		return Open
	}
	return sc.Egress
}

func (sc *Scenario) settle(s *Site, n int) { sc.live(s, sc, n) }

// bot is what a finding of a spambot should be when nothing more is asked.
var bot = Expect{Class: "spambot", Level: "likely"}

// All are the scenarios, in the order of the report.
var All = []*Scenario{
	// The ten of DETECTION 3.2.
	{Name: "plaintext-bot", Ten: "A", About: "port 25, everything in clear, 0.3 to 6.9 messages/s",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A"}, live: plaintextBot},
	{Name: "starttls-bot", Ten: "B", About: "port 25, goes over to TLS wherever it is offered",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A"}, live: starttlsBot},
	{Name: "blocked-drop", Ten: "C", About: "port 25 is dropped by the firewall: SYNs and " +
		"nothing else", Egress: Drop, Expect: Expect{Class: "spambot", Level: "likely", Family: "A",
		Egress: "drop"}, live: blockedBot},
	{Name: "banner-554", Ten: "D", About: "refused in the banner by most servers",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "C"}, live: bannerBot},
	{Name: "slow-bot", Ten: "E", About: "one message in 15 s: 10 MAIL FROM in 120 s are never " +
		"reached", Expect: Expect{Class: "spambot", Level: "likely", Family: "A"}, live: slowBot},
	{Name: "bot-587", Ten: "F", About: "ports 465 and 587, TLS, many providers",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "A", Says: "(?i)submi"},
		live:   submissionBot},
	{Name: "declared-server", Ten: "G", About: "a declared mail server at work",
		Allowed: serverClasses, live: declaredServer},
	{Name: "open-relay", Ten: "H", About: "a declared server begins to relay for strangers",
		Expect: Expect{Class: "open_relay", Level: "confirmed"}, Allowed: serverClasses,
		live: openRelay},
	{Name: "rcpt-rejected", Ten: "I", About: "an old address list: most recipients are unknown",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "C",
			Says: "(?i)unknown|no such|not exist|recipient"}, live: unknownBot},
	{Name: "blocklist-text", Ten: "J", About: "refusals name a blocklist",
		Expect: Expect{Class: "spambot", Level: "likely", Family: "C"}, live: listedBot},

	// Bots of all kinds.
	{Name: "burst-mixed", About: "Emotet: batches of ten, then 8 s; ports 25, 465, 587; 97 % fail",
		Expect: bot, live: burstMixed},
	{Name: "burst-tls", About: "the same pace on 465 and 587 with TLS from the first byte, answered", Expect: bot, live: burstTLS},
	{Name: "burst-2009", About: "12 SYNs to port 25 in 0.1 s, then a pause", Expect: bot,
		live: burst2009},
	{Name: "blocked-reset", About: "port 25 is reset by the firewall", Egress: Reset,
		Expect: Expect{Class: "spambot", Level: "likely", Egress: "reset"}, live: blockedBot},
	{Name: "blocked-icmp", About: "port 25 is prohibited by ICMP", Egress: Admin,
		Expect: Expect{Class: "spambot", Level: "likely", Egress: "icmp"}, live: blockedBot},
	{Name: "random-bot", About: "any rate from 1 in 2 h to 6.9/s, any burst, port mix, outcome, " +
		"name", Expect: bot, live: randomBot},
	{Name: "twelve-a-day", About: "12 new destinations a day, in clear",
		Expect: Expect{Class: "spambot", Level: "suspect"}, live: twelveADay},
	{Name: "hammerer", About: "one provider: 358 connections to 14 servers in 100 s", Expect: bot,
		live: hammerer},
	{Name: "stolen-accounts", About: "valid passwords of many people at many providers, 587 " +
		"with TLS", Expect: bot, live: stolenAccounts},
	{Name: "infected-later", About: "a workstation that works for hours and then becomes a bot",
		Expect: bot, live: infectedLater},
	{Name: "bot-behind-nat", About: "one bot among 30 people behind one address", Expect: bot,
		live: botBehindNAT},
	{Name: "relay-tls", About: "an open relay whose strangers use STARTTLS",
		Expect: Expect{Class: "open_relay", Level: "suspect"}, Allowed: serverClasses,
		live: relayTLS},
	{Name: "server-x10", About: "a declared server sends ten times its volume after three days",
		Expect: Expect{Class: "volume_anomaly", Level: "suspect"}, Allowed: serverClasses,
		live: serverTen},
	{Name: "server-x50", About: "the same, fifty times",
		Expect: Expect{Class: "volume_anomaly", Level: "suspect"}, Allowed: serverClasses,
		live: serverFifty},
	{Name: "stolen-login", About: "one account of a declared server, used from 40 to 132 networks",
		Expect: Expect{Class: "hijacked_account", Level: "suspect"}, Allowed: serverClasses,
		live: stolenLogin},
	{Name: "listed-server", About: "a declared server whose mail is refused because of a blocklist",
		Expect: Expect{Class: "blocklisted", Level: "suspect"}, Allowed: serverClasses,
		live: listedServer},

	{Name: "rotating-ipv6", About: "a slow bot with a new IPv6 address for every third mail",
		Expect: bot, live: rotating},

	// What the design says that it cannot find.
	{Name: "limit-one-server", About: "one destination only, in clear", Expect: bot, Limit: true,
		live: limitOne},
	{Name: "limit-3-an-hour", About: "at most three destinations an hour, proper name, TLS",
		Expect: bot, Limit: true, live: limitThree},
	{Name: "limit-perfect", About: "587, TLS, a valid account, one provider, a proper name",
		Expect: bot, Limit: true, live: limitPerfect},
	{Name: "limit-behind-server", About: "everything through the site's own declared server",
		Expect: bot, Limit: true, live: limitBehind},
	{Name: "limit-4-a-day", About: "four new networks a day", Expect: bot, Limit: true,
		live: limitFour},

	// Clean hosts.
	Workstation,
	{Name: "mobile", About: "a telephone with one to three accounts", live: mobile},
	{Name: "undeclared-server", About: "a mail server that nobody declared",
		Allowed: []string{"undeclared_server", "direct_smtp"}, live: undeclaredServer},
	{Name: "undeclared-local", About: "the same with the name that its set-up gave it: " +
		"server.local, localhost.localdomain",
		Allowed: []string{"undeclared_server", "direct_smtp"}, live: undeclaredLocal},
	{Name: "undeclared-listed", About: "a mail server that nobody declared, and whose address " +
		"is on a blocklist", Allowed: []string{"undeclared_server", "direct_smtp", "blocklisted"},
		live: undeclaredListed},
	{Name: "newsletter", About: "a declared bulk host: 10,000 recipients in a morning",
		Allowed: serverClasses, live: newsletter},
	{Name: "flush-declared", About: "queue flush after six hours without a line, declared",
		Allowed: serverClasses, live: flushDeclared},
	{Name: "flush-undeclared", About: "the same of a server that nobody declared",
		Allowed: []string{"undeclared_server", "direct_smtp"}, live: flushUndeclared},
	{Name: "scanner-inside", About: "a vulnerability scanner sweeps the own networks",
		Allowed: []string{"scanner"}, live: scannerInside},
	{Name: "scanner-outside", About: "a port scan of 40 hosts on the Internet",
		Allowed: []string{"scanner", "direct_smtp", "not_smtp"}, live: scannerOutside},
	{Name: "verifier", About: "a declared server that asks others whether senders exist",
		Allowed: serverClasses, live: verifier},
	{Name: "probe", About: "monitoring: up to five servers every minute",
		Allowed: []string{"direct_smtp"}, live: probe},
	{Name: "printer", About: "scan to mail, one server, a bare name",
		Allowed: []string{"direct_smtp"}, live: printer},
	{Name: "backup-reports", About: "20 to 60 reports in a row to one relay every night",
		Allowed: []string{"direct_smtp"}, live: backupReports},
	{Name: "connection-pool", About: "an application with 40 connections to one relay at a time",
		Allowed: []string{"direct_smtp"}, live: connectionPool},
	{Name: "nat-pool", About: "30 people behind one address", Allowed: []string{"direct_smtp"},
		live: natPool},
	{Name: "dhcp-heir", About: "gets the address that a bot had until then",
		Allowed: []string{"direct_smtp"}, live: dhcpHeir},
	{Name: "five-mx", About: "one mail to five MX in five networks that do not answer",
		Allowed: []string{"direct_smtp"}, live: fiveMX},
	{Name: "account-setup", About: "a mail client that looks for the servers of an account",
		Allowed: []string{"direct_smtp"}, live: accountSetup},
	{Name: "ipv6-privacy", About: "a workstation with a new IPv6 address every day", live: privacy},
	{Name: "developer", About: "tests that say localhost to the site's own server",
		live: developer},
}

// Workstation is the clean host that stands beside others.
var Workstation = &Scenario{Name: "workstation",
	About: "one to three accounts, up to 0.5 new networks a day", live: workstation}

// serverClasses say something of a mail server that is no accusation of the host as a bot.
var serverClasses = []string{"relay_refused"}

// Heir's predecessor: the bot that had the address.
var dhcpBot = &Scenario{Name: "dhcp-bot", About: "a bot that hands its address on", Expect: bot}
