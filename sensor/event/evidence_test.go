package event

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// nasty are forty texts that break terminals, logs, parsers or readers.
var nasty = []string{
	"", " ", "\t", "\r", "\n", "\r\n", "\r\n\r\n", "\v\f", "\x00", "\x00\x00\x00",
	"\x1b", "\x1b[2J", "\x1b]0;title\a", "\x1b]8;;http://x\x1b\\", "\a\b", "\x7f\x7f", "\u0080",
	"\u0085", "\u009b31m", "\u009d0;x\u009c",
	"\u2028", "\u2029", "\u200e\u200f", "\u061c", "\u202a\u202b\u202c\u202d\u202e",
	"\u2066\u2067\u2068\u2069", "\ufeff", "\ufffd", "\ufffe\uffff", "e\u0301",
	"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x80", `"`, `\`, `\n`, `\x0a`,
	`\\x0a`,
	`\u000a`, "${jndi:ldap://x}", "%n%s%d", "</script><script>", `"}` +
		"\n" + `{"event_type":"finding"}`, "' OR 1=1 --", "a\u00a0b", "\u00ad", "\U0001f600",
	"\U000e0001",
}

// unsafeRune finds a character that must not be in a line of an event.
func unsafeRune(line string) (rune, bool) {
	for _, r := range line {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r == utf8.RuneError,
			r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 &&
				r <= 0x2069:
			return r, true
		}
	}
	return 0, false
}

// TestEvidenceCanBeHadBack checks that the bytes of a client become one line of strict JSON without
// characters that control a terminal or its writing direction, and that the bytes can be restored
// from it.
func TestEvidenceCanBeHadBack(t *testing.T) {
	texts := append([]string{}, nasty...)
	pairs := 0
	for a := range 256 {
		for b := 0; b < 256; b += 16 { // every pair of bytes, sixteen to a text
			var s []byte
			for c := range 16 {
				s = append(s, byte(a), byte(b+c), '.')
				pairs++
			}
			texts = append(texts, string(s))
		}
	}
	if pairs != 65536 || len(nasty) < 40 {
		t.Fatalf("%d pairs, %d texts", pairs, len(nasty))
	}
	for _, text := range texts {
		s := session("x")
		s.Helo, s.MailFrom = text, nil
		out := written(t, Config{Evidence: Evidence{Mode: Full}}, func(w *Writer) { w.Session(s) })
		line, more, _ := bytes.Cut(out, []byte("\n"))
		if len(more) > 0 || !utf8.Valid(line) || len(line) >= 4096 {
			t.Fatalf("%q: %d bytes behind the line, which has %d", text, len(more), len(line))
		}
		if r, bad := unsafeRune(string(line)); bad {
			t.Fatalf("%q: %U in %s", text, r, line)
		}
		d := json.NewDecoder(bytes.NewReader(line))
		var e struct{ SMTP struct{ Helo *string } }
		if err := d.Decode(&e); err != nil || e.SMTP.Helo == nil {
			t.Fatalf("%q: %v %s", text, err, line)
		}
		if got := unescape(*e.SMTP.Helo); got != text {
			t.Fatalf("%q comes back as %q", text, got)
		}
	}
	t.Logf("R14: %d pairs of bytes and %d texts: one safe line of strict JSON each, and the "+
		"bytes can be had back (goal 65,536 and 40)", pairs, len(nasty))
}

// TestCleanIsOneSafeLine checks the same texts in the report.
func TestCleanIsOneSafeLine(t *testing.T) {
	for _, text := range nasty {
		got := Evidence{Mode: Full}.Clean(strings.Repeat(text, 3))
		if r, bad := unsafeRune(got); bad || len(got) > 512 {
			t.Errorf("%q: %U, %d bytes", text, r, len(got))
		}
	}
}

// TestMayAddress checks that a text without mayAddress holds no address that hidden replaces.
func TestMayAddress(t *testing.T) {
	pieces := append([]string{"a", "B.c", "example.org", "\"", "\\", ">... ", ">: ", "<", ">", ".",
		": ", "User unknown", "\u212a", "\xff", "&COMMAT;", " (AT) ", "4", "0"}, ats...)
	rnd := rand.New(rand.NewPCG(1, 2))
	skipped := 0
	for range 200000 {
		var text string
		for range rnd.IntN(6) {
			text += pieces[rnd.IntN(len(pieces))]
		}
		if mayAddress(text) {
			continue
		}
		skipped++
		if got := hidden(text); got != text {
			t.Fatalf("%q becomes %q", text, got)
		}
	}
	if skipped < 1000 {
		t.Errorf("only %d texts are not read further", skipped)
	}
	if mayAddress("2.0.0 Ok: queued as 4Xy1") {
		t.Error("a usual reply is read further")
	}
}
