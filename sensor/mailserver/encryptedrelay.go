package mailserver

import (
	"fmt"
	"net/netip"
	"slices"

	"spamsensor/sensor/verdict"
)

// encryptedRelay finds relaying in encrypted sessions: a session of an external client, and within
// seconds a session of the server with another one, about as large. A server that forwards mail has
// such pairs, too, so one pair means nothing. A network is suspicious if almost every one of its
// sessions has a pair, to several destinations, while few sessions of other networks have one. No
// recipient was seen, so the verdict stays suspect. The counts cover an hour.
//
// Where many networks relay at the same time, each network's rest is the other ones. They show in a
// burst of pairs: for a few minutes nearly all sessions of external clients have a pair, to many
// networks, and the server has few other sessions; before that few sessions had a pair. See
// pairBurst.
//
// The test cannot distinguish a relay from a server that forwards everything, that hands everything
// to one smarthost or to the server for which it is a backup, or that sends so much that every
// session has a pair.
type encryptedRelay struct {
	recent   []encryptedIn // strangers' sessions of the last seconds
	nets     map[uint32]encryptedNet
	sessions int // of all
	followed int
	hour     int64
	reported map[uint32]int64
	burst    pairBurst
}

type encryptedIn struct {
	at       int64
	bytes    uint64
	net      uint32
	followed bool
	paired   bool // it has a session of the server as its pair
}

type encryptedNet struct {
	sessions, followed int
	to                 []uint32 // networks, up to encryptedDests
	client             netip.Addr
}

const (
	encryptedTime  = 30 * second
	encryptedMax   = 64
	encryptedLeast = 5  // sessions of the network
	encryptedRest  = 10 // of others, to compare with
	encryptedDests = 3
)

// in observes an external client's session with the server.
func (h *encryptedRelay) in(x *Session) {
	if now := x.Time / hour; now != h.hour {
		h.hour, h.sessions, h.followed = now, 0, 0
		clear(h.nets)
		for net, at := range h.reported {
			if x.Time-at > day {
				delete(h.reported, net)
			}
		}
	}
	if h.nets == nil {
		h.nets, h.reported = map[uint32]encryptedNet{}, map[uint32]int64{}
	}
	n, known := h.nets[x.Net]
	if !known && len(h.nets) >= maxStrangers {
		return
	}
	h.burst.at(x.Time).in++
	n.sessions++
	n.client = x.Client
	h.nets[x.Net] = n
	h.sessions++
	if len(h.recent) >= encryptedMax {
		h.recent = slices.Delete(h.recent, 0, 1)
	}
	h.recent = append(h.recent, encryptedIn{at: x.Time, bytes: x.Bytes, net: x.Net})
}

// out observes a session of the server with another one.
func (h *encryptedRelay) out(x *Session, out *verdicts) {
	h.recent = slices.DeleteFunc(h.recent,
		func(r encryptedIn) bool { return x.Time-r.at > encryptedTime })
	now := h.burst.at(x.Time)
	now.out++
	paired := false
	for i := range h.recent {
		r := &h.recent[i]
		larger, smaller := max(r.bytes, x.Bytes), min(r.bytes, x.Bytes)
		if r.net == x.Net || larger-smaller > 1500+larger/10 {
			// TLS, and the server's own header lines
			continue
		}
		if !paired && !r.paired {
			paired, r.paired = true, true
			now.paired++
			if len(now.to) < pairBurstDests && !slices.Contains(now.to, x.Net) {
				now.to = append(now.to, x.Net)
			}
		}
		n, ok := h.nets[r.net]
		if !ok {
			continue
		}
		if !r.followed {
			r.followed = true
			n.followed++
			h.followed++
		}
		if len(n.to) < encryptedDests && !slices.Contains(n.to, x.Net) {
			n.to = append(n.to, x.Net)
		}
		h.nets[r.net] = n
		h.judge(r.net, &n, x.Time, out)
	}
	if paired && h.burst.found(x.Time) {
		out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Suspect,
			Code: "relay_in_tls", Client: h.nets[h.recent[len(h.recent)-1].net].client,
			Time:  x.Time,
			Value: float64(now.paired), Threshold: pairBurstLeast,
			Text: fmt.Sprintf("%d of %d encrypted sessions of external clients within %s were "+
				"followed by a session of the server of about the same size, to at least %d "+
				"networks; before that %d of %d were. It may be relaying: look in its log for "+
				"what it sends now.",
				now.paired, now.in, verdict.Span(pairBurstTime), pairBurstDests,
				h.burst.before.paired, h.burst.before.in)})
	}
}

// pairBurst compares the pairs of the last minutes with the pairs of the time before. A pair is a
// client's session and one of the server's.
type pairBurst struct {
	now      pairs
	before   struct{ in, paired int } // without bursts
	since    int64
	reported int64
}

type pairs struct {
	in, out, paired int
	to              []uint32 // networks, up to pairBurstDests
}

const (
	pairBurstTime  = 15 * minute
	pairBurstLeast = 10 // pairs
	pairBurstDests = 5
	pairBurstPast  = 30 // sessions that came before, to compare with
)

// at is the count of the period of pairBurstTime in which a time lies.
func (s *pairBurst) at(now int64) *pairs {
	if now-s.since >= pairBurstTime {
		if !s.now.many() {
			s.before.in += s.now.in
			s.before.paired += s.now.paired
		}
		s.now, s.since = pairs{}, now
	}
	return &s.now
}

// many reports whether most inbound sessions have a pair, and most outbound sessions are one.
func (p *pairs) many() bool {
	return p.paired >= pairBurstLeast && p.paired*10 >= p.in*7 && p.paired*2 >= p.out &&
		len(p.to) >= pairBurstDests
}

// found reports whether a burst is new. There is one verdict a day.
func (s *pairBurst) found(now int64) bool {
	if !s.now.many() || s.before.in < pairBurstPast || s.before.paired*10 > s.before.in*3 ||
		s.reported != 0 && now-s.reported < day {
		return false
	}
	s.reported = now
	return true
}

// judge compares a network with the rest. There is one verdict a day for each network.
func (h *encryptedRelay) judge(net uint32, n *encryptedNet, now int64, out *verdicts) {
	rest, restFollowed := h.sessions-n.sessions, h.followed-n.followed
	_, told := h.reported[net]
	if told || len(h.reported) >= maxStrangers || n.followed < encryptedLeast ||
		n.followed*5 < n.sessions*4 || len(n.to) < encryptedDests ||
		rest < encryptedRest && n.followed < encryptedLeast+encryptedRest ||
		restFollowed*10 >= max(rest, 1)*3 {
		return
	}
	h.reported[net] = now
	out.add(verdict.Verdict{Class: verdict.OpenRelay, Level: verdict.Suspect, Code: "relay_in_tls",
		Client: n.client, Time: now, Value: float64(n.followed), Threshold: encryptedLeast,
		Text: fmt.Sprintf("%d of %d encrypted sessions of %s within an hour were followed at "+
			"once by a session of the server of about the same size, to several destinations; "+
			"of the sessions of all other clients %d of %d were. It may be relaying, or "+
			"forwarding for a user: look for this address in its log.",
			n.followed, n.sessions, n.client, restFollowed, rest)})
}
