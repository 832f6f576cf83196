// Package dnstest is a DNS server for tests that ask blocklists.
package dnstest

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer says what a list has for a name: addresses, a text, and a response code. With false the
// server stays silent.
type Answer func(name string) (codes []string, text string, rcode dnsmessage.RCode, ok bool)

// Listen answers on the loopback until the test ends. It returns its address.
func Listen(t testing.TB, answer Answer) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(b[:n]) != nil || len(q.Questions) != 1 {
				continue
			}
			if reply := respond(&q, answer); reply != nil {
				c.WriteTo(reply, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

// respond is the reply to a query, nil for none.
func respond(q *dnsmessage.Message, answer Answer) []byte {
	question := q.Questions[0]
	codes, text, rcode, ok := answer(strings.TrimSuffix(question.Name.String(), "."))
	if !ok {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true,
		RecursionAvailable: true, RCode: rcode}, Questions: q.Questions}
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
	add := func(body dnsmessage.ResourceBody) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: body})
	}
	switch question.Type {
	case dnsmessage.TypeA:
		for _, c := range codes {
			add(&dnsmessage.AResource{A: netip.MustParseAddr(c).As4()})
		}
	case dnsmessage.TypeTXT:
		if text != "" {
			add(&dnsmessage.TXTResource{TXT: []string{text}})
		}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}
