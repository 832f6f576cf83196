//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// script is a dialogue of a client: the pieces that it sends, and those after which it waits for a
// reply.
type script struct {
	N      int
	Server string // address and port
	Kinds  []string
	Pieces []scriptPiece
}

type scriptPiece struct {
	Data []byte
	Wait bool
}

// held is the result of a script.
type held struct{ N, Port int }

// place identifies a connection by the ports of the client and the server.
type place struct{ client, server int }

// TestTruthClient is not a test: it is the client of TestServersTruth, which starts it in the
// namespace of the clients. It reads scripts, one a line, and prints the port of each dialogue.
func TestTruthClient(t *testing.T) {
	if os.Getenv("SPAMSENSOR_TEST_TRUTH") != "client" {
		t.Skip("only as a part of TestServersTruth")
	}
	scripts := make(chan script)
	var holding sync.WaitGroup
	var out sync.Mutex
	for range 12 {
		holding.Go(func() {
			for s := range scripts {
				port := holdTalk(s)
				b, _ := json.Marshal(held{s.N, port})
				out.Lock()
				fmt.Printf("held %s\n", b)
				out.Unlock()
			}
		})
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var s script
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		scripts <- s
	}
	close(scripts)
	holding.Wait()
}

// holdTalk runs a dialogue and returns its client port.
func holdTalk(s script) (port int) {
	c, err := net.DialTimeout("tcp", s.Server, 3*time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	c.(*net.TCPConn).SetNoDelay(true)
	answers := make(chan bool, 1000) // one value for each complete reply
	go func() {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				close(answers)
				return
			}
			if len(line) > 3 && line[3] != '-' {
				answers <- true
			}
		}
	}()
	settle := func(first time.Duration) { // the client waits for all replies that come now
		for wait := first; ; wait = 15 * time.Millisecond {
			select {
			case _, ok := <-answers:
				if !ok {
					return
				}
			case <-time.After(wait):
				return
			}
		}
	}
	settle(3 * time.Second)
	for _, p := range s.Pieces {
		if _, err := c.Write(p.Data); err != nil {
			break
		}
		if p.Wait {
			settle(400 * time.Millisecond)
		} else {
			time.Sleep(time.Millisecond)
		}
	}
	settle(60 * time.Millisecond)
	return c.LocalAddr().(*net.TCPAddr).Port
}

// taken is the commands and messages that a server accepted in a dialogue.
type taken struct {
	Port     int
	Server   int      // its port
	Mails    []string // the lines that it took for MAIL
	Messages []string // senders of the messages that it accepted
}

// TestTruthServer is not a test: it is a simple server for TestServersTruth, which starts it in the
// namespace of the servers. It prints the commands and messages that it accepts. It supports
// CHUNKING on port 587, and refuses it on port 2525.
func TestTruthServer(t *testing.T) {
	if os.Getenv("SPAMSENSOR_TEST_TRUTH") != "server" {
		t.Skip("only as a part of TestServersTruth")
	}
	var out sync.Mutex
	for _, port := range []int{587, 2525} {
		l, err := net.Listen("tcp", fmt.Sprintf("198.18.7.25:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					b, _ := json.Marshal(serveMail(c, port == 587))
					out.Lock()
					fmt.Printf("took %s\n", b)
					out.Unlock()
				}()
			}
		}()
	}
	fmt.Println("serving")
	io.Copy(io.Discard, os.Stdin)
}

var mailPath = regexp.MustCompile(`(?i)^mail from:\s*<([^>]*)>`)

