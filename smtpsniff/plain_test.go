package smtpsniff

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The functions here do byte by byte what those of the package do with a few words at a time.

func plainVerb(line []byte) (v Verb, rest []byte) {
	line = trimLeft(line)
	n := 0
	for n < len(line) && n <= 8 && line[n]|0x20 >= 'a' && line[n]|0x20 <= 'z' {
		n++
	}
	if n < 4 || n > 8 || n < len(line) && line[n] != ' ' && line[n] != '\t' && line[n] != ':' {
		return NoVerb, nil
	}
	for v := HELO; v <= BURL; v++ {
		if name := verbNames[v]; len(name) == n && equalFold(line[:n], name) {
			return v, line[n:]
		}
	}
	return NoVerb, nil
}

func plainPath(rest []byte, begins string) (p path) {
	b := trimLeft(rest)
	n := len(begins) - 2
	p.strict = len(b) > n+1 && equalFold(b[:n], begins[:n]) && b[n] == ':' && b[n+1] == '<'
	p.address, p.found = parseAnyPath(b, begins[:n])
	p.params = paramsOf(rest)
	return p
}

func plainOffered(text []byte) Extensions {
	for _, x := range [...]struct {
		word string
		ext  Extensions
	}{{"AUTH", OffersAuth}, {"STARTTLS", OffersSTARTTLS}, {"PIPELINING", OffersPipelining},
		{"CHUNKING", OffersChunking}} {
		if len(text) >= len(x.word) && equalFold(text[:len(x.word)], x.word) {
			return x.ext
		}
	}
	return 0
}

// plainScan is endScanner.scan without skipText.
func plainScan(s *endScanner, b []byte) (n int, e end) {
	for n < len(b) && e == noEnd {
		var k int
		k, e = s.scan(b[n : n+1])
		n += k
	}
	return n, e
}

// plainly compares each function with its plain form, for one text and code.
func plainly(t *testing.T, text []byte, code uint16) {
	t.Helper()
	if v, rest := parseVerb(text); true {
		want, wantRest := plainVerb(text)
		if v != want || !bytes.Equal(rest, wantRest) {
			t.Fatalf("verb of %q: %s %q, want %s %q", text, v, rest, want, wantRest)
		}
	}
	if e, rest := parseEnhanced(text, code); true {
		want, wantRest := parseAnyEnhanced(text, code)
		if e != want || !bytes.Equal(rest, wantRest) {
			t.Fatalf("enhanced code of %q: %v %q, want %v %q", text, e, rest, want, wantRest)
		}
	}
	for _, begins := range []string{"FROM:<", "TO:<"} {
		p, want := parsePath(text, begins), plainPath(text, begins)
		if !bytes.Equal(p.address, want.address) || p.found != want.found ||
			p.strict != want.strict || !bytes.Equal(trim(p.params), trim(want.params)) {
			t.Fatalf("path of %q: %+v, want %+v", text, p, want)
		}
	}
	d, want := Domain(text), domainBehindQuotes(text)
	if !bytes.Equal(d, want) || d == nil != (want == nil) {
		t.Fatalf("domain of %q: %q, want %q", text, d, want)
	}
	if x, want := offered(text), plainOffered(text); x != want {
		t.Fatalf("%q offers %b, want %b", text, x, want)
	}
	for state := inLine; state <= dotLFCR; state++ {
		fast, plain := state, state
		n, e := fast.scan(text)
		if k, want := plainScan(&plain, text); n != k || e != want || fast != plain {
			t.Fatalf("end of %q from %d: %d %d in %d, want %d %d in %d", text, state, n, e, fast, k,
				want, plain)
		}
	}
}

