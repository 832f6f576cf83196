package playbook

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/report"
	"spamsensor/sensor/verdict"
)

// The steps for a mail server. Syntax: postconf(1), postqueue(1), postsuper(1), qshape(1) of
// Postfix; exim(8), exim_checkaccess(8); doveadm-kick(1); the cmdlets of Exchange
// (learn.microsoft.com); swaks(1).

// hold stops the queue of a server while it is abused.
func (b *builder) hold() {
	p := b.p
	b.step(p.Text("Stop what leaves, without losing mail"),
		p.Text("What waits in the queue is put on hold, and nothing is lost: a later step "+
			"releases it. In Exchange new mail waits, too."),
		slices.Concat(on(postfix, "postsuper -h ALL"), on(exim, "exiqgrep -i | xargs exim -Mf"),
			on(exchange, "Get-Queue | Suspend-Queue"))...)
}

// closeRelay restricts relaying.
func (b *builder) closeRelay() {
	p := b.p
	b.step(p.Text("Close the relay"), p.Text("Only your networks and users with a password may "+
		"send to domains that are not yours. The usual mistakes: a network in mynetworks that is "+
		"too large (or the address of a proxy, through which all clients come), permit too early "+
		"in the restrictions, a connector of Exchange that lets anybody relay."), slices.Concat(
		on(postfix,
			"postconf mynetworks mynetworks_style smtpd_relay_restrictions "+
				"smtpd_recipient_restrictions relay_domains",
			"postconf -P '*/inet/smtpd_relay_restrictions' "+
				"'*/inet/smtpd_recipient_restrictions' '*/inet/mynetworks'",
			"postconf -e 'smtpd_relay_restrictions = permit_mynetworks, "+
				"permit_sasl_authenticated, reject_unauth_destination'",
			"postfix check && postfix reload"),
		on(exim, "exim -bP hostlist relay_from_hosts domainlist relay_to_domains"),
		on(exchange, "Get-ReceiveConnector | Get-ADPermission | Where-Object { "+
			"$_.ExtendedRights -like '*ms-Exch-SMTP-Accept-Any-Recipient*' } | "+
			"Format-Table Identity,User"))...)
}

// testRelay tests the relay with its address, without sending a message.
func (b *builder) testRelay() {
	p := b.p
	commands := on(outside, fmt.Sprintf("swaks --server %s --port 25 --from test@example.org "+
		"--to test@example.com --quit-after RCPT", b.outsideAddress()))
	for _, a := range b.clients() {
		commands = append(commands, on(exim, fmt.Sprintf("exim_checkaccess %s test@example.com",
			a))...)
	}
	b.step(p.Text("Test it from outside of your network"),
		p.Text("The server must refuse the recipient: 454 or 554, relay access denied. If it says "+
			"250, it is still open. No message is sent."), commands...)
}

// outsideAddress is where a server is reached from outside, as far as it is known.
func (b *builder) outsideAddress() string {
	if b.ip.IsPrivate() {
		if a, err := netip.ParseAddr(b.m.Site.PublicIP); err == nil {
			return plain(a).String()
		}
		return "PUBLIC-ADDRESS"
	}
	return b.ip.String()
}

// maxClients bounds the clients with a line of their own.
const maxClients = 5

// clients are the external clients whose sessions are the proof.
func (b *builder) clients() (list []netip.Addr) {
	for i := range b.f.Proof {
		a := plain(b.f.Proof[i].Client)
		if a != b.ip && !slices.Contains(list, a) && len(list) < maxClients {
			list = append(list, a)
		}
	}
	return list
}

// strangers finds in the log what the clients of the proof brought.
func (b *builder) strangers() {
	p := b.p
	var commands []Command
	for _, a := range b.clients() {
		commands = append(commands, on(postfix, fmt.Sprintf(
			"journalctl -t postfix/smtpd%s | grep -F '[%s]'", b.journal(), a))...)
		commands = append(commands, b.holdFrom(a)...)
		commands = append(commands, on(exchange, fmt.Sprintf(
			"Get-MessageTrackingLog%s -EventId RECEIVE -ResultSize Unlimited | "+
				"Where-Object ClientIp -eq '%s'", b.exchangeTimes(), a))...)
	}
	if len(commands) == 0 {
		return
	}
	b.step(p.Text("Find what strangers brought, and take it out of the queue"),
		p.Text("These clients are the proof. The lines show their sessions in the log, and put "+
			"their mail on hold, to be looked at and deleted."), commands...)
}