// serveMail is a server that accepts lines that end in LF, and messages that end in CRLF . CRLF.
func serveMail(c net.Conn, chunks bool) (got taken) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	got.Port, got.Server = c.RemoteAddr().(*net.TCPAddr).Port, c.LocalAddr().(*net.TCPAddr).Port
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	say := func(s string) {
		w.WriteString(s + "\r\n")
		if r.Buffered() == 0 {
			w.Flush()
		}
	}
	sender, rcpts := "", 0
	mail := false
	say("220 plain.example.net ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return got
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "HELO":
			say("250 plain.example.net")
		case "EHLO":
			mail = false
			say("250-plain.example.net")
			if chunks {
				say("250-CHUNKING")
			}
			say("250 PIPELINING")
		case "MAIL":
			got.Mails = append(got.Mails, line)
			m := mailPath.FindStringSubmatch(line)
			switch {
			case mail:
				say("503 5.5.1 nested MAIL command")
			case m == nil:
				say("501 5.5.4 syntax")
			default:
				sender, mail, rcpts = m[1], true, 0
				say("250 2.1.0 ok")
			}
		case "RCPT":
			switch {
			case !mail:
				say("503 5.5.1 MAIL first")
			case strings.Contains(rest, "info"):
				rcpts++
				say("250 2.1.5 ok")
			default:
				say("550 5.1.1 user unknown")
			}
		case "DATA":
			if rcpts == 0 {
				say("503 5.5.1 RCPT first")
				continue
			}
			w.WriteString("354 go ahead\r\n")
			w.Flush()
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return got
				}
				if line != ".\r\n" {
					continue
				}
				// The line before ended in CRLF, or there is none.
				break
			}
			got.Messages = append(got.Messages, sender)
			mail, rcpts = false, 0
			say("250 2.0.0 taken")
		case "BDAT":
			words := strings.Fields(rest)
			n := -1
			if len(words) > 0 {
				if k, err := strconv.ParseUint(words[0], 10, 40); err == nil {
					n = int(k)
				}
			}
			last := len(words) == 2 && strings.EqualFold(words[1], "LAST")
			switch {
			case !chunks:
				say("502 5.5.1 not implemented")
			case n < 0:
				say("501 5.5.4 syntax")
			default:
				if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
					return got
				}
				switch {
				case rcpts == 0:
					say("503 5.5.1 RCPT first")
				case last:
					got.Messages = append(got.Messages, sender)
					mail, rcpts = false, 0
					say("250 2.0.0 taken")
				default:
					say("250 2.0.0 chunk")
				}
			}
		case "RSET":
			mail, rcpts = false, 0
			say("250 2.0.0 ok")
		case "NOOP", "VRFY", "HELP":
			say("250 2.0.0 ok")
		case "AUTH":
			say("503 5.5.1 not enabled")
		case "STARTTLS":
			say("454 4.7.0 not available")
		case "QUIT":
			say("221 2.0.0 bye")
			w.Flush()
			return got
		default:
			say("500 5.5.2 unrecognized")
		}
		if r.Buffered() == 0 {
			w.Flush()
		}
	}
}

