package redact

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// client returns a Redactor and the words of a client: one local part, and sensitive texts.
func client(local string, sensitive ...string) (*Redactor, *Words) {
	r, w := &Redactor{Seed: 1}, &Words{}
	if local != "" {
		r.AddLocalPart(w, []byte(local))
	}
	for _, text := range sensitive {
		r.AddSensitive(w, []byte(text))
	}
	return r, w
}

// Each level removes its own words of a reply, and no others.
func TestRedact(t *testing.T) {
	const ok = "blocked using zen.example, see https://bl.example/q?ip=192.0.2.1"
	for _, c := range []struct {
		local, sensitive string
		level            Level
		text, want       string
	}{
		{"", "", LocalPartsOnly, "user zoe unknown", "user zoe unknown"},
		{"zoe", "", LocalPartsOnly, "5.1.1 <Zoe@corp.example>... User unknown", "5.1.1 <...@corp.example>... User unknown"},
		{"zoe", "", LocalPartsOnly, "zoes mailbox, ZOE's", "zoes mailbox, ...'s"},
		{"zacharias", "", LocalPartsOnly, "zachar@x zachari", "...@x ..."}, // six letters are compared
		{"user", "", LocalPartsOnly, "user unknown: <user@user.example>", "user unknown: <...@user.example>"},
		{"zoe", "", LocalPartsOnly, "zoe zoe, zoe end", "..., ... end"},
		{"5.1.1", "", LocalPartsOnly, "5.1.1 5.1.2 x", "5.1.1 5.1.2 x"},
		{"müller", "", LocalPartsOnly, "MÜLLER, Müll", "..., Müll"},
		{"", "sesame", AllButVocabulary, "no sesame, not Sesamex please", "no ... not ... please"},
		{"", "sesame", AllButVocabulary, "wait 300 seconds, 3000", "wait 300 seconds, ..."},
		{"", "300", AllButVocabulary, "wait 300 seconds", "wait ... seconds"},
		{"", "x", AllButVocabulary, ok, "blocked using zen.example see https://known.example/..."},
		{"", "zen.example", AllButVocabulary, ok, "blocked using ... see https://known.example/..."},
		{"", "x", AllButLists, ok, "... https://known.example/..."},
		{"", "x", AllButVocabulary, "[192.0.2.1] IPv6:2001:db8::1 mx.example other.example", "[192.0.2.1] IPv6:2001:db8::1 mx.example ..."},
		{"", "192.0.2.1 mx", AllButVocabulary, "[192.0.2.1] mx.example ok", "... ok"},
		{"", "x", AllButVocabulary, "", ""},
		{"", "x", AllButVocabulary, "  \t ", "  \t "},
	} {
		r, w := client(c.local, c.sensitive)
		r.KnownHost = func(host []byte) bool { return string(host) == "known.example" }
		r.ListName = func([]byte) string { return "zen.example" }
		text := strings.ReplaceAll(c.text, "bl.example", "known.example")
		if got := r.Redact(w, []byte(text), c.level, []byte("mx.example ESMTP")); string(got) != c.want {
			t.Errorf("level %d, local part %q, sensitive %q:\n%s is shown as\n%s want\n%s", c.level,
				c.local, c.sensitive, text, got, c.want)
		}
	}
}

// A word is recognised behind each encoding, in the reply and in what the client sends.
func TestEncodings(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, encode := range map[string]func(string) string{
		"plain": func(s string) string { return s }, "capitals": strings.ToUpper,
		"base64": b64, "no padding": func(s string) string { return strings.TrimRight(b64(s), "=") },
		"behind a letter": func(s string) string { return "x=" + b64(s) },
		"url alphabet":    func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s + "\xff\xfe~?")) },
		"two bytes":       func(s string) string { return b64(strings.Join(strings.Split(s, ""), "\x00") + "\x00") },
		"hexadecimal":     func(s string) string { return hex.EncodeToString([]byte(s)) },
		"percent signs":   func(s string) string { return fmt.Sprintf("%%%02x%s", s[0], s[1:]) },
		"percent twice":   func(s string) string { return fmt.Sprintf("%%25%02x%s", s[0], s[1:]) },
		"equals signs":    func(s string) string { return fmt.Sprintf("=%02X%s", s[0], s[1:]) },
		"plus signs":      func(s string) string { return fmt.Sprintf("+%02X%s", s[0], s[1:]) },
	} {
		for _, word := range []string{"zebulon", "quimby77"} {
			r, w := client("", word)
			text := "no " + encode(word) + " here"
			if got := string(r.Redact(w, []byte(text), AllButVocabulary, nil)); got != "no ... here" {
				t.Errorf("%s in the reply: %s is shown as %s", name, text, got)
			}
			r, w = client(word)
			if got := string(r.Redact(w, []byte(text), LocalPartsOnly, nil)); strings.Contains(got, encode(word)) {
				t.Errorf("%s in the reply: %s is shown as %s", name, text, got)
			}
			r, w = client("", encode(word))
			if got := string(r.Redact(w, []byte("no "+word+" here"), AllButVocabulary, nil)); got != "no ... here" {
				t.Errorf("%s of the client: %s is shown", name, got)
			}
		}
	}
}

