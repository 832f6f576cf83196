package smtpsniff

import "spamsensor/smtpsniff/redact"

// Side is one end of the dialogue.
type Side uint8

// The sides.
const (
	Client Side = iota
	Server
)

// Proto is the protocol that a session turned out to be.
type Proto uint8

// The protocols.
const (
	Unknown  Proto = iota // no command and no reply was captured
	SMTP                  // also with STARTTLS
	TLS                   // from the first byte
	OtherApp              // another protocol
)

// String is the protocol's name in events.
func (p Proto) String() string { return [...]string{"unknown", "smtp", "tls", "failed"}[p] }

// Encryption is the kind of a session's encryption.
type Encryption uint8

// The kinds of encryption.
const (
	Plain    Encryption = iota
	StartTLS            // after a command that the server accepted (RFC 3207)
	Implicit            // from the first byte (RFC 8314)
)

// String is the encryption's name in events.
func (e Encryption) String() string { return [...]string{"none", "starttls", "implicit"}[e] }

// Auth is how far authentication has come.
type Auth uint8

// The states of authentication.
const (
	NoAuth Auth = iota
	AuthOffered
	AuthTried // the outcome was not captured
	AuthFailed
	AuthOK
)

// String is the state's name in events.
func (a Auth) String() string {
	return [...]string{"none", "offered", "tried", "failed", "ok"}[a]
}

// Extensions is the set of those extensions in a server's answer to EHLO that matter here.
type Extensions uint8

// The extensions.
const (
	OffersAuth       Extensions = 1 << iota // RFC 4954
	OffersSTARTTLS                          // RFC 3207
	OffersPipelining                        // RFC 2920
	OffersChunking                          // RFC 3030
)

// Phase is the part of a dialogue to which a reply belongs.
type Phase uint8

// The phases.
const (
	NoPhase Phase = iota // it is not known which command the reply answers
	Banner
	Helo
	AuthPhase
	TLSPhase
	Mail
	Rcpt
	Data // the command DATA or BDAT
	EndOfData
	OtherPhase
)

// String is the phase's name in events.
func (p Phase) String() string {
	return [...]string{"unknown", "banner", "helo", "auth", "starttls", "mail", "rcpt", "data",
		"end_of_data", "other"}[p]
}

// Flags is the set of a session's oddities.
type Flags uint32

// The flags. FlagNames has their names in events.
const (
	Midstream          Flags = 1 << iota // the beginning was not captured
	GapClient                            // bytes of the client were not captured
	GapServer                            // bytes of the server were not captured
	LongLine                             // a line over 1024 bytes
	BareLF                               // a command ended with LF alone
	EarlyTalker                          // the client spoke before the banner
	Pipelined                            // commands were sent without waiting for replies
	TooManyPending                       // too many to know which command a reply answers
	UnknownCommand                       // a line that is no command
	BadReply                             // a server's line that is no reply
	ExtraReply                           // a reply to no command
	Ambiguous                            // the number of messages is uncertain
	Smuggling                            // the server ended a message where the standard does not
	BadBDAT                              // a bad size, or the server read no chunk behind BDAT
	AfterSTARTTLS                        // plain text behind a STARTTLS without a reply
	PlainAfterSTARTTLS                   // no TLS although the server agreed to it
	STARTTLSRefused                      // the server did not agree
	NoHelo                               // MAIL without HELO or EHLO before it
	DataRefused                          // DATA was refused
	NotSMTP                              // the client speaks another protocol
	Proxied                              // a load balancer has named the client
	Impatient                            // Pipelined, without an offer of PIPELINING (RFC 2920)
	CutShort                             // held bytes were dropped; see Listener.DropOldest
)

// FlagNames are the names of the flags in events, lowest bit first.
var FlagNames = []string{"midstream", "gap_client", "gap_server", "long_line", "bare_lf",
	"early_talker", "pipelined", "too_many_pending", "unknown_command", "bad_reply", "extra_reply",
	"ambiguous", "smuggling", "bad_bdat", "after_starttls", "plain_after_starttls",
	"starttls_refused", "no_helo", "data_refused", "not_smtp", "proxied", "impatient", "cut_short"}

// Enhanced is an enhanced status code (RFC 3463); the zero value is none.
type Enhanced struct{ Class, Subject, Detail uint16 }

// Kind is the kind of an Event.
type Kind uint8

// The kinds of events.
const (
	HeloCommand     Kind = iota // Text is the name
	MailCommand                 // Text is the address, without brackets
	RcptCommand                 // Text is the address
	Reply                       // a reply: Phase, Code, Enhanced, Text
	MessageAccepted             // a message was accepted
	TLSStarted                  // TLS begins
	NotSMTPFound                // the session is not SMTP
)

// Event is an observation in a session. Text and Redacted are borrowed until the next call of Feed,
// Gap or End on the Listener.
type Event struct {
	Kind     Kind
	Phase    Phase
	Code     uint16
	Enhanced Enhanced
	Text     []byte
	// Redacted is the text of a refusal without the parts that must not be kept or shown.
	Redacted []byte
}

