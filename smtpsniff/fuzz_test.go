package smtpsniff

import (
	"math/rand/v2"
	"strings"
	"testing"

	"spamsensor/bench/fuzztime"
)

// checkSegmentation feeds steps uncut and as a network may deliver them, and fails where the events
// differ or a bound does not hold.
func checkSegmentation(t *testing.T, midstream bool, steps []step, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	steps = joined(steps)
	if len(steps) == 0 {
		return
	}
	var s *Session
	want := listenSession(midstream, steps, &s)
	if len(s.text) > maxText || int(s.nsenders) > maxSenders || s.Messages > s.Commands+s.Replies {
		t.Fatalf("%d bytes of text, %d senders, %d messages in %d commands and %d replies",
			len(s.text), s.nsenders, s.Messages, s.Commands, s.Replies)
	}
	most := 1 + rng.IntN(60)
	if got := segmented(midstream, steps, func(left int) int { return 1 + rng.IntN(most) }, rng); got != want {
		t.Fatalf("in segments:\n%s", diff(got, want))
	}
}

// addDialogues seeds a fuzzer with the bytes of a side in all dialogues.
func addDialogues(f *testing.F, side Side) {
	for _, d := range dialogues(f) {
		sent := ""
		for _, s := range d.steps {
			if s.side == side {
				sent += s.data
			}
		}
		f.Add([]byte(sent), uint64(len(sent)))
	}
}

// FuzzClient sends any bytes of the client; the server answers lines with different replies.
func FuzzClient(f *testing.F) {
	addDialogues(f, Client)
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		fuzztime.Check(t, func() int {
			if len(sent) > 8192 {
				return len(sent)
			}
			rng := rand.New(rand.NewPCG(seed, 1))
			steps := []step{{side: Server, data: "220 mx\r\n"}}
			if seed&1 != 0 {
				steps = nil
			}
			for line := range strings.Lines(string(sent)) {
				steps = append(steps, step{side: Client, data: line})
				switch n := rng.IntN(10); {
				case seed&2 != 0 || n == 0: // no answer
				case strings.HasPrefix(strings.ToUpper(line), "DATA"):
					steps = append(steps, step{side: Server, data: "354 go\r\n"})
				case n < 3:
					steps = append(steps, step{side: Server,
						data: []string{"334 x\r\n", "554 no\r\n", "220 go\r\n",
							"250-a\r\n250 AUTH x\r\n", "421 bye\r\n"}[rng.IntN(5)]})
				default:
					steps = append(steps, step{side: Server, data: "250 ok\r\n"})
				}
			}
			checkSegmentation(t, seed&4 != 0, steps, seed)
			return len(sent)
		})
	})
}

// FuzzServer sends any bytes of the server, a line after each of the client's, and then the rest.
func FuzzServer(f *testing.F) {
	addDialogues(f, Server)
	client := []string{"EHLO a\r\n", "AUTH LOGIN\r\n", "dXNlcg==\r\n", "MAIL FROM:<a@x.org>\r\n",
		"RCPT TO:<b@y.org>\r\nDATA\r\n", "hi\r\n.\nMAIL FROM:<c@x.org>\r\n.\r\n",
		"STARTTLS\r\n", "NOOP\r\n", "BDAT 3 LAST\r\nabc", "QUIT\r\n"}
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		fuzztime.Check(t, func() int {
			if len(sent) > 8192 {
				return len(sent)
			}
			var steps []step
			n := 0
			for line := range strings.Lines(string(sent)) {
				steps = append(steps, step{side: Server, data: line})
				if n < len(client) && (seed>>3+uint64(len(line)))%3 != 0 {
					steps = append(steps, step{side: Client, data: client[n]})
					n++
				}
			}
			checkSegmentation(t, seed&4 != 0, steps, seed)
			return len(sent)
		})
	})
}
