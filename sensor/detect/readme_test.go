package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"spamsensor/bench/golden"
	"spamsensor/sensor/handover"
	"spamsensor/sensor/lookups"
)

// detectorDoc is what the manual says of a detector beside its name and family.
type detectorDoc struct {
	sees      string
	threshold string // with the values in force by default
	source    string
}

// detectorDocs has a row for each code.
func detectorDocs() map[Code]detectorDoc {
	c := DefaultConfig()
	f := fmt.Sprintf
	accounts := "a mail client has one to three accounts"
	mta := "habits of mail servers"
	return map[Code]detectorDoc{
		NewNetworks: {"the rate of providers, or networks (/24, /48), that the host never contacted before, at three time scales",
			f("CUSUM above %g: the fourth or fifth new network", c.NewNetworksThreshold), "Page's CUSUM; no alarm in 1,000 simulated host-years"},
		ManyNetworks: {"different providers or networks within an hour, new or not", f("%d, then %d", c.ManyNetworks, c.MassNetworks),
			"NEMEA: 10 in 300 s; Zeek: 25 failed ones in 5 minutes"},
		Burst: {"attempts to port 25 in a short time", f("%d within %d minutes", c.FastAttempts, c.FastTime/time.Minute), "BotFlex"},
		Concurrent: {"connections open or half open at a time", f("%d, then %d", c.Concurrent, c.MassConcurrent),
			"rules in use on MikroTik routers"},
		SubmitSpread: {"providers or networks on the ports of submission within an hour, beside a person's accounts", f("%d", c.SubmitNetworks), "ntopng: more than 5"},
		Flood: {"attempts at servers that were never contacted before, while no word is said in a session",
			f("%d servers in %d minutes, %d times in a row; or %d attempts", floodServers, floodTime/minute, floodRows, floodAttempts),
			"NEMEA and BotFlex, three and five times as much"},
		Sweep: {"addresses of the same networks of which few answer",
			f("%d addresses, %d of each network", sweptServers, sweptDensity), "mail goes to few servers of a network"},
		ForeignMail: {"domains of strangers to which the host sends through a server of ours, in the name of strangers",
			f("%d within a day, %d if `local_domains` is not set; then %d", handover.ManyRecipients, handover.ManyUnsure, massReach),
			"one end of an honest host's mail is ours"},
		Failures: {"whether first contacts with providers or networks succeed", f("threshold random walk; on port 25 also 0.05 of failures against 0.3; alpha %g", c.Alpha),
			"Jung, Paxson, Berger, Balakrishnan 2004"},
		Refusals: {"mails that servers refuse; what a server or a list repeats counts less",
			f("Wald's test, %g against %g", c.RefusalLow, c.RefusalHigh), "Wald 1945"},
		UnknownUsers: {"recipients that do not exist; with another sender domain for each mail it weighs most", f("%g of at least %d; %g and %d with such senders", c.UnknownShare, c.UnknownRecipients, forgedShare, forgedUnknown),
			"advice of newsletter providers: clean a list from 2 to 5 % on"},
		RelayDenials: {"servers that deny relaying, or want a login", "2 within a day", "one server per mail client"},
		Blocklisted:  {"a refusal that names a blocklist", "1", "the blocklist"},
		HeloName: {"a HELO name that is no full name: localhost, a single word, a bare address, .lan, a dial-up name, nothing",
			"1", "RFC 5321, section 4.1.3; weights from SpamAssassin 4.0.1"},
		HeloNames: {"different HELO names; another one for each mail, with another sender domain, weighs most, and counts at an allowed relay, too", f("%d within a day", c.HeloNames), "a machine has one name"},
		Oddities: {"SMTP as spam programs speak it: ten habits, such as speaking before the greeting",
			f("one habit in %d sessions", minOddSessions), "Postfix postscreen"},
		Conflicts: {"sessions in which the client sends other bytes in the same place",
			f("%d, and a quarter of all sessions", fewConflicts), "no TCP does so"},
		SenderDomains: {"domains of senders", f("%d, then %d within a day", c.SenderDomains, c.MassSenderDomains),
			"a workstation has one or two"},
		RecipientDomains: {"domains of recipients", f("%d within an hour", c.RecipientDomains), "measured"},
		MXLookups:        {"domains whose MX records the host asks for", f("%d within an hour", c.MXDomains), accounts},
		HostLookups: {"domains of which the host looks up mail servers by name",
			f("%d within %d minutes, or %d within %d s", c.MailNames, lookups.NamesWindow/60, burstNames, burstTime), accounts},
		ListLookups: {"questions to blocklists about addresses", "1", "bots check whether they are listed"},
		TLSNames: {"domains of mail servers named in TLS handshakes",
			f("%d within %d minutes, %d within %d s, or %d within a day (%d behind a router)", c.MailNames, lookups.NamesWindow/60, burstNames, burstTime, dayNames, dayNamesRouted), accounts},
		OneName: {"the same full HELO name in every session", "20 sessions", mta},
		Welcome: {"mails that are accepted", "0.95 of at least 10", mta},
		Retries: {"a new attempt 4 minutes to 4 hours after a deferral or a failed connection", "0.6 of at least 3",
			"RFC 5321, section 4.5.4.1; Postfix"},
		Serves: {"external hosts that deliver mail to the host", "2", mta},
	}
}

// detectorTables are the generated part of README.md.
func detectorTables(t *testing.T) string {
	var b strings.Builder
	docs := detectorDocs()
	b.WriteString("| reason | family | what it sees | threshold | source or reason |\n|---|---|---|---|---|\n")
	for code := range codes {
		d, ok := docs[code]
		if !ok {
			t.Errorf("the detector %s has no row in detectorDocs", code)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", code, code.Family(), d.sees, d.threshold, d.source)
	}
	about := [...]string{
		Volume: "how many networks, and how fast", Outcome: "whether first contacts succeed", Replies: "the answers of servers",
		Identity: "how the host introduces itself", Dialect: "how it speaks SMTP",
		Envelope: "the domains of senders and recipients", Names: "DNS lookups, and names in TLS handshakes",
		Mitigating: "evidence in favour of the host; its weights are negative",
	}
	b.WriteString("\n| family | what its detectors look at | weighs at most | works without reading mail |\n|---|---|---:|---|\n")
	for f := range families {
		limit, reads := fmt.Sprintf("%g", familyCap[f]), "yes"
		if readable[f] {
			reads = "no"
		}
		if f == Mitigating {
			limit, reads = fmt.Sprintf("takes off at most %g", mitigatingCap), "partly"
		}
		if f == Identity {
			reads = "HELO names come before STARTTLS"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f, about[f], limit, reads)
	}
	b.WriteString("\n| when | reasons that do not count |\n|---|---|\n")
	cases := append([]mitigation{othersQueries, lateAnswers, acceptedMail, listedServer}, beforeSum[:]...)
	for _, m := range cases {
		var names []string
		for set := m.weakens; set != 0; set = set.rest() {
			names = append(names, fmt.Sprintf("`%s`", set.first()))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", m.name, strings.Join(names, ", "))
	}
	b.WriteString("\n| declared role | what the host is | what the role explains | what it never explains |\n|---|---|---|---|\n")
	for _, r := range roleRules[MailServer:] {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, r.about, r.explains, r.remains)
	}
	return b.String()
}

// The tables of the manual are made of the code: go test ./sensor/detect -run TestREADME -update
func TestREADME(t *testing.T) {
	golden.Table(t, "README.md", detectorTables(t))
}
