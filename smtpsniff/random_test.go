package smtpsniff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomDialogue makes a client and a server that obey the standard but for bare line feeds, and
// returns the dialogue with its senders and the number of accepted messages.
func randomDialogue(rng *rand.Rand) (steps []step, senders []string, messages int) {
	var client, server strings.Builder // since the last wait
	wait := func() {
		if client.Len() > 0 {
			steps = append(steps, step{side: Client, data: client.String()})
		}
		if server.Len() > 0 {
			steps = append(steps, step{side: Server, data: server.String()})
		}
		client.Reset()
		server.Reset()
	}
	pipelines := rng.IntN(2) == 0
	say := func(command string, codes ...int) (code int) {
		code = codes[rng.IntN(len(codes))]
		client.WriteString(command + "\r\n")
		if code/100 == 2 && rng.IntN(5) == 0 {
			fmt.Fprintf(&server, "%d-first line\r\n", code)
		}
		fmt.Fprintf(&server, "%d 2.0.0 ok, %d\r\n", code, rng.IntN(1000))
		if !pipelines || code == 354 {
			wait()
		}
		return code
	}
	lenient := rng.IntN(2) == 0 // the server takes bare line feeds for line ends
	text := func() string {
		var b strings.Builder
		for range rng.IntN(6) {
			b.WriteString([]string{"hi\r\n", "..\r\n", ".x\r\n", "MAIL FROM:<q@body.example>\r\n",
				"\n", "a\nb\r\n", "QUIT\r\n", "\r\n", "DATA\r\n"}[rng.IntN(9)])
		}
		return b.String()
	}
	fmt.Fprintf(&server, "220 mx\r\n")
	wait()
	say("EHLO host.example.org", 250)
	wait()
	for n := range rng.IntN(4) {
		sender := fmt.Sprintf("s%d@d%d.example", n, rng.IntN(50))
		senders = append(senders, sender)
		say("MAIL FROM:<"+sender+">", 250)
		for range 1 + rng.IntN(3) {
			say("RCPT TO:<r@example.net>", 250, 250, 550, 451)
		}
		switch rng.IntN(6) {
		case 0:
			say("RSET", 250)
		case 1:
			body := text()
			client.WriteString(fmt.Sprintf("BDAT %d\r\n%s", len(body), body))
			server.WriteString("250 chunk\r\n")
			if say("BDAT 0 LAST", 250, 552) == 250 {
				messages++
			}
		case 2:
			say("DATA", 554)
			wait()
		default:
			say("DATA", 354)
			client.WriteString(text() + "the end\r\n")
			if rng.IntN(3) == 0 { // smuggles
				// A dot behind a bare line feed: the bytes around it decide for which servers it
				// ends a message.
				client.WriteString("x\n" + []string{".\n", ".\r\n"}[rng.IntN(2)])
				hidden := fmt.Sprintf("m%d@hidden.example", n)
				client.WriteString("MAIL FROM:<" + hidden + ">\r\nRCPT TO:<v@example.net>\r\nDATA\r\n" + "hidden\r\n")
				if lenient {
					server.WriteString("250 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n")
					senders = append(senders, hidden)
					messages++
				}
			}
			if say(".", 250, 250, 552) == 250 {
				messages++
			}
			wait()
		}
	}
	say("QUIT", 221)
	wait()
	return steps, senders, messages
}

// The events of random dialogues agree with the dialogue and with the reference, at each
// segmentation. With a line lost the listener invents nothing.
func TestRandomDialogues(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 400
	}
	lost, short := 0, 0
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 3))
		steps, senders, messages := randomDialogue(rng)
		var s *Session
		want := listenSession(false, steps, &s)
		var from []string
		s.Senders(func(a []byte) { from = append(from, string(a)) })
		if int(s.Messages) != messages || !slices.Equal(from, senders) || s.Flags&Ambiguous != 0 {
			t.Fatalf("seed %d: %d messages from %q, there were %d from %q\n%s\n%q", seed,
				s.Messages, from, messages, senders, want, fmt.Sprint(steps))
		}
		if r, ok := refer(steps); !ok || r.facts() != listenerFacts(steps) {
			t.Fatalf("seed %d: the reference says %v %v\n%s", seed, ok, r, want)
		}
		if got := segmented(false, steps, func(left int) int { return 1 + rng.IntN(left) }, rng); got != want {
			t.Fatalf("seed %d, in segments:\n%s", seed, diff(got, want))
		}
		less := lines(steps)
		i := rng.IntN(len(less))
		gone := less[i]
		less[i] = step{side: gone.side, gap: len(gone.data)}
		got := listenSession(false, less, &s)
		lost++
		if int(s.Messages) < messages {
			short++
		}
		// Without the BDAT a chunk that reads like commands looks like commands.
		doubtful := s.Flags&Ambiguous != 0 || s.Flags&GapClient != 0 &&
			strings.HasPrefix(gone.data, "BDAT")
		if int(s.Messages) > messages && s.Flags&Ambiguous == 0 {
			t.Errorf("seed %d without %q: %d messages, there are %d\n%s", seed, gone.data,
				s.Messages, messages, got)
		}
		s.Senders(func(a []byte) {
			if !slices.Contains(senders, string(a)) && !doubtful {
				t.Errorf("seed %d without %q: nobody sent from %q\n%s", seed, gone.data, a, got)
			}
		})
	}
	t.Logf("of %d dialogues that lost a line %d had fewer messages than there were", lost, short)
}
