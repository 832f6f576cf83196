package detect

import (
	"fmt"
	"net/netip"
	"slices"
)

// hiddenRelay looks for relaying where sessions are encrypted: a stranger's session, and within seconds
// one of the server's that is about as large. Both are there whenever a server forwards, so one pair
// says nothing. What is suspicious is a network of which almost every session is followed so, to
// several destinations, while of what all others bring little is. It proves nothing: nobody
// saw a recipient. The counts are those of an hour.
//
// A server that forwards all it gets, that hands all to one smarthost or to the server that it is a
// backup for, or that sends so much that anything is followed by something, is told from no relay by this.
type hiddenRelay struct {
	recent   []hiddenIn // strangers' sessions of the last seconds
	nets     map[uint32]hiddenNet
	sessions int // of all
	followed int
	hour     int64
	told     map[uint32]int64
}

type hiddenIn struct {
	at       int64
	bytes    uint64
	net      uint32
	followed bool
}

type hiddenNet struct {
	sessions, followed int
	to                 []uint32 // networks, up to hiddenDests
	client             netip.Addr
}

const (
	hiddenTime  = 30 * second
	hiddenMax   = 64
	hiddenLeast = 5  // sessions of the network
	hiddenRest  = 10 // of others, to compare with
	hiddenDests = 3
)

// in is a stranger's session with the server.
func (h *hiddenRelay) in(x *ServerSession) {
	if now := x.Time / hour; now != h.hour {
		h.hour, h.sessions, h.followed = now, 0, 0
		clear(h.nets)
		for net, at := range h.told {
			if x.Time-at > day {
				delete(h.told, net)
			}
		}
	}
	if h.nets == nil {
		h.nets, h.told = map[uint32]hiddenNet{}, map[uint32]int64{}
	}
	n, known := h.nets[x.Net]
	if !known && len(h.nets) >= maxStrangers {
		return
	}
	n.sessions++
	n.client = x.Client
	h.nets[x.Net] = n
	h.sessions++
	if len(h.recent) >= hiddenMax {
		h.recent = slices.Delete(h.recent, 0, 1)
	}
	h.recent = append(h.recent, hiddenIn{at: x.Time, bytes: x.Bytes, net: x.Net})
}

// out is a session of the server with another one.
func (h *hiddenRelay) out(x *ServerSession, tell func(ServerVerdict)) {
	h.recent = slices.DeleteFunc(h.recent, func(r hiddenIn) bool { return x.Time-r.at > hiddenTime })
	for i := range h.recent {
		r := &h.recent[i]
		larger, smaller := max(r.bytes, x.Bytes), min(r.bytes, x.Bytes)
		if r.net == x.Net || larger-smaller > 1500+larger/10 { // TLS, and the server's own header lines
			continue
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
		if len(n.to) < hiddenDests && !slices.Contains(n.to, x.Net) {
			n.to = append(n.to, x.Net)
		}
		h.nets[r.net] = n
		h.judge(r.net, &n, x.Time, tell)
	}
}

func (h *hiddenRelay) judge(net uint32, n *hiddenNet, now int64, tell func(ServerVerdict)) {
	rest, restFollowed := h.sessions-n.sessions, h.followed-n.followed
	_, told := h.told[net]
	if told || len(h.told) >= maxStrangers || n.followed < hiddenLeast || n.followed*5 < n.sessions*4 || len(n.to) < hiddenDests ||
		rest < hiddenRest && n.followed < hiddenLeast+hiddenRest || restFollowed*10 >= max(rest, 1)*3 {
		return
	}
	h.told[net] = now
	tell(ServerVerdict{Class: OpenRelay, Level: Suspect, Code: "relay_in_tls", Client: n.client, Time: now, Value: float64(n.followed), Threshold: hiddenLeast,
		Text: fmt.Sprintf("%d of %d encrypted sessions of %s within an hour were followed at once by one of the server's, about as large, to several destinations; of those of everybody else %d of %d were. It may be relaying, or forwarding for a user: look for this address in its log.",
			n.followed, n.sessions, n.client, restFollowed, rest)})
}
