package traffic

import (
	"net/netip"
	"time"
)

// Conn is a TCP connection that is being drawn. Its time is that of the latest packet, as the
// mirror port sees it. Only one of Open, Silent, Refuse and Unreachable is called, first.
type Conn struct {
	T    time.Duration
	C, S *Host

	w          *World
	ca, sa     netip.AddrPort
	cseq, sseq uint32 // next sequence numbers
	cd, sd     time.Duration
	withTime   bool
	mss        int
	clock      [2]uint32 // of server and client
	echo       [2]uint32 // the latest timestamp of the other side
	last       bool      // the client sent the latest segment
	open       bool
	owed       bool // the latest data has no acknowledgment yet
	encrypted  bool
}

// Dial prepares a connection of a client to a server. Nothing is sent yet.
func (w *World) Dial(at time.Duration, c, s *Host, port uint16, v6 bool) *Conn {
	if v6 && !s.V6.IsValid() && w.NAT64.IsValid() {
		behind := *s
		behind.V6 = w.synthesized(s.V4)
		s = &behind
	}
	k := &Conn{T: at, C: c, S: s, w: w}
	k.ca = netip.AddrPortFrom(c.Addr(v6), c.nextPort(w.R, at))
	k.sa = netip.AddrPortFrom(s.Addr(v6), port)
	k.cseq, k.sseq = w.R.Uint32(), w.R.Uint32()
	k.withTime = c.Stack.hasTime() && s.Stack.hasTime()
	k.mss = 1460
	if v6 {
		k.mss = 1440
	}
	if k.withTime {
		k.mss -= 12
	}
	k.clock = [2]uint32{w.R.Uint32() >> 4, w.R.Uint32() >> 4}
	// The mirror port is at the side that is inside, or between two hosts inside.
	jitter := time.Duration(w.R.Int64N(int64(time.Millisecond)))
	k.cd, k.sd = c.RTT/2+jitter/8, s.RTT/2+jitter
	return k
}

// now is the timestamp clock of a side.
func (k *Conn) now(client bool) uint32 {
	i := 0
	if client {
		i = 1
	}
	return k.clock[i] + uint32(k.T/time.Millisecond)
}

// put sends a segment of a side, and changes nothing but the clock of the other side's echo.
func (k *Conn) put(client bool, flags uint8, seq uint32, data []byte) {
	from, to, fa, ta, next := k.S, k.C, k.sa, k.ca, k.cseq
	if client {
		from, to, fa, ta, next = k.C, k.S, k.ca, k.sa, k.sseq
	}
	s := segment{sport: fa.Port(), dport: ta.Port(), seq: seq, flags: flags, window: 501}
	if flags&ack != 0 {
		s.ack = next
	}
	side, other := 0, 1
	if client {
		side, other = 1, 0
	}
	now := k.now(client)
	switch {
	case flags&syn != 0:
		mss := uint16(1460)
		if fa.Addr().Is6() {
			mss = 1440
		}
		useTime := from.Stack.hasTime() && (client || k.withTime)
		s.window, s.options = from.Stack.Window, from.Stack.options(mss, useTime, now,
			k.echo[side])
	case k.withTime && flags&rst == 0:
		s.options = append([]byte{1, 1}, timestamps(now, k.echo[side])...)
	}
	if flags&rst != 0 {
		s.window = 0
	}
	if k.withTime {
		k.echo[other] = now
	}
	r := k.w.route(k.T, from, to, fa.Addr(), ta.Addr())
	k.w.emit(k.T, r.frame(protoTCP, r.tcp(&s, data)))
}

// turn lets the time pass until a segment of a side reaches the mirror.
func (k *Conn) turn(client bool, think time.Duration) {
	if client != k.last {
		if client {
			k.T += 2 * k.cd
		} else {
			k.T += 2 * k.sd
		}
		if k.owed && think > 20*time.Millisecond {
			k.put(client, ack, k.seqOf(client), nil)
			k.owed = false
		}
	}
	k.T += think + time.Duration(k.w.R.Int64N(int64(150*time.Microsecond)))
	k.last = client
}

// count adds to the counts of the client, on the ports of mail.
func (k *Conn) count(kind Kind) {
	switch k.sa.Port() {
	case 25, 465, 587, 2525:
		k.w.count(k.T, k.ca.Addr(), kind, k.C.Inside && k.S.Inside)
	}
}

func (k *Conn) seqOf(client bool) uint32 {
	if client {
		return k.cseq
	}
	return k.sseq
}

