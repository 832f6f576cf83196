package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/smtpsniff/refusal"
)

// sessionsOf gives sessions of these kinds to the list of a client: "?" has an unknown dialogue, "a"
// an accepted message, "d" was deferred, "r" has an unknown recipient, "s" is refused as spam, "b"
// because of a blocklist, "x" had a message accepted and a recipient refused. It returns the kinds
// that stay, with the number of each session.
func sessionsOf(kinds, direction string) string {
	r := New(func(uint16) string { return "" }, func(s string) string { return s }, false)
	client := netip.MustParseAddrPort("10.0.0.5:40000")
	replies := map[rune]finding.RefusalText{'d': {Code: 451, Text: "try again later"}, 'r': {Code: 550, Text: "User unknown"},
		's': {Code: 554, Text: "5.7.1 This message is spam"}, 'b': {Code: 554, Text: "blocked using zen.spamhaus.org"},
		'x': {Code: 550, Text: "User unknown"}}
	for i, c := range kinds {
		s := &finding.Session{Client: client, Start: int64(i), Direction: direction, TLS: "none"}
		if c == 'a' || c == 'x' {
			s.Messages = 1
		}
		if reply, ok := replies[c]; ok {
			reply.Why = refusal.Classify(reply.Code, reply.Enhanced, reply.Text)
			s.Refusals = []finding.RefusalText{reply}
		}
		r.Session(uint64(i), s)
	}
	var list []string
	for _, s := range r.sessions[client.Addr()].list {
		list = append(list, fmt.Sprintf("%c%d", kinds[s.number], s.number))
	}
	return strings.Join(list, " ")
}

// TestProofs: what proves most stays, of several kinds; an unknown dialogue makes room first. Of a
// client outside, the first sessions with a known dialogue stay.
func TestProofs(t *testing.T) {
	for _, c := range []struct{ kinds, direction, want string }{
		{"aaaaaaa", "outbound", "a0 a1 a2 a3 a4"},
		{"????aaaaaaa", "outbound", "a4 a5 a6 a7 a8"},
		{"aaaaaaab", "outbound", "a0 a1 a2 a3 b7"},
		{"aaaaaaabbbb", "outbound", "a0 a1 a2 b7 b8"},
		{"aaaaaaardsbbbbrrr", "outbound", "a0 r7 d8 s9 b10"},
		{"rrrrra", "outbound", "r0 r1 r2 r3 a5"},
		{"bbbbb????", "outbound", "b0 b1 b2 b3 b4"},
		{"aaaaaaabbbb", "inbound", "a0 a1 a2 a3 a4"},
		{"????aaaaaaabbbb", "inbound", "a4 a5 a6 a7 a8"},
		{strings.Repeat("a", 300) + "b", "outbound", "a0 a1 a2 a3 a4"}, // the work is bounded
		{strings.Repeat("?", 300) + "aab", "outbound", "?0 ?1 a300 a301 b302"},
	} {
		if got := sessionsOf(c.kinds, c.direction); got != c.want {
			t.Errorf("%.30s: %s, want %s", c.kinds, got, c.want)
		}
	}
}

// TestTelling: a short proof has one session of each kind, those that prove most, in the order of
// time, and says of a session both what was accepted and what was refused.
func TestTelling(t *testing.T) {
	f := &Finding{}
	for i, k := range []kind{accepted, accepted, listed, refused, listed} {
		f.Proof = append(f.Proof, Session{Number: uint64(i), Kind: k.String(), TLS: "none"})
	}
	for n, want := range map[int][]uint64{1: {2}, 2: {2, 3}, 3: {0, 2, 3}, 4: {0, 2, 3, 4}, 5: {0, 1, 2, 3, 4}, 9: {0, 1, 2, 3, 4}} {
		var got []uint64
		for _, s := range f.Telling(n) {
			got = append(got, s.Number)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d of them: %v, want %v", n, got, want)
		}
	}
	s := &Session{Messages: 2, Code: 550, Reply: "no such user", TLS: "none"}
	if got, want := NewWords(nil, false, nil).Result(s), `2 messages accepted; refused with 550, "no such user"`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
