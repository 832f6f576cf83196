package smtpsniff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// within fails the test when f does not end in time. An endless loop cannot be stopped, so that the
// test binary ends with it.
func within(t *testing.T, limit time.Duration, what func() string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("no end within %v: %s", limit, what())
	}
}

// checkWaiting finds a client whose bytes are held for the reply to a command that is not pending.
func checkWaiting(s *Session) error {
	p := &s.client
	want := map[mode]string{waitData: "DATA", waitTLS: "STARTTLS", waitChunk: "BDAT"}[p.mode]
	// it waits for a reply to no command
	if want == "" || p.seen.oneSided || p.mode == waitChunk && p.chunk.rejected {
		return nil
	}
	switch v := p.pending.last(); {
	case p.mode == waitData && v == DATA, p.mode == waitTLS && v == STARTTLS, p.mode == waitChunk &&
		(v == BDAT || v == bdatLast):
		return nil
	}
	return fmt.Errorf("the client waits for the reply to %s, and that is not in the queue %v", want,
		p.pending.runs[:p.pending.n])
}

// With any number of pending commands, a command whose reply decides how to read the next bytes is
// pending too, or these bytes are read as commands; also with lost replies and any reply after
// them.
func TestQueueAtEveryLevel(t *testing.T) {
	var now string
	within(t, 20*time.Second, func() string { return now }, func() {
		for _, command := range []string{"DATA", "STARTTLS", "BDAT +5", "BDAT 5", "AUTH LOGIN"} {
			for level := range maxRuns + 4 {
				for _, lost := range []int{0, 1, 60, 4000} {
					for _, reply := range []string{"220 a", "221 a", "235 a", "250 a",
						"250-a\r\n250 b", "334 a", "354 a", "421 a", "451 a", "500 a", "502 a",
						"503 a", "554 a"} {
						for _, next := range []string{"", "x\r\n", "x\r\n.\r\n", "NOOP\r\n",
							"QUIT\r\n"} {
							now = fmt.Sprintf("%d commands, %s, %d bytes lost, %q, %q", level,
								command, lost, next, reply)
							h := play("S: 220 mx", "C: EHLO a", "S: 250 mx")
							for i := range level {
								h.feed(Client, []byte([]string{"NOOP\r\n", "RSET\r\n"}[i%2]))
							}
							h.feed(Client, []byte(command+"\r\n"))
							if lost > 0 {
								h.gap(Server, lost)
							}
							if next != "" {
								h.feed(Client, []byte(next))
							}
							for range 3 {
								if err := checkWaiting(h.s); err != nil {
									t.Errorf("%s: %v", now, err)
									return
								}
								h.feed(Server, []byte(reply+"\r\n"))
							}
							h.l.End(h.s, Client)
							h.l.End(h.s, Server)
							h.l.Finish(h.s)
						}
					}
				}
			}
		}
	})
}

// A command is read behind a queue that was full, whatever command the last reply answers.
func TestFullQueueEmpties(t *testing.T) {
	for _, command := range []string{"DATA", "STARTTLS", "AUTH LOGIN"} {
		h := play("S: 220 mx", "C: EHLO a", "S: 250 mx")
		for i := range 3 * maxRuns {
			h.feed(Client, []byte([]string{"NOOP\r\n", "RSET\r\n"}[i%2]))
		}
		h.feed(Client, []byte(command+"\r\n"))
		for range 3 * maxRuns {
			h.feed(Server, []byte("250 ok\r\n"))
		}
		h.feed(Server, []byte("503 no\r\n"))
		h.feed(Client, []byte("MAIL FROM:<a@a.example>\r\n"))
		h.feed(Server, []byte("250 ok\r\n"))
		if h.s.Mails != 1 || h.s.Flags&TooManyPending == 0 {
			t.Errorf("%s refused: %d mails, flags %b", command, h.s.Mails, h.s.Flags)
		}
	}
}

