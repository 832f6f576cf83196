package mailserver

import (
	"net/netip"
	"slices"

	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff/refusal"
)

// Server is the whole state of one mail server of ours. The zero value is a server of which nothing
// was seen. Its size is bounded: about 60 KB, and 60 bytes for every delivery that waits.
//
// The fields are the format of the checkpoint.
type Server struct {
	First    int64    `json:"First"` // observation
	Last     int64    `json:"Last"`
	Traffic  Traffic  `json:"Traffic"`
	Queue    Queue    `json:"Queue"`
	Relay    Relay    `json:"Relay"`
	Hijack   Hijack   `json:"Hijack"`
	Accounts Accounts `json:"Accounts"`
	Count    Counts   `json:"Count"`
	// Backscatter is the share of returned mail.
	Backscatter Backscatter `json:"Backscatter"`
	// Brought is how many messages strangers brought.
	Brought uint64 `json:"Brought"`

	out verdicts // of the latest call; the next call overwrites it
}

// verdicts is the result of one call of Observe or Advance, in order.
type verdicts []verdict.Verdict

func (l *verdicts) add(v verdict.Verdict) { *l = append(*l, v) }

// Kind is the kind of an Observation. It says which fields are set.
type Kind uint8

// The kinds.
const (
	InboundMail  Kind = iota // Mail: a client delivers a message to the server, or tries to
	OutboundMail             // Mail: the server delivers a message to another one, or tries to
	SessionEnd               // Session
	Connecting               // Net, Host: the server tries to connect to another one
	Answered                 // Net, Host: the other server answered
	Refused                  // Net, Host: the other server refused, or is unreachable
	Resolved                 // Net, Name: a mail server of the domain is in the network
)

// Observation is one fact about a mail server. Mail and Session are borrowed until Observe returns.
type Observation struct {
	Kind    Kind
	Time    int64
	Mail    *Mail
	Outside bool // of OutboundMail: the other server is none of ours
	Session *Session
	Net     uint32 // hash of the other server's network
	Host    uint32 // hash of its address
	Name    uint32 // hash of its domain
}

// Observe takes in an observation and returns the verdicts that it leads to. The slice is valid
// until the next call of Observe or Advance. Advance must be called before, with the observation's
// time.
func (s *Server) Observe(o *Observation) []verdict.Verdict {
	s.out = s.out[:0]
	switch o.Kind {
	case InboundMail:
		s.inbound(o.Mail, &s.out)
	case OutboundMail:
		if o.Outside { // mail between our own servers is no traffic of the server
			s.outbound(o.Mail, &s.out)
		}
	case SessionEnd:
		s.session(o.Session, &s.out)
	case Connecting:
		s.Queue.connecting(o.Net, o.Host, o.Time)
	case Answered:
		s.Queue.answer(o.Net, o.Host)
	case Refused:
		s.Queue.fail(o.Net, o.Host, false, o.Time)
	case Resolved:
		s.Queue.belongs(o.Net, o.Name, true)
	}
	return s.out
}

// Advance moves the time on to now, in nanoseconds since 1970, and returns the verdicts of the time
// in between. The slice is valid until the next call of Observe or Advance.
func (s *Server) Advance(now int64) []verdict.Verdict {
	s.out = s.out[:0]
	s.tick(now, &s.out)
	return s.out
}

