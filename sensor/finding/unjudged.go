package finding

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/verdict"
)

// Unjudged is a host that is in no home network, and would have a level if it were.
type Unjudged struct {
	Addr     netip.Addr
	Level    verdict.Level
	Attempts uint32
}

// Compare orders hosts: the highest level first, then the most attempts, then by address.
func (u Unjudged) Compare(o Unjudged) int {
	return cmp.Or(-cmp.Compare(u.Level, o.Level), -cmp.Compare(u.Attempts, o.Attempts),
		u.Addr.Compare(o.Addr))
}

// maxHomeOptions bounds the networks that UnjudgedText repeats, maxNamed the hosts that it names.
const maxHomeOptions, maxNamed = 8, 8

// UnjudgedText names hosts that are not judged, of n in all, and how to have them judged. home are
// the home networks of now: an option must name them again. Both texts are empty if n is zero.
func UnjudgedText(list []Unjudged, n int, home []netip.Prefix) (text, hint string) {
	if n == 0 {
		return "", ""
	}
	list = list[:min(len(list), maxNamed)]
	var names, options []string
	add := func(p netip.Prefix) {
		if option := "--home " + p.String(); !slices.Contains(options, option) {
			options = append(options, option)
		}
	}
	for _, u := range list {
		names = append(names, fmt.Sprintf("%s (%s)", u.Addr, u.Level))
		bits := 24
		if u.Addr.Is6() {
			bits = 64
		}
		add(netip.PrefixFrom(u.Addr, bits).Masked())
	}
	for i, p := range home {
		if i < maxHomeOptions && slices.ContainsFunc(list, func(u Unjudged) bool {
			return u.Addr.Is6() == p.Addr().Is6()
		}) {
			add(p)
		}
	}
	if n > len(list) {
		names = append(names, fmt.Sprintf("and %d more", n-len(list)))
	}
	text = "%s that would be at least suspect is in none of your networks and not judged: %s"
	hint = "if it is yours: %s, or home_net in the configuration"
	if n > 1 {
		text = "%s that would be at least suspect are in none of your networks and not judged: %s"
		hint = "if they are yours: %s, or home_net in the configuration"
	}
	return fmt.Sprintf(text, verdict.Plural(n, "host"), strings.Join(names, ", ")),
		fmt.Sprintf(hint, strings.Join(options, " "))
}
