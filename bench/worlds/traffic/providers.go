package traffic

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Provider is a company that takes mail: by submission from its customers, and as MX.
type Provider struct {
	Key      string
	Style    *Server
	Submit   string // name of its submission server
	MXNames  []string
	Ports    []uint16 // of submission, the usual one first
	Pool     []*Host  // addresses for submission
	MX       []*Host  // addresses of MX
	PerDNS   int      // addresses in one answer
	Personal bool     // people have accounts there
}

// providerRow is what is known of a provider.
type providerRow struct {
	style     *Server
	submit    string
	mx        []string
	ports     []uint16
	nets      []string // the first two bytes of its addresses
	pool, mxs int
	personal  bool
}

var providerRows = map[string]providerRow{
	"google": {Gmail, "smtp.gmail.com", []string{"aspmx.l.google.com", "alt1.aspmx.l.google.com",
		"alt2.aspmx.l.google.com"}, []uint16{587, 465}, []string{"142.250", "74.125", "64.233",
		"173.194", "108.177", "66.102"}, 8, 8, true},
	"m365": {M365, "smtp.office365.com", []string{"mail.protection.outlook.com"},
		[]uint16{587}, []string{"52.97", "52.98", "40.99", "40.101", "52.101"}, 16, 16, false},
	"outlook": {M365, "smtp-mail.outlook.com", []string{"outlook-com.olc.protection.outlook.com"},
		[]uint16{587}, []string{"52.96", "40.104", "52.101"}, 10, 6, true},
	"yahoo": {Yahoo, "smtp.mail.yahoo.com", []string{"mta5.am0.yahoodns.net",
		"mta6.am0.yahoodns.net", "mta7.am0.yahoodns.net"}, []uint16{465, 587},
		[]string{"87.248", "98.136", "67.195", "188.125"}, 4, 9, true},
	"icloud": {Postfix, "smtp.mail.me.com", []string{"mx01.mail.icloud.com",
		"mx02.mail.icloud.com"}, []uint16{587}, []string{"17.42", "17.57", "17.56"}, 6, 6, true},
	"gmx": {Postfix, "mail.gmx.net", []string{"mx00.gmx.net", "mx01.gmx.net"}, []uint16{587, 465},
		[]string{"212.227"}, 2, 4, true},
	"webde": {Postfix, "smtp.web.de", []string{"mx-ha02.web.de", "mx-ha03.web.de"},
		[]uint16{587, 465}, []string{"213.165"}, 2, 4, true},
	"tonline": {Postfix, "securesmtp.t-online.de", []string{"mx00.t-online.de",
		"mx01.t-online.de"}, []uint16{465, 587}, []string{"194.25"}, 2, 4, true},
	"ionos": {Postfix, "smtp.ionos.de", []string{"mx00.ionos.de", "mx01.ionos.de"},
		[]uint16{465, 587}, []string{"213.165", "217.72"}, 2, 4, false},
	"strato": {Postfix, "smtp.strato.de", []string{"smtpin.rzone.de"}, []uint16{465, 587},
		[]string{"81.169"}, 3, 4, false},
	"ovh": {Postfix, "ssl0.ovh.net", []string{"mx1.mail.ovh.net", "mx2.mail.ovh.net"},
		[]uint16{465, 587}, []string{"193.70", "178.32"}, 2, 4, false},
	"fastmail": {Postfix, "smtp.fastmail.com", []string{"in1-smtp.messagingengine.com",
		"in2-smtp.messagingengine.com"}, []uint16{465, 587}, []string{"103.168", "202.12"}, 2, 4,
		true},
	"zoho": {Postfix, "smtp.zoho.eu", []string{"mx.zoho.eu", "mx2.zoho.eu"}, []uint16{465, 587},
		[]string{"185.20", "89.36"}, 2, 3, true},
	"posteo": {Postfix, "posteo.de", []string{"mx01.posteo.de"}, []uint16{465, 587},
		[]string{"185.67"}, 2, 2, true},
	"orange": {Postfix, "smtp.orange.fr", []string{"smtp-in.orange.fr"}, []uint16{465, 587},
		[]string{"80.12", "193.252"}, 3, 4, true},
	"libero": {Exim, "smtp.libero.it", []string{"smtp-in.libero.it"}, []uint16{465, 587},
		[]string{"213.209"}, 2, 2, true},
	"wp": {Postfix, "smtp.wp.pl", []string{"mx.wp.pl"}, []uint16{465, 587}, []string{"212.77"}, 1,
		2, true},
	"ses": {SES, "email-smtp.eu-central-1.amazonaws.com",
		[]string{"inbound-smtp.eu-central-1.amazonaws.com"}, []uint16{587, 465, 25, 2587},
		[]string{"3.64", "3.120", "18.184", "35.156", "52.57", "18.153"}, 18, 3, false},
	"sendgrid": {Postfix, "smtp.sendgrid.net", []string{"mx.sendgrid.net"},
		[]uint16{587, 2525, 465, 25}, []string{"18.192", "3.127", "52.28", "54.93"}, 6, 2, false},
	"mailgun": {Postfix, "smtp.eu.mailgun.org", []string{"mxa.eu.mailgun.org",
		"mxb.eu.mailgun.org"}, []uint16{587, 465, 2525}, []string{"34.160", "3.122", "35.157"}, 4,
		4, false},
	"mailjet": {Postfix, "in-v3.mailjet.com", []string{"in.mailjet.com"},
		[]uint16{587, 465, 2525}, []string{"104.199", "35.187"}, 4, 2, false},
	"brevo": {Postfix, "smtp-relay.brevo.com", []string{"mx.brevo.com"}, []uint16{587, 465, 2525},
		[]string{"1.179", "185.107"}, 2, 2, false},
	"hosteurope": {Exim, "wp123.webpack.hosteurope.de", []string{"mx0.webpack.hosteurope.de"},
		[]uint16{465, 587}, []string{"80.237", "5.35"}, 1, 2, false},
	"proofpoint": {Sendmail, "", []string{"mxa-001.gslb.pphosted.com",
		"mxb-001.gslb.pphosted.com"}, nil, []string{"148.163", "67.231", "205.220"}, 0, 8, false},
	"mimecast": {Postfix, "", []string{"eu-smtp-inbound-1.mimecast.com",
		"eu-smtp-inbound-2.mimecast.com"}, nil, []string{"195.130", "91.220"}, 0, 6, false},
	"hornet": {Postfix, "", []string{"mx01.hornetsecurity.com", "mx02.hornetsecurity.com"}, nil,
		[]string{"94.100", "185.140"}, 0, 6, false},
}