// The recipients of one LMTP message do not count for the next.
func TestRecipientsOfTheMessageBefore(t *testing.T) {
	h := play("S: 220 mx", "C: LHLO a", "S: 250 mx", "C: MAIL FROM:<a@a.example>", "S: 250 ok")
	for range 1000 {
		h.feed(Client, []byte("RCPT TO:<b@b.example>\r\n"))
		h.feed(Server, []byte("250 ok\r\n"))
	}
	for _, waiting := range []uint32{1000, 1} {
		h.feed(Client, []byte("DATA\r\n"))
		h.feed(Server, []byte("354 go\r\n"))
		h.feed(Client, []byte("x\r\n.\r\n"))
		if got := h.s.client.pending.total; got != waiting {
			t.Errorf("%d replies are awaited, want %d", got, waiting)
		}
		for range waiting {
			h.feed(Server, []byte("250 ok\r\n"))
		}
	}
}

// Lines of random programs.
var (
	programCommands = []string{"NOOP", "RSET", "HELP", "VRFY a", "EHLO a", "HELO a", "LHLO a",
		"MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA", "BDAT 3", "BDAT +3",
		"BDAT 3 LAST",
		"BDAT 0 LAST", "BDAT 4000000000", "STARTTLS", "AUTH LOGIN", "AUTH PLAIN AGEAYg==", "QUIT", "what is this", "", ".", "x", "\x16\x03\x01\x00\x05hello", "PROXY UNKNOWN"}
	programReplies = []string{"220 mx", "221 bye", "235 ok", "250 ok", "250-a", "250 PIPELINING",
		"334 a", "354 go", "421 no", "451 no", "452 no", "500 no", "502 no", "503 no", "550 no",
		"554 no",
		"", "no reply", "\x16\x03\x03\x00\x02ab", "\x15\x03\x03\x00\x02ab"}
)

// Programs of pipelined commands, lost bytes and replies end, leave no bytes held for a reply that
// cannot come, and release their buffers.
func TestRandomPrograms(t *testing.T) {
	programs := 60_000
	if testing.Short() {
		programs = 6000
	}
	var program []string
	var seed uint64
	within(t, 60*time.Second, func() string { return fmt.Sprintf("seed %d: %q", seed, program) }, func() {
		for seed = range uint64(programs) {
			rng := rand.New(rand.NewPCG(seed, 5))
			program = program[:0]
			var h recorder
			h.s = h.l.New(rng.IntN(8) == 0, rng.IntN(8) == 0)
			some := func(words []string, most int) []byte {
				var b strings.Builder
				few := rng.IntN(3) == 0 // commands alternate: the queue fills
				for i := range 1 + rng.IntN(most) {
					word := words[rng.IntN(len(words))]
					if few {
						word = words[i%2]
					}
					b.WriteString(word + []string{"\r\n", "\r\n", "\r\n", "\n", ""}[rng.IntN(5)])
				}
				return []byte(b.String())
			}
			for range 1 + rng.IntN(24) {
				switch what := rng.IntN(10); {
				case what < 4:
					b := some(programCommands, 16)
					program = append(program, fmt.Sprintf("C %q", b))
					h.feed(Client, b)
				case what < 8:
					b := some(programReplies, 8)
					program = append(program, fmt.Sprintf("S %q", b))
					h.feed(Server, b)
				default:
					side, n := Side(what&1), []int{1, 2, 9, 60, 1000, 20_000}[rng.IntN(6)]
					program = append(program, fmt.Sprintf("gap %d %d", side, n))
					h.gap(side, n)
				}
				if err := checkWaiting(h.s); err != nil {
					t.Errorf("seed %d: %v\n%q", seed, err, program)
					return
				}
			}
			h.l.End(h.s, Client)
			h.l.End(h.s, Server)
			h.l.Finish(h.s)
			h.l.Free(h.s)
			seen := map[*byte]bool{}
			if h.l.Bytes() != cap(h.l.lentLine) || h.l.holders != (holders{}) {
				t.Errorf("seed %d: %d bytes are in use when all is over\n%q", seed, h.l.Bytes(),
					program)
				return
			}
			for _, b := range slices.Concat(h.l.blocks.free[:]...) {
				if p := &b[:1][0]; seen[p] {
					t.Errorf("seed %d: a buffer was given back twice\n%q", seed, program)
					return
				} else {
					seen[p] = true
				}
			}
		}
	})
}
