package redact_test

import (
	"fmt"

	"spamsensor/smtpsniff/redact"
)

// A server quotes a recipient, and later a password that the client sent as a command.
func ExampleRedactor() {
	var r redact.Redactor  // one for all sessions of a shard
	var words redact.Words // one for each session

	r.AddLocalPart(&words, []byte("zoe"))
	reply := []byte("5.1.1 <zoe@example.net>: Recipient address rejected")
	fmt.Printf("%s\n", r.Redact(&words, reply, redact.LocalPartsOnly, nil))

	r.AddSensitive(&words, []byte("PASS sesame"))
	fmt.Println("sensitive:", words.Sensitive())
	reply = []byte("5.5.1 Command PASS c2VzYW1l unknown at [192.0.2.1]")
	fmt.Printf("%s\n", r.Redact(&words, reply, redact.AllButVocabulary, nil))
	// Output:
	// 5.1.1 <...@example.net>: Recipient address rejected
	// sensitive: true
	// 5.5.1 Command ... unknown at [192.0.2.1]
}