// Words that cannot be kept raise the level: a set has twelve words, a text 512 bytes.
func TestFull(t *testing.T) {
	var text []string
	for i := range maxWords + 1 {
		text = append(text, fmt.Sprint("word", i))
	}
	r, w := client(strings.Join(text[:maxWords], "."), strings.Join(text[:maxWords], " "))
	if w.Full() || !w.Sensitive() {
		t.Errorf("%d words: full %v, sensitive %v", maxWords, w.Full(), w.Sensitive())
	}
	r.AddSensitive(w, []byte(text[0])) // it is in the set already
	if w.Full() {
		t.Error("a word counts twice")
	}
	r.AddSensitive(w, []byte(text[maxWords]))
	if !w.Full() {
		t.Errorf("%d words: not full", maxWords+1)
	}
	if _, w := client(strings.Join(text, ".")); w.Full() || !w.Sensitive() {
		t.Error("local parts that cannot be kept do not count as sensitive")
	}
	if _, w := client("zoe"); w.Sensitive() {
		t.Error("a local part is sensitive")
	}
	if _, w := client("", strings.Repeat("x", maxText)); w.Full() {
		t.Errorf("a text of %d bytes: full", maxText)
	}
	if _, w := client("", strings.Repeat("x", maxText+1)); !w.Full() {
		t.Errorf("a text of %d bytes: not full", maxText+1)
	}
}

// The kinds of a part.
func TestParts(t *testing.T) {
	for part, want := range map[string]string{
		"5.7.1": "enhanced", "(#5.1.1)": "enhanced", "5.7.133": "enhanced", "5..1": "", "55.1.1": "", "5.1": "", "5.1.": "", "5.1.1.1": "address",
		"[203.0.113.9]": "address", "<203.0.113.9>;": "address", "IPv6:2001:db8::1": "address", "ip=203.0.113.9": "address", "203.0.113": "", "2001:db8::": "",
		"zen.example": "zen.example", "(zen.example)": "zen.example", "https://a.example/x?y": "a.example link", "a.example/x": "a.example link",
		"a.example,b": "", "a@b.example": "", ".example": "", "example.": "",
	} {
		got := ""
		if host, link := hostIn([]byte(part)); host != nil {
			got = string(host)
			if link {
				got += " link"
			}
		}
		if isAddress([]byte(part)) {
			got = "address"
		}
		if isEnhanced([]byte(part)) {
			got = "enhanced"
		}
		if want == "" && strings.Contains(part, ".") && got == strings.Trim(part, ".") {
			continue // numbers with dots are host names, too: no list has such a name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", part, got, want)
		}
	}
}

// Neither adding words nor redaction allocates, where a text has no address for netip to parse.
func TestNoAllocation(t *testing.T) {
	r, w := client("zoe", "sesame")
	text := []byte("5.1.1 zoe@corp c2VzYW1l, %7aoe blocked using 7a6f65")
	if n := testing.AllocsPerRun(100, func() {
		*w = Words{}
		r.AddLocalPart(w, []byte("zoe"))
		r.AddSensitive(w, []byte("sesame c2VzYW1l"))
		r.Redact(w, text, LocalPartsOnly, nil)
		r.Redact(w, text, AllButVocabulary, nil)
		r.Redact(w, text, AllButLists, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestKnownTexts compares a Redactor that has seen texts before with new ones, for texts and
// clients that are put together from the same words.
func TestKnownTexts(t *testing.T) {
	words := []string{"5.1.1", "2.0.0", "user", "User", "unknown", "anna", "zoe", "<zoe@corp.example>", "mx.example", "other.example", "known.example",
		"Bye", "accepted,", "mailbox", "rejected:", "message", "192.0.2.1", "[2001:db8::1]", "300", "3000", "a", "YW5uYQ==", "YW5uYS1saXNl", "=41nna",
		"%61nna", "616e6e61", "müller", "\xff", "x=y", "anna+zoe", "unavailable", "a/b", "size", "(service)", "service.", "..."}
	rng := rand.New(rand.NewPCG(1, 2))
	setUp := func(r *Redactor) *Redactor {
		r.Seed, r.ListName = 1, func([]byte) string { return "zen.example" }
		r.KnownHost = func(host []byte) bool { return string(host) == "known.example" }
		return r
	}
	put := func(n int) (text string) {
		for range n {
			text += words[rng.IntN(len(words))] + " \t"[rng.IntN(2):][:1]
		}
		return text
	}
	old := setUp(&Redactor{})
	shown := 0
	for range 400 {
		texts := [...]string{put(2 + rng.IntN(4)), put(2 + rng.IntN(12)), put(2)}
		for range 60 {
			var w, same Words
			fresh := setUp(&Redactor{})
			for range rng.IntN(4) {
				sent := put(1 + rng.IntN(2))
				old.AddLocalPart(&w, []byte(sent))
				fresh.AddLocalPart(&same, []byte(sent))
			}
			for range rng.IntN(3) {
				sent := put(rng.IntN(5))
				old.AddSensitive(&w, []byte(sent))
				fresh.AddSensitive(&same, []byte(sent))
			}
			text, level := texts[rng.IntN(len(texts))], Level(rng.IntN(3))
			want := string(fresh.Redact(&same, []byte(text), level, []byte("mx.example")))
			got := string(old.Redact(&w, []byte(text), level, []byte("mx.example")))
			if got != want {
				t.Fatalf("level %d, %q: %q, want %q", level, text, got, want)
			}
			if old.unchanged(&w, []byte(text), level) {
				shown++
			}
		}
	}
	if shown < 1000 {
		t.Errorf("%d texts were known", shown)
	}
}
