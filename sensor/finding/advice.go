package finding

import (
	"fmt"
	"net"
	"net/netip"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/verdict"
)

// mailPort is how many attempts went to port 25.
func mailPort(f *detect.Counters) uint32 {
	for _, p := range f.Ports {
		if p.Port == 25 {
			return p.Count
		}
	}
	return 0
}

// Advice says what to do about a finding. h may be nil if the finding is about a mail server.
func Advice(f *Finding, h *Seen) string {
	if f.Class >= verdict.OpenRelay {
		return serverAdvice(f.Class, f.Source.Addr, f.Reasons)
	}
	who := f.Source.Addr.String()
	if m := f.Source.MAC; m != [6]byte{} && f.OnLink { // else it is the address of a router
		who += fmt.Sprintf(" (MAC %s)", net.HardwareAddr(m[:]))
	}
	declare := fmt.Sprintf("declare it: --mail-server %s", f.Source.Addr)
	brought := h.broughtAdvice()
	switch f.Class {
	case verdict.DirectSMTP:
		text := fmt.Sprintf("If %s is a mail server, %s. If it is meant to send through your "+
			"provider's server, list that server in allowed_relays. Otherwise it should send "+
			"through your own server, on port 587.", f.Source.Addr,
			declare)
		if c := &f.Source.Counters; c.Sessions == 0 && c.Attempts > 1 && f.Source.DestIPs == 1 {
			text = "The only server that it tries completed no session: check its mail " +
				"settings. " + text
		}
		return text
	case verdict.UndeclaredServer:
		if f.Source.Role == "verifier" {
			return fmt.Sprintf("%s asks servers whether addresses exist, and sends them no "+
				"mail: that gets your address onto blocklists. If it is a mail server that "+
				"verifies senders, %s. If not, find the program that does it, and block "+
				"outgoing port 25 for it.", who, declare)
		}
		return brought + fmt.Sprintf("If %s is meant to be a mail server, %s. If not, find out "+
			"who set it up, and block outgoing port 25 for it.", who, declare)
	case verdict.Scanner:
		return fmt.Sprintf("Ask what runs on %s. If it is meant to look for mail servers (an "+
			"inventory, a vulnerability scanner), declare it in smtp_servers with the role "+
			"scanner.", who)
	case verdict.NotSMTP:
		return fmt.Sprintf("Find out which program on %s uses a mail port for something else: "+
			"malware hides there, because firewalls let mail out.", who)
	case verdict.OnBlocklist:
		return brought + fmt.Sprintf("Find and stop the cause first (a host that sends spam, a "+
			"stolen "+
			"account), then ask the list to remove the address. Until then, servers that use "+
			"the list refuse mail from %s.", who)
	}
	return botAdvice(f, h, who)
}

// botAdvice says what to do about a host that sends spam, or may. A person has to look at the
// machine first: what helps with a PC destroys a mail server, and neither is infected where a
// router translates the addresses of others. So the advice asks what the machine is, and begins
// with what the evidence makes likely.
func botAdvice(f *Finding, h *Seen, who string) string {
	const (
		pc = "take it off the network, clean or reinstall it, and change the passwords used on it"
		// a server is needed, and the cause is seldom in its system
		server = "leave it running, find in its log and queue the account or the script that " +
			"sends, lock that, and change its password"
		router = "the machine is behind it: move the mirror port to its inner side, or look into " +
			"its translation table for connections to mail ports"
	)
	public := !f.OnLink && !f.Source.Addr.IsPrivate()
	text := ""
	switch {
	case h.Server:
		return fmt.Sprintf("Behind %s there is more than your mail server: its HELO names, hop "+
			"limits or replies are not those of one server. Look at the inner side of the "+
			"gateway, or into its translation table, for the machine that sends; if there is "+
			"none, look on the server for a program or an account that does. Block outgoing "+
			"port 25 for all but your mail servers.", f.Source.Addr)
	case h.BehindNAT || f.Source.Role == "nat":
		return fmt.Sprintf("Several machines use %s. Move the mirror port to the inner side of "+
			"the gateway, or look into its translation table for connections to mail ports, to "+
			"find the one that sends. Block outgoing port 25 for all but your mail servers.", who)
	case f.Highest < verdict.Likely:
		return suspectAdvice(f, h, who)
	case public:
		text = fmt.Sprintf("Find out what %s is. If it is a router or your own public address, "+
			"%s. If it is a mail server, %s. Only if it is a PC: %s.", who, router, server, pc)
	case actsAsServer(f):
		text = fmt.Sprintf("Is %s a mail server? It has signs of one. Then %s. If it is a PC, %s.",
			who, server, pc)
	case f.OnLink:
		text = fmt.Sprintf("Find out what %s is. If it is a PC or another device of a user, %s. "+
			"If it is a mail server, %s.", who, pc, server)
	default:
		text = fmt.Sprintf("Find out what %s is. If it is a PC or another device of a user, %s. "+
			"If it is a mail server, %s. If it is a router, %s.", who, pc, server, router)
	}
	text += h.throughAdvice(f.Source.Addr)
	switch {
	case h.EgressBlocked:
		return text + " Your firewall keeps its mail from leaving: leave it so, or your public " +
			"address comes onto blocklists."
	case f.Source.Counters.Attempts > mailPort(&f.Source.Counters)*2:
		// most goes to submission ports, which people need
		text += " It submits mail to foreign servers: block outgoing ports 465, 587 and 2525 " +
			"for it as well as 25."
	default:
		text += " Block outgoing port 25 for all but your mail servers."
	}
	if h.Listed {
		text += " When the cause is stopped, ask the blocklist to remove your address."
	}
	return text
}

