package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// world is the Internet that all sites see: who receives mail, and where.
//
// Destinations are Zipf over the farms of large providers, and a uniform tail of single servers.
// Ground: Emotet made 1,560 attempts to 679 hosts in 495 /24 [M]; Zipf for the large ones is an
// assumption [A].
type world struct {
	seed  uint64
	farms []farm
	zipf  []float64
	tls   bool
}

// farm is a provider of many domains with many servers.
type farm struct {
	name string
	nets [][3]byte
}

// dest is a server to which mail can be given.
type dest struct {
	domain, name string
	addr         netip.Addr
	soft         int  // which software, and so which words
	tls          bool // offers STARTTLS
	slow         int64
}

func newWorld(cfg *Config) *world {
	w := &world{seed: cfg.Seed, tls: cfg.TLS}
	rng := w.source("farms", 0)
	for i := range 25 {
		f := farm{name: word(rng, 2) +
			oneOf(rng, []string{"mail", "host", "online", "net", "box"}) + "." + oneOf(rng, tops)}
		for range 1 + rng.IntN(20) {
			f.nets = append(f.nets, network(rng))
		}
		w.farms = append(w.farms, f)
		w.zipf = append(w.zipf, 1/float64(i+1))
	}
	return w
}

var tops = []string{"com", "net", "org", "de", "fr", "it", "pl", "nl", "co.uk", "br", "jp", "ru"}

// firsts are first bytes of networks in public use, none of them reserved (RFC 6890).
var firsts = []byte{5, 23, 31, 37, 46, 52, 62, 77, 80, 81, 82, 83, 84, 85, 87, 88, 89, 91, 93, 94,
	95, 109, 151, 176, 178, 185, 188, 193, 194, 195, 212, 213, 217}

func network(r *rand.Rand) [3]byte {
	return [3]byte{oneOf(r, firsts), byte(r.IntN(256)), byte(r.IntN(256))}
}

func inNet(n [3]byte, last int) netip.Addr {
	return netip.AddrFrom4([4]byte{n[0], n[1], n[2], byte(last)})
}

// anywhere is a destination of mail to people in general: six in seven are customers of a farm.
func (w *world) anywhere(r *rand.Rand) dest {
	if r.Float64() < 0.85 { // which gives about 679 hosts for 1,560 attempts
		return w.atFarm(r, w.rank(r))
	}
	return w.single(r.IntN(200_000))
}

// rank draws a farm, Zipf with exponent 1.
func (w *world) rank(r *rand.Rand) int {
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

// atFarm is one server of a farm, for one of its customers' domains.
func (w *world) atFarm(r *rand.Rand, i int) dest {
	f := &w.farms[i]
	n := r.IntN(len(f.nets) * 3)
	return dest{domain: word(r, 3) + "." + oneOf(r, tops), name: fmt.Sprintf("mx%d.%s", n, f.name),
		addr: inNet(f.nets[n/3], 10+n%3),
		soft: i % len(software), tls: true, slow: int64(20+10*(i%9)) * millisecond}
}

// single is server number i of the tail.
func (w *world) single(i int) dest {
	r := w.source("single", i)
	d := dest{domain: word(r, 3) + "." + oneOf(r, tops), addr: inNet(network(r), 1+r.IntN(254)),
		soft: r.IntN(len(software))}
	d.name = oneOf(r, []string{"mail.", "mx.", "mx1.", "smtp.", "mail2.", "in."}) + d.domain
	d.tls = w.tls || r.Float64() < 0.8 // share of servers with STARTTLS [A]
	d.slow = between(r, 10*millisecond, 200*millisecond)
	return d
}

// provider is where people submit their mail: a name with a few addresses, spread over up to
// three networks.
func (w *world) provider(i, n int) dest {
	r := w.source("provider", i)
	name := word(r, 2) + "mail." + oneOf(r, tops)
	nets := make([][3]byte, 1+r.IntN(3))
	for j := range nets {
		nets[j] = network(r)
	}
	return dest{domain: name, name: "smtp." + name, addr: inNet(nets[n%len(nets)], 20+n%5),
		soft: r.IntN(len(software)), tls: true, slow: between(r, 10*millisecond, 60*millisecond)}
}

var syllables = []string{"ba", "ber", "co", "dan", "el", "fir", "ga", "hol", "in", "ka", "lum",
	"mar", "no", "or", "pel", "qua", "ri", "sol", "tam", "ur", "ven", "wes", "xan", "yo", "zet"}

func word(r *rand.Rand, n int) (s string) {
	for range n {
		s += oneOf(r, syllables)
	}
	return s
}

// mailbox is an address of somebody in a domain.
func mailbox(r *rand.Rand, domain string) string {
	return word(r, 2) + oneOf(r, []string{"", ".", "-", "_"}) + word(r, 1) +
		oneOf(r, []string{"", "1", "22", "77"}) + "@" + domain
}