// randomScript draws a dialogue. Senders contain its number, so that each is unique.
func randomScript(rng *rand.Rand, n int, server string) (s script) {
	s.N, s.Server = n, server
	pipelines, cuts := rng.IntN(2) == 0, rng.IntN(4) == 0
	var piece bytes.Buffer
	flush := func(wait bool) {
		b := piece.Bytes()
		for cuts && len(b) > 3 {
			k := 1 + rng.IntN(len(b)-1)
			s.Pieces = append(s.Pieces, scriptPiece{Data: slices.Clone(b[:k])})
			b = b[k:]
		}
		if len(b) > 0 {
			s.Pieces = append(s.Pieces, scriptPiece{slices.Clone(b), wait})
		}
		piece.Reset()
	}
	say := func(line string, sync bool) {
		piece.WriteString(line + "\r\n")
		if !pipelines || sync {
			flush(true)
		}
	}
	kind := func(name string) { s.Kinds = append(s.Kinds, name) }
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	plain := !strings.HasSuffix(server, ":25") // Postfix waits for chunks, and for the bytes after a dot
	if rng.IntN(4) == 0 {
		kind("first line like TLS")
		say(pick("\x16\x03\x01\x02\x00\x01\x00", "\x16\x03\x03\x00\x05hello", "\x80\x2e\x01\x03\x01"), rng.IntN(2) == 0)
	}
	say(pick("EHLO", "ehlo", "HELO", "Ehlo")+" pc.example.org", true)
	serial := 0
	for range 1 + rng.IntN(5) {
		sender := func() string { serial++; return fmt.Sprintf("s%d.%d@d.example", n, serial) }
		mail := func() {
			path := pick("MAIL FROM:<%s>", "mail from:<%s>", "MAIL FROM:<%s> SIZE=100", "MAIL FROM: <%s>")
			say(fmt.Sprintf(path, sender()), false)
		}
		switch what := rng.IntN(14); what {
		case 0:
			kind("unknown verbs")
			say(pick("XYZZY", "HELLO there", "FOO BAR", "", "  ", "MAILER x"), false)
			say(pick("NOOP", "RSET", "VRFY info", "NOOP x"), false)
		case 1:
			kind("AUTH refused, credentials all the same")
			say("AUTH LOGIN", true)
			say("dXNlcg==", false)
			say("cGFzc3dvcmQ=", false)
			say("NOOP", true)
		case 2:
			kind("AUTH PLAIN")
			say("AUTH PLAIN AGEAYg==", true)
		case 3:
			kind("STARTTLS, and on in the clear")
			say("STARTTLS", true)
			mail()
			say("RSET", false)
		case 4:
			kind("DATA without recipients")
			mail()
			say("RCPT TO:<nobody@x.example>", false)
			say("DATA", true)
			say("RSET", true)
		case 5:
			kind("DATA refused, and its message all the same")
			say("RSET", true)
			say("DATA", true)
			piece.WriteString("Subject: x\r\n\r\nhello\r\n")
			say(".", true)
			say("RSET", true)
		case 6, 7:
			kind("BDAT")
			mail()
			say("RCPT TO:<info@x.example>", false)
			body := pick("Subject: x\r\n\r\nx\r\n", "MAIL FROM:<q@body.example>\r\n", "x", "QUIT\r\nDATA\r\n.\r\n")
			piece.WriteString(fmt.Sprintf("BDAT %d\r\n%s", len(body), body))
			flush(true)
			say("BDAT 0 LAST", true)
			say("RSET", true)
		case 8:
			kind("BDAT without a sender")
			body := pick("Subject: x\r\n\r\nx\r\n", "MAIL FROM:<q@body.example>\r\n", "x", "hello\r\nRSET\r\n")
			piece.WriteString(fmt.Sprintf("BDAT %d\r\n%s", len(body), body))
			if rng.IntN(2) == 0 {
				flush(true)
			}
			say(pick("RSET", "NOOP", "RSET\r\nNOOP"), true)
		case 9:
			kind("BDAT of a wrong size")
			say(pick("BDAT", "BDAT x", "BDAT -1", "BDAT 99999999999999999999"), true)
			if plain && !strings.HasSuffix(server, ":587") {
				say("BDAT 4000000000", rng.IntN(2) == 0)
			}
		default:
			mail()
			for range 1 + rng.IntN(3) {
				say("RCPT TO:<"+pick("info", "info", "nobody")+"@x.example>", false)
			}
			say("RCPT TO:<info@x.example>", false)
			say("DATA", true)
			body := "Subject: x\r\n\r\n"
			for range rng.IntN(5) {
				body += pick("hello\r\n", "..\r\n", ".x\r\n", "MAIL FROM:<q@body.example>\r\n", "QUIT\r\n", "RSET\r\n", "DATA\r\n", "\r\n", "EHLO body.example\r\n")
			}
			switch rng.IntN(6) {
			case 0:
				kind("bare line feeds")
				body += "a\nb\nc\r\n"
			case 1:
				kind("smuggled")
				body += "x" + pick("\n.\r\n", "\n.\n", "\r\n.\n", "\r.\r\n") + "MAIL FROM:<h" + sender() + ">\r\nRCPT TO:<info@x.example>\r\nDATA\r\nhidden\r\n"
			}
			piece.WriteString(body)
			say(".", true)
		}
	}
	if rng.IntN(5) > 0 {
		say("QUIT", true)
	}
	flush(true)
	return s
}

// exception is a difference between a server and the sensor.
type exception struct {
	why   string
	holds func(e *emitted, mails []string, there *taken) bool
}

// exceptions are the differences that are right, with the reason.
var exceptions = []exception{
	{"the server has said goodbye and reads no more; the sensor tells all that the client says, because anybody can forge a goodbye",
		func(e *emitted, mails []string, there *taken) bool {
			return (e.SMTP.LastCode == 221 || e.SMTP.LastCode == 421 || e.SMTP.LastCode == 521) && len(e.SMTP.MailFrom) > len(mails) &&
				slices.Equal(e.SMTP.MailFrom[:len(mails)], mails) && e.SMTP.Messages == len(there.Messages)
		}},
}

