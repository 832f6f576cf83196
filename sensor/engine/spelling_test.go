package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
)

// spelling writes the letters of a name in the case that the bits of n say.
func spelling(name string, n int) string {
	b := []byte(name)
	for i := range b {
		if n>>(i%6)&1 != 0 {
			b[i] = strings.ToUpper(name)[i]
		}
	}
	return string(b)
}

// TestSpellings checks that a client which spells one name in many ways has one name (RFC 5321,
// section 2.4), and that its recipients are at one domain.
func TestSpellings(t *testing.T) {
	for _, row := range []struct {
		helo, sender, rcpt []string
		names, domains     int
		spread             bool
	}{
		{[]string{"mail.corp.example", "mail.corp.example."}, []string{"corp.example", "corp.example."}, []string{"other.example", "other.example."}, 1, 1, false},
		{[]string{"[IPv6:2001:db8::25]", "[2001:db8:0:0:0::25]"}, []string{"[192.0.2.25]", "[IPv6:::ffff:192.0.2.25]"}, []string{"[IPv6:2001:db8::26]", "[ipv6:2001:db8:0::26]"}, 1, 1, false},
		{[]string{"bücher.example", "xn--bcher-kva.example"}, []string{"bücher.example", "xn--bcher-kva.example."}, []string{"bücher.example", "xn--bcher-kva.example"}, 1, 1, false},
		{[]string{"a.corp.example", "b.corp.example"}, []string{"a.example", "b.example"}, nil, 2, 2, true},
	} {
		var frames []timedFrame
		for i := range 60 {
			rcpt := fmt.Sprintf("other%d.example", i)
			if len(row.rcpt) > 0 {
				rcpt = spelling(row.rcpt[i%2], i)
			}
			c := newConn("10.0.0.66", fmt.Sprintf("198.51.%d.1", 1+i), 40000+uint16(i), 25)
			c.at += int64(i) * 20 * second
			text := message("a@"+spelling(row.sender[i%2], i), "b@"+rcpt, "550 5.1.1 user unknown", "")
			frames = append(frames, c.dialogue(strings.Replace(text, "c.example", spelling(row.helo[i%2], i), 1)).frames...)
		}
		r := analyse(Config{}, frames)
		got := r.sources["10.0.0.66"]
		if got.HeloNames != row.names || got.SenderDomains != row.domains {
			t.Errorf("%v: %d HELO names, %d sender domains", row, got.HeloNames, got.SenderDomains)
		}
		last := r.findings[len(r.findings)-1]
		if spread := slices.ContainsFunc(last.Reasons, func(x finding.ReasonText) bool { return x.Code.String() == "recipient_domains" }); spread != row.spread {
			t.Errorf("%v: reasons %v", row, last.Reasons)
		}
	}
}
