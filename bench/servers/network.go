package main

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/verdict"
	"spamsensor/sensor/wire/wiretest"
)

// network is a network with a sensor. Its methods send packets; findings and records are collected.
type network struct {
	engine   *engine.Engine
	worker   *engine.Worker
	port     uint16
	now      int64
	findings []finding.Finding // of class open_relay
	records  []mailserver.Record
}

const (
	serverAddr  = "10.0.0.25"
	relayTarget = "192.0.2.99" // the server that gets forwarded and relayed mail
	// resolverAddr is external, so that the sensor sees the lookups.
	resolverAddr = "192.0.2.53"
)

// newNetwork makes a network with one declared mail server and its local domains.
func newNetwork(local ...string) *network {
	n := &network{now: monday, port: 10000}
	cfg := engine.Config{
		Live: true, MailServers: []netip.Addr{netip.MustParseAddr(serverAddr)}, LocalDomains: local,
		Limits: engine.Limits{
			Attempts: 1 << 14, Flows: 1 << 12, Sources: 1 << 12, Sessions: 1 << 10, Hosts: 1 << 9,
		},
		Seed: []byte("campaigns of mail servers"),
	}
	n.engine = engine.New(cfg, engine.Output{
		Finding: func(f *finding.Finding) {
			if f.Class == verdict.OpenRelay {
				n.findings = append(n.findings, *f)
			}
		},
		Server: func(r *mailserver.Record) { n.records = append(n.records, *r) },
	})
	n.worker = n.engine.Worker()
	return n
}

// send passes a frame to the engine.
func (n *network) send(at int64, data []byte) {
	n.worker.Take([]frame.Frame{{Data: data, Time: at, Link: 1}})
	n.now = max(n.now, at)
}

// syn is an attempt without an answer, or with a reset.
func (n *network) syn(at int64, client, server string, reset bool) {
	n.port = max(10000, n.port+1)
	n.send(at, segment(client, server, n.port, 25, wiretest.SYN, 99, 0, ""))
	if reset {
		n.send(at+5e6, segment(server, client, 25, n.port, wiretest.RST|wiretest.ACK, 0, 100, ""))
	}
	n.worker.EmitDue()
}

func segment(from, to string, sport, dport uint16, flags uint8, seq, ack uint32,
	text string) []byte {
	return wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: from, Dst: to},
		wiretest.TCP{SrcPort: sport, DstPort: dport, Flags: flags, Seq: seq, Ack: ack},
		wiretest.Text(text))
}

// dialogue is a connection with the lines of the client, "C: ...", and of the server, "S: ...".
func (n *network) dialogue(at int64, client, server string, port uint16, lines []string) {
	n.port = max(10000, n.port+1)
	seq := [2]uint32{1000, 5000}
	send := func(dir int, flags uint8, text string) {
		at += 2e6
		a := segment(client, server, n.port, port, flags, seq[0], seq[1], text)
		if dir == 1 {
			a = segment(server, client, port, n.port, flags, seq[1], seq[0], text)
		}
		n.send(at, a)
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
	n.worker.EmitDue()
}

// lookup is a DNS lookup of the address of a mail host.
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
		n.send(at, wiretest.Frame(wiretest.Ethernet{}, wiretest.IP{Src: from, Dst: to},
			wiretest.UDP{SrcPort: sport, DstPort: dport}, wiretest.Bytes(b)))
	}
	send(client, resolverAddr, n.port, 53)
	q.Header.Response = true
	q.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name,
		Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 3600},
		Body: &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()}}}
	send(resolverAddr, client, 53, n.port)
}

// mailDialogue is a dialogue with one message. auth adds authentication. reply is the reply to
// RCPT, end the reply to the message.
func mailDialogue(auth bool, from string, rcpts []string, reply, end string) []string {
	return mailDialogueAt("mx", auth, from, rcpts, reply, end)
}

// mailDialogueAt is mailDialogue at a server with a name.
func mailDialogueAt(name string, auth bool, from string, rcpts []string, reply,
	end string) []string {
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

// externalClient is the address of external client i.
func externalClient(i int) string { return fmt.Sprintf("203.0.%d.%d", 100+i/200%100, 1+i%200) }
