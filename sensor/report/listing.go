package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// listing is what the reason "blocklisted" says: the lists that servers named, and the address with
// which they saw the host; empty if they are not known.
func listing(reasons []Reason) (lists []string, address string) {
	for i := range reasons {
		if reasons[i].Code != "blocklisted" {
			continue
		}
		_, text, _ := strings.Cut(reasons[i].Text, " named the blocklist")
		names, text, known := strings.Cut(strings.TrimPrefix(text, "s"), ": \"")
		if known {
			lists = strings.Split(strings.TrimSpace(names), ", ")
			slices.Sort(lists) // hosts with the same lists have the same advice
		}
		if a := quotedAddress(text); a != "" {
			address = a
		}
	}
	return lists, address
}

// quotedAddress is the address in the sentence that ends a reason; empty if there is none. Before
// it there is a reply, in which servers write what they like, this sentence included: but a
// quotation mark follows what they write.
func quotedAddress(text string) string {
	const before, after = "\". Your public address seems to be ", " servers quoted it)."
	at := strings.LastIndex(text, before)
	if at < 0 || !strings.HasSuffix(text, after) {
		return ""
	}
	quoted, _, _ := strings.Cut(text[at+len(before):], " ")
	a, err := netip.ParseAddr(quoted)
	if err != nil {
		return ""
	}
	return a.String()
}

// delisting names the lists and the address in the advice to ask for removal.
func delisting(advice string, reasons []Reason) string {
	const general = "When the cause is stopped, ask the blocklist to remove your address."
	lists, address := listing(reasons)
	if len(lists) == 0 || !strings.HasSuffix(advice, general) {
		return advice
	}
	advice = strings.TrimSuffix(advice, general)
	if address == "" {
		return advice + fmt.Sprintf("When the cause is stopped, ask to have your address removed "+
			"from %s.", list(lists))
	}
	return advice + fmt.Sprintf("When the cause is stopped, ask to have %s removed from %s.",
		address, list(lists))
}

// ordered is an advice with the steps that a reader takes first in front: what keeps the spam in,
// and how to find the machine. mac says that its link-layer address is known.
func ordered(advice string, mac bool) string {
	const block = "Block outgoing port 25 for all but your mail servers."
	end := strings.Index(advice, " is. ")
	if !strings.HasPrefix(advice, "Find out what ") || end < 0 {
		return advice
	}
	first, rest := advice[:end+len(" is.")], advice[end+len(" is."):]
	if mac {
		first += " Look its MAC up in the DHCP leases, and at the switch for its port."
	}
	if strings.Contains(rest, " "+block) {
		first, rest = block+" "+first, strings.Replace(rest, " "+block, "", 1)
	}
	return first + rest
}

// otherAddresses are public addresses of hosts with a finding beside that of the site.
func otherAddresses(m *Model) (others []string) {
	for i := range m.Findings {
		_, a := listing(m.Findings[i].Reasons)
		if a != "" && a != m.Site.PublicIP && !slices.Contains(others, a) {
			others = append(others, a)
		}
	}
	return others
}
