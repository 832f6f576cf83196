package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/verdict"
	. "spamsensor/sensor/wire/wiretest"
)

const days = 24 * hour

// story is the findings of a host, one word each: action, class, level.
func story(list []finding.Finding, addr string) string {
	var words []string
	for _, f := range list {
		if f.Source.Addr.String() == addr {
			w := fmt.Sprintf("%s %s %s", f.Action, f.Class, f.Level)
			if f.CloseReason != "" {
				w += " (" + f.CloseReason + ")"
			}
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

// at moves frames in time.
func at(frames []timedFrame, ns int64) []timedFrame {
	out := slices.Clone(frames)
	for i := range out {
		out[i].at += ns
	}
	return out
}

// together merges connections in the order of time.
func together(lists ...[]timedFrame) []timedFrame {
	out := slices.Concat(lists...)
	slices.SortStableFunc(out, func(a, b timedFrame) int { return int(a.at - b.at) })
	return out
}

// bot is n attempts to as many networks, one a second. answer adds the result of each.
func bot(n int, answer func(c *conn)) (frames []timedFrame) { return botAt("10.0.0.5", n, answer) }

func botAt(client string, n int, answer func(c *conn)) (frames []timedFrame) {
	for i := range n {
		c := newConn(client, fmt.Sprintf("198.%d.%d.7", 18+i/250, i%250), uint16(10000+i), 25)
		c.at += int64(i) * second
		c.seq = [2]uint32{uint32(i) * 7919, uint32(i) * 104729}
		answer(c)
		frames = append(frames, c.frames...)
	}
	return together(frames)
}

func refusing(c *conn) {
	c.open().serverSends("220 mx ESMTP\r\n").clientSends(fmt.Sprintf("EHLO 10.0.0.%d\r\n", c.cport%200)).serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.org>\r\n").
		serverSends("554 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org\r\n").clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
}

// insisting is a SYN that a TCP retransmits after a second and after three.
func insisting(c *conn) {
	seq := c.seq[0]
	c.syn().wait(second)
	c.seq[0] = seq
	c.syn().wait(2 * second)
	c.seq[0] = seq
	c.syn()
}

func TestVerdictsLive(t *testing.T) {
	quiet := newConn("10.0.0.9", "192.0.2.25", 40000, 587)
	var ticks []timedFrame // another host, once an hour, so that the time advances
	for i := range 40 * 24 {
		c := *quiet
		c.frames, c.seq, c.at = nil, [2]uint32{uint32(i) * 1000, 5000}, epoch+int64(i)*hour
		ticks = append(ticks, from(c.open().close().frames, 9)...)
	}
	spam := bot(30, refusing)
	for _, c := range []struct {
		name   string
		cfg    Config
		frames []timedFrame
		want   string
	}{
		{"a bot", Config{}, spam, "opened blocklisted suspect, opened direct_smtp suspect, closed direct_smtp suspect (superseded), closed blocklisted suspect (superseded), opened spambot suspect, updated spambot confirmed, closed spambot confirmed (end_of_input)"},
		{"a bot that is cleaned", Config{Live: true}, together(spam, at(ticks, minute)), "updated spambot confirmed, updated spambot likely, updated spambot suspect, closed spambot suspect (quiet)"},
		{"a bot that comes back", Config{Live: true}, together(spam, at(ticks, minute), at(spam, 20*days)), "opened spambot"},
		{"a bot that is ignored", Config{Ignore: []peer.Ignore{{Net: netip.MustParsePrefix("10.0.0.0/29"), Why: "known"}}}, spam, "opened spambot suspect, updated spambot confirmed, closed spambot confirmed (end_of_input)"},
		{"a bot that was ignored until yesterday", Config{Ignore: []peer.Ignore{{Net: netip.MustParsePrefix("10.0.0.5/32"), Until: epoch - days}}}, spam, "closed spambot confirmed (end_of_input)"},
		{"a bot behind a firewall that drops", Config{}, bot(20, insisting), "updated spambot likely, closed spambot likely (end_of_input)"},
		{"a declared bulk sender that is refused", Config{Roles: []peer.Role{{Addr: netip.MustParseAddr("10.0.0.5"), Kind: "bulk"}}}, spam, "opened blocklisted suspect, closed blocklisted suspect (superseded), opened spambot likely, closed spambot likely (end_of_input)"},
		{"a declared bulk sender", Config{Roles: []peer.Role{{Addr: netip.MustParseAddr("10.0.0.5"), Kind: "bulk"}}}, bot(60, func(c *conn) { c.open().mail().close() }), ""},
		{"a mail server that is not declared", Config{}, bot(60, func(c *conn) { c.open().mail().close() }), "closed undeclared_server suspect (end_of_input)"},
		{"a declared scanner", Config{Roles: []peer.Role{{Addr: netip.MustParseAddr("10.0.0.5"), Kind: "scanner"}}}, bot(60, insisting), ""},
		{"a scanner", Config{}, bot(60, func(c *conn) { c.syn().send(1, SYN|ACK, "").send(0, RST, "") }), "closed scanner suspect (end_of_input)"},
		{"something else on port 25", Config{}, bot(1, func(c *conn) {
			c.open().serverSends("220 mx\r\n").clientSends("\x01\x02\x03 join #channel\r\n").serverSends("500 what?\r\n").close()
		}), "opened not_smtp suspect"},
		{"a declared mail server on a blocklist", Config{MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.5")}}, bot(3, refusing), "opened blocklisted suspect, closed blocklisted suspect (end_of_input)"},
	} {
		r := analyse(c.cfg, c.frames)
		got := story(r.findings, "10.0.0.5")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if c.name == "a bot that comes back" {
			last := r.findings[len(r.findings)-1]
			if last.Reopened != 1 || last.CleanFor < 10*days || last.ID != r.findings[slices.IndexFunc(r.findings, func(f finding.Finding) bool { return f.Class == verdict.Spambot })].ID {
				t.Errorf("it came back %d times after %d h as %s", last.Reopened, last.CleanFor/hour, last.ID)
			}
		}
		if ignored := c.name == "a bot that is ignored"; slices.ContainsFunc(r.findings, func(f finding.Finding) bool {
			return (f.Ignored != nil) != ignored || ignored && (f.Severity != verdict.Info || f.Ignored.Why != "known")
		}) {
			t.Errorf("%s: a finding is marked as ignored: %v", c.name, !ignored)
		}
		seq := map[string]int{}
		for _, f := range r.findings {
			if seq[f.ID]++; f.Seq != seq[f.ID] {
				t.Errorf("%s: event %d of %s has number %d", c.name, seq[f.ID], f.ID, f.Seq)
			}
		}
	}
}

// TestKeptVerdict checks the findings of files: a level that was reached stays, with its reasons,
// until the end of the input, however long ago that was; a suspicion ends. Live, a level falls, and
// the last event of the finding has its highest level and the reasons of that time.
func TestKeptVerdict(t *testing.T) {
	quiet := newConn("10.0.0.9", "192.0.2.25", 40000, 587)
	var ticks []timedFrame
	for i := range 10 * 24 {
		c := *quiet
		c.frames, c.seq, c.at = nil, [2]uint32{uint32(i) * 1000, 5000}, epoch+int64(i)*hour
		ticks = append(ticks, from(c.open().close().frames, 9)...)
	}
	own := newConn("10.0.0.5", "192.0.2.25", 40000, 587) // the cleaned machine's own mail
	own.at = epoch + 8*days
	own.open().close()
	spam, few := bot(30, refusing), bot(4, insisting)
	for _, c := range []struct {
		name            string
		live            bool
		frames          []timedFrame
		want            string
		highest         verdict.Level
		reasons, phases int
	}{
		{"a bot", false, together(spam, at(ticks, minute)), "updated spambot confirmed, closed spambot confirmed (end_of_input)", verdict.Confirmed, 5, 1},
		{"a bot of a day in the middle", false, together(ticks, at(spam, 4*days)), "updated spambot confirmed, closed spambot confirmed (end_of_input)", verdict.Confirmed, 5, 1},
		{"a bot that is cleaned", false, together(spam, at(ticks, minute), own.frames), "updated spambot confirmed, closed spambot confirmed (end_of_input)", verdict.Confirmed, 5, 1},
		{"a bot that comes back", false, together(spam, at(ticks, minute), at(spam, 5*days)), "closed spambot confirmed (end_of_input)", verdict.Confirmed, 5, 2},
		{"a bot, live", true, together(spam, at(ticks, minute)), "updated spambot likely, updated spambot suspect, closed spambot suspect (quiet)", verdict.Confirmed, 5, 1},
		{"a suspicion", false, together(few, at(ticks, minute)), "closed spambot suspect (quiet)", verdict.Suspect, 1, 1},
	} {
		r := analyse(Config{Live: c.live}, c.frames)
		if got := story(r.findings, "10.0.0.5"); !strings.Contains(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		last := r.findings[len(r.findings)-1]
		if last.Highest != c.highest || len(last.Reasons) < c.reasons || len(last.Periods) != c.phases {
			t.Errorf("%s: the last event has the highest level %v, %d reasons, signs at %v", c.name, last.Highest, len(last.Reasons), last.Periods)
		}
		if c.highest == verdict.Confirmed && last.Highest != last.Level && last.HighestAt > epoch+hour {
			t.Errorf("%s: the highest level was reached at %d s", c.name, (last.HighestAt-epoch)/second)
		}
	}
}

// TestNoFraming checks that no host is accused because of packets with its spoofed source: for any
// number of SYNs and any answers of the servers the address is suspect at most.
func TestNoFraming(t *testing.T) {
	blind := func(c *conn) *conn { // the guessed sequence number of the server is wrong
		c.syn().send(1, SYN|ACK, "")
		c.seq[1] += 77_000_000
		return c
	}
	cases := map[string]func(*conn){
		"no answer":                           func(c *conn) { c.syn() },
		"refused":                             func(c *conn) { c.syn().send(1, RST|ACK, "") },
		"answered":                            func(c *conn) { c.syn().send(1, SYN|ACK, "") },
		"answered, and reset by the innocent": func(c *conn) { c.syn().send(1, SYN|ACK, "").send(0, RST, "") },
		"copied at once":                      func(c *conn) { c.syn(); c.frames = append(c.frames, c.frames[0]) },
		"answered, and acknowledged blindly":  func(c *conn) { blind(c).send(0, ACK, "") },
		"answered, and a dialogue, blindly": func(c *conn) {
			blind(c).send(0, ACK, "").clientSends("EHLO a.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n").clientSends("hello\r\n.\r\nQUIT\r\n")
		},
		"and reset by the server": func(c *conn) {
			blind(c).clientSends("EHLO a.example.org\r\nMAIL FROM:<a@example.org>\r\n")
			c.seq[1] -= 77_000_000
			c.send(1, RST, "")
		},
	}
	for name, answer := range cases {
		r := analyse(Config{}, bot(10_000, answer))
		if r.stats.Sessions > 0 {
			t.Errorf("%s: %d sessions", name, r.stats.Sessions)
		}
		for _, f := range r.findings {
			if f.Level > verdict.Suspect {
				t.Errorf("%s: %s %s", name, f.Class, f.Level)
			}
		}
	}
	t.Logf("R23: %d ways to send 10,000 SYNs in somebody's name: no session, never more than suspect (goal 10,000, never likely)", len(cases))
}

// TestAddressMoves checks an address that moves from a bot to another machine: the evidence stays
// with the bot.
func TestAddressMoves(t *testing.T) {
	frames := at(delivery().frames, 7*hour)
	for i := range frames {
		frames[i].data = slices.Clone(frames[i].data)
		if frames[i].data[11] == 1 { // from the client
			frames[i].data[10] = 9
		}
	}
	got := story(analyse(Config{}, together(bot(30, refusing), frames)).findings, "10.0.0.5")
	if !strings.HasSuffix(got, "closed spambot confirmed (mac_changed), opened direct_smtp suspect, closed direct_smtp suspect (end_of_input)") &&
		!strings.HasSuffix(got, "closed spambot confirmed (mac_changed)") {
		t.Error(got)
	}
}

// A finding about the machine that has the address now does not repeat the behaviour of the one
// before.
func TestAddressMovesFromBotToBot(t *testing.T) {
	heir := at(bot(30, refusing), 7*hour)
	for i := range heir {
		if heir[i].data[11] == 1 { // from the client
			heir[i].data[10] = 9
		}
	}
	r := analyse(Config{}, together(bot(30, refusing), heir))
	f := r.findings[slices.IndexFunc(r.findings, func(f finding.Finding) bool {
		return f.Class == verdict.Spambot && f.Action == "closed" && f.CloseReason == "end_of_input"
	})]
	if c := f.Source.Counters; c.Attempts != 30 || c.Sessions != 30 || c.First != epoch+7*hour || f.Source.DestIPs != 30 || f.Decided.Attempts > 30 || c.Ports[0].Count != 30 {
		t.Errorf("decided after %d: %+v", f.Decided.Attempts, f.Source)
	}
	for _, reason := range f.Reasons {
		if strings.Contains(reason.Text, "60") {
			t.Error(reason.Text)
		}
	}
	if s := r.sources["10.0.0.5"]; s.Counters.Attempts != 60 {
		t.Errorf("%d attempts from the address in all", s.Counters.Attempts)
	}
}

// TestRoutersTakeTurns checks that a slow bot behind two routers whose link-layer addresses
// alternate counts as one machine.
func TestRoutersTakeTurns(t *testing.T) {
	var frames []timedFrame
	for i := range 30 {
		c := newConn("10.0.0.5", fmt.Sprintf("198.51.%d.25", i), uint16(40000+i), 25)
		c.at += int64(i) * 2 * minute
		refusing(c)
		for _, f := range c.frames {
			if d := f.data; d[11] == 1 { // from the client
				d[10] = byte(i % 2)
				d[22]-- // a router has forwarded it
				if d[24]++; d[24] == 0 {
					d[25]++
				}
			}
		}
		frames = append(frames, c.frames...)
	}
	r := analyse(Config{}, frames)
	if got := story(r.findings, "10.0.0.5"); strings.Contains(got, "mac_changed") || !strings.Contains(got, "spambot confirmed") {
		t.Error(got, r.brief("10.0.0.5"))
	}
}

// TestIncidentFollowsTheMachine checks that a bot with another IP address is the same machine, by
// its link-layer address.
func TestIncidentFollowsTheMachine(t *testing.T) {
	list := analyse(Config{}, together(botAt("10.0.0.5", 30, refusing), at(botAt("10.0.0.6", 30, refusing), days), at(botAt("10.0.0.5", 30, refusing), 2*days))).findings
	incidents := map[string]string{}
	for _, f := range list {
		if f.Class == verdict.Spambot && f.Action != "closed" {
			incidents[f.Source.Addr.String()] = f.Incident
			if f.Incident != "" && (f.Since != epoch || len(f.Also) != 1 || f.SameMachine() == "") {
				t.Errorf("%s: since %d, also %v", f.Source.Addr, f.Since-epoch, f.Also)
			}
		}
	}
	first := list[slices.IndexFunc(list, func(f finding.Finding) bool { return f.Class == verdict.Spambot })].ID
	if incidents["10.0.0.6"] != first || incidents["10.0.0.5"] != first {
		t.Errorf("%v, want %s for both", incidents, first)
	}
}

// TestRotatingAddresses checks that a bot with a new IPv6 address for every third attempt counts as
// one machine, and another machine of the network does not. Packets from a router have the router's
// link-layer address, which is no evidence.
func TestRotatingAddresses(t *testing.T) {
	rotating := func(mac byte, ttl uint8) (frames []timedFrame) {
		for i := range 30 {
			c := newConn(fmt.Sprintf("fd00::%x:%d", mac, 1+i/3), fmt.Sprintf("2001:db8:%x::7", 1000+i), uint16(10000+i), 25)
			c.at, c.seq[0] = epoch+int64(i)*20*second, uint32(i)*7919
			c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO 10.0.0.9\r\n").serverSends("250 mx\r\n")
			for _, f := range c.frames {
				if f.data[14+40+13]&ACK == 0 || f.data[14+8+15] != 7 { // from the client
					f.data[11], f.data[14+7] = mac, ttl
				}
				frames = append(frames, f)
			}
		}
		return frames
	}
	for _, c := range []struct {
		ttl  uint8
		want bool
	}{{64, true}, {63, false}} {
		r := analyse(Config{}, together(rotating(9, c.ttl), at(newConn("fd00::5", "2001:db8:5::7", 9999, 587).open().frames, 3*minute)))
		level, text, open := verdict.NoLevel, "", 0
		for _, f := range r.findings {
			if f.Class != verdict.Spambot {
				continue
			}
			if strings.HasPrefix(f.Source.Addr.String(), "fd00::5") {
				t.Errorf("hop limit %d: %s is accused", c.ttl, f.Source.Addr)
			}
			switch f.Action {
			case "opened":
				open++
			case "closed":
				open--
			}
			if level = max(level, f.Level); len(f.Reasons) > 0 {
				text = f.Reasons[0].Text
			}
			if open > 2 { // the old finding is closed within a second
				t.Errorf("%d findings are open", open)
			}
		}
		if (level >= verdict.Likely) != c.want || c.want && !strings.Contains(text, "It made 30 attempts to connect to 30 different mail networks in 10 minutes") {
			t.Errorf("hop limit %d: %s: %s", c.ttl, level, text)
		}
	}
}

// TestServersAlone checks a capture of the servers alone: the text of refusals shows the commands
// that were refused.
func TestServersAlone(t *testing.T) {
	for text, want := range map[string]bool{
		"550 5.1.1 <b@example.net>: Recipient address rejected: User unknown\r\n": true,
		"554 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org\r\n":  true,
		"450 4.7.1 Greylisted, please try again\r\n":                              false,
		"535 5.7.8 Authentication failed\r\n":                                     false,
		"500 5.5.1 What?\r\n":                                                     false,
	} {
		var frames []timedFrame
		for _, f := range bot(12, func(c *conn) {
			c.open().serverSends("220 mx ESMTP\r\n").clientSends("EHLO a.example.org\r\n").serverSends("250 mx\r\n").clientSends("MAIL FROM:<a@example.org>\r\n").serverSends("250 ok\r\n").
				clientSends("RCPT TO:<b@example.net>\r\n").serverSends(text).clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
		}) {
			if f.data[14+12] == 198 { // from the server
				frames = append(frames, f)
			}
		}
		refused := false
		for _, f := range analyse(Config{}, frames).findings {
			for _, r := range f.Reasons {
				refused = refused || r.Code == detect.Refusals && r.Server == ""
			}
		}
		if refused != want {
			t.Errorf("%q: refused %v", text, refused)
		}
	}
}

func TestUnused(t *testing.T) {
	e := New(Config{MailServers: []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.25"), netip.MustParseAddr("10.0.0.77")},
		AllowedRelays: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.0/24")},
		Ignore:        []peer.Ignore{{Net: netip.MustParsePrefix("10.0.0.88/32")}}}, Output{})
	w := feeder{w: e.Worker(), size: 1}
	for _, f := range delivery().frames {
		w.take(f)
	}
	for _, f := range newConn("203.0.113.9", "10.0.0.25", 40000, 25).open().mail().close().frames { // only receives mail
		w.take(f)
	}
	e.Finish("end_of_input")
	if got := strings.Join(e.Unused(), ", "); got != "smtp_servers 10.0.0.77, allowed_relays 203.0.113.0/24, ignore 10.0.0.88" {
		t.Error(got)
	}
}

// A host's DNS lookups before it connects become evidence, unless it is a resolver.
func TestLookups(t *testing.T) {
	query := func(src, dst string, i int, name string, typ byte) timedFrame {
		msg := []byte{name[0], byte(i), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		for _, label := range strings.Split(name, ".") {
			msg = append(append(msg, byte(len(label))), label...)
		}
		msg = append(msg, 0, 0, typ, 0, 1)
		return timedFrame{epoch + int64(i)*second, Frame(Ethernet{}, IP{Src: src, Dst: dst}, UDP{SrcPort: uint16(5000 + i), DstPort: 53}, Bytes(msg))}
	}
	var asks []timedFrame
	for i := range 6 {
		asks = append(asks, query("10.0.0.5", "192.0.2.53", i, fmt.Sprintf("domain%d.example.com", i), 15), query("10.0.0.5", "192.0.2.53", i, fmt.Sprintf("firm%d.com", i), 15))
	}
	tries := bot(5, insisting)
	r := analyse(Config{}, together(asks, tries))
	if s := r.sources["10.0.0.5"]; s.MXLookups != 12 {
		t.Errorf("%d MX lookups, want 12", s.MXLookups)
	}
	codes := func(r *results) (list []string) {
		for _, f := range r.findings {
			for _, x := range f.Reasons {
				list = append(list, x.Code.String())
			}
		}
		return list
	}
	if !slices.Contains(codes(r), "mx_lookups") {
		t.Errorf("found %v", codes(r))
	}
	served := append(asks, query("10.0.0.7", "10.0.0.5", 0, "example.com", 15))
	if r = analyse(Config{}, together(served, tries)); slices.Contains(codes(r), "mx_lookups") {
		t.Error("a resolver is accused of what it asks for others")
	}
}

// The advice does not name the link-layer address of a router as the machine's.
func TestAdviceNamesNoRouter(t *testing.T) {
	for routed, frames := range map[bool][]timedFrame{false: bot(30, refusing), true: bot(30, refusing)} {
		for _, f := range frames {
			if d := f.data; routed && d[11] == 1 { // from the client
				d[22]--
				if d[24]++; d[24] == 0 {
					d[25]++
				}
			}
		}
		list := analyse(Config{}, frames).findings
		if advice := list[len(list)-1].Advice; strings.Contains(advice, "02:00:00:00:00:01") == routed {
			t.Errorf("routed %v: %s", routed, advice)
		}
	}
}