// serverQueue looks through the queue.
func (b *builder) serverQueue() {
	p := b.p
	why := p.Text("Many messages of one sender to strange domains are spam: delete them, and " +
		"only them. ACCOUNT is that sender.")
	var release []Command
	if b.f.Class == verdict.OpenRelay || b.f.Class == verdict.HijackedAccount {
		why = sentences(why, p.Text("The last line releases what is left of the mail on hold."))
		release = slices.Concat(on(postfix, "postsuper -H ALL"),
			on(exim, "exiqgrep -z -i | xargs exim -Mt"),
			on(exchange, "Get-Queue | Resume-Queue"))
	} else {
		why = sentences(why, p.Text("Everything else is delivered later by itself."))
	}
	b.step(p.Text("Look through the queue"), why, slices.Concat(
		on(postfix, "postqueue -p | tail -1", "qshape -s deferred | head", "qshape deferred | head",
			`postqueue -j | jq -r 'select(.sender=="ACCOUNT") | .queue_id' | postsuper -d -`),
		on(exim, "exim -bpc", "exiqgrep -i -f ACCOUNT | xargs exim -Mrm"),
		on(exchange, "Get-Queue | Sort-Object MessageCount -Descending",
			"Get-Message -ResultSize Unlimited | Group-Object FromAddress -NoElement",
			"Get-Message -ResultSize Unlimited -Filter \"FromAddress -eq 'ACCOUNT'\" | "+
				"Remove-Message -WithNDR $false"), release)...)
}

// findAccount finds the account that others use.
func (b *builder) findAccount() {
	p := b.p
	from := ""
	if list := b.clients(); len(list) > 0 {
		var names []string
		for _, a := range list {
			names = append(names, a.String())
		}
		from = p.Sprintf("Sessions came from %s.", strings.Join(names, ", "))
	}
	commands := b.accounts()
	for _, a := range b.clients() {
		commands = append(commands, on(postfix, fmt.Sprintf("journalctl%s | grep -F '[%s]' | "+
			"grep -o 'sasl_username=[^, ]*' | sort | uniq -c", b.journal(), a))...)
	}
	commands = append(commands, on(dovecot, "journalctl -t dovecot"+b.journal()+
		" | grep -oE 'user=<[^>]*>.*rip=[0-9a-fA-F.:]+' | sort | uniq -c | sort -rn | head")...)
	b.step(p.Text("Find the account"), sentences(p.Text("It is the one with many client addresses "+
		"of many countries, and with by far the most messages."), from), commands...)
}

// lock locks the account.
func (b *builder) lock() {
	p := b.p
	b.step(p.Text("Lock it, then change its password"), p.Text("A changed password alone leaves "+
		"open sessions open: end them. Look for forwarding rules and filters that the owner did "+
		"not make, and for other accounts with the same password."), slices.Concat(
		on(dovecot, "doveadm auth cache flush ACCOUNT", "doveadm kick ACCOUNT", "doveadm pw",
			"doveadm sieve list -u ACCOUNT"),
		on(exchange, "Disable-ADAccount ACCOUNT", "Get-InboxRule -Mailbox ACCOUNT",
			"Set-ADAccountPassword ACCOUNT -Reset"))...)
}

// owner looks at the machines of the account's owner.
func (b *builder) owner() {
	p := b.p
	b.step(p.Text("Ask the owner how the password got out"), p.Text("A page that asked for it, a "+
		"password used elsewhere too, or a program on a machine of the owner: such a machine is "+
		"cleaned before it gets the new password."))
}

// cause finds what got a server onto a blocklist.
func (b *builder) cause() {
	p := b.p
	why := p.Text("A list that is asked while the cause goes on lists you again, and for longer.")
	var commands []Command
	for i := range b.m.Findings {
		f := &b.m.Findings[i]
		id := (&builder{f: f}).id()
		if f.ID == b.f.ID || id == "" || f.Class == verdict.OnBlocklist ||
			f.Severity == verdict.Info.String() || len(commands) == maxClients {
			continue
		}
		commands = append(commands, on(sensor, "spamsensor playbook "+id)...)
	}
	if len(commands) > 0 {
		why = sentences(why, p.Text("These findings come first:"))
	} else {
		why = sentences(why, p.Text("No other finding explains it so far: look at the machines "+
			"that share your public address, and at the accounts of the server."))
		commands = append(on(sensor, "spamsensor sources --limit 20"), b.accounts()...)
	}
	b.step(p.Text("Find and stop the cause first"), why, commands...)
}

// senders finds who sends so much.
func (b *builder) senders() {
	p := b.p
	b.step(p.Text("Find out who sends"), p.Text("A newsletter or a run of invoices has one known "+
		"sender: ask. Many messages of an account whose owner knows nothing of them are a stolen "+
		"account: lock it, and change its password."), b.accounts()...)
}

// deliveries checks the way out of a server that sends less, or whose queue grows.
func (b *builder) deliveries() {
	p := b.p
	b.step(p.Text("If nothing leaves: check the way out"), p.Text("A failed line, name resolution "+
		"or firewall stops all destinations at once; one destination alone has a problem of its "+
		"own."), slices.Concat(
		on(postfix, "postfix status", "journalctl -t postfix/smtp"+b.journal()+
			" | grep -oE 'status=(deferred|bounced) \\(.*' | cut -c1-90 | sort | uniq -c | "+
			"sort -rn | head", "host -t mx example.com"),
		on(exchange, "Get-Queue | Format-List NextHopDomain,MessageCount,LastError"))...)
}

