package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// world is the Internet that all sites see: the mail servers and their addresses.
//
// Destinations follow Zipf's law over the farms of large providers, with a uniform tail of single
// servers. Source: Emotet made 1,560 attempts to 679 hosts in 495 /24 [M]; Zipf's law for the large
// providers is an assumption [A].
type world struct {
	seed  uint64
	farms []farm
	zipf  []float64
	tls   bool
}

// farm is a provider that receives the mail of many domains with many servers.
type farm struct {
	name string
	nets [][3]byte
}

// destination is a mail server as a client sees it.
type destination struct {
	domain, name string
	addr         netip.Addr
	software     int  // index of its replies in software
	tls          bool // offers STARTTLS
	rtt          int64
}

func newWorld(cfg *Config) *world {
	w := &world{seed: cfg.Seed, tls: cfg.TLS}
	rng := w.rand("farms", 0)
	for i := range 25 {
		f := farm{name: word(rng, 2) +
			oneOf(rng, []string{"mail", "host", "online", "net", "box"}) + "." +
			oneOf(rng, topDomains)}
		for range 1 + rng.IntN(20) {
			f.nets = append(f.nets, randomNetwork(rng))
		}
		w.farms = append(w.farms, f)
		w.zipf = append(w.zipf, 1/float64(i+1))
	}
	return w
}

var topDomains = []string{"com", "net", "org", "de", "fr", "it", "pl", "nl", "co.uk", "br", "jp",
	"ru"}

// firstOctets are first octets of public networks, none of them reserved (RFC 6890).
var firstOctets = []byte{5, 23, 31, 37, 46, 52, 62, 77, 80, 81, 82, 83, 84, 85, 87, 88, 89, 91, 93,
	94,
	95, 109, 151, 176, 178, 185, 188, 193, 194, 195, 212, 213, 217}

// randomNetwork is a random public /24.
func randomNetwork(r *rand.Rand) [3]byte {
	return [3]byte{oneOf(r, firstOctets), byte(r.IntN(256)), byte(r.IntN(256))}
}

// addrIn is an address in a /24.
func addrIn(n [3]byte, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{n[0], n[1], n[2], byte(last)})
}

// randomServer is a destination of mail to any person: six in seven are customers of a farm.
func (w *world) randomServer(r *rand.Rand) destination {
	if r.Float64() < 0.85 { // gives about 679 hosts for 1,560 attempts
		return w.farmServer(r, w.randomFarm(r))
	}
	return w.singleServer(r.IntN(200_000))
}

// randomFarm draws a farm by Zipf's law with exponent 1.
func (w *world) randomFarm(r *rand.Rand) int {
	total := 0.0
	for _, z := range w.zipf {
		total += z
	}
	x := r.Float64() * total
	for i, z := range w.zipf {
		if x -= z; x < 0 {
			return i
		}
	}
	return 0
}

// farmServer is a random server of farm i, for the domain of one of its customers.
func (w *world) farmServer(r *rand.Rand, i int) destination {
	f := &w.farms[i]
	n := r.IntN(len(f.nets) * 3)
	return destination{domain: word(r, 3) + "." + oneOf(r, topDomains),
		name:     fmt.Sprintf("mx%d.%s", n, f.name),
		addr:     addrIn(f.nets[n/3], 10+n%3),
		software: i % len(software), tls: true, rtt: int64(20+10*(i%9)) * millisecond}
}

// singleServer is server number i of the tail.
func (w *world) singleServer(i int) destination {
	r := w.rand("single", i)
	d := destination{domain: word(r, 3) + "." + oneOf(r, topDomains),
		addr:     addrIn(randomNetwork(r), 1+r.IntN(254)),
		software: r.IntN(len(software))}
	d.name = oneOf(r, []string{"mail.", "mx.", "mx1.", "smtp.", "mail2.", "in."}) + d.domain
	d.tls = w.tls || r.Float64() < 0.8 // share of servers with STARTTLS [A]
	d.rtt = between(r, 10*millisecond, 200*millisecond)
	return d
}

// submissionServer is address n of provider i, to which people submit their mail: a name with a few
// addresses in up to three networks.
func (w *world) submissionServer(i, n int) destination {
	r := w.rand("provider", i)
	name := word(r, 2) + "mail." + oneOf(r, topDomains)
	nets := make([][3]byte, 1+r.IntN(3))
	for j := range nets {
		nets[j] = randomNetwork(r)
	}
	return destination{domain: name, name: "smtp." + name, addr: addrIn(nets[n%len(nets)], 20+n%5),
		software: r.IntN(len(software)), tls: true, rtt: between(r, 10*millisecond, 60*millisecond)}
}

var syllables = []string{"ba", "ber", "co", "dan", "el", "fir", "ga", "hol", "in", "ka", "lum",
	"mar", "no", "or", "pel", "qua", "ri", "sol", "tam", "ur", "ven", "wes", "xan", "yo", "zet"}

// word is a random word of n syllables.
func word(r *rand.Rand, n int) (s string) {
	for range n {
		s += oneOf(r, syllables)
	}
	return s
}

// mailbox is a random mail address in a domain.
func mailbox(r *rand.Rand, domain string) string {
	return word(r, 2) + oneOf(r, []string{"", ".", "-", "_"}) + word(r, 1) +
		oneOf(r, []string{"", "1", "22", "77"}) + "@" + domain
}
