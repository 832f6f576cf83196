// Package dns reads the DNS messages that concern mail: questions for the mail servers of a domain,
// for the address of a mail host, or to a blocklist about an address; answers with addresses of
// hosts that may be mail servers; and answers that show the prefix of NAT64 (RFC 7050).
//
//	message --> [Interesting]  one walk over the question's name, no allocation
//	        --> [Parse]        only the interesting ones, with their names
//
// The package golang.org/x/net/dns/dnsmessage decompresses names and bounds them. The package reads
// no compressed names in questions, no other record types than A and AAAA in answers, and no
// authority or additional sections; it ignores malformed messages and keeps nothing of a message.
package dns

import (
	"bytes"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/publicsuffix"
)

// Kind is the subject of a message.
type Kind uint8

// The kinds.
const (
	Other   Kind = iota
	MX           // a question for the mail servers of a domain
	Host         // a question for the address of a host with a mail server's name, or its answer
	List         // a question to a blocklist about an address
	Address      // an answer with the addresses of another name, perhaps of a mail server
	NAT64        // an answer with the IPv6 addresses of ipv4only.arpa
)

// MaxAddrs is the number of addresses that are read of an answer.
const MaxAddrs = 8

// Message is the content of a message.
type Message struct {
	ID       uint16
	Response bool
	Kind     Kind
	Name     string // of the question, in lower case, without the dot at its end
	Domain   string // the registered domain of Name; Name itself if there is none
	// Provider is the registered domain of the name that has the first address: Name, or where its
	// aliases (CNAME) end. It is empty without an address.
	Provider string
	Addrs    [MaxAddrs][16]byte
	NAddrs   int
}

// The header, and the two fields behind a question's name (RFC 1035, section 4.1):
//
//	id 16, response 1, opcode 4, ..., response code 4
//	questions 16, answers 16, authorities 16, additional 16
//	name, type 16, class 16
const headerLen = 12

const (
	typeA, typeTXT, typeMX, typeAAAA = 1, 16, 15, 28
	classIN                          = 1
)

// Interesting reads the kind of a message from its question alone. It allocates nothing.
func Interesting(b []byte) Kind {
	// opcode QUERY, one question
	if len(b) < headerLen+6 || b[2]&0x78 != 0 || b[4] != 0 || b[5] != 1 {
		return Other
	}
	name := b[headerLen:]
	labels, at, numbers, list, mail := 0, 0, 0, false, false
	short := 0 // labels at the end of three letters at most, as of co.uk
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
		if mail = mail || mentionsMail(label); n > 3 {
			short = 0
		} else {
			short++
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
	case typ == typeTXT:
		return Other
	case labels >= 2 && namesMail(name[1:1+int(name[0])]):
		return Host
	case b[2]&0x80 == 0:
		return Other
	case typ == typeAAAA && bytes.EqualFold(name[:at], ipv4only):
		return NAT64
	// A mail program also tries the domain itself.
	case mail && labels >= 2 || labels == 2 && numbers == 0 || labels == 3 && short == 2:
		return Address
	}
	return Other
}

// ipv4only is the name whose IPv6 addresses show the prefix of NAT64 (RFC 7050, section 8.2).
var ipv4only = []byte("\x08ipv4only\x04arpa")

// mentionsMail reports whether a label may belong to a mail server's name, such as aspmx or
// email-smtp.
func mentionsMail(label []byte) bool {
	for i := range label {
		switch rest := label[i:]; rest[0] | 0x20 {
		case 'm':
			if hasFold(rest, "mx") || hasFold(rest, "mail") || hasFold(rest, "mta") {
				return true
			}
		case 's':
			if hasFold(rest, "smtp") {
				return true
			}
		}
	}
	return false
}

// hasFold reports whether a label begins with a word, whatever the case.
func hasFold(label []byte, word string) bool {
	return len(label) >= len(word) && strings.EqualFold(string(label[:len(word)]), word)
}