// testUnknown tests whether a server refuses unknown recipients.
func (b *builder) testUnknown() {
	p := b.p
	b.step(p.Text("Test an address that does not exist"), p.Text("The server must refuse it at "+
		"once, with 550. If it says 250, it takes the mail and returns it later, to somebody "+
		"whose address was forged. No message is sent. Test each domain of yours, and the "+
		"gateway in front, too."), on(outside, fmt.Sprintf("swaks --server %s --port 25 --from "+
		"test@example.org --to no-such-user-7351@YOUR-DOMAIN --quit-after RCPT",
		b.outsideAddress()))...)
}

// refuseUnknown has a server refuse unknown recipients in the session.
func (b *builder) refuseUnknown() {
	p := b.p
	b.step(p.Text("Refuse unknown recipients during the session"), p.Text("For that each server "+
		"that faces the Internet needs the list of your recipients (RFC 5321, section 6.1)."),
		slices.Concat(
			on(postfix, "postconf smtpd_reject_unlisted_recipient local_recipient_maps "+
				"relay_recipient_maps virtual_mailbox_maps virtual_alias_maps",
				"postconf -e 'smtpd_reject_unlisted_recipient = yes'",
				"postfix check && postfix reload"),
			on(exchange, "Get-RecipientFilterConfig | Format-List Enabled,"+
				"RecipientValidationEnabled",
				"Set-RecipientFilterConfig -RecipientValidationEnabled $true",
				"Get-AcceptedDomain | Format-Table DomainName,AddressBookEnabled"))...)
}

// bounces finds other sources of returned mail.
func (b *builder) bounces() {
	p := b.p
	b.step(p.Text("Stop other returned mail"), p.Text("Filters that return spam or viruses, and "+
		"answers that are sent automatically (vacation, tickets), go to forged senders, too: "+
		"refuse in the session, or keep silent; answer as RFC 3834 says. What is on its way is "+
		"in the queue with an empty sender."), on(postfix,
		"journalctl -t postfix/bounce"+b.journal()+" | tail",
		`postqueue -j | jq -r 'select(.sender=="" or .sender=="MAILER-DAEMON") | .queue_id' | `+
			"postsuper -h -")...)
}

// pages are where lists are asked for removal.
var pages = []struct{ name, url string }{
	{"spamhaus", "https://check.spamhaus.org/"},
	{"abuseat", "https://check.spamhaus.org/"},
	{"spamcop", "https://www.spamcop.net/bl.shtml"},
	{"barracuda", "https://www.barracudacentral.org/rbl/removal-request"},
	{"uceprotect", "https://www.uceprotect.net/en/rblcheck.php"},
	{"psbl", "https://psbl.org/"},
	{"abusix", "https://lookup.abusix.com/"},
	{"outlook", "https://sender.office.com/"},
	{"microsoft", "https://sender.office.com/"},
}

// delist asks the lists that servers named, the one that costs most mail first.
func (b *builder) delist() {
	lists := slices.Clone(b.m.Site.Blocklists)
	if len(lists) == 0 && b.f.Class != verdict.OnBlocklist && !b.has("queue_blocklisted") {
		return
	}
	p := b.p
	slices.SortStableFunc(lists, func(x, y report.Blocklist) int {
		return cmp.Compare(y.Count, x.Count)
	})
	address := "PUBLIC-ADDRESS"
	if a, err := netip.ParseAddr(b.m.Site.PublicIP); err == nil {
		address = plain(a).String()
	} else if !b.ip.IsPrivate() {
		address = b.ip.String()
	}
	commands := on(sensor, "spamsensor verify "+b.ip.String(),
		"spamsensor reputation --ip "+address)
	var named []string
	for _, l := range lists {
		named = append(named, p.Sprintf("%s (%s, last %s)", l.Name,
			p.Plural(uint64(l.Count), "reply", "replies"), b.clock(l.Last)))
		for _, x := range pages {
			if c := (Command{web, x.url}); strings.Contains(strings.ToLower(l.Name), x.name) &&
				!slices.Contains(commands, c) {
				commands = append(commands, c)
			}
		}
	}
	why := p.Text("Only when verify says clean: a list that is asked too early lists you again, " +
		"and for longer. Ask each one once, say what the cause was and what you did, and wait a " +
		"day. Some lists (SpamCop) forget by themselves. Pay nobody.")
	if len(named) > 0 {
		why = sentences(p.Sprintf("Named by receiving servers: %s.", strings.Join(named, ", ")),
			why)
	}
	b.step(p.Text("Then ask the blocklists to remove your address"), why, commands...)
}

// needed is how long there must be no sign of a finding of a class until it counts as over: the
// time after which the sensor closes it.
func needed(c verdict.Class) time.Duration {
	if c == verdict.OpenRelay {
		return 7 * 24 * time.Hour
	}
	return 24 * time.Hour
}

// days is a duration of whole days, or of hours below two of them.
func days(d time.Duration) string {
	if d < 48*time.Hour {
		return verdict.Plural(int(d.Hours()), "hour")
	}
	return verdict.Plural(int(d.Hours()/24), "day")
}
