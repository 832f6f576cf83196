// Package smtpsniff reads one SMTP dialogue as an observer, from both sides or from one, and emits
// what the dialogue shows: the client's name, senders, recipients, replies, accepted messages.
//
// Words:
//
//	client, server  the two sides
//	session         the dialogue of one connection
//	transaction     from MAIL to the end of data
//	message         a transaction whose end of data got a 2xx reply
//	gap             bytes of a side that were not captured
//	held            bytes of the client that a later reply decides how to read
//	one-sided       a session of whose server no byte is captured
//	lenient end     a line with a dot that only some servers take for the end of data
//
// The listener is no server. It cannot ask again, it does not know the server's state, and bytes
// may be missing. It follows the pairs of command and reply, assumes that commands are pipelined,
// and lets the replies decide where they can:
//
//	client                     pending                   server
//	                           [banner]                  220 mx ESMTP      banner
//	EHLO a, MAIL, RCPT, DATA   [EHLO MAIL RCPT DATA]     250-... 250 250   three are answered
//	                           [DATA]                    354               now the message comes
//	message, line with a dot   [end of data]             250               one message
//
// Bytes behind a DATA without a reply are held, up to 8 KiB, until the reply shows whether they are
// a message or commands. A lenient end (RFC 5321, section 4.1.1.4 knows one form of the end of
// data; some servers accept a bare LF around the dot) counts as text at first; when more replies
// come than that explains, the listener goes back and reads on from there as the server did.
//
// A line of the server without a code, as "4.7.0 TLS not available", is the reply to the command
// before it if the client has waited for it: what the server meant is seen in what the client does
// next. The same holds for a 2xx reply to DATA, which no standard has.
//
// The files of the client's half: client.go (its bytes), command.go (lines), message.go (data and
// chunks), holdback.go (bytes that are read again), tls.go. Those of the server's half: server.go
// (lines), reply.go (replies), infer.go (lost replies). pending.go has the commands that wait for a
// reply, redaction.go what package redact gets to know of the client and of the dialogue.
//
// The listener never keeps anything of messages, of lines that are no command, and of credentials.
// Servers quote such bytes in their replies; package redact removes them. Of the name in AUTH PLAIN
// and AUTH LOGIN it keeps a number, if Listener.Account makes one.
//
// The package does not decrypt TLS, does not decode MIME, and does not judge.
package smtpsniff
