package smtpsniff_test

import (
	"fmt"
	"strings"

	"spamsensor/smtpsniff"
)

// A client sends its commands before the replies to them; the server refuses the second recipient.
func ExampleListener() {
	var listener smtpsniff.Listener // one for all sessions of a shard
	session := listener.New(false, false)
	feed := func(side smtpsniff.Side, lines ...string) {
		listener.Feed(session, side, []byte(strings.Join(lines, "\r\n")+"\r\n"))
		for _, e := range listener.Events {
			switch e.Kind {
			case smtpsniff.HeloCommand:
				fmt.Printf("name %s\n", e.Text)
			case smtpsniff.MailCommand:
				fmt.Printf("sender %s\n", e.Text)
			case smtpsniff.RcptCommand:
				fmt.Printf("recipient %s\n", e.Text)
			case smtpsniff.Reply:
				if e.Code >= 400 {
					fmt.Printf("%s refused: %d %s\n", e.Phase, e.Code, e.Redacted)
				}
			case smtpsniff.MessageAccepted:
				fmt.Println("message accepted")
			}
		}
	}
	feed(smtpsniff.Server, "220 mx.example.net ESMTP")
	feed(smtpsniff.Client, "EHLO pc.example.org")
	feed(smtpsniff.Server, "250-mx.example.net", "250 PIPELINING")
	feed(smtpsniff.Client, "MAIL FROM:<anna@example.org>", "RCPT TO:<ben@example.net>",
		"RCPT TO:<zoe@example.net>", "DATA")
	feed(smtpsniff.Server, "250 2.1.0 Ok", "250 2.1.5 Ok",
		"550 5.1.1 <zoe@example.net>: Recipient address rejected", "354 End data with a dot")
	feed(smtpsniff.Client, "Subject: hello", "", "text", ".", "QUIT")
	feed(smtpsniff.Server, "250 2.0.0 Ok: queued", "221 Bye")

	listener.Finish(session)
	fmt.Println("messages:", session.Messages, "protocol:", session.Proto)
	listener.Free(session)
	// Output:
	// name pc.example.org
	// sender anna@example.org
	// recipient ben@example.net
	// recipient zoe@example.net
	// rcpt refused: 550 5.1.1 <...@example.net>: Recipient address rejected
	// message accepted
	// messages: 1 protocol: smtp
}
