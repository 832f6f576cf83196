package engine

import (
	"fmt"
	"net"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// blind says what the verdict could not rest on.
func (h *host) blind(src *source) (blind []string) {
	add := func(n uint32, format string, args ...any) {
		if n > 0 {
			blind = append(blind, fmt.Sprintf(format, args...))
		}
	}
	f := &src.facts
	switch {
	case f.Sessions == 0 && f.Refused+f.Unreachable > 0:
		blind = append(blind, "no session was completed: only attempts and their refusal were seen")
	case f.Sessions == 0 && h.HalfOpenCount() > 0:
		blind = append(blind, "no session was completed: what was answered was not gone on with")
	case f.Sessions == 0:
		blind = append(blind, "no session was completed: only attempts to connect were seen, and anybody can send those in this address' name")
	}
	if h.opaque > 0 {
		blind = append(blind, fmt.Sprintf("of %s %s encrypted from the first byte", verdict.Count(f.Sessions, "session", "sessions"), verdict.Count(h.opaque, "was", "were")))
	}
	add(f.TLSSessions-min(f.TLSSessions, h.opaque), "%s over to TLS: what was said after that is not known", verdict.Count(f.TLSSessions-min(f.TLSSessions, h.opaque), "session went", "sessions went"))
	add(h.oneWay, "of %s only one direction was seen", verdict.Count(h.oneWay, "session", "sessions"))
	add(h.doubtful, "in %s bytes were sent twice and differed, or were urgent data: the server may have read something else", verdict.Count(h.doubtful, "session", "sessions"))
	if a := h.former; a != nil {
		blind = append(blind, fmt.Sprintf("until lately this address had another link-layer address, %s: either another machine has it now, or it sends in its name, and can then answer for the servers, too",
			net.HardwareAddr(a.mac[:])))
	}
	if n := h.candidate.attempts; n > 0 {
		blind = append(blind, fmt.Sprintf("%s came from another link-layer address than the others, the latest from %s: a machine with several network cards does that, and so does another one that sends in this address' name, and can then answer for it",
			verdict.Count(n, "attempt", "attempts"), net.HardwareAddr(h.candidate.mac[:])))
	}
	if h.Lookups() == nil {
		blind = append(blind, "none of its DNS queries about mail were seen: it made none, or they are not on this mirror port, or encrypted")
	}
	if h.BehindNAT() {
		blind = append(blind, fmt.Sprintf("several machines seem to be behind this address: packets arrive with different hop limits (%s; Windows begins with 128, most others with 64). Which of them it is can be seen only on their side of the gateway", h.HopLimits()))
	}
	return blind
}

// mailPort is how many attempts went to port 25.
func mailPort(f *detect.Counters) uint32 {
	for _, p := range f.Ports {
		if p.Port == 25 {
			return p.Count
		}
	}
	return 0
}

// advice says what to do.
func advice(f *finding.Finding, h *host) string {
	who := f.Source.Addr.String()
	if m := f.Source.MAC; m != [6]byte{} && f.Near { // else it is the address of a router
		who += fmt.Sprintf(" (MAC %s)", net.HardwareAddr(m[:]))
	}
	declare := fmt.Sprintf("declare it: --mail-server %s", f.Source.Addr)
	switch f.Class {
	case verdict.DirectSMTP:
		text := fmt.Sprintf("If %s is a mail server, %s. If it is meant to send by way of your provider's server, name that one in allowed_relays. "+
			"Otherwise it should send through your own server, on port 587.", f.Source.Addr, declare)
		if c := &f.Source.Facts; c.Sessions == 0 && c.Attempts > 1 && f.Source.DestIPs == 1 {
			text = "The only server that it tries gave it no session: look at its mail settings. " + text
		}
		return text
	case verdict.UndeclaredServer:
		if f.Source.Role == "verifier" {
			return fmt.Sprintf("%s asks servers whether addresses exist, and sends nothing where they do: servers answer that with blocklists. If it is a mail server that verifies senders, %s. If not, find out whose addresses it asks for, and block outgoing port 25 for it.", who, declare)
		}
		return fmt.Sprintf("If %s is meant to be a mail server, %s. If not, find out who set it up, and block outgoing port 25 for it.", who, declare)
	case verdict.Scanner:
		return fmt.Sprintf("Ask what runs on %s. If it is meant to look for mail servers (an inventory, a vulnerability scanner), declare it in smtp_servers with the role scanner.", who)
	case verdict.NotSMTP:
		return fmt.Sprintf("Find out which program on %s uses a mail port for something else: malware hides there, because firewalls let mail out.", who)
	case verdict.OnBlocklist:
		return fmt.Sprintf("Find and stop the cause first (a host that sends spam, a stolen account), then ask the list to remove the address. Until then what %s sends to users of the list is refused.", who)
	}
	if h.BehindNAT() {
		return fmt.Sprintf("Move the mirror port to the inner side of %s, or look into its translation table, to find the machine behind it. Block outgoing port 25 for all but your mail servers.", who)
	}
	if f.Level == verdict.Suspect {
		return fmt.Sprintf("Ask what runs on %s. If it is meant to send mail to many networks, %s.", who, declare)
	}
	text := fmt.Sprintf("Take %s off the network, clean or reinstall it, and change the passwords used on it.", who)
	if !f.Near && !f.Source.Addr.IsPrivate() {
		text = fmt.Sprintf("If %s is a gateway, the machine is behind it: move the mirror port to its inner side, or look into its translation table. Otherwise: ", who) + text
	}
	if h.Egress().Blocked() {
		return text + " Leave outgoing mail ports blocked: that is what keeps your address off the blocklists."
	}
	if f.Source.Facts.Attempts > mailPort(&f.Source.Facts)*2 { // most goes to submission ports, which people need
		text += " It submits mail at other people's servers: block its way out on ports 465, 587 and 2525 as well as 25."
	} else {
		text += " Block outgoing port 25 for all but your mail servers."
	}
	if len(h.Blocklists()) > 0 {
		text += " When it is clean, ask the blocklist to remove your address."
	}
	return text
}
