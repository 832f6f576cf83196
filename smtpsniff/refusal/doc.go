// Package refusal reads the text of a mail server's refusal:
//
//	554 5.7.1 Client host [198.51.99.7] blocked using zen.spamhaus.org
//	--> Classify  Blocklisted
//	--> Cite      list zen.spamhaus.org, address 198.51.99.7
//
// [Classify] gives the one reason of the refusal, [Cite] the blocklist and the addresses that its
// text names, [GreetedAddress] the address in an answer to EHLO. The package knows no host, does
// not judge the client, and keeps nothing.
//
// A single word says little: Gmail advises home users to use the SMTP relay of their provider, and
// refuses to relay for nobody by that. So a text is first brought to a line of words in which host
// names, addresses, links and mailboxes are signs (text.go). The rules are phrases of that line,
// each with the words that must or must not stand beside it (rules.go). They are asked in the order
// of how much they explain (classify.go): the receiver cannot ask its list; an enhanced status code
// that has one meaning; what is said about the sender, the client, the recipient, the message; the
// codes that have several meanings.
//
// A text names a blocklist only if its reason is one, and if words of a list stand before the name:
// the link in a refusal because of SPF leads to somebody's help (citation.go).
package refusal