// Bounds of what is kept of a session.
const (
	maxLine    = 1024 // of a line: its first and last 512 bytes
	maxHeld    = 8192 // held bytes of the client
	maxName    = 255  // of a HELO name or an address (RFC 5321, section 4.5.3.1)
	maxReply   = 256  // of the text of a reply
	maxSenders = 32   // MAIL commands with their address
	maxText    = 2048 // of all texts of a session
	usualText  = 128
	maxCodes   = 12 // different reply codes
	maxRefusal = 3  // refusals with their text
	maxAuth    = 16 // lines behind AUTH
	maxRuns    = 12 // runs of equal commands that wait for a reply
)

// CodeCount is the number of replies with a code.
type CodeCount struct{ Code, Count uint16 }

// Refusal is a reply that refused something.
type Refusal struct {
	Phase    Phase
	Code     uint16
	Enhanced Enhanced
	text     span
}

// Session is one dialogue. [Listener.New] makes one.
type Session struct {
	Proto       Proto
	Encryption  Encryption
	Auth        Auth
	Flags       Flags
	Offers      Extensions // by the last answer to EHLO
	HeloVerb    Verb       // of the latest HELO, EHLO or LHLO
	LenientPath bool       // a path differs from the form "FROM:<a@b>" of RFC 5321 (4.1.2)
	isHolder    bool       // it is in Listener.holders
	// Counters; they saturate.
	Mails, Rcpts, RcptsRejected uint32 // commands, and refused ones
	Messages                    uint32 // accepted
	Rejected, Deferred          uint32 // refusals of a session, a sender or a message: 5xx, 4xx
	Commands, Replies           uint32
	LastCode                    uint16
	Account                     uint32 // Listener.Account of the name in AUTH; zero is none
	LastEnhanced                Enhanced

	codes    [maxCodes]CodeCount
	refusals [maxRefusal]Refusal
	nrefusal uint8

	text     []byte // all texts below
	fixedLen uint16 // how much of it stays when bytes of the client are read again
	banner   span
	helo     span
	senders  [maxSenders]span
	nsenders uint8
	lastLen  uint16 // of server.text, which holds the last reply
	sni      span

	client clientParser
	server serverParser
	words  redact.Words

	prevHolder, nextHolder *Session // in Listener.holders
}

// span is a part of a session's text.
type span struct{ off, len uint16 }

func (s *Session) at(p span) []byte { return s.text[p.off : p.off+p.len] }

// keepText keeps a text of up to max bytes, as far as there is room.
func (l *Listener) keepText(s *Session, b []byte, max int) span {
	n := min(len(b), max, maxText-len(s.text))
	p := span{uint16(len(s.text)), uint16(n)}
	if s.text == nil { // the usual size is enough for most sessions
		s.text = l.blocks.get(usualText)
	}
	s.text = l.blocks.append(s.text, b[:n])
	return p
}

// keepFixed is keepText for a text that stays when bytes of the client are read again.
func (l *Listener) keepFixed(s *Session, b []byte, max int) span {
	p := l.keepText(s, b, max)
	s.fixedLen = uint16(len(s.text))
	return p
}

// The texts of a session are the bytes that the sides sent: callers that print them must escape
// them. They are borrowed until the session's next Feed.

// Banner is the text of the first reply.
func (s *Session) Banner() []byte { return s.at(s.banner) }

// Helo is the latest name of the client.
func (s *Session) Helo() []byte { return s.at(s.helo) }

// SNI is the server name in the TLS handshake.
func (s *Session) SNI() []byte { return s.at(s.sni) }

// Senders calls f for the address of each MAIL command, up to 32; an empty one is the null sender.
func (s *Session) Senders(f func(address []byte)) {
	for _, p := range s.senders[:s.nsenders] {
		f(s.at(p))
	}
}

// Codes calls f for each reply code and its count.
func (s *Session) Codes(f func(CodeCount)) {
	for _, c := range s.codes {
		if c.Count > 0 {
			f(c)
		}
	}
}

// Refusals calls f for the first replies that refused something, up to 3.
func (s *Session) Refusals(f func(r Refusal, text []byte)) {
	for _, r := range s.refusals[:s.nrefusal] {
		f(r, s.at(r.text))
	}
}

// SentAhead reports whether the client of a session whose server is not captured has sent a message
// together with its DATA, so that it cannot have waited for the 354.
func (s *Session) SentAhead() bool { return s.client.seen.sentAhead }

// Prefetch reads the cache lines that Feed reads first, so that the waits for memory of many
// sessions overlap. The result has no meaning.
func (s *Session) Prefetch() uint64 {
	p := &s.client
	return uint64(p.mode) + uint64(s.server.code) + uint64(s.Commands) + p.chunk.left
}

// inc increments a counter that saturates.
func inc(n *uint32) {
	if *n != ^uint32(0) {
		*n++
	}
}
