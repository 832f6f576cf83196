package engine

import (
	"fmt"
	"strings"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// transactions is a session with one server that repeats a part of a dialogue n times; "%d" in it
// is the number of the part.
func transactions(server string, sport uint16, n int, part func(i int) string) []timedFrame {
	c := newConn("10.0.0.5", server, sport, 25)
	text := "S: 220 mx.receiver.example ESMTP\nC: EHLO mail.sender.example\nS: 250 mx\n"
	for i := range n {
		text += part(i)
	}
	return c.dialogue(text + "C: QUIT\nS: 221 bye\n").frames
}

// transaction is a mail from a domain to k recipients, with the reply to each recipient and to the
// message. Commands are sent together if pipelined.
func transaction(domain string, pipelined bool, end string, rcpts ...string) string {
	ask, answer, taken := fmt.Sprintf("C: MAIL FROM:<a@%s>\n", domain), "S: 250 ok\n", false
	for i, reply := range rcpts {
		line := fmt.Sprintf("C: RCPT TO:<r%d@receiver.example>\n", i)
		if pipelined {
			ask += line
			answer += "S: " + reply + "\n"
		} else {
			ask += answer + line
			answer = "S: " + reply + "\n"
		}
		taken = taken || reply[0] == '2'
	}
	switch {
	case pipelined && taken:
		return ask + "C: DATA\n" + answer + "S: 354 go\nC: hello\nC: .\nS: " + end + "\n"
	case pipelined:
		return ask + "C: DATA\n" + answer + "S: 554 5.5.1 Error: " + end + "\n"
	case taken:
		return ask + answer + "C: DATA\nS: 354 go\nC: hello\nC: .\nS: " + end + "\n"
	}
	return ask + answer + "C: RSET\nS: 250 ok\n"
}

// TestTransactions checks which decisions of one server, about one connection's mails, make a bot.
// All come beside a bot's sign of another family, so that the refusals decide.
func TestTransactions(t *testing.T) {
	const (
		unknown  = "550 5.1.1 User unknown"
		spam     = "550 5.7.1 Message rejected as spam"
		disliked = "554 5.7.1 Access denied"
		grey     = "450 4.2.0 Greylisted, try again in 300 seconds"
	)
	many := func(i int) string { return fmt.Sprintf("d%d.example", i) }
	one := func(int) string { return "sender.example" }
	for _, c := range []struct {
		name string
		n    int
		part func(i int) string
		want bool // whether the test of refusals decides
	}{
		{"spam of many senders", 12, func(i int) string { return transaction(many(i), false, spam, "250 ok") }, true},
		{"spam of one sender", 12, func(i int) string { return transaction(one(i), false, spam, "250 ok") }, true},
		{"many senders, RSET after each refusal", 12, func(i int) string { return transaction(many(i), false, "", disliked) }, true},
		{"one sender, and the client is disliked", 60, func(i int) string { return transaction(one(i), false, "", disliked) }, false},
		{"20 recipients that do not exist, per mail", 12, func(i int) string {
			return transaction(one(i), true, "no valid recipients", strings.Split(strings.Repeat(unknown+"|", 19)+unknown, "|")...)
		}, true},
		{"20 recipients of one mail", 1, func(i int) string {
			return transaction(one(i), true, "no valid recipients", strings.Split(strings.Repeat(unknown+"|", 19)+unknown, "|")...)
		}, false},
		{"a third of the recipients of a list are gone", 60, func(i int) string { return transaction(one(i), true, "250 queued", "250 ok", unknown, "250 ok") }, false},
		{"greylisted, all sent together", 30, func(i int) string { return transaction(many(i), true, "nobody is left", grey) }, false},
		{"greylisted, one after the other", 30, func(i int) string { return transaction(many(i), false, "", grey) }, false},
		{"100 mails that are accepted", 100, func(i int) string { return transaction(many(i), true, "250 queued", "250 ok") }, false},
	} {
		var last *finding.Finding
		frames := together(bot(12, func(c *conn) { c.open().close() }), at(transactions("192.0.2.25", 30000, c.n, c.part), minute))
		r := analyse(Config{}, frames)
		for i := range r.findings {
			if f := &r.findings[i]; f.Class == verdict.Spambot || f.Class == verdict.UndeclaredServer {
				last = f
			}
		}
		weight, text := 0.0, ""
		if last != nil {
			for _, x := range last.Reasons {
				if x.Code == detect.Refusals && x.Server == "" {
					weight, text = x.Reason.Weight, x.Text
				}
			}
		}
		if (weight >= 4.6) != c.want {
			t.Errorf("%s: weight %.1f, %q", c.name, weight, text)
		}
	}
}
