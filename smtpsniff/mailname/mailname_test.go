package mailname

import (
	"bytes"
	"testing"
)

func TestAppendDomain(t *testing.T) {
	for name, want := range map[string]string{
		"mail.example.org": "mail.example.org", "Mail.EXAMPLE.Org": "mail.example.org", "mail.example.org.": "mail.example.org",
		"mail.example.org..": "mail.example.org.", ".": ".", "": "", "PC-ANNA": "pc-anna",
		"BÜCHER.example": "xn--bcher-kva.example", "bücher.example.": "xn--bcher-kva.example", "XN--BCHER-KVA.example": "xn--bcher-kva.example",
		"bu\u0308cher.example": "xn--bcher-kva.example", // decomposed: NFC (RFC 5891, section 5.2)
		"\xff.EXAMPLE":         "\xff.example",
		"[192.0.2.1]":          "[192.0.2.1]", "[ 192.0.2.1 ]": "[192.0.2.1]", "[IPv6:::ffff:192.0.2.1]": "[192.0.2.1]",
		"[IPv6:2001:DB8::1]": "[ipv6:2001:db8::1]", "[ipv6:2001:db8:0:0:0:0:0:1]": "[ipv6:2001:db8::1]", "[2001:db8::0:1]": "[ipv6:2001:db8::1]",
		"[IPv6:fe80::1%Eth0]": "[ipv6:fe80::1%eth0]", "[Tag:x]": "[tag:x]", "[]": "[]", "[": "[", "192.0.2.1": "192.0.2.1",
		"a_B.example": "a_b.example", "-x-.Example": "-x-.example",
	} {
		if got := Domain(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestLowerASCII compares with the builtin byte by byte, for all lengths and places of a byte.
func TestLowerASCII(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte("zQ"), 20)[:n]
				b[at] = byte(c)
				want := appendLower(nil, b)
				if all := lowerASCII(b); all != (c < 0x80) || !bytes.Equal(b, want) {
					t.Fatalf("%d bytes, %#x at %d: %q, want %q", n, c, at, b, want)
				}
			}
		}
	}
}

func TestAppendMailbox(t *testing.T) {
	for _, c := range []struct {
		mailbox string
		domain  int
		want    string
	}{
		{"Anna@Example.ORG.", 12, "anna@example.org"},
		{`"Anna"@example.org`, 11, "anna@example.org"},
		{`"an\na"@example.org`, 11, "anna@example.org"},
		{`"a@b"@example.org`, 11, "a@b@example.org"},
		{`"\\"@[IPv6:2001:DB8::1]`, 18, `\@[ipv6:2001:db8::1]`},
		{"Postmaster", 0, "postmaster"}, {`"`, 0, `"`}, {`""`, 0, ""}, {"", 0, ""}, {`"\`, 0, `"\`},
	} {
		if got := string(AppendMailbox(nil, []byte(c.mailbox), c.domain)); got != c.want {
			t.Errorf("%q: %q, want %q", c.mailbox, got, c.want)
		}
	}
}

// TestNoAllocation: names as nearly all clients give them.
func TestNoAllocation(t *testing.T) {
	names := [][]byte{[]byte("Mail.Example.ORG."), []byte("xn--bcher-kva.example"), []byte("PC"), bytes.Repeat([]byte("a"), 256)}
	if n := testing.AllocsPerRun(100, func() {
		var buf [256]byte
		for _, name := range names {
			if len(AppendDomain(buf[:0], name)) == 0 {
				t.Fatal("nothing")
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAppendDomain: a spelling is the same if it is spelled again, and not much longer.
func FuzzAppendDomain(f *testing.F) {
	for _, s := range []string{"Mail.Example.ORG.", "bücher.example", "[IPv6:2001:DB8::1]", "[", "xn--a", "[\xff]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		once := AppendDomain(nil, name)
		if len(once) > 8*len(name)+64 {
			t.Errorf("%q becomes %d bytes", name, len(once))
		}
		if len(once) > 0 && once[len(once)-1] == '.' { // of several dots one is removed each time
			return
		}
		if again := AppendDomain(nil, once); !bytes.Equal(once, again) {
			t.Errorf("%q: %q, then %q", name, once, again)
		}
	})
}
