// Package smtpsniff overhears one SMTP dialogue from both sides, or from one, and says
// what was said: who the client claims to be, from whom the mail is, how many
// recipients it has, what the server answered, how many messages were taken.
//
// Words: client and server are the two sides; a transaction goes from MAIL to the end
// of data; a gap is bytes of a side that were not seen; a message is a transaction whose
// end of data got a 2xx reply.
//
// It is a listener and no server. It cannot ask again, it does not know what the
// server thinks, and bytes may be missing. So it follows the pairs of command and
// reply, assumes that commands are pipelined, and lets the replies decide where they
// can:
//
//	client                     waiting for a reply       server
//	                           [banner]                  220 mx ESMTP      banner
//	EHLO a, MAIL, RCPT, DATA   [EHLO MAIL RCPT DATA]     250-... 250 250   three are answered
//	                           [DATA]                    354               now the body comes
//	body, a line with a dot    [end of data]             250               one message
//
// What a client sends behind a DATA that was not answered yet is kept back, up to 8 KiB,
// until the answer says whether it is a message or commands. A line with a dot that
// only some servers take for the end of data (RFC 5321, section 4.1.1.4 knows one form;
// some accept a bare LF around the dot) is taken for text at first; when more replies come
// than that explains, the listener goes back and reads on from there as the server did.
//
// Nothing is ever remembered of message bodies, of lines that are no command, and of what follows
// AUTH: they may hold a password. Servers repeat such things; see hide.go for what of their replies
// is shown. Of the name in AUTH PLAIN and AUTH LOGIN a number is kept, if the Listener has a
// function that makes one.
//
// What it does not do: look into TLS, decode MIME, judge.
package smtpsniff

// Side is one end of the dialogue.
type Side uint8

// The sides.
const (
	Client Side = iota
	Server
)

// Proto is what a session turned out to be.
type Proto uint8

// The protocols.
const (
	Unknown  Proto = iota // nothing was said
	SMTP                  //
	TLS                   // from the first byte
	OtherApp              // something else
)

// String is the name used in events.
func (p Proto) String() string { return [...]string{"unknown", "smtp", "tls", "failed"}[p] }

// Encryption says how a session was encrypted.
type Encryption uint8

// The kinds of encryption.
const (
	Plain    Encryption = iota
	StartTLS            // after a command that the server accepted (RFC 3207)
	Implicit            // from the first byte (RFC 8314)
)

// String is the name used in events.
func (e Encryption) String() string { return [...]string{"none", "starttls", "implicit"}[e] }

// Auth says how far authentication went.
type Auth uint8

// The states of authentication.
const (
	NoAuth Auth = iota
	AuthOffered
	AuthTried // the outcome was not seen
	AuthFailed
	AuthOK
)

// String is the name used in events.
func (a Auth) String() string {
	return [...]string{"none", "offered", "tried", "failed", "ok"}[a]
}

// Extensions are what a server offered in its answer to EHLO, of what matters here.
type Extensions uint8

// The extensions.
const (
	OffersAuth       Extensions = 1 << iota // RFC 4954
	OffersSTARTTLS                          // RFC 3207
	OffersPipelining                        // RFC 2920
)

// Phase is the part of a dialogue that a reply belongs to.
type Phase uint8

// The phases.
const (
	NoPhase Phase = iota // the command that it answers is not known
	Banner
	Helo
	AuthPhase
	TLSPhase
	Mail
	Rcpt
	Data // the command
	EndOfData
	OtherPhase
)

// String is the name used in events.
func (p Phase) String() string {
	return [...]string{"unknown", "banner", "helo", "auth", "starttls", "mail", "rcpt", "data", "end_of_data", "other"}[p]
}

// Flags are what was odd in a session.
type Flags uint32

// The flags. FlagNames has their names in events.
const (
	Midstream          Flags = 1 << iota // the beginning was not seen
	GapClient                            // bytes of the client were not seen
	GapServer                            // bytes of the server were not seen
	LongLine                             // a line over 1024 bytes
	BareLF                               // a command ended with LF alone
	EarlyTalker                          // the client spoke before the banner
	Pipelined                            // commands were sent without waiting for replies
	TooManyPending                       // so many that their replies cannot be told apart
	UnknownCommand                       // a line that is no command
	BadReply                             // a server's line that is no reply
	ExtraReply                           // a reply to nothing
	Ambiguous                            // the number of messages is uncertain
	Smuggling                            // the server ended a message where the standard does not
	BadBDAT                              // BDAT with an impossible size, or one that the server read no chunk for
	AfterSTARTTLS                        // plain text behind an unanswered STARTTLS
	PlainAfterSTARTTLS                   // no TLS although the server agreed to it
	STARTTLSRefused                      // the server did not agree
	NoHelo                               // MAIL without HELO or EHLO before it
	DataRefused                          // DATA was refused
	NotSMTP                              // the client speaks something else
	Proxied                              // a load balancer said for whom it speaks
	Impatient                            // commands were sent without waiting to a server that had not offered PIPELINING (RFC 2920)
	CutShort                             // bytes that waited for what decides about them had to make room; see Listener.GiveUp
)

// FlagNames are the names of the flags, lowest bit first.
var FlagNames = []string{"midstream", "gap_client", "gap_server", "long_line", "bare_lf",
	"early_talker", "pipelined", "too_many_pending", "unknown_command", "bad_reply", "extra_reply", "ambiguous", "smuggling",
	"bad_bdat", "after_starttls", "plain_after_starttls", "starttls_refused", "no_helo", "data_refused", "not_smtp", "proxied", "impatient", "cut_short"}