// TestPlainly puts texts together from the parts that matter.
func TestPlainly(t *testing.T) {
	parts := []string{" ", "\t", ":", "<", ">", "\"", "\\", "@", ".", "\r", "\n", "\r\n", "\r\n.", "FROM:<", "to:<", "a@b.example", "5", "51",
		"5.1.1", "2.1.5 ", "EHLO", "mail", "Rcpt", "STARTTLS", "xclient", "XFORWARD", "BURL", "AUTH", "Pipelining", "CHUNKING", "\x00", "\xdf",
		"text", "a longer text, of more than eight bytes", "twelve bytes", "SIZE=1"}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200000 {
		var text []byte
		for range rng.IntN(12) {
			text = append(text, parts[rng.IntN(len(parts))]...)
		}
		plainly(t, text, uint16(rng.IntN(1000)))
	}
	for v := HELO; v <= BURL; v++ {
		plainly(t, []byte(v.String()), 250)
	}
}

// TestDotAnywhere has the end of a message at each place of a text, so that it meets each boundary
// of the words of skipText.
func TestDotAnywhere(t *testing.T) {
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\r\n", "\r\n.\n", "\r\n.\r\r\n", "\n..\r\n", "\n. \n"} {
		for n := range 100 {
			for more := range 40 {
				text := bytes.Repeat([]byte("x"), n+len(end)+more)
				copy(text[n:], end)
				plainly(t, text, 250)
			}
		}
	}
}

// TestSkipText skips any text without a dot behind LF, and stops within 32 bytes before one.
func TestSkipText(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 100000 {
		text := make([]byte, 33+rng.IntN(100))
		for i := range text {
			text[i] = "\n\n.,$&-\x0e\x2a $ab\xae\x8a\xff\x00"[rng.IntN(17)]
		}
		text = bytes.ReplaceAll(text, []byte("\n."), []byte("ab"))
		if n := skipText(text); n%32 != 0 || n < len(text)-32 {
			t.Fatalf("%d of %d bytes: %q", n, len(text), text)
		}
		at := rng.IntN(len(text) - 1)
		copy(text[at:], "\n.")
		if n := skipText(text); n > at || n < min(at, len(text)-33)/32*32 {
			t.Fatalf("%d of %d bytes, dot at %d: %q", n, len(text), at, text)
		}
	}
}

// FuzzPlainly is TestPlainly for any text.
func FuzzPlainly(f *testing.F) {
	f.Add([]byte(" FROM:<a@b.example> SIZE=1"), uint16(250))
	f.Add([]byte("5.1.1 x"), uint16(550))
	f.Fuzz(func(t *testing.T, text []byte, code uint16) { plainly(t, text, code%1000) })
}

// TestUsualReply has sessions in any state: where a reply is a usual one, the slow way comes to the
// same result.
func TestUsualReply(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	codes := []uint16{220, 221, 235, 250, 251, 300, 334, 354, 421, 450, 500, 503, 550}
	var l Listener
	usual := 0
	for range 300000 {
		s := new(Session)
		p, r := &s.client, &s.server
		coin := func() bool { return rng.IntN(6) == 0 }
		for range rng.IntN(4) {
			p.pending.push(Verb(rng.IntN(int(verbsTotal))))
		}
		p.mode, r.code = mode(rng.IntN(int(inHello))), codes[rng.IntN(len(codes))]
		r.gap, p.held.uncertain, p.held.lenientEnd, p.tx.unclear = coin(), coin(), coin(), coin()
		p.seen.ambiguous, p.tx.lossy, p.tx.gapInMessage, p.chunk.rejected = coin(), coin(), coin(), coin()
		p.proxy.isLine = coin()
		if coin() {
			s.Flags |= GapServer
		}
		if coin() {
			p.held.bytes = []byte("NOOP\r\n")
		}
		if coin() {
			p.alt.bytes = []byte{}
		}
		verb := l.usualReply(s)
		if verb == NoVerb {
			continue
		}
		usual++
		before := s.client.pending
		if got := l.matchPending(s); got != verb || p.pending != before {
			t.Fatalf("%d answers %s, not %s: %+v", r.code, got, verb, s.client)
		}
		if got := s.replyCase(verb, r.gap); got != usualReply {
			t.Fatalf("%d to %s: case %d: %+v", r.code, verb, got, s.client)
		}
		if p.seen.ambiguous && r.code == 354 && verb != DATA {
			t.Fatalf("354 to %s in an ambiguous session", verb)
		}
	}
	if usual < 10000 {
		t.Errorf("%d usual replies", usual)
	}
}