// suspectAdvice says what to do about a host that may send spam. To declare it is no answer where
// nothing of a mail server was seen.
func suspectAdvice(f *Finding, h *Seen, who string) string {
	c := &f.Source.Counters
	if c.Sessions > 0 && !h.EgressBlocked {
		return fmt.Sprintf("Ask what runs on %s. If it is a mail server or is meant to send to "+
			"many networks, declare it: --mail-server %s. If it is a PC, check it for malware.",
			who, f.Source.Addr)
	}
	text := fmt.Sprintf("Find the program on %s that connects to mail servers. A PC has no reason "+
		"to: check it for malware.", who)
	switch {
	case h.EgressBlocked:
		text += " Your firewall keeps its mail from leaving: leave it so."
	case c.Refused+c.Unreachable == 0:
		text += " Any machine can send such attempts in its name: look at the switch, too, where " +
			"they come from."
	}
	return text
}

// actsAsServer reports whether a finding has a sign of a mail server.
func actsAsServer(f *Finding) bool {
	for i := range f.Reasons {
		switch f.Reasons[i].Code {
		case detect.Serves, detect.OneName, detect.Welcome:
			if f.Reasons[i].Server == "" {
				return true
			}
		}
	}
	return false
}

// broughtAdvice names the host that brought much of what a server sends.
func (h *Seen) broughtAdvice() string {
	if !h.Brought.IsValid() {
		return ""
	}
	return fmt.Sprintf("Much of the mail that it sends was brought by %s: look there first. ",
		h.Brought)
}

// throughAdvice is for a host that sends through a server of ours.
func (h *Seen) throughAdvice(a netip.Addr) string {
	if h.Through == "" {
		return ""
	}
	return fmt.Sprintf(" It sends through your own server %s: delete its mail in the queue "+
		"there, and accept mail from your hosts with a password only. If %s is a bridge or a "+
		"gateway, strangers come in through it, and the server relays for them. If the domains "+
		"that it mails to are yours, list them in local_domains.", h.Through, a)
}

// serverAdvice says what to do; reasons are the finding's, the latest last.
func serverAdvice(c verdict.Class, a netip.Addr, reasons []ReasonText) string {
	switch c {
	case verdict.OpenRelay:
		return fmt.Sprintf("Restrict relaying on %s to your networks and authenticated users "+
			"(Postfix: mynetworks, smtpd_relay_restrictions), and look through its queue. List "+
			"the domains that it accepts mail for in local_domains.", a)
	case verdict.HijackedAccount:
		return fmt.Sprintf("Find the account in the log of %s (many client addresses, many "+
			"recipients), lock it, change its password, and remove its mail from the queue.", a)
	}
	if c == verdict.Backscatter {
		return fmt.Sprintf("Let %s refuse unknown recipients during the SMTP session (RFC 5321, "+
			"section 6.1) instead of returning mail afterwards: check its list of recipients, "+
			"also on a gateway in front of it. Let it return no spam, and answer automatically "+
			"(vacation, tickets) only as RFC 3834 says. Until then it gets onto blocklists for "+
			"backscatter.", a)
	}
	code := ""
	if len(reasons) > 0 {
		code = reasons[len(reasons)-1].Server
	}
	switch code {
	case "queue_blocklisted":
		return fmt.Sprintf("Find out why %s is on the list before you ask for removal: usually "+
			"an account or a host sends spam through it. The queue is delivered by itself once "+
			"the address is removed.", a)
	case "queue_grew":
		return fmt.Sprintf("Look at the queue of %s (Postfix: mailq). If nothing is delivered "+
			"at all, its Internet connection, its name resolution or a firewall has failed; if "+
			"most messages are for one destination, that destination has a problem and they "+
			"are delivered later; if they are for many, and nobody here wrote them, an account "+
			"is stolen.", a)
	case "volume_stopped":
		return fmt.Sprintf("Check whether %s runs, reaches the Internet, and resolves names; "+
			"on a holiday there may be nothing to send.", a)
	case "volume_burst", "volume_rise":
		return fmt.Sprintf("Ask whether somebody sends a newsletter or many invoices through "+
			"%s. If nobody does, look in its log for the account or host that sends most, and "+
			"lock it.", a)
	}
	return fmt.Sprintf("Look at the queue and the log of %s: who sends, to whom, and since when.",
		a)
}
