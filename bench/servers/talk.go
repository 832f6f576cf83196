package main

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/sensor/wire/wiretest"
)

// net is a network with a sensor: dialogues go in, findings and records come out.
type network struct {
	e        *engine.Engine
	w        *engine.Worker
	port     uint16
	now      int64
	findings []detect.Finding // about mail servers
	records  []mailserver.Record
}

const (
	ours = "10.0.0.25"
	sink = "192.0.2.99" // where what is relayed goes
	// resolver is outside, so that what is asked is seen.
	resolver = "192.0.2.53"
)

func newNetwork(local ...string) *network {
	n := &network{now: monday, port: 10000}
	n.e = engine.New(engine.Config{Live: true, MailServers: []netip.Addr{netip.MustParseAddr(ours)},
		LocalDomains: local,
		Limits: engine.Limits{Attempts: 1 << 14, Flows: 1 << 12, Sources: 1 << 12,
			Sessions: 1 << 10, Hosts: 1 << 9}, Seed: []byte("campaigns of mail servers")},
		engine.Output{
			Finding: func(f *detect.Finding) {
				if f.Class == verdict.OpenRelay {
					n.findings = append(n.findings, *f)
				}
			},
			Server: func(r *mailserver.Record) { n.records = append(n.records, *r) },
		})
	n.w = n.e.Worker()
	return n
}

// give hands a frame to the engine.
func (n *network) give(at int64, data []byte) {
	n.w.Take([][]frame.Frame{{{Data: data, Time: at, Link: 1}}})
	n.now = max(n.now, at)
}

// syn is an attempt without an answer, or with a RST.
func (n *network) syn(at int64, client, server string, reset bool) {
	n.port = max(10000, n.port+1)
	n.give(at, segment(client, server, n.port, 25, wiretest.SYN, 99, 0, ""))
	if reset {
		n.give(at+5e6, segment(server, client, 25, n.port, wiretest.RST|wiretest.ACK, 0, 100, ""))
	}
	n.w.EmitDue()
}

func segment(from, to string, sport, dport uint16, flags uint8, seq, ack uint32,
	text string) []byte {
	return wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: from, Dst: to},
		wiretest.TCP{SrcPort: sport, DstPort: dport, Flags: flags, Seq: seq, Ack: ack},
		wiretest.Text(text))
}

// dialogue is a connection in which lines are said: "C: ..." and "S: ...".
func (n *network) dialogue(at int64, client, server string, port uint16, lines []string) {
	n.port = max(10000, n.port+1)
	seq := [2]uint32{1000, 5000}
	send := func(dir int, flags uint8, text string) {
		at += 2e6
		a := segment(client, server, n.port, port, flags, seq[0], seq[1], text)
		if dir == 1 {
			a = segment(server, client, port, n.port, flags, seq[1], seq[0], text)
		}
		n.give(at, a)
		seq[dir] += uint32(len(text))
		if flags&(wiretest.SYN|wiretest.FIN) != 0 {
			seq[dir]++
		}
	}
	send(0, wiretest.SYN, "")
	send(1, wiretest.SYN|wiretest.ACK, "")
	send(0, wiretest.ACK, "")
	for _, l := range lines {
		dir := 0
		if l[0] == 'S' {
			dir = 1
		}
		send(dir, wiretest.ACK|wiretest.PSH, l[3:]+"\r\n")
	}
	send(0, wiretest.FIN|wiretest.ACK, "")
	send(1, wiretest.FIN|wiretest.ACK, "")
	send(0, wiretest.ACK, "")
	n.w.EmitDue()
}

// lookup asks for the address of a mail host.
func (n *network) lookup(at int64, client, name, addr string) {
	n.port = max(10000, n.port+1)
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: n.port},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."),
			Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	send := func(from, to string, sport, dport uint16) {
		b, err := q.Pack()
		if err != nil {
			panic(err)
		}
		n.give(at, wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: from, Dst: to},
			wiretest.UDP{SrcPort: sport, DstPort: dport}, wiretest.Bytes(b)))
	}
	send(client, resolver, n.port, 53)
	q.Header.Response = true
	q.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name,
		Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 3600},
		Body: &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()}}}
	send(resolver, client, 53, n.port)
}

// mail is a dialogue with one message. auth adds authentication; each recipient has its reply.
func mail(auth bool, from string, rcpts []string, reply, end string) []string {
	return mailAt("mx", auth, from, rcpts, reply, end)
}

// mailAt is the same at a server that has a name.
func mailAt(name string, auth bool, from string, rcpts []string, reply, end string) []string {
	l := []string{"S: 220 " + name + " ESMTP", "C: EHLO client.example", "S: 250 mx"}
	if auth {
		l = append(l, "C: AUTH PLAIN AGEAYg==", "S: 235 ok")
	}
	l = append(l, "C: MAIL FROM:<"+from+">", "S: 250 ok")
	for _, r := range rcpts {
		l = append(l, "C: RCPT TO:<"+r+">", "S: "+reply)
	}
	if strings.HasPrefix(reply, "2") {
		l = append(l, "C: DATA", "S: 354 go", "C: hello", "C: .", "S: "+end)
	}
	return append(l, "C: QUIT", "S: 221 bye")
}

func outsider(i int) string { return fmt.Sprintf("203.0.%d.%d", 100+i/200%100, 1+i%200) }
