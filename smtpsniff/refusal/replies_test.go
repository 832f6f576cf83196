package refusal

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// knownReply is a row of testdata/replies.txt.
type knownReply struct {
	want, list, addr string
	code             uint16
	enhanced         [3]uint16
	text             string // as the listener gives it: lines joined, 256 bytes
}

func knownReplies(t testing.TB) (rows []knownReply) {
	b, err := os.ReadFile("testdata/replies.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("%q has %d columns", line, len(f))
		}
		x := knownReply{want: f[0], list: strings.Trim(f[1], "-"), addr: strings.Trim(f[2], "-")}
		for i, l := range strings.Split(f[3], `\n`) {
			code, err := strconv.Atoi(l[:3])
			if err != nil {
				t.Fatal(line)
			}
			l, e := l[4:], [3]uint16{}
			word, rest, _ := strings.Cut(l, " ")
			if p := strings.Split(strings.TrimSuffix(word, ":"), "."); len(p) == 3 && len(p[0]) == 1 {
				for i := range p {
					n, _ := strconv.Atoi(p[i])
					e[i] = uint16(n)
				}
			}
			if i == 0 {
				x.code, x.enhanced, x.text = uint16(code), e, l
				continue
			}
			if e[0] != 0 {
				l = rest
			}
			x.text += " " + l
		}
		x.text = x.text[:min(len(x.text), 256)]
		rows = append(rows, x)
	}
	return rows
}

// wrong says what is read wrongly in a reply, empty if nothing is.
func (x *knownReply) wrong() string {
	got := Classify(x.code, x.enhanced, x.text)
	c := Cite(got, x.text)
	switch {
	case got.String() != x.want:
		return got.String() + ", want " + x.want
	case c.List != x.list:
		return "list " + c.List + ", want " + x.list
	case x.addr != "" && (len(c.Addrs) == 0 || c.Addrs[0].String() != x.addr):
		return "address is missing"
	}
	return ""
}

// TestReplies reads replies of today's servers. They were written before the rules, in the forms
// that servers use. The rules were written while only one half of them (by their hash) was tried:
// at first sight they read 179 of 189 rightly, and when these were right, 212 of the other 218
// (97 %). Who wrote the rules had written the replies, so other people's replies are read worse. The
// mend of the six taught: words that only name the command refused ("Recipient address rejected")
// come last; a name in the next sentence belongs to no list.
func TestReplies(t *testing.T) {
	rows := knownReplies(t)
	for _, x := range rows {
		if w := x.wrong(); w != "" {
			t.Errorf("%d %q: %s", x.code, x.text, w)
		}
	}
	if len(rows) < 400 {
		t.Errorf("%d replies", len(rows))
	}
}

// TestReplyForms checks that the form of a text does not change its reason: its case, blanks, folded
// lines, the address in brackets, an offer of help at its end.
func TestReplyForms(t *testing.T) {
	for _, x := range knownReplies(t) {
		want := Classify(x.code, x.enhanced, x.text)
		for name, text := range map[string]string{"upper case": strings.ToUpper(x.text), "blanks": strings.ReplaceAll(x.text, " ", "  "), "folded": strings.ReplaceAll(x.text, " ", "\r\n\t"),
			"braces": strings.ReplaceAll(x.text, x.addr, "["+x.addr+"]"), "help": x.text + " If you need help, write to postmaster@relay.spam.example"} {
			if x.addr == "" && name == "braces" {
				continue
			}
			if got := Classify(x.code, x.enhanced, text); got != want {
				t.Errorf("%s: %q: %s, want %s", name, text, got, want)
			}
		}
	}
}

// TestHelpIsNoList: links and names that lead to somebody's help.
func TestHelpIsNoList(t *testing.T) {
	for _, text := range []string{
		"5.7.26 Your mail was blocked: SPF check failed. See https://rbl.provider-group.example/?ip=203.0.113.7",
		"5.7.1 Message blocked because of DMARC, see http://www.blocklist.example/lookup?ip=203.0.113.7",
		"5.1.1 user unknown, listed by mistake? See https://spam.example.org/query?ip=203.0.113.7",
		"5.7.1 your address is on our blacklist. help.provider-group.example has more",
		"5.7.1 Mail rejected by mx1.provider.example",
		"5.7.1 203.0.113.7 is not listed at zen.spamhaus.org, but we refuse you",
		"5.7.1 URL listed in dbl.spamhaus.org",
		"4.7.1 Greylisted using bl.example.net",
	} {
		if c := ParseCitation(text); c.List != "" {
			t.Errorf("%q: %s", text, c.List)
		}
	}
}

// TestTimeIsBounded: a text of the worst form takes no longer than its length allows.
func TestTimeIsBounded(t *testing.T) {
	for _, piece := range []string{"a:", "www.", "http://", "a.b.", ":", "[", "1.1.1.1 ", "blocked using ", "@", "rbl a.bc "} {
		took := func(n int) time.Duration {
			text := strings.Repeat(piece, n/len(piece)+1)[:n]
			least := time.Hour
			for range 5 {
				start := time.Now()
				Cite(Classify(550, [3]uint16{5, 7, 1}, text), text)
				least = min(least, time.Since(start))
			}
			return least
		}
		if short, long := took(maxText), took(1<<20); long > 40*short+50*time.Millisecond {
			t.Errorf("%q: %v, and %v for more than is read", piece, short, long)
		}
	}
}

// FuzzClassify: any text has a reason with a name, and cites nothing that it does not hold.
func FuzzClassify(f *testing.F) {
	for _, x := range knownReplies(f) {
		f.Add(x.code, x.enhanced[1], x.enhanced[2], x.text)
	}
	f.Fuzz(func(t *testing.T, code, subject, detail uint16, text string) {
		reason := Classify(code, [3]uint16{code / 100, subject, detail}, text)
		c := Cite(reason, text)
		if reason.String() == "" || !strings.Contains(strings.ToLower(text), c.List) || c.List != "" && !reason.citesList() {
			t.Errorf("%q: %s, %v", text, reason, c)
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	rows := knownReplies(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		x := &rows[i%len(rows)]
		Cite(Classify(x.code, x.enhanced, x.text), x.text)
	}
}

// TestVocabulary checks the bound of the phrases, and that none is too short for the index.
func TestVocabulary(t *testing.T) {
	if n := len(vocabulary.number); n > maxPhrases || n < 300 {
		t.Errorf("%d phrases", n)
	}
	for p := range vocabulary.number {
		if len(p) < 4 || p != strings.ToLower(p) {
			t.Errorf("%q", p)
		}
	}
}