// syns sends the SYN and n retransmissions of it.
func (k *Conn) syns(n int) {
	begin := k.T
	k.count(CountAttempt)
	k.put(true, syn, k.cseq, nil)
	for i := 0; i < n && i < len(k.C.Stack.Retries); i++ {
		k.T = begin + k.C.Stack.Retries[i]
		k.count(CountRetransmit)
		k.put(true, syn, k.cseq, nil)
	}
	k.last = true
}

// Open completes the handshake. One SYN in a few hundred is lost on the way.
func (k *Conn) Open() *Conn {
	lost := 0
	if k.w.R.Float64() < k.w.PathLoss {
		lost = 1
	}
	k.syns(lost)
	k.cseq++
	k.turn(false, 0)
	k.put(false, syn|ack, k.sseq, nil)
	k.sseq++
	k.turn(true, 0)
	k.put(true, ack, k.cseq, nil)
	k.count(CountSession)
	k.open = true
	return k
}

// Silent sends SYNs that nobody answers; at most n retransmissions (-1: all of the system).
func (k *Conn) Silent(n int) {
	if n < 0 {
		n = len(k.C.Stack.Retries)
	}
	k.syns(n)
}

// Refuse answers each SYN with RST, n times (Windows tries two or three times, Linux once). A
// firewall that answers for the server is given as by, with the server's address.
func (k *Conn) Refuse(n int, by *Host) {
	far := k.sd
	if by != nil {
		server := *by
		server.V4, server.V6, server.Inside = k.S.V4, k.S.V6, false
		server.MAC = k.w.Gateway.MAC
		k.S, far = &server, 100*time.Microsecond
	}
	for i := 0; i <= n; i++ {
		if i == 0 {
			k.count(CountAttempt)
		} else {
			k.count(CountRetransmit)
		}
		k.put(true, syn, k.cseq, nil)
		k.T += 2 * far
		k.cseq++
		k.sseq, k.last = 0, false
		k.put(false, rst|ack, 0, nil)
		k.cseq--
		k.T += 500 * time.Millisecond
	}
}

// Forged is a SYN that somebody else sent in the name of the client: the server answers it, and the
// real client, which knows nothing of it, resets.
func (k *Conn) Forged(real *Host) {
	k.count(CountAttempt)
	k.put(true, syn, k.cseq, nil)
	k.T += 2 * k.sd
	k.cseq++
	k.put(false, syn|ack, k.sseq, nil)
	k.C = real
	k.T += 2 * k.cd
	k.put(true, rst, k.cseq, nil)
}

// Unreachable answers the SYNs with an ICMP error of a router.
func (k *Conn) Unreachable(code uint8, by *Host, n int) {
	for i := 0; i <= n; i++ {
		if i == 0 {
			k.count(CountAttempt)
		} else {
			k.count(CountRetransmit)
		}
		k.put(true, syn, k.cseq, nil)
		about := k.w.latest()
		k.T += by.RTT + 300*time.Microsecond
		v6 := k.ca.Addr().Is6()
		r := k.w.route(k.T, by, k.C, by.Addr(v6), k.ca.Addr())
		k.w.emit(k.T, r.frame(r.unreachable(code, about)))
		if i < len(k.C.Stack.Retries) {
			k.T += k.C.Stack.Retries[i]
		}
	}
}

// Send sends bytes of a side after a while.
func (k *Conn) Send(client bool, data []byte, think time.Duration) {
	k.turn(client, think)
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), k.mss)
		flags := uint8(ack)
		if n == len(data) {
			flags |= psh
		}
		if !first {
			k.T += 30 * time.Microsecond
		}
		seq := k.seqOf(client)
		k.put(client, flags, seq, data[:n])
		if k.w.R.Float64() < k.w.PathLoss/4 {
			k.T += 210 * time.Millisecond // the retransmission timer
			k.put(client, flags, seq, data[:n])
		}
		if client {
			k.cseq += uint32(n)
		} else {
			k.sseq += uint32(n)
		}
		data = data[n:]
	}
	k.owed = true
}

// Close ends it by FIN, a side first; the other one follows.
func (k *Conn) Close(client bool, think time.Duration) {
	k.turn(client, think)
	k.fin(client)
	k.turn(!client, 0)
	k.fin(!client)
	k.turn(client, 0)
	k.put(client, ack, k.seqOf(client), nil)
	k.open = false
}

func (k *Conn) fin(client bool) {
	k.put(client, fin|ack, k.seqOf(client), nil)
	if client {
		k.cseq++
	} else {
		k.sseq++
	}
}

// Reset ends it by RST of a side.
func (k *Conn) Reset(client bool, think time.Duration) {
	k.turn(client, think)
	k.put(client, rst|ack, k.seqOf(client), nil)
	k.open = false
}
