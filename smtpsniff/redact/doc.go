// Package redact removes from a mail server's reply the text that the client has sent: the name of
// a user who may not use this sender, a line that is no command, a mailbox that does not exist.
//
// Words:
//
//	local part   what is before the @ of a mailbox (RFC 5321, section 4.1.2)
//	sensitive    credentials, lines that are no command, and parameters that may name a person
//	word         a run of letters, digits and bytes beyond ASCII
//	part         a run of bytes of a reply without blanks
//	vocabulary   a closed list of ordinary words of servers' replies, without names of persons
//	level        how much of a reply is removed
//
// [Words] holds what one client has sent, as keyed hashes of the first six letters of each word, so
// that a reply with a part of a word is redacted too. [Redactor] adds words to it and compares
// replies with it:
//
//	client  RCPT TO:<zoe@example.net>            AddLocalPart "zoe"
//	server  550 5.1.1 <zoe@example.net>: Recipient address rejected
//	                                             Redact
//	shown   5.1.1 <...@example.net>: Recipient address rejected
//
// The [Level] depends on the bytes that the client has sent:
//
//	no sensitive bytes         LocalPartsOnly    the words of local parts are removed
//	perhaps sensitive bytes    AllButVocabulary  all is removed but the vocabulary, network
//	                                             addresses and the names of blocklists, and of
//	                                             these what the client has sent
//	more than can be kept      AllButLists       all is removed but the names of well-known
//	                                             blocklists
//
// Letters are compared without case, and after each encoding that servers use: percent signs,
// equals signs and plus signs with two hexadecimal digits, base64, hexadecimal digits. Two words
// with equal hashes, once in four billion pairs, make a reply lose a word that could be shown.
//
// The files: redact.go (replies), part.go (what a part of a reply is), words.go (what the client
// has sent), decode.go (encodings), vocabulary.go (the list).
//
// The package does not know commands or sessions: the caller finds the local parts and the
// sensitive bytes in a dialogue, and chooses the level. It does not hide domains, host names and
// network addresses at the lowest level, because a refusal cannot be understood without them. It
// does not read the encoded text of other charsets, nor words that a server translates.
package redact