func isNumber(label []byte) bool {
	for _, c := range label {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(label) <= 3
}

// mailNames are first labels of mail servers' names, with or without a number behind them. Of 687
// queries of a real bot 158 began with mail and 136 with smtp.
var mailNames = [][]byte{[]byte("mail"), []byte("smtp"), []byte("mx"), []byte("mailin"),
	[]byte("mx-in"), []byte("smtpin"), []byte("smtp-in"), []byte("imap"), []byte("pop"),
	[]byte("relay"), []byte("mta"), []byte("webmail"), []byte("email"), []byte("poczta"),
	[]byte("correo"), []byte("posta"), []byte("smtps"), []byte("mailserver")}

func namesMail(label []byte) bool {
	number := func(c byte) bool { return c >= '0' && c <= '9' || c == '-' }
	for len(label) > 0 && number(label[len(label)-1]) {
		label = label[:len(label)-1]
	}
	for _, m := range mailNames {
		if bytes.EqualFold(label, m) {
			return true
		}
	}
	return false
}

// namesList reports whether a label belongs to a blocklist's zone. The numbers of an address,
// reversed, precede the zone in a look-up (RFC 5782).
func namesList(label []byte) bool {
	for _, m := range []string{"bl", "rbl", "dnsbl", "zen", "xbl", "sbl", "pbl", "cbl", "spamhaus",
		"spamcop", "sorbs", "barracudacentral", "uceprotect", "surriel", "mailspike", "abuseat"} {
		if strings.EqualFold(string(label), m) {
			return true
		}
	}
	return false
}

// Parse reads a message that is interesting. It reports false for a malformed message, and for an
// answer without addresses.
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
	if h.RCode != dnsmessage.RCodeSuccess || m.Kind == MX || m.Kind == List {
		return false
	}
	return readAddrs(&p, m)
}

// readAddrs reads the addresses of an answer, and reports whether there are any.
func readAddrs(p *dnsmessage.Parser, m *Message) bool {
	for m.NAddrs < MaxAddrs {
		r, err := p.AnswerHeader()
		if err != nil {
			break // the end, or a cut message: the addresses before it count
		}
		owner := m.Provider
		if m.NAddrs == 0 && (r.Type == dnsmessage.TypeA || r.Type == dnsmessage.TypeAAAA) {
			owner = Registered(lower(r.Name.Data[:r.Name.Length]))
		}
		switch r.Type {
		case dnsmessage.TypeA:
			a, err := p.AResource()
			if err != nil {
				return m.NAddrs > 0
			}
			m.Addrs[m.NAddrs] = netip.AddrFrom4(a.A).As16()
			m.NAddrs, m.Provider = m.NAddrs+1, owner
		case dnsmessage.TypeAAAA:
			a, err := p.AAAAResource()
			if err != nil {
				return m.NAddrs > 0
			}
			m.Addrs[m.NAddrs] = a.AAAA
			m.NAddrs, m.Provider = m.NAddrs+1, owner
		default:
			if p.SkipAnswer() != nil {
				return m.NAddrs > 0
			}
		}
	}
	return m.NAddrs > 0
}

// lower is a name in lower case, without the dot at its end. Only ASCII letters have cases (RFC
// 4343).
func lower(name []byte) string {
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	return string(bytes.TrimSuffix(name, []byte(".")))
}

// Registered is the registered domain of a name, by the list of public suffixes; the name itself if
// there is none.
func Registered(name string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return d
	}
	return name
}

// IsReserved reports whether a name is reserved for tests and examples (RFC 2606): programs come
// with such names, and they say nothing about whose a server is.
func IsReserved(name string) bool {
	switch name[strings.LastIndexByte(name, '.')+1:] {
	case "test", "example", "invalid", "localhost":
		return true
	}
	switch Registered(name) {
	case "example.com", "example.net", "example.org":
		return true
	}
	return false
}

// TCP is the first message in a segment of DNS over TCP: a length in two bytes, and the message
// (RFC 1035, section 4.2.2). It is nil if the segment does not begin with a whole message, as
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
