//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRelayStranger is not a test: it is a client of TestLiveRelay and of the tests in an office,
// which start it in a namespace. It reads the messages to send, one a line: source address, server,
// sender and recipient.
func TestRelayStranger(t *testing.T) {
	if os.Getenv("SPAMSENSOR_TEST_STRANGER") == "" {
		t.Skip("only as a part of other tests")
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var from, server, sender, rcpt string
		if _, err := fmt.Sscan(in.Text(), &from, &server, &sender, &rcpt); err != nil {
			t.Fatal(err)
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 3 * time.Second}
		c, err := d.Dial("tcp", server+":25")
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		r := bufio.NewReader(c)
		last := ""
		for _, say := range []string{"", "EHLO stranger.example", "MAIL FROM:<" + sender + ">", "RCPT TO:<" + rcpt + ">", "DATA", "Subject: hello\r\n\r\ntext\r\n.", "QUIT"} {
			if say != "" {
				fmt.Fprintf(c, "%s\r\n", say)
			}
			for line := "250-"; len(line) > 3 && line[3] == '-'; {
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				last = line
			}
			if last[0] >= '4' {
				break
			}
		}
		c.Close()
		fmt.Println("answer", last[:3])
	}
}

// stranger starts a client in a namespace.
func (s *span) stranger(ns string) (say io.WriteCloser, heard io.Reader) {
	s.t.Helper()
	c := s.in(ns, os.Args[0], "-test.run", "^TestRelayStranger$", "-test.v")
	c.Env = append(os.Environ(), "SPAMSENSOR_TEST_STRANGER=yes", "SPAMSENSOR_TEST_CLIENTS=yes")
	say, err := c.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if heard, err = c.StdoutPipe(); err != nil {
		s.t.Fatal(err)
	}
	s.start(c)
	return say, heard
}

const relayMain = `inet_interfaces = all
mynetworks = %s
myhostname = mail.corp.example
mydestination =
alias_maps =
virtual_mailbox_domains = corp.example
virtual_mailbox_maps = static:ok
virtual_transport = discard:
default_transport = smtp:[198.18.0.99]
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtp_host_lookup = native
smtp_bind_address = 192.168.88.25
disable_dns_lookups = yes
`

// TestLiveRelay runs a real Postfix that is first closed and then an open relay. While it is closed
// the sensor reports refusals only. The first message that it accepts from an external client for
// an external recipient opens the finding, and the departure of the message confirms it.
func TestLiveRelay(t *testing.T) {
	s := newSpan(t, "postfix", "postconf", "smtp-sink")
	dir := filepath.Join(s.dir, "postfix")
	s.startPostfix("a", dir, fmt.Sprintf(relayMain, "127.0.0.1"))
	s.start(s.in("b", "smtp-sink", "-u", "nobody", "198.18.0.99:25", "10"))

	binary := filepath.Join(s.dir, "spamsensor")
	s.must("go", "build", "-o", binary, ".")
	stateDir := filepath.Join(s.dir, "state")
	sensor := s.in("s", binary, "run", "-i", "span", "--home", "192.168.88.0/24", "--local-domain", "corp.example", "--set", "state.dir="+stateDir, "--set", "state.every=1s")
	var errs, out locked
	sensor.Stderr, sensor.Stdout = &errs, &out
	s.start(sensor)
	s.until("the sensor's start", func() bool { return strings.Contains(errs.String(), "listening") })

	say, heard := s.stranger("b")
	answers := bufio.NewScanner(heard)
	send := func(from, rcpt, want string) {
		t.Helper()
		fmt.Fprintln(say, from, mailAddr, "offers@bulk.example", rcpt)
		for answers.Scan() {
			if code, ok := strings.CutPrefix(answers.Text(), "answer "); ok {
				if code != want {
					t.Fatalf("Postfix answered %s to %s, want %s", code, rcpt, want)
				}
				return
			}
		}
		t.Fatal("the stranger is gone")
	}
	relays := func() int { return strings.Count(out.String(), `"class":"open_relay"`) }

	for i := range 5 {
		send(fmt.Sprintf("198.18.%d.7", 10+i), "victim@elsewhere.example", "554")
		send(fmt.Sprintf("198.18.%d.7", 10+i), "bob@corp.example", "221")
	}
	time.Sleep(3 * time.Second)
	if n := relays(); n != 0 {
		t.Fatalf("%d events of an open relay while it was closed:\n%s", n, out.String())
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "main.cf"), []byte(postfixMain(dir, fmt.Sprintf(relayMain, "0.0.0.0/0"))), 0o644); err != nil {
		t.Fatal(err)
	}
	s.must("ip", "netns", "exec", s.ns("a"), "postfix", "-c", filepath.Join(dir, "etc"), "reload")
	time.Sleep(time.Second)
	send("198.18.66.7", "bob@corp.example", "221")
	time.Sleep(time.Second)
	if n := relays(); n != 0 {
		t.Fatal("open, but nothing was relayed yet, and it was called a relay")
	}
	send("198.18.66.7", "victim@elsewhere.example", "221")
	s.until("the finding", func() bool { return relays() >= 1 })
	s.until("its confirmation", func() bool { return strings.Contains(out.String(), "relay_passed_on") })

	say.Close()
	time.Sleep(6 * time.Second) // the linger time of the last sessions
	sensor.Process.Signal(syscall.SIGTERM)
	if err := sensor.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, errs.String())
	}
	var first, server string
	for line := range strings.Lines(out.String()) {
		if first == "" && strings.Contains(line, `"class":"open_relay"`) {
			first = line
		}
		if strings.Contains(line, `"event_type":"mail_server"`) {
			server = line
		}
	}
	for _, want := range []string{`"action":"opened"`, `"level":"likely"`, `"client_ip":"198.18.66.7"`, `"rcpt_domain":"elsewhere.example"`, `"src_ip":"` + mailAddr + `"`, `"mail_from":"bulk.example"`} {
		if !strings.Contains(first, want) {
			t.Errorf("the finding lacks %s: %s", want, first)
		}
	}
	for _, want := range []string{`"relay_denied":5`, `"relay_denied_strangers":5`, `"relayed":1`, `"messages_in":7`, `"messages_out":1`} {
		if !strings.Contains(server, want) {
			t.Errorf("the server's record lacks %s: %s", want, server)
		}
	}
	code, table, stderr := runArgs("history", "--set", "state.dir="+stateDir, "--servers", "-o", "json")
	if code != exitOK || !strings.Contains(table, `"messages_in":7`) || !strings.Contains(table, `"host":"`+mailAddr+`"`) {
		t.Errorf("the history: %d %s %s", code, stderr, table)
	}
	if files, _ := filepath.Glob(filepath.Join(stateDir, "*")); len(files) > 0 {
		for _, name := range files {
			b, _ := os.ReadFile(name)
			for _, person := range []string{"victim", "offers@", "bob@"} {
				if strings.Contains(string(b), person) {
					t.Errorf("%s holds %q", name, person)
				}
			}
		}
	}
}
