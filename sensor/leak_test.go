package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
)

// wordings are replies of servers, with the texts that they repeat: the account, the password, the
// local parts of the sender and of the recipient, a word of a message or of an unknown command.
// Replies of products are marked with their name.
var wordings = []string{
	"553 5.7.1 <{from}@corp.example>: Sender address rejected: not owned by user {user}",                              // Postfix
	"550 5.1.1 <{rcpt}@x.example>: Recipient address rejected: User unknown in virtual mailbox table",                 // Postfix
	"554 5.7.1 <{rcpt}@x.example>: Relay access denied",                                                               // Postfix
	"450 4.2.0 <{rcpt}@x.example>: Recipient address rejected: Greylisted for 300 seconds",                            // Postfix
	"421 4.7.0 mx.example.net Error: too many errors after {word}",                                                    // Postfix
	"535 5.7.8 Error: authentication failed: {pass64}",                                                                // Postfix
	"503 5.5.1 Error: authentication already done by {user}",                                                          // Postfix
	"550-Verification failed for <{from}@corp.example>\r\n550-Unrouteable address {from}\r\n550 Sender verify failed", // Exim
	"550 Unknown user {rcpt}",                           // Exim
	"535 Incorrect authentication data (set_id={user})", // Exim
	"554 5.5.2 unrecognized command: {line}",            // Exim
	"550 5.1.1 <{rcpt}>... User unknown",                // sendmail
	"553 5.1.8 <{from}@corp.example>... Domain of sender address {from}@corp.example does not exist",                                          // sendmail
	"500 5.5.1 Command unrecognized: \"{line}\"",                                                                                              // sendmail
	"250 2.1.5 <{rcpt}@x.example>... Recipient ok (will queue)",                                                                               // sendmail
	"252 2.5.2 Cannot VRFY user; try RCPT to attempt delivery (or try finger) {word}",                                                         // sendmail
	"550 sorry, no mailbox here by the name of {rcpt}. (#5.1.1)",                                                                              // qmail
	"553 sorry, that domain isn't in my list of allowed rcpthosts: {rcpt}@x.example (#5.7.1)",                                                 // qmail
	"550 5.7.60 SMTP; Client does not have permissions to send as this sender: {from}, user {user}",                                           // Exchange
	"550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; {rcpt}",                                                                         // Exchange
	"535 5.7.3 Authentication unsuccessful [{user}]",                                                                                          // Microsoft 365
	"550 5.4.1 Recipient address rejected: Access denied. [{rcpt}@x.example]",                                                                 // Microsoft 365
	"550 5.1.1 The email account that you tried to reach does not exist. {rcpt} https://support.google.com/mail/?p=NoSuchUser {rcpt} - gsmtp", // Gmail
	"535-5.7.8 Username and Password not accepted, {user}\r\n535 5.7.8 https://support.google.com/mail/?p=BadCredentials&u={user}",            // Gmail
	"550 5.7.23 <{rcpt}@x.example>: Recipient address rejected: Message rejected due to: SPF fail - not authorized. Please see http://www.openspf.net/Why?s=mfrom;id={from}%40corp.example;ip=203.0.113.9;r=mx", // pypolicyd-spf
	"550 5.7.1 see https://www.openspf.org/Why?id={from}%2540corp.example",
	"554 5.7.1 Message rejected as spam: Subject \"{subject}\"",
	"554 5.7.1 This message scores 17.2, it says {body}, and links to http://{body}.example/{body}",
	"550 5.7.1 [{body}] is a word that we do not take; listed in dbl.example: {body}.example",
	"250 2.0.0 Ok: queued as 4F3A2 for {rcpt}, subject {subject}, from {from}",
	"221 2.0.0 Goodbye {user}, {word}", "221 bye {from} {rcpt} {body}",
	"250 Hello {user}, pleased to meet {pass}", "451 4.3.0 {user64} {pass64} temporarily not available", "454 4.7.0 {pass} is a weak password",
	"552 5.2.2 user {rcpt} is over quota", "550 No such user ({rcpt})", "550 {rcpt} (at) x.example is unknown", "550 {rcpt}[at]x.example is unknown",
	"550 {rcpt} at x dot example is unknown", "550 mailbox '{rcpt}' is full", "553 \"{rcpt}\"@x.example is refused", "553 {rcpt},{from} are refused",
	"553 {rcpt}+tag@x.example is refused", "553 {rcpt}%x.example@relay.example is refused", "553 <@relay.example:{rcpt}@x.example> is refused",
	"553 {rcpt} (a comment) is refused", "550 /home/{rcpt}/Maildir is full", "550 uid={rcpt},ou=people not found", "550 rfc822;{rcpt}@x.example",
	"554 5.7.1 Client host [203.0.113.9] blocked using zen.spamhaus.org; {user} {word} {body}",
	"553 {USER} {PASS} {FROM} {RCPT}", "553 {user%} {pass%} {rcpt%}", "553 {user=} {pass=} {rcpt=}", "553 {userx} {passx} {rcptx}", "553 {rcpt64} {user64}",
	"553 ...{pass6}... {word6}, {body6}", "554 you said {line}", "334 {user64}", "354 go ahead, {user} {rcpt}", "599 {pass}", "299 {pass}", "399 {pass}", "199 {pass}", "{pass}",
}