// Counts are the counters of a server since its first observation.
type Counts struct {
	MessagesOut   uint64 `json:"MessagesOut"`
	MessagesIn    uint64 `json:"MessagesIn"`
	SessionsOut   uint64 `json:"SessionsOut"`
	SessionsIn    uint64 `json:"SessionsIn"`
	RecipientsOut uint64 `json:"RecipientsOut"`
	// deliveries refused for good, and for now
	FailedOut   uint64                  `json:"FailedOut"`
	DeferredOut uint64                  `json:"DeferredOut"`
	AbsentOut   uint64                  `json:"AbsentOut"` // recipients that do not exist
	BytesOut    uint64                  `json:"BytesOut"`
	AuthOK      uint64                  `json:"AuthOK"` // sessions from outside
	AuthFailed  uint64                  `json:"AuthFailed"`
	Listed      uint64                  `json:"Listed"`     // refusals that named a blocklist
	FailedBy    [PhaseClasses]uint64    `json:"FailedBy"`   // refusals of either kind
	FailedWhy   [refusal.Reasons]uint64 `json:"FailedWhy"`  // the same, by what the replies say
	BouncesOut  uint64                  `json:"BouncesOut"` // messages without a sender
	// sessions in which our own hosts submit, by port
	Port25In uint64 `json:"Port25In"`
	SubmitIn uint64 `json:"SubmitIn"`
	// addresses of those on port 25, up to 16
	Port25 []netip.Addr `json:"Port25,omitempty"`
}

// PhaseClass is the phase of a session in which a delivery was refused.
type PhaseClass uint8

// The phases of a delivery.
const (
	AtConnect PhaseClass = iota // banner or HELO
	AtMail
	AtRcpt
	AtData // DATA or its end
	PhaseClasses
)

// String is the name used in events.
func (p PhaseClass) String() string { return [...]string{"connect", "mail", "rcpt", "data"}[p] }

// Mail is the observation of one transaction with a mail server, from MAIL to its end.
type Mail struct {
	Time       int64
	Client     netip.Addr // the other side
	Net, Host  uint32     // hashes of its network and its address
	Name       uint32     // hash of the domain in its greeting; zero for none
	From       uint64     // hash of the sender's address
	FromDomain uint32     // hash of its domain; zero if there is none
	Account    uint32     // hash of the account of the client; zero if unknown
	FromText   string
	// Stranger says that the other side is an external client and did not authenticate.
	Stranger bool
	Rcpts    []Recipient
	Accepted bool
	Over     bool   // it ended without a message
	Code     uint16 // of the refusal of MAIL, DATA or the end of data, if there was one
	Phase    PhaseClass
	Why      refusal.Reason // of the refusal that came last
	Listed   bool           // a refusal named a blocklist
}

// Recipient is one recipient of a Mail.
type Recipient struct {
	Hash   uint64 // of the address
	Domain uint32 // hash
	Name   string // of the domain
	Where  Locality
	Code   uint16 // of the reply; zero if none was seen
	Relay  bool   // the reply speaks of relaying
	Absent bool   // the reply says that there is no such recipient
	// Neutral says that the reason of the refusal does not lie in the client or its mail.
	Neutral bool
	// Onward is the hash of the address to which the recipient asks the server to forward, as
	// user%there@here does; zero for none.
	Onward     uint64
	OnwardName string // its domain
}

func (m *Mail) proof(to *Recipient) *verdict.RelayProof {
	return &verdict.RelayProof{Client: m.Client, MailFrom: m.FromText, RcptDomain: to.Name,
		ReplyCode: to.Code}
}

// Session is the observation of the end of a session with a mail server.
type Session struct {
	Time     int64
	Net      uint32
	Host     uint32 // hash of its address
	Name     uint32 // see Mail
	Inbound  bool
	External bool   // the other side is outside our networks
	Own      bool   // it is a host of ours and no server
	Submit   bool   // on a port for submission
	Auth     bool   // it authenticated
	Account  uint32 // see Mail
	Client   netip.Addr
	AuthFail bool
	Hidden   bool // the dialogue is encrypted
	Messages uint32
	Bytes    uint64         // from the client
	Refused  bool           // it ended before the MAIL command
	Why      refusal.Reason // of that
	Listed   bool
}