// TestServersTruth runs random dialogues with a real Postfix and with a simple server, and compares
// the messages that the servers accepted by their own logs with the events of the sensor, live and
// from a file.
func TestServersTruth(t *testing.T) {
	s := newSpan(t, "postfix", "postconf", "tcpdump")
	dialogues, seed := 400, uint64(6)
	if os.Getenv("SPAMSENSOR_LONG") != "" {
		dialogues, seed = 3000, rand.Uint64()
		t.Logf("seed %d", seed)
	}
	dir := filepath.Join(s.dir, "postfix")
	s.startPostfix("b", dir, `inet_interfaces = all
mynetworks = 127.0.0.1
myhostname = mx.example.net
mydestination =
alias_maps =
default_transport = discard:
virtual_transport = discard:
virtual_mailbox_domains = static:ok
virtual_mailbox_maps = regexp:{{/^info@/ ok}}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
smtpd_client_port_logging = yes
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_junk_command_limit = 1000
debug_peer_list = 192.168.88.0/24
debug_peer_level = 1
`)
	plain := s.in("b", os.Args[0], "-test.run", "^TestTruthServer$", "-test.v")
	plain.Env = append(os.Environ(), "SPAMSENSOR_TEST_TRUTH=server")
	var took locked
	plain.Stdout = &took
	plainIn, err := plain.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.start(plain)
	s.until("the plain server", func() bool { return strings.Contains(took.String(), "serving") })

	binary, file := filepath.Join(s.dir, "spamsensor"), filepath.Join(s.dir, "truth.pcap")
	s.must("go", "build", "-o", binary, ".")
	dump := s.in("s", "tcpdump", "-i", "span", "-w", file, "-U", "-Z", "root", "-B", "65536", "tcp")
	var dumped locked
	dump.Stderr = &dumped
	s.start(dump)
	sensor := s.in("s", binary, "run", "-i", "span", "--set", "output.sessions=all", "--set", "evidence.mail_from=full", "--home", "192.168.88.0/24")
	var errs, out locked
	sensor.Stderr, sensor.Stdout = &errs, &out
	s.start(sensor)
	s.until("the sensor's start", func() bool {
		return strings.Contains(errs.String(), "listening") && strings.Contains(dumped.String(), "listening")
	})

	rng := rand.New(rand.NewPCG(seed, 6))
	client := s.in("a", os.Args[0], "-test.run", "^TestTruthClient$", "-test.v")
	client.Env = append(os.Environ(), "SPAMSENSOR_TEST_TRUTH=client")
	var in bytes.Buffer
	scripts := make([]script, dialogues)
	for i := range scripts {
		scripts[i] = randomScript(rng, i, []string{"198.18.0.25:25", "198.18.0.25:25", "198.18.7.25:587", "198.18.7.25:2525"}[i%4])
		b, _ := json.Marshal(scripts[i])
		in.Write(append(b, '\n'))
	}
	client.Stdin = &in
	said, err := client.Output()
	if err != nil {
		t.Fatalf("the client: %v\n%s", err, said)
	}
	byPlace := map[place]*script{}
	for line := range strings.Lines(string(said)) {
		var h held
		if rest, ok := strings.CutPrefix(line, "held "); ok && json.Unmarshal([]byte(rest), &h) == nil && h.Port > 0 {
			_, server, _ := strings.Cut(scripts[h.N].Server, ":")
			n, _ := strconv.Atoi(server)
			if at := (place{h.Port, n}); byPlace[at] != nil {
				delete(byPlace, at) // the ports were used twice
			} else {
				byPlace[at] = &scripts[h.N]
			}
		}
	}
	time.Sleep(4 * time.Second) // the linger time of the last sessions, and the servers' logs
	plainIn.Close()
	dump.Process.Signal(syscall.SIGTERM)
	dump.Wait()
	sensor.Process.Signal(syscall.SIGTERM)
	if err := sensor.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, errs.String())
	}

	truth := postfixTook(t, filepath.Join(dir, "log", "mail.log"))
	for line := range strings.Lines(took.String()) {
		var g taken
		if rest, ok := strings.CutPrefix(line, "took "); ok && json.Unmarshal([]byte(rest), &g) == nil {
			truth[place{g.Port, g.Server}] = &g
		}
	}
	live := unmarshalEvents(t, []byte(out.String()))
	read, code, stderr := readEvents(t, "--set", "evidence.mail_from=full", "--home", "192.168.88.0/24", file)
	if code != exitOK {
		t.Errorf("read: exit code %d: %s", code, stderr)
	}
	for how, events := range map[string][]emitted{"live": live, "read": read} {
		compared, wrong, doubtful, excepted := 0, 0, 0, 0
		for _, e := range events {
			at := place{e.SrcPort, e.DestPort}
			sc, there := byPlace[at], truth[at]
			if e.Type != "session" || sc == nil || there == nil {
				continue
			}
			compared++
			var mails []string
			for _, line := range there.Mails {
				if m := mailPath.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
					mails = append(mails, m[1])
				}
			}
			heard := slices.Clone(e.SMTP.MailFrom)
			if slices.Equal(heard, mails) && e.SMTP.Messages == len(there.Messages) {
				continue
			}
			if slices.Contains(e.SMTP.Flags, "ambiguous") {
				doubtful++
				continue
			}
			i := slices.IndexFunc(exceptions, func(x exception) bool { return x.holds(&e, mails, there) })
			if i >= 0 {
				excepted++
				continue
			}
			if wrong++; wrong <= 5 {
				var sent []string
				for _, p := range sc.Pieces {
					sent = append(sent, fmt.Sprintf("%q %v", p.Data, p.Wait))
				}
				t.Errorf("%s, %s, %q: %d messages from %q, the server took %q and read %q; flags %q\n%s", how, sc.Server, sc.Kinds, e.SMTP.Messages, heard,
					there.Messages, mails, e.SMTP.Flags, strings.Join(sent, "\n"))
			}
		}
		if compared < dialogues*9/10 {
			t.Errorf("%s: only %d of %d dialogues were compared (%d scripts, %d records of the servers)", how, compared, dialogues, len(byPlace), len(truth))
		}
		t.Logf("R6: %s, %d dialogues with Postfix and a plain server: %d told otherwise than the servers do, %d more with doubt, %d behind a goodbye (goal 0)", how, compared, wrong, doubtful, excepted)
	}
}