// leaks are secrets, by their owner.
type leaks struct {
	rng     *rand.Rand
	letters string
	traces  map[string]string
	n       int
}

// secret makes a unique word. Any six letters of it, in any case, or six of one of its encoded
// forms, identify it.
func (c *leaks) secret() string {
	b := make([]byte, 14)
	for i := range b {
		b[i] = c.letters[c.rng.IntN(len(c.letters))]
	}
	c.n++
	word := string(b)
	for form, n := range map[string]int{word: 6, base64.RawStdEncoding.EncodeToString(b): 8, hex.EncodeToString(b): 12} {
		form = strings.ToLower(form)
		for i := 0; i+n <= len(form); i++ {
			c.traces[form[i:i+n]] = word
		}
	}
	return word
}

var (
	// eventHashes matches fields that hold hashes, in which any six letters may occur.
	eventHashes = regexp.MustCompile(`"(community_id|event_id)":"[^"]*"|"evidence":\[[^]]*\]`)
	hashedLocal = regexp.MustCompile(`[0-9a-f]{16}@`)
)

// find counts the secrets in a text, and reports the first.
func (c *leaks) find(t *testing.T, where, text string) int {
	t.Helper()
	text = hashedLocal.ReplaceAllString(eventHashes.ReplaceAllString(text, ""), "@")
	low := strings.ToLower(text)
	found := map[string]bool{}
	for i := 0; i+12 <= len(low); i++ {
		w, ok := c.traces[low[i:i+6]]
		for _, n := range []int{8, 12} {
			if !ok {
				w, ok = c.traces[low[i:i+n]]
			}
		}
		if ok && !found[w] {
			if found[w] = true; len(found) < 4 {
				t.Errorf("%s: %q of %q: %q", where, low[i:i+12], w, text[max(0, i-300):min(len(text), i+60)])
			}
		}
	}
	return len(found)
}