// tick moves the time on to now. Queue and relay are judged once a minute.
func (s *Server) tick(now int64, out *verdicts) {
	if s.First == 0 {
		s.First = now
	}
	minutes := now/minute != s.Last/minute
	s.Last = max(s.Last, now)
	for _, a := range s.Traffic.tick(now) {
		s.alarm(a, out)
	}
	if !minutes {
		return
	}
	s.Relay.tick(now)
	s.Accounts.tick(now)
	s.Queue.least = s.Traffic.leastQueue(now, s.Queue.Hidden != 0)
	q, alarm := s.Queue.tick(now)
	s.Traffic.follow(&s.Queue.Outage, now, &q)
	if alarm {
		// Destinations that defer are an outage more often than an abuse.
		v := verdict.Verdict{Class: verdict.VolumeAnomaly, Level: verdict.Suspect,
			Code: "queue_grew", Time: now, Value: float64(q.Estimate), Threshold: minQueue,
			Text: q.sentence()}
		if 2*q.Listed > q.Estimate {
			// the listing has a finding of its own
			v.Code, v.Level = "queue_blocklisted", verdict.Likely
		}
		out.add(v)
	}
}

// Resume must be called after a restart: the server's mail since the checkpoint is not known. If
// the clock was put back meanwhile, no saved time may lie in the future, because it would never
// expire.
func (s *Server) Resume(now int64) {
	s.First, s.Last = min(s.First, now), min(s.Last, now)
	s.Traffic.Start = min(s.Traffic.Start, now)
	s.Traffic.resume(now)
	s.Queue.resume(now)
}

func (s *Server) alarm(a volumeAlarm, out *verdicts) {
	v := verdict.Verdict{Class: verdict.VolumeAnomaly, Level: verdict.Likely,
		Code: "volume_" + a.Kind, Time: a.Time, Value: a.Value, Threshold: a.Expected,
		Text: a.sentence()}
	if a.Metric != SubmitNetworks {
		out.add(v)
	}
	s.Hijack.alarm(&a, out)
	if a.Metric == OutSessions || a.Metric == OutMessages {
		s.Relay.burst(&a, out)
	}
}

func (s *Server) add(m Metric, n uint64, now int64, out *verdicts) {
	if a, ok := s.Traffic.add(m, n, now); ok {
		s.alarm(a, out)
	}
}

// inbound observes a message that a client delivers to the server.
func (s *Server) inbound(m *Mail, out *verdicts) {
	if m.Accepted {
		s.Count.MessagesIn++
		if m.Stranger {
			s.Brought++
		}
		if m.Account != 0 {
			s.Accounts.submitted(m, out)
		}
	}
	s.Relay.inbound(m, out)
}

// outbound observes a message that the server delivers to an external one.
func (s *Server) outbound(m *Mail, out *verdicts) {
	taken := uint64(0)
	refused := m.Code != 0
	s.Backscatter.outbound(m, s.Brought, out)
	s.Queue.belongs(m.Net, m.Name, true)
	for i := range m.Rcpts {
		to := &m.Rcpts[i]
		delivery := m.From ^ (to.Hash*0x9e3779b97f4a7c15 + 1)
		code := to.Code
		if m.Code != 0 && (code == 0 || code/100 == 2) {
			code = m.Code
		}
		s.Queue.belongs(m.Net, to.Domain, false)
		if code != 0 {
			s.Accounts.answered(m.From, to.Absent, m.Time, out)
		}
		if to.Absent {
			s.Count.AbsentOut++
		}
		switch {
		case code/100 == 2 && m.Accepted:
			taken++
			s.Queue.resolve(delivery, m.Net, m.Host, m.Time)
			if a, ok := s.Traffic.domain(to.Domain, m.Time); ok {
				s.alarm(a, out)
			}
		case code >= 500:
			s.Queue.resolve(delivery, m.Net, m.Host, m.Time)
			s.Count.FailedOut++
			refused = true
		case code >= 400:
			s.Queue.deferred(delivery, m.Net, m.Host, m.Listed, m.Time)
			s.Count.DeferredOut++
			refused = true
		}
	}
	if m.Code != 0 && len(m.Rcpts) == 0 { // MAIL itself was refused
		s.Queue.fail(m.Net, m.Host, m.Listed, m.Time)
		if m.Code >= 500 {
			s.Count.FailedOut++
		} else {
			s.Count.DeferredOut++
		}
	}
	if refused {
		s.Count.FailedBy[m.Phase]++
		s.Count.FailedWhy[m.Why]++
		s.add(OutRefusals, 1, m.Time, out)
		if m.Listed {
			s.Count.Listed++
		}
	}
	if m.Accepted {
		s.Queue.accepted(m.Net, m.Time)
		s.Count.MessagesOut++
		s.Count.RecipientsOut += taken
		if m.FromText == "" {
			s.Count.BouncesOut++
		}
		s.add(OutMessages, 1, m.Time, out)
		s.add(OutRecipients, taken, m.Time, out)
		if m.FromDomain != 0 {
			if a, ok := s.Traffic.senderDomain(m.FromDomain, m.Time); ok {
				s.alarm(a, out)
			}
		}
		s.Relay.outbound(m, out)
	}
}