var (
	postfixChat  = regexp.MustCompile(`smtpd\[\d+\]: ([<>]) [^ \[]+\[[^\]]*\]:(\d+): (.*)$`)
	postfixFrom  = regexp.MustCompile(`smtpd\[\d+\]: ([0-9A-Za-z]+): client=[^ \[]+\[[^\]]*\]:(\d+)`)
	postfixTakes = regexp.MustCompile(`qmgr\[\d+\]: ([0-9A-Za-z]+): from=<([^>]*)>, size=`)
)

// postfixTook is the commands and messages that Postfix accepted, by the client's port, from its
// log.
func postfixTook(t *testing.T, log string) map[place]*taken {
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	list := map[place]*taken{}
	of := func(port string) *taken {
		n, _ := strconv.Atoi(port)
		at := place{n, 25}
		if list[at] == nil {
			list[at] = &taken{Port: n, Server: 25}
		}
		return list[at]
	}
	ids := map[string]*taken{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if m := postfixChat.FindStringSubmatch(line); m != nil {
			g := of(m[2])
			if verb, _, _ := strings.Cut(strings.TrimSpace(m[3]), " "); m[1] == "<" && strings.EqualFold(verb, "MAIL") {
				g.Mails = append(g.Mails, m[3])
			}
		} else if m := postfixFrom.FindStringSubmatch(line); m != nil {
			ids[m[1]] = of(m[2])
		} else if m := postfixTakes.FindStringSubmatch(line); m != nil && ids[m[1]] != nil {
			ids[m[1]].Messages = append(ids[m[1]].Messages, m[2])
			delete(ids, m[1])
		}
	}
	return list
}