// confidences makes dialogues in which clients send secrets and servers repeat them, as lines of
// talk.
func confidences(rng *rand.Rand, c, senders *leaks) (lines []string) {
	user, pass, word, rcpt, body, subject, from := c.secret(), c.secret(), c.secret(), c.secret(), c.secret(), c.secret(), senders.secret()
	spell := func(s string) map[string]string {
		return map[string]string{"": s, "64": base64.StdEncoding.EncodeToString([]byte(s)), "x": hex.EncodeToString([]byte(s)), "%": fmt.Sprintf("%%%02x%s", s[0], s[1:]),
			"=": fmt.Sprintf("=%02X%s", s[0], s[1:]), "6": s[:6+rng.IntN(4)]}
	}
	line := word + " " + word
	var pairs []string
	for name, s := range map[string]string{"user": user, "pass": pass, "word": word, "rcpt": rcpt, "body": body, "subject": subject, "from": from} {
		for how, form := range spell(s) {
			pairs = append(pairs, "{"+name+how+"}", form)
		}
		pairs = append(pairs, "{"+strings.ToUpper(name)+"}", strings.ToUpper(s))
	}
	says := strings.NewReplacer(append(pairs, "{line}", line)...)
	knows := map[string]bool{"{rcpt": false, "{user": false, "{pass": false, "{word": false, "{line": false, "{body": false, "{subject": false, "{from": false}
	reply := func(usual string) {
		s := "S: " + usual
		if rng.IntN(2) == 0 {
			// A server repeats only texts that it has received.
		again:
			for {
				w := wordings[rng.IntN(len(wordings))]
				for name, known := range knows {
					if !known && strings.Contains(strings.ToLower(w), name) {
						continue again
					}
				}
				s = "S: " + says.Replace(w)
				break
			}
			if rng.IntN(3) > 0 && len(s) > 6 && s[3] >= '2' && s[3] <= '5' && !strings.Contains(s, "\n") { // with the code that the command has
				s = "S: " + usual[:3] + s[6:]
			}
		}
		lines = append(lines, s)
	}
	client := func(text string, knownNow ...string) {
		lines = append(lines, "C: "+text)
		for _, k := range knownNow {
			knows["{"+k] = true
		}
	}
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	if rng.IntN(2) == 0 {
		switch rng.IntN(6) {
		case 0:
			client("AUTH PLAIN "+b64("\x00"+user+"\x00"+pass), "user", "pass")
			reply([]string{"235 ok", "535 no", "503 no"}[rng.IntN(3)])
		case 1:
			client("AUTH LOGIN")
			lines = append(lines, "S: 334 VXNlcm5hbWU6")
			client(b64(user), "user")
			reply("334 UGFzc3dvcmQ6")
			client(b64(pass), "pass")
			reply([]string{"235 ok", "535 no", "421 no"}[rng.IntN(3)])
		case 2:
			client("AUTH LOGIN\r\n"+b64(user)+"\r\n"+b64(pass), "user", "pass")
			reply("503 no")
			reply("500 no")
			reply("502 no")
		case 3:
			client("USER "+user, "user")
			reply("500 no")
			client("PASS "+pass, "pass")
			reply("502 no")
		case 4:
			client("XCLIENT LOGIN="+user+" NAME="+pass, "user", "pass")
			reply("220 mx")
		case 5:
			client("AUTH XOAUTH2 "+b64("user="+user+"@corp.example\x01auth=Bearer "+pass+"\x01\x01"), "user", "pass")
			reply("235 ok")
		}
	}
	if rng.IntN(3) == 0 {
		client([]string{"VRFY ", "EXPN ", "NOOP ", "HELP ", "RSET ", "ETRN ", "XYZZY ", ""}[rng.IntN(8)]+line, "word", "line")
		reply("250 ok")
	}
	extra := ""
	if rng.IntN(4) == 0 {
		extra = " AUTH=" + user
		knows["{user"] = true
	}
	client("MAIL FROM:<"+from+[]string{"", "+tag", ".x"}[rng.IntN(3)]+"@corp.example>"+extra, "from")
	reply("250 ok")
	if rng.IntN(5) == 0 {
		client("HELO " + rcpt + "@corp.example")
		lines = lines[:len(lines)-1] // host names are shown
	}
	client("RCPT TO:<"+rcpt+"@x.example>"+[]string{"", " ORCPT=rfc822;" + rcpt + "@x.example"}[rng.IntN(2)], "rcpt")
	reply([]string{"250 ok", "550 no", "450 no"}[rng.IntN(3)])
	client("DATA")
	text := "Subject: " + subject + "\r\n\r\n" + body + "\r\nHelo " + body
	switch rng.IntN(3) {
	case 0:
		lines = append(lines, "S: 354 go")
		client(text+"\r\n.", "body", "subject")
		reply([]string{"250 ok", "554 no", "451 no"}[rng.IntN(3)])
	case 1:
		reply("554 no")
		for l := range strings.SplitSeq(text, "\r\n") {
			client(l, "body", "subject")
			reply("500 no")
		}
	default:
		reply("503 no")
	}
	client("QUIT")
	reply("221 bye")
	return lines
}

