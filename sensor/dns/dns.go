// Package dns reads what a DNS message says about mail: somebody asks for the mail servers of
// a domain, for the address of a mail host, or a blocklist about an address; and a server
// answers with addresses.
//
// Everything else is sent away by [Interesting] at the price of walking over one name.
// Names are decompressed by golang.org/x/net/dns/dnsmessage, which bounds them; what is
// malformed says nothing. Nothing is kept of a message.
package dns

import (
	"bytes"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/publicsuffix"
)

// Kind is what a message is about.
type Kind uint8

// The kinds.
const (
	Other Kind = iota
	MX         // the mail servers of a domain
	Host       // the address of a host whose name is a mail server's
	List       // a blocklist about an address
)

// MaxAddrs is how many addresses of an answer are read.
const MaxAddrs = 8

// Message is what a message says.
type Message struct {
	ID       uint16
	Response bool
	Kind     Kind
	Name     string // that was asked for, in lower case, without the dot at the end
	Domain   string // the registered domain that the name belongs to; the whole name if there is none
	Addrs    [MaxAddrs][16]byte
	NAddrs   int
}

// header and the two fields behind a question's name (RFC 1035, section 4.1):
//
//	id 16, response 1, opcode 4, ..., response code 4
//	questions 16, answers 16, authorities 16, additional 16
//	name, type 16, class 16
const headerLen = 12

const (
	typeA, typeTXT, typeMX, typeAAAA = 1, 16, 15, 28
	classIN                          = 1
)

// Interesting looks at the question only. It allocates nothing.
func Interesting(b []byte) Kind {
	if len(b) < headerLen+6 || b[2]&0x78 != 0 || b[4] != 0 || b[5] != 1 { // opcode QUERY, one question
		return Other
	}
	name := b[headerLen:]
	labels, at, numbers, list := 0, 0, 0, false
	for {
		if at >= len(name) {
			return Other
		}
		n := int(name[at])
		if n == 0 {
			break
		}
		if n > 63 || at+1+n > len(name) || at+n > 255 {
			return Other // a question's name is not compressed
		}
		label := name[at+1 : at+1+n]
		switch {
		case numbers == labels && isNumber(label):
			numbers++
		case labels >= 4 && numbers >= 4:
			list = list || namesList(label)
		}
		labels++
		at += 1 + n
	}
	if at+5 > len(name) || name[at+3] != 0 || name[at+4] != classIN || name[at+1] != 0 {
		return Other
	}
	switch typ := name[at+2]; {
	case typ == typeMX:
		return MX
	case typ != typeA && typ != typeAAAA && typ != typeTXT:
		return Other
	case list && numbers >= 4:
		return List
	case typ != typeTXT && labels >= 2 && namesMail(name[1:1+int(name[0])]):
		return Host
	}
	return Other
}

func isNumber(label []byte) bool {
	for _, c := range label {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(label) <= 3
}

// mailNames are first labels of mail servers' names, with or without a number behind them.
// In a real bot's 687 queries 158 began with mail and 136 with smtp.
var mailNames = [][]byte{[]byte("mail"), []byte("smtp"), []byte("mx"), []byte("mailin"), []byte("mx-in"), []byte("smtpin"), []byte("smtp-in"), []byte("imap"),
	[]byte("pop"), []byte("relay"), []byte("mta"), []byte("webmail"), []byte("email"), []byte("poczta"), []byte("correo"), []byte("posta"), []byte("smtps"), []byte("mailserver")}

func namesMail(label []byte) bool {
	for len(label) > 0 && (label[len(label)-1] >= '0' && label[len(label)-1] <= '9' || label[len(label)-1] == '-') {
		label = label[:len(label)-1]
	}
	for _, m := range mailNames {
		if bytes.EqualFold(label, m) {
			return true
		}
	}
	return false
}

// namesList reports whether a label is one of a blocklist's zone. Addresses are looked up there
// with their numbers reversed in front (RFC 5782).
func namesList(label []byte) bool {
	for _, m := range []string{"bl", "rbl", "dnsbl", "zen", "xbl", "sbl", "pbl", "cbl", "spamhaus", "spamcop", "sorbs", "barracudacentral", "uceprotect", "surriel", "mailspike", "abuseat"} {
		if strings.EqualFold(string(label), m) {
			return true
		}
	}
	return false
}

// Parse reads a message that is interesting. It reports false for one that is malformed, or
// an answer that says nothing.
func Parse(b []byte, m *Message) bool {
	*m = Message{Kind: Interesting(b)}
	if m.Kind == Other {
		return false
	}
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return false
	}
	q, err := p.Question()
	if err != nil || p.SkipAllQuestions() != nil {
		return false
	}
	m.ID, m.Response = h.ID, h.Response
	m.Name = lower(q.Name.Data[:q.Name.Length])
	m.Domain = Registered(m.Name)
	if !h.Response {
		return true
	}
	if h.RCode != dnsmessage.RCodeSuccess || m.Kind != Host {
		return false
	}
	for m.NAddrs < MaxAddrs {
		r, err := p.AnswerHeader()
		if err != nil {
			break // the end, or cut: what was read stands
		}
		switch r.Type {
		case dnsmessage.TypeA:
			a, err := p.AResource()
			if err != nil {
				return m.NAddrs > 0
			}
			m.Addrs[m.NAddrs] = [16]byte{10: 0xff, 11: 0xff, 12: a.A[0], 13: a.A[1], 14: a.A[2], 15: a.A[3]}
			m.NAddrs++
		case dnsmessage.TypeAAAA:
			a, err := p.AAAAResource()
			if err != nil {
				return m.NAddrs > 0
			}
			m.Addrs[m.NAddrs] = a.AAAA
			m.NAddrs++
		default:
			if p.SkipAnswer() != nil {
				return m.NAddrs > 0
			}
		}
	}
	return m.NAddrs > 0
}

// lower is a name in lower case, without the dot at its end. Only ASCII letters have cases (RFC 4343).
func lower(name []byte) string {
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	return string(bytes.TrimSuffix(name, []byte(".")))
}

// Registered is the domain that somebody registered for a name, by the list of public suffixes;
// the name itself if there is none.
func Registered(name string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return d
	}
	return name
}

// TCP is the first message in a segment of DNS over TCP: a length in two bytes, and the message
// (RFC 1035, section 4.2.2). It is nil if the segment does not begin with a whole one, as
// nearly all queries do.
func TCP(segment []byte) []byte {
	if len(segment) < 2+headerLen {
		return nil
	}
	n := int(segment[0])<<8 | int(segment[1])
	if n < headerLen || n > len(segment)-2 {
		return nil
	}
	return segment[2 : 2+n]
}