// Enhanced is an enhanced status code (RFC 3463); the zero value is none.
type Enhanced struct{ Class, Subject, Detail uint16 }

// Kind says what an Event tells.
type Kind uint8

// The kinds of events.
const (
	HeloCommand     Kind = iota // Text is the name
	MailCommand                 // Text is the address, without brackets
	RcptCommand                 // Text is the address
	Reply                       // a reply: Phase, Code, Enhanced, Text
	MessageAccepted             // a message was taken
	TLSStarted                  // TLS begins
	NotSMTPFound                // this is not SMTP
)

// Event is something that was said. Text is borrowed until the next call of Feed, Gap
// or End on the Listener.
type Event struct {
	Kind     Kind
	Phase    Phase
	Code     uint16
	Enhanced Enhanced
	Text     []byte
	// Redacted is what of the text of a reply may be kept and shown. It is set for refusals.
	Redacted []byte
}

// Bounds of what is remembered of a session.
const (
	maxLine    = 1024 // of a line: its first and last 512 bytes
	maxHeld    = 8192 // of what a client sent ahead
	maxName    = 255  // of a HELO name or an address (RFC 5321, section 4.5.3.1)
	maxReply   = 256  // of the text of a reply
	maxSenders = 32   // MAIL commands with their address
	maxText    = 2048 // of all texts of a session
	usualText  = 128
	maxCodes   = 12 // different reply codes
	maxRefusal = 3  // refusals with their text
	maxAuth    = 16 // lines after AUTH
	maxRuns    = 12 // different commands in a row that wait for a reply
)

// CodeCount is how often a reply code came.
type CodeCount struct{ Code, Count uint16 }

// Refusal is a reply that refused something.
type Refusal struct {
	Phase    Phase
	Code     uint16
	Enhanced Enhanced
	text     span
}

// Session is one dialogue. Get one from [Listener.New].
type Session struct {
	Proto       Proto
	Encryption  Encryption
	Auth        Auth
	Flags       Flags
	Offers      Extensions // by the last answer to EHLO
	HeloVerb    Verb       // of the latest HELO, EHLO or LHLO
	LenientPath bool       // a path was written otherwise than "FROM:<a@b>", as RFC 5321 (4.1.2) has it
	isHolder    bool       // it is among the holders; see Listener.GiveUp
	// Counters; they stop at their largest value.
	Mails, Rcpts, RcptsRejected uint32 // commands, and refused ones
	Messages                    uint32 // taken
	Rejected, Deferred          uint32 // refusals of a session, a sender or a message: 5xx, 4xx
	Commands, Replies           uint32
	LastCode                    uint16
	Account                     uint32 // what Listener.Account made of the name given to AUTH; zero is none
	LastEnhanced                Enhanced

	codes    [maxCodes]CodeCount
	refusals [maxRefusal]Refusal
	nrefusal uint8

	text     []byte // all texts below
	fixedLen uint16 // how much of it stays whatever the client turns out to have said
	banner   span
	helo     span
	senders  [maxSenders]span
	nsenders uint8
	lastLen  uint16 // of server.text, which holds the last reply
	sni      span

	client clientParser
	server serverParser
	words  clientWords

	prevHolder, nextHolder *Session // among the holders; see Listener.GiveUp
}

// span is a part of a session's text.
type span struct{ off, len uint16 }

func (s *Session) at(p span) []byte { return s.text[p.off : p.off+p.len] }

// keepText remembers a text of up to max bytes, as far as there is room.
func (l *Listener) keepText(s *Session, b []byte, max int) span {
	n := min(len(b), max, maxText-len(s.text))
	p := span{uint16(len(s.text)), uint16(n)}
	if s.text == nil { // most sessions have no more
		s.text = l.blocks.get(usualText)
	}
	s.text = l.blocks.append(s.text, b[:n])
	return p
}

// keepFixed is keep of what stays whatever the client turns out to have said.
func (l *Listener) keepFixed(s *Session, b []byte, max int) span {
	p := l.keepText(s, b, max)
	s.fixedLen = uint16(len(s.text))
	return p
}

// The texts of a session are what the sides sent, byte for byte: whoever prints them
// escapes them. They are borrowed until the session is fed again.

// Banner is the text of the first reply.
func (s *Session) Banner() []byte { return s.at(s.banner) }

// Helo is the name that the client gave last.
func (s *Session) Helo() []byte { return s.at(s.helo) }

// SNI is the server name in the TLS handshake.
func (s *Session) SNI() []byte { return s.at(s.sni) }

// Senders calls f for the address of each MAIL command, up to 32; an empty one is the
// null sender.
func (s *Session) Senders(f func(address []byte)) {
	for _, p := range s.senders[:s.nsenders] {
		f(s.at(p))
	}
}

// Codes calls f for each reply code that came.
func (s *Session) Codes(f func(CodeCount)) {
	for _, c := range s.codes {
		if c.Count > 0 {
			f(c)
		}
	}
}

// Refusals calls f for the first replies that refused something.
func (s *Session) Refusals(f func(r Refusal, text []byte)) {
	for _, r := range s.refusals[:s.nrefusal] {
		f(r, s.at(r.text))
	}
}

// Prefetch fetches what Feed will look at first.
func (s *Session) Prefetch() uint64 {
	return uint64(s.client.mode) + uint64(s.server.code) + uint64(s.Commands) + uint64(s.client.chunk.left)
}

func inc(n *uint32) {
	if *n != ^uint32(0) {
		*n++
	}
}