// TestNothingLeaks makes servers repeat all secrets of the clients, with every setting of the
// evidence, and searches for them in all output: events, report, log, checkpoints, history.
func TestNothingLeaks(t *testing.T) {
	dialogues, seed := 420, uint64(31)
	if os.Getenv("SPAMSENSOR_LONG") != "" {
		dialogues, seed = 3000, rand.Uint64()
		t.Logf("seed %d", seed)
	}
	rng := rand.New(rand.NewPCG(seed, 31))
	c, senders := &leaks{rng, "qxzjkvwghb", map[string]string{}, 0}, &leaks{rng, "fpmcydtlnu", map[string]string{}, 0}
	var conns []*mailConn
	for n := range dialogues {
		lines := confidences(rng, c, senders)
		view := views[0]
		if n%3 > 0 {
			view = views[rng.IntN(len(views))]
		}
		if strings.Contains(view.name, "client only") { // a message cannot be distinguished from commands
			view = views[2]
		}
		conns = append(conns, view.make(n, rng, lines).close())
	}
	file := captured(t, conns...)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := 0
	for _, mode := range []string{"full", "domain", "hash", "none"} {
		set := []string{"evidence.mail_from=" + mode, "evidence.hash_key_file=" + key}
		said := everythingSaid(t, file, set...)
		if n := strings.Count(said, `"event_type":"session"`); n < len(conns)*3/4 {
			t.Fatalf("%d sessions of %d connections were told", n, len(conns))
		}
		for _, word := range []string{"Recipient address rejected", "Relay access denied", "zen.spamhaus.org", "203.0.113.9"} {
			if !strings.Contains(said, word) {
				t.Errorf("%s: no text has %q any more", mode, word)
			}
		}
		kept := stateOf(t, file, set...)
		out += c.find(t, mode+", events, report and log", said) + c.find(t, mode+", state", kept)
		if mode != "full" {
			out += senders.find(t, mode+", events, report and log", said) + senders.find(t, mode+", state", kept)
		}
	}
	if n := c.n + senders.n; n < 1200 {
		t.Errorf("only %d secrets", n)
	}
	t.Logf("R12: %d secrets in %d dialogues, each at 4 settings of the evidence; %d got out (goal 0 of 500)", c.n+senders.n, len(conns), out)
}

// stateOf is the text of all files that a running sensor keeps about a capture.
func stateOf(t *testing.T, file string, set ...string) string {
	t.Helper()
	dir := t.TempDir()
	a := &app{stderr: io.Discard, stdout: io.Discard}
	a.opt.set = append(set, "state.dir="+dir)
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		t.Fatal(err)
	}
	k, err := openState(cfg, zerolog.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	files, err := capture.OpenFiles([]string{file}, capture.FilesConfig{KnownLink: engine.KnownLink, Prefilter: engine.Prefilter(cfg.engine.Ports), Untimed: engine.Untimed})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var events bytes.Buffer
	p := newPipeline(cfg, "run", false, &events, files.Input, files.Stats)
	k.restore(p.engine)
	if problems, _ := a.feedFiles(context.Background(), files, new(atomic.Uint64), p, readOptions{noProgress: true}); len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := k.save(); err != nil {
		t.Fatal(err)
	}
	if err := p.finish("end_of_input"); err != nil {
		t.Fatal(err)
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil || !strings.Contains(all.String(), "pc.example.org") { // host names are kept
		t.Fatalf("%v, %d bytes of state have no HELO name", err, all.Len())
	}
	return all.String()
}