// Consumers are the providers at which people have accounts.
var Consumers = []string{"google", "outlook", "yahoo", "icloud", "gmx", "webde", "tonline",
	"fastmail", "zoho", "posteo", "orange", "libero", "wp"}

// Provider is a provider with the addresses that this world knows.
func (w *World) Provider(key string) *Provider {
	if p := w.by[key]; p != nil {
		return p
	}
	row, ok := providerRows[key]
	if !ok {
		panic("no provider " + key)
	}
	p := &Provider{Key: key, Style: row.style, Submit: row.submit, MXNames: row.mx,
		Ports: row.ports, PerDNS: 1 + w.R.IntN(4), Personal: row.personal}
	rtt := w.path()
	for i := range row.pool + row.mxs {
		var b [4]byte
		fmt.Sscanf(Pick(w, row.nets...), "%d.%d", &b[0], &b[1])
		b[2], b[3] = byte(w.R.UintN(256)), byte(1+w.R.UintN(250))
		h := w.Outside(netip.AddrFrom4(b), rtt+time.Duration(w.R.IntN(6e6)))
		h.Stack = Linux
		h.V6 = w.Global6()
		if i < row.pool {
			p.Pool = append(p.Pool, h)
		} else {
			p.MX = append(p.MX, h)
		}
	}
	w.by[key] = p
	return p
}

// answer is a DNS answer of a provider: some hosts of a list.
func (w *World) answer(list []*Host, n int) []*Host {
	i := w.R.IntN(len(list))
	var out []*Host
	for range min(n, len(list)) {
		out = append(out, list[i%len(list)])
		i++
	}
	return out
}

