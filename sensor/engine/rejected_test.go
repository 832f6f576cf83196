package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/verdict"
	. "spamsensor/sensor/wire/wiretest"
)

// linked gives the frames of both directions their receivers, as on a real link: what is sent to
// the client has the client's address, whoever sent the SYN.
func linked(frames []timedFrame) []timedFrame {
	out := slices.Clone(frames)
	for i := range out {
		d := slices.Clone(out[i].data)
		owner, router := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
		if d[11] == 1 {
			copy(d[:6], router[:])
		} else {
			copy(d[:6], owner[:])
		}
		out[i].data = d
	}
	return out
}

// rejectedBy is an answer of a firewall to a SYN: a RST with its own hop limit, or an ICMP error.
func rejectedBy(v6 bool, typ, code uint8) func(c *conn) {
	return func(c *conn) {
		syn := TCP{SrcPort: c.cport, DstPort: c.sport, Seq: c.seq[0], Flags: SYN}
		c.syn()
		if typ == 0 {
			c.send(1, RST|ACK, "")
			c.frames[len(c.frames)-1].data = Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 2}},
				IP{Src: c.server, Dst: c.client, TTL: 63}, TCP{SrcPort: c.sport, DstPort: c.cport, Seq: 0, Ack: syn.Seq + 1, Flags: RST | ACK})
			return
		}
		from := map[bool]string{false: "10.0.0.1", true: "fd00::1"}[v6]
		quoted := Bytes(Frame(IP{Src: c.client, Dst: c.server}, syn))
		c.frames = append(c.frames, timedFrame{c.at, Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 7}}, IP{Src: from, Dst: c.client}, ICMP{V6: v6, Type: typ, Code: code}, quoted)})
		c.at += 1e6
	}
}

// refusedAttempts is n attempts at as many networks, one in every interval.
func refusedAttempts(client string, n int, every int64, answer func(c *conn)) (frames []timedFrame) {
	for i := range n {
		c := newConn(client, fmt.Sprintf("198.%d.%d.7", 18+i/250, i%250), uint16(10000+i), 25)
		if strings.Contains(client, ":") {
			c.server = fmt.Sprintf("2001:db8:%x::7", 1000+i)
		}
		c.at += int64(i) * every
		c.seq = [2]uint32{uint32(i) * 7919, uint32(i) * 104729}
		answer(c)
		frames = append(frames, c.frames...)
	}
	return linked(together(frames))
}

// rejections are the ways in which firewalls and routers reject an attempt.
var rejections = []struct {
	name      string
	client    string
	typ, code uint8
}{
	{"a RST", "10.0.0.5", 0, 0},
	{"network unreachable", "10.0.0.5", 3, 0},
	{"host unreachable", "10.0.0.5", 3, 1},
	{"port unreachable", "10.0.0.5", 3, 3},
	{"network prohibited", "10.0.0.5", 3, 9},
	{"host prohibited", "10.0.0.5", 3, 10},
	{"prohibited", "10.0.0.5", 3, 13},
	{"a RST, IPv6", "fd00::5", 0, 0},
	{"no route, IPv6", "fd00::5", 1, 0},
	{"prohibited, IPv6", "fd00::5", 1, 1},
	{"port unreachable, IPv6", "fd00::5", 1, 4},
	{"policy, IPv6", "fd00::5", 1, 5},
	{"reject route, IPv6", "fd00::5", 1, 6},
}

// named is an attempt before which the client looks up its server, and gets the answer.
func named(attempt func(c *conn)) func(c *conn) {
	return func(c *conn) {
		server, resolver, typ := netip.MustParseAddr(c.server), "10.0.0.53", byte(1)
		if server.Is6() {
			resolver, typ = "fd00::53", 28
		}
		name := fmt.Sprintf("d%d", c.cport)
		question := append([]byte{2, 'm', 'x', byte(len(name))}, name...)
		question = append(question, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, typ, 0, 1)
		record := append([]byte{0xc0, 12, 0, typ, 0, 1, 0, 0, 1, 0, 0, byte(server.BitLen() / 8)}, server.AsSlice()...)
		id := []byte{byte(c.cport >> 8), byte(c.cport)}
		query := append(append(id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), question...)
		reply := append(append(append(slices.Clone(id), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0), question...), record...)
		c.frames = append(c.frames,
			timedFrame{c.at, Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 1}}, IP{Src: c.client, Dst: resolver}, UDP{SrcPort: c.cport, DstPort: 53}, Bytes(query))},
			timedFrame{c.at + 1e6, Frame(Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 2}}, IP{Src: resolver, Dst: c.client}, UDP{SrcPort: 53, DstPort: c.cport}, Bytes(reply))})
		c.at += 2e6
		attempt(c)
	}
}

// TestRejectedIsNotForged checks that a machine whose attempts a firewall rejects is found at any
// pace by its lookups of the servers, and that SYNs in its name which are rejected in the same way,
// with its own sessions or without them, make nobody more than suspect.
func TestRejectedIsNotForged(t *testing.T) {
	for _, r := range rejections {
		answer := rejectedBy(strings.Contains(r.client, ":"), r.typ, r.code)
		own := refusedAttempts(r.client, 5, minute, func(c *conn) { c.sport = 587; c.open().close() })
		for every, n := range map[int64]int{second: 60, minute: 120, 5 * minute: 288, 1e7: 10_000} {
			frames := refusedAttempts(r.client, n, every, answer)
			for name, c := range map[string]struct {
				frames []timedFrame
				found  bool
			}{
				"named before":            {refusedAttempts(r.client, n, every, named(answer)), true},
				"SYNs alone":              {frames, false},
				"SYNs alone, doubled":     {doubled(frames), false},
				"another machine's":       {from(frames, 9), false},
				"beside its own sessions": {together(at(own, -hour), frames), false},
				"and of another link":     {together(at(own, -hour), from(frames, 9)), false},
			} {
				if n == 10_000 && c.found || n < 10_000 && strings.HasPrefix(name, "beside") {
					continue
				}
				level := verdict.NoLevel
				for _, f := range analyse(Config{}, c.frames).findings {
					if f.Source.Addr.String() == r.client {
						level = max(level, f.Level)
					}
				}
				if (level >= verdict.Likely) != c.found {
					t.Errorf("%s, %d, %s: %s", r.name, n, name, level)
				}
			}
		}
	}
}
