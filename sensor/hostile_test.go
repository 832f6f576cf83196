package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "spamsensor/sensor/wire/wiretest"
)

// sessionLine returns the fields of a session event that these tests compare.
func sessionLine(e *emitted) string {
	s := fmt.Sprintf("%s %s from %q messages %d flags %q", e.App, e.Flow.Seen, e.SMTP.MailFrom, e.SMTP.Messages, e.SMTP.Flags)
	return strings.NewReplacer("[", "(", "]", ")").Replace(s)
}

// begun is a connection up to the beginning of a mail transaction.
func begun(n int) *mailConn {
	return newMailConn(n).open().lines("S: 220 mx", "C: EHLO pc.example.org", "S: 250 mx")
}

// forged sends a segment without data of neither side, with numbers at these distances from the
// true ones.
func (k *mailConn) forged(dir int, flags uint8, seq, ack uint32) *mailConn {
	was := k.seq
	k.seq[dir] += seq
	k.seq[1-dir] += ack
	k.frame(dir, flags, "").seq = was
	return k
}

var envelope = []string{"C: MAIL FROM:<a@example.org>", "S: 250 ok", "C: RCPT TO:<b@example.net>", "S: 250 ok"}
var mail = append(slices.Clone(envelope), "C: DATA", "S: 354 go", "C: hello\r\n.", "S: 250 taken")
var quit = []string{"C: QUIT", "S: 221 bye"}