// addrs are the addresses of hosts.
func addrs(list []*Host) (v4, v6 []netip.Addr) {
	for _, h := range list {
		if h.V4.IsValid() {
			v4 = append(v4, h.V4)
		}
		if h.V6.IsValid() {
			v6 = append(v6, h.V6)
		}
	}
	return v4, v6
}

// Word is a pronounceable word that was not drawn before.
func (w *World) Word() string {
	parts := []string{"ba", "del", "ko", "mi", "ran", "to", "sel", "vi", "lan", "per", "gu", "fo",
		"nor", "ta", "wes", "hel", "ri", "mon", "ka", "su", "bri", "dor", "len", "pax", "zu", "qui"}
	for {
		s := ""
		for range 2 + w.R.IntN(3) {
			s += Pick(w, parts...)
		}
		if !w.names[s] {
			w.names[s] = true
			return s
		}
	}
}

// User is a local part.
func (w *World) User() string {
	first := []string{"anna", "peter", "maria", "jan", "info", "paul", "lena", "tom", "office",
		"julia", "marc", "eva", "sales", "karl", "nina", "service"}
	return Pick(w, first...) + Pick(w, "", ".", "_") + Pick(w, "", w.Word())
}

// Domain is a domain of the Internet, with its mail servers.
type Domain struct {
	Name    string
	MXNames []string
	MX      []*Host
	Style   *Server
	// Own: it has its own servers, in its own network.
	Own bool
	// Dead hosts do not answer; Greylists defers each new sender once.
	Dead, Greylists bool
	Provider        string
}

// Domain draws a domain as an office writes to: half of them at large providers.
func (w *World) Domain() *Domain {
	name := w.Word() + Pick(w, ".com", ".de", ".net", ".org", ".fr", ".it", ".eu", ".co.uk", ".nl",
		".pl", ".at", ".ch")
	switch x := w.R.Float64(); {
	case x < 0.26:
		d := w.hosted(name, "m365")
		d.MXNames = []string{strings.ReplaceAll(name, ".", "-") + ".mail.protection.outlook.com"}
		return d
	case x < 0.46:
		return w.hosted(name, "google")
	case x < 0.62:
		return w.hosted(name, Pick(w, "ionos", "strato", "ovh", "proofpoint", "mimecast", "hornet",
			"zoho", "hosteurope", "fastmail"))
	}
	return w.OwnDomain(name)
}

// hosted is a domain at a provider.
func (w *World) hosted(name, key string) *Domain {
	p := w.Provider(key)
	return &Domain{Name: name, MXNames: p.MXNames, MX: w.answer(p.MX, len(p.MXNames)),
		Style: p.Style, Provider: key}
}

// OwnDomain is a domain with one or two servers of its own.
func (w *World) OwnDomain(name string) *Domain {
	d := &Domain{Name: name, Style: Pick(w, SelfHosted...), Own: true}
	if w.Chance(0.15) {
		d.Style = d.Style.withoutTLS()
	}
	for i := range 1 + w.R.IntN(2) {
		h := w.Outside(w.Global(), w.path())
		if w.Chance(0.3) {
			h.V6 = w.Global6()
		}
		d.MX = append(d.MX, h)
		d.MXNames = append(d.MXNames, fmt.Sprintf("%s%s.%s", Pick(w, "mail", "mx", "smtp", "mx0"),
			[]string{"", "2"}[i], name))
	}
	return d
}

// Consumer is the domain of a provider at which people have accounts.
func (w *World) Consumer() *Domain {
	key := Pick(w, Consumers...)
	name := map[string]string{"google": "gmail.com", "outlook": Pick(w, "outlook.com",
		"hotmail.com"), "yahoo": "yahoo.com", "icloud": "icloud.com", "gmx": "gmx.net",
		"webde":   "web.de",
		"tonline": "t-online.de", "fastmail": "fastmail.com", "zoho": "zohomail.eu",
		"posteo": "posteo.de", "orange": "orange.fr", "libero": "libero.it", "wp": "wp.pl"}[key]
	return w.hosted(name, key)
}

// Correspondents are n domains as an office writes to, some of them consumers'.
func (w *World) Correspondents(n int) (list []*Domain) {
	for range n {
		if w.Chance(0.2) {
			list = append(list, w.Consumer())
		} else {
			list = append(list, w.Domain())
		}
	}
	return list
}