// session observes the end of a session.
func (s *Server) session(x *Session, out *verdicts) {
	s.Relay.session(x, out)
	if x.Inbound {
		s.Count.SessionsIn++
		if x.Own {
			s.Count.submits(x)
		}
		if x.External && x.Auth {
			s.Count.AuthOK++
		}
		if x.External && x.Auth && x.Account != 0 {
			s.Accounts.session(x, out)
		}
		if x.External && x.AuthFail {
			s.Count.AuthFailed++
		}
		// In an encrypted session on a submission port a client that transfers a message has
		// authenticated: the server accepts no message otherwise.
		if x.External && x.Submit && (x.Auth || x.Hidden && x.Bytes >= submitted) {
			if a, ok := s.Traffic.submitNetwork(x.Net, x.Time); ok {
				s.alarm(a, out)
			}
		}
		return
	}
	if !x.External {
		return
	}
	s.Queue.belongs(x.Net, x.Name, true)
	if x.Hidden {
		s.Queue.Hidden = x.Time
	}
	s.Count.SessionsOut++
	s.Count.BytesOut += x.Bytes
	s.add(OutSessions, 1, x.Time, out)
	s.add(OutBytes, (x.Bytes+16<<10)>>15, x.Time, out)
	switch {
	case x.Refused:
		s.Count.FailedBy[AtConnect]++
		s.Count.FailedWhy[x.Why]++
		s.add(OutRefusals, 1, x.Time, out)
		if x.Listed {
			s.Count.Listed++
		}
		s.Queue.fail(x.Net, x.Host, x.Listed, x.Time)
	case x.Hidden && x.Bytes >= submitted:
		s.Queue.work(x.Net, x.Host, x.Time)
		s.Queue.accepted(x.Net, x.Time)
	}
}

// submits counts a session in which one of our own hosts submits mail.
func (c *Counts) submits(x *Session) {
	if x.Submit {
		c.SubmitIn++
		return
	}
	c.Port25In++
	if len(c.Port25) < 16 && !slices.Contains(c.Port25, x.Client) {
		c.Port25 = append(c.Port25, x.Client)
	}
}

// submitted is the number of client bytes from which on an encrypted session carries a message.
// Handshake, commands and credentials are less.
const submitted = 2500

// Record is the state of a server in an event.
type Record struct {
	Addr     netip.Addr
	Declared bool
	First    int64
	Time     int64
	Learning bool
	Count    Counts
	Accounts int      // known ones
	Hour     PastHour // messages out in the last whole hour
	Queue    QueueState
	Outage   Outage // the latest

	DomainsConfigured                    bool // local domains are configured
	RelayDenied, RelayStrangers, Relayed uint64
	RelayDeniedLast                      int64

	AccountsFull uint64 // logins to accounts beyond maxAccounts
}

// Record is the state of the server at a time.
func (s *Server) Record(now int64) Record {
	return Record{First: s.First, Time: now, Learning: s.Traffic.learning(now), Count: s.Count,
		Accounts: len(s.Accounts.Known), Hour: s.Traffic.Series[OutMessages].Before,
		Queue: s.Queue.state(now), Outage: s.Queue.Outage, RelayDenied: s.Relay.Denied,
		RelayStrangers: uint64(len(s.Relay.Strangers)), Relayed: s.Relay.Relayed,
		RelayDeniedLast: s.Relay.DeniedLast,
		AccountsFull:    s.Accounts.Full}
}