// Hostile segments on an established connection: each row has the session event and the counters of
// the whole capture.
func TestHostileDialogues(t *testing.T) {
	const smuggle = "\nMAIL FROM:<m@example.com>\r\nRCPT TO:<v@example.net>\r\nDATA\r\nhi\r\n."
	five := "S: 250 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken"
	for i, c := range []struct {
		name string
		make func(k *mailConn) *mailConn
		want string
		tcp  string // counters that are not zero, beside attempts and sessions
	}{
		{"a line without an end", func(k *mailConn) *mailConn {
			for range 200 {
				k.frame(0, ACK, strings.Repeat("x", 1400))
			}
			return k.lines("C: ", "S: 500 no").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ("long_line" "unknown_command")`, ""},
		{"a local part of 1500 bytes", func(k *mailConn) *mailConn {
			return k.lines("C: MAIL FROM:<"+strings.Repeat("l", 1500)+"@far.example>", "S: 501 no").close()
		}, `smtp both from ("` + strings.Repeat("l", 255-len("@far.example")) + `@far.example") messages 0 flags ("long_line")`, ""},
		{"a source route", func(k *mailConn) *mailConn {
			return k.lines("C: MAIL FROM:<@one,@two:u@example.org>", "S: 250 ok").close()
		},
			`smtp both from ("u@example.org") messages 0 flags ()`, ""},
		{"a quoted bracket", func(k *mailConn) *mailConn { return k.lines(`C: MAIL FROM:<"a>b"@example.org>`, "S: 250 ok").close() },
			`smtp both from ("\"a>b\"@example.org") messages 0 flags ()`, ""},
		{"SMTPUTF8", func(k *mailConn) *mailConn {
			return k.lines("C: MAIL FROM:<\u00fc@example.org> SMTPUTF8", "S: 250 ok").close()
		},
			`smtp both from ("ü@example.org") messages 0 flags ()`, ""},
		{"the null sender", func(k *mailConn) *mailConn { return k.lines("C: MAIL FROM:<>", "S: 250 ok").close() }, `smtp both from ("") messages 0 flags ()`, ""},
		{"no brackets", func(k *mailConn) *mailConn { return k.lines("C: MAIL FROM:a@example.org SIZE=1", "S: 250 ok").close() },
			`smtp both from ("a@example.org") messages 0 flags ()`, ""},
		{"commands in a message", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: MAIL FROM:<x@example.com>\r\nDATA\r\nQUIT\r\n.", "S: 250 taken").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"smuggled behind LF.LF", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: hi\n."+smuggle, five).lines(quit...).close()
		}, `smtp both from ("a@example.org" "m@example.com") messages 2 flags ("impatient" "pipelined" "smuggling")`, ""},
		{"smuggled behind LF.CRLF", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: hi\n.\r"+smuggle, five).lines(quit...).close()
		}, `smtp both from ("a@example.org" "m@example.com") messages 2 flags ("impatient" "pipelined" "smuggling")`, ""},
		{"smuggled behind CRLF.LF", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: hi\r\n."+smuggle, five).lines(quit...).close()
		}, `smtp both from ("a@example.org" "m@example.com") messages 2 flags ("impatient" "pipelined" "smuggling")`, ""},
		{"not smuggled", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: hi\n."+smuggle, "S: 250 taken").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"smuggled, client only", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: hi\n."+smuggle, five).lines(quit...).close().only(0)
		}, `smtp client from ("a@example.org") messages 1 flags ("ambiguous")`, ""},
		{"BDAT with a command in it", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: BDAT 25 LAST\r\nMAIL FROM:<x@e.example>", "S: 250 taken").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"BDAT of impossible sizes", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: BDAT 100000000000000000000", "S: 501 no", "C: BDAT -1", "S: 501 no", "C: BDAT 5 FOO", "S: 501 no", "C: BDAT 0 LAST", "S: 250 taken").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ("bad_bdat")`, ""},
		{"mail behind STARTTLS in the clear", func(k *mailConn) *mailConn {
			return k.lines("C: STARTTLS\r\nMAIL FROM:<x@example.com>", "S: 220 go").frame(0, ACK, "\x16\x03\x01\x00\x05hello").close()
		}, `smtp both from () messages 0 flags ("after_starttls")`, ""},
		{"DATA refused, then MAIL", func(k *mailConn) *mailConn {
			return k.lines("C: DATA", "S: 503 no").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ("data_refused")`, ""},
		{"a million commands without an answer", func(k *mailConn) *mailConn {
			for range 120 {
				k.frame(0, ACK, strings.Repeat("NOOP\r\nRSET\r\n", 1000)[:12000])
			}
			return k.close()
		}, `smtp both from () messages 0 flags ("impatient" "pipelined" "too_many_pending")`, ""},
		{"a reply of 20,000 lines", func(k *mailConn) *mailConn {
			k.bytes(0, "HELP\r\n")
			for range 20 {
				k.frame(1, ACK, strings.Repeat("214-x\r\n", 1000))
			}
			return k.lines("S: 214 that was all").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"the dot is lost", func(k *mailConn) *mailConn {
			return k.lines(envelope...).lines("C: DATA", "S: 354 go", "C: hi", "C~ .", "S: 250 taken").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ("gap_client")`, ""},
		{"ten thousand recipients", func(k *mailConn) *mailConn {
			k.lines("C: MAIL FROM:<a@example.org>", "S: 250 ok")
			for range 100 {
				k.bytes(0, strings.Repeat("RCPT TO:<b@example.net>\r\n", 100)).bytes(1, strings.Repeat("250 ok\r\n", 100))
			}
			return k.lines("C: DATA", "S: 354 go", "C: .", "S: 250 taken").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ("impatient" "pipelined")`, ""},
		{"other bytes in a retransmission", func(k *mailConn) *mailConn {
			k.bytes(0, "MAIL FROM:<a@example.org>\r\n")
			k.seq[0] -= 27
			return k.bytes(0, "MAIL FROM:<z@example.com>\r\n").lines("S: 250 ok").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 0 flags ("conflict")`, "conflicts:1 retransmits:1"},
		{"other bytes before each line of the client", func(k *mailConn) *mailConn {
			for _, line := range append(slices.Clone(mail), quit...) {
				if line[0] == 'C' {
					k.bytes(0, "NOOP"+strings.Repeat("x", len(line)-7)+"\r\n").seq[0] -= uint32(len(line) - 1)
				}
				k.lines(line)
			}
			return k.close()
		}, `smtp both from () messages 1 flags ("conflict" "unknown_command")`, "conflicts:5 retransmits:5"},
		{"an urgent byte in MAIL", func(k *mailConn) *mailConn {
			k.urgent = 3
			return k.frame(0, ACK|URG, "MAxIL FROM:<a@example.org>\r\n").lines("S: 250 ok").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 0 flags ("urgent")`, ""},
		{"an urgent byte in each segment of MAIL", func(k *mailConn) *mailConn {
			k.urgent = 1
			for _, c := range "MAIL FROM:<a@example.org>\r\n" {
				k.frame(0, ACK|URG, "x").frame(0, ACK, string(c))
			}
			return k.lines("S: 250 ok").lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 0 flags ("urgent")`, ""},
		{"10,000 keep-alives", func(k *mailConn) *mailConn {
			for range 5000 {
				k.seq[0]--
				k.frame(0, ACK, "").seq[0]++
				k.seq[0]--
				k.frame(0, ACK, "?")
			}
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, "retransmits:5000"},
		{"a reset and an end out of the window", func(k *mailConn) *mailConn {
			k.seq[0] += 5_000_000
			k.frame(0, RST|ACK, "").frame(0, FIN|ACK, "")
			k.seq[0] -= 5_000_001
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, "out_of_window:2"},
		{"a forged SYN-ACK before the server's", func(k *mailConn) *mailConn {
			*k = *newMailConn(200).frame(0, SYN, "").forged(1, SYN|ACK, 50_000_000, 0).frame(1, SYN|ACK, "").frame(0, ACK, "")
			return k.lines("S: 220 mx", "C: EHLO a", "S: 250 mx").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"a forged SYN-ACK behind the server's", func(k *mailConn) *mailConn {
			*k = *newMailConn(201).frame(0, SYN, "").frame(1, SYN|ACK, "").forged(1, SYN|ACK, 50_000_000, 0).frame(0, ACK, "")
			return k.lines("S: 220 mx", "C: EHLO a", "S: 250 mx").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"a SYN-ACK that answers nothing, in the middle", func(k *mailConn) *mailConn {
			return k.forged(1, SYN|ACK, 50_000_000, 12345).forged(1, SYN|ACK, 50_000_000, 0).lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, "strays:2"},
		{"a SYN in the middle", func(k *mailConn) *mailConn {
			return k.forged(0, SYN, 50_000_000, 0).lines(mail...).lines(quit...).close()
		},
			`smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"a forged handshake in the middle", func(k *mailConn) *mailConn {
			k.forged(0, SYN, 50_000_000, 0).forged(1, SYN|ACK, 70_000_000, 50_000_001).forged(0, ACK, 50_000_001, 70_000_001)
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()` + "\n" + `unknown both from () messages 0 flags ()`, ""},
		{"a forged handshake with the numbers of the dialogue", func(k *mailConn) *mailConn {
			k.forged(0, SYN, 1<<32-1, 0).forged(1, SYN|ACK, 1<<32-1, 0)
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"a forged SYN-ACK to a forged SYN", func(k *mailConn) *mailConn {
			return k.forged(0, SYN, 50_000_000, 0).forged(1, SYN|ACK, 70_000_000, 50_000_001).lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"a forged SYN, and data that nobody takes", func(k *mailConn) *mailConn {
			k.forged(0, SYN, 50_000_000, 0).forged(0, ACK, 50_000_001, 70_000_001)
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"forged handshakes again and again", func(k *mailConn) *mailConn {
			for i, line := range append(slices.Clone(mail), quit...) {
				n := uint32(i+1) * 20_000_000
				k.forged(0, SYN, n, 0).forged(1, SYN|ACK, n, n+1).lines(line)
			}
			return k.close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"a forged SYN-ACK to a forged SYN during the handshake", func(k *mailConn) *mailConn {
			*k = *newMailConn(202).frame(0, SYN, "").frame(1, SYN|ACK, "")
			k.forged(0, SYN, 50_000_000, 0).forged(1, SYN|ACK, 70_000_000, 50_000_001).frame(0, ACK, "")
			return k.lines("S: 220 mx", "C: EHLO a", "S: 250 mx").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"the port used again, and the end was not seen", func(k *mailConn) *mailConn {
			k.lines(mail...).seq = [2]uint32{800_001_000, 900_099_999}
			return k.open().lines("S: 220 mx", "C: EHLO a", "S: 250 mx").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()` + "\n" + `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"the port used again, client only", func(k *mailConn) *mailConn {
			k.lines(mail...).seq = [2]uint32{800_001_000, 900_099_999}
			return k.open().lines("S: 220 mx", "C: EHLO a", "S: 250 mx").lines(mail...).lines(quit...).close().only(0)
		}, `smtp client from ("a@example.org") messages 1 flags ()` + "\n" + `smtp client from ("a@example.org") messages 1 flags ()`, ""},
		{"the port used three times", func(k *mailConn) *mailConn {
			for range 2 {
				k.lines(mail...)
				k.seq[0] += 800_001_000
				k.seq[1] += 900_099_999
				k.open().lines("S: 220 mx", "C: EHLO a", "S: 250 mx")
			}
			return k.lines(mail...).lines(quit...).close()
		}, strings.Repeat(`smtp both from ("a@example.org") messages 1 flags ()`+"\n", 2) + `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"data far ahead", func(k *mailConn) *mailConn {
			for range 5 {
				k.seq[0] += 900_000
				k.frame(0, ACK, "QUIT\r\n").seq[0] -= 900_006
				k.lines("C: NOOP", "S: 250 ok")
			}
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()`, "out_of_window:5"},
		{"an end of the client, and it goes on", func(k *mailConn) *mailConn { return k.forged(0, FIN|ACK, 0, 0).lines(mail...).lines(quit...).close() },
			`smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"ends of both, and they go on", func(k *mailConn) *mailConn {
			k.frame(0, FIN|ACK, "").frame(1, FIN|ACK, "").frame(0, ACK, "")
			k.seq[0]--
			k.seq[1]--
			return k.lines(mail...).lines(quit...).close()
		}, `smtp both from () messages 0 flags ()` + "\n" + `smtp both from ("a@example.org") messages 1 flags ("midstream")`, "midstream:1"},
		{"the same port and number again", func(k *mailConn) *mailConn {
			k.lines(mail...).lines(quit...).close().seq = [2]uint32{1000, 99999}
			return k.open().lines("S: 220 mx", "C: EHLO a", "S: 250 mx").lines(mail...).lines(quit...).close()
		}, `smtp both from ("a@example.org") messages 1 flags ()` + "\n" + `smtp both from ("a@example.org") messages 1 flags ()`, ""},
		{"every frame twice", func(k *mailConn) *mailConn {
			k.lines(mail...).lines(quit...).close()
			for _, f := range slices.Clone(k.sent) {
				f.at += 1e5
				k.sent = append(k.sent, f)
			}
			return k
		}, `smtp both from ("a@example.org") messages 1 flags ()`, "duplicate_frames:19"},
		{"every pair of frames swapped", func(k *mailConn) *mailConn {
			k.lines(mail...).lines(quit...).close()
			for i := 0; i+1 < len(k.sent); i += 2 {
				k.sent[i].data, k.sent[i+1].data = k.sent[i+1].data, k.sent[i].data
			}
			return k
		}, `smtp both from ("a@example.org") messages 1 flags ()`, "syn_unseen:1"},
		{"client only", func(k *mailConn) *mailConn { return k.lines(mail...).lines(quit...).close().only(0) }, `smtp client from ("a@example.org") messages 1 flags ()`, ""},
		{"server only", func(k *mailConn) *mailConn { return k.lines(mail...).lines(quit...).close().only(1) }, `smtp server from () messages 1 flags ()`, "syn_unseen:1"},
		{"from the middle", func(k *mailConn) *mailConn { return k.lines(mail...).lines(quit...).close().from(6) }, `smtp both from ("a@example.org") messages 1 flags ("midstream")`, "midstream:1"},
		{"TLS on port 25", func(*mailConn) *mailConn {
			return newMailConn(99).open().frame(0, ACK, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03").frame(1, ACK, "\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03").close()
		}, `tls both from () messages 0 flags ()`, ""},
		{"HTTP on port 25", func(*mailConn) *mailConn {
			return newMailConn(98).open().frame(0, ACK, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").close()
		}, `failed both from () messages 0 flags ("not_smtp" "unknown_command")`, ""},
	} {
		k := c.make(begun(i))
		events, _, _ := readEvents(t, "--set", "evidence.mail_from=full", captured(t, k))
		var got []string
		for _, e := range ofType(events, "session") {
			slices.Sort(e.SMTP.Flags)
			got = append(got, sessionLine(&e))
		}
		if got := strings.Join(got, "\n"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		stats := ofType(events, "stats")
		var tcp []string
		for _, name := range sorted(stats[len(stats)-1].TCP) {
			if n := stats[len(stats)-1].TCP[name]; n > 0 && name != "attempts" && name != "sessions" {
				tcp = append(tcp, fmt.Sprintf("%s:%d", name, n))
			}
		}
		if s := strings.Join(tcp, " "); s != c.tcp {
			t.Errorf("%s: %s, want %s", c.name, s, c.tcp)
		}
	}
}

// TestHostileNames checks that texts that break logs stay on one line, from which their bytes can
// be restored.
func TestHostileNames(t *testing.T) {
	for i, name := range []string{"\x1b[2J\x1b]0;owned\a", "a\x00b", "x\r y", "\u202egpj.exe", "\xff\xfe", "caf\xe9", `{"event_type":"finding"}`, "\u2028\u2029", "\u009b31m", `\x41`, "\x7f"} {
		k := newMailConn(i).open().lines("S: 220 "+name, "C: EHLO "+name, "S: 250 mx", "C: MAIL FROM:<"+name+"@example.org>", "S: 550 no "+name).close()
		said := everythingSaid(t, captured(t, k), "evidence.mail_from=full")
		events := 0
		for line := range strings.Lines(said) {
			if strings.HasPrefix(line, `{"`) {
				events++
			}
		}
		if all := strings.Count(said, `"event_id"`); events != all || all < 3 {
			t.Errorf("%q: %d events in %d lines", name, all, events)
		}
		for _, r := range said {
			if r != '\n' && r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfffd {
				t.Errorf("%q: %U in the output", name, r)
			}
		}
	}
}
