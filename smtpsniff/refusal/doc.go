// Package refusal reads the text of a mail server's refusal:
//
//	554 5.7.1 Client host [198.51.99.7] blocked using zen.spamhaus.org
//	--> Classify       Blocklisted
//	--> ParseCitation  list zen.spamhaus.org, address 198.51.99.7
//
// [Classify] gives the reason of the refusal, [ParseCitation] the blocklist and the addresses that
// its text names, [GreetedAddress] the address in an answer to EHLO. The package knows no host,
// does not judge the client, and keeps nothing.
package refusal
