package sources

import (
	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/track"
	"spamsensor/sensor/verdict"
	"spamsensor/smtpsniff"
)

// BriefSender is an address that has had few sessions: in clear, without AUTH, on port 25 of an
// external server. A bot that takes another IP address and another link-layer address for each mail
// looks like many machines by either; each of them is brief.
//
// The addresses of one network (/24, /64) whose frames look alike are a rotation. A rotation is one
// machine if its members come one after the other, none comes back, each has another link-layer
// address and contacts another network, several are refused, and the names that they give belong
// neither to their senders nor to each other. Lasting machines are not: guests and office PCs
// submit with AUTH or TLS or to one server, servers give names of their senders' domains, and
// infected machines come back and have findings of their own.
//
// Like a NewAddress, a BriefSender is handled at the end of a round, and the profile moves from
// each address to the next. A rotation is not saved: after a restart it needs as many senders as at
// first.
type BriefSender struct {
	Source      flowtable.HostKey
	MAC         [6]byte // link-layer address of the sender
	Signature   FrameSignature
	Start, End  int64  // of the session, ns
	ServerNet   uint32 // hash of the server's network
	Name        uint32 // hash of the HELO name, zero for none
	Sender      uint32 // hash of the sender's domain, zero for the null sender
	ForeignName bool   // the HELO name is not in the sender's domain
	Refused     bool   // the server refused something for its client
	Overlaps    bool   // it began before the one before had ended
	Returned    bool   // the address lasts: it came back after another one, or does more than send
	Sessions    int    // how many were closed
}

// FrameSignature is what the members of a rotation share besides their network: the hop limit of
// their frames and a hash of the link-layer address to which these go.
type FrameSignature struct {
	TTL     uint8
	NextHop uint16
}

const (
	// MaxBriefSessions is the number of sessions of an address before it makes room for the next.
	MaxBriefSessions = 4
	// maxBriefSenders bounds the senders of a round in a shard.
	maxBriefSenders = 64
)

// noteBriefSender records a closed session of a brief sender.
func (s *Observer) noteBriefSender(k *flowtable.Key, f *track.Flow,
	session *smtpsniff.Session, src *Source,
	prof *profile) {
	// A brief sender's frames are its own (no router, both sides from different machines), and the
	// whole dialogue is in clear.
	if prof == nil || session == nil || k.ServerPort != 25 || !f.Noted(peer.External) ||
		f.Noted(peer.Relay|peer.SelfMade) || !f.SeenBothSides() ||
		session.Mails == 0 || session.Encryption != smtpsniff.Plain ||
		session.Auth != smtpsniff.NoAuth ||
		src.flags&home == 0 || !s.eligible(src) || src.Counters.Sessions > 2*MaxBriefSessions ||
		src.mac == [6]byte{} || !detect.InitialTTL(f.Trace.TTL) {
		return
	}
	if len(s.notes.briefSenders) >= maxBriefSenders {
		s.notes.dropped++
		return
	}
	v := BriefSender{Source: k.ClientKey(), MAC: src.mac, Signature: FrameSignature{f.Trace.TTL,
		f.Trace.PeerLink}, Start: f.Start, End: f.Last,
		ServerNet: s.Peers.Of(k).Net, Refused: prof.WasRefused(),
		Sessions: 1}
	name := session.Helo()
	if len(name) > 0 {
		v.Name = max(1, uint32(s.all.cfg.Peers.HashName(name)))
	}
	own := peer.RegisteredDomain(name)
	// A name counts as foreign if no sender of the session has its domain. A session with the null
	// sender alone stays foreign: a bounce has no domain to compare with.
	v.ForeignName = true
	session.Senders(func(a []byte) {
		domain := peer.RegisteredDomain(smtpsniff.Domain(a))
		if len(domain) == 0 {
			return
		}
		// Zero means none, so a hash of zero becomes 1.
		v.Sender = max(1, uint32(s.all.cfg.Table.Secret.HashBytes([]byte(domain))))
		v.ForeignName = v.ForeignName && domain != own
	})
	s.notes.briefSenders = append(s.notes.briefSenders, v)
}

// TakeBriefSenders returns the brief senders of the round, in no order.
func (all *Set) TakeBriefSenders() []BriefSender {
	return drainShards(all, nil, func(s *Observer) *[]BriefSender {
		return &s.notes.briefSenders
	})
}

// Lasts reports whether a source is a machine that lasts: sessions with AUTH or TLS, many attempts,
// or the role of a mail server show it.
func (all *Set) Lasts(h *flowtable.HostKey) (is bool) {
	all.withSource(h, func(_ *Observer, _ flowtable.Ref, src *Source, _ *profile) {
		f := &src.Counters
		is = f.AuthSessions > 0 || f.TLSSessions > 0 || f.Attempts > 2*MaxBriefSessions ||
			src.flags&serving != 0
	})
	return is
}

// Supersede closes a source's open findings of some classes, because a finding of its machine
// replaces them. A finding that is held back is dropped as if it had never been opened.
func (all *Set) Supersede(h *flowtable.HostKey, now int64, some, held func(verdict.Class) bool) {
	all.withSource(h, func(s *Observer, _ flowtable.Ref, src *Source, prof *profile) {
		if prof == nil {
			return
		}
		for _, f := range prof.findings {
			switch {
			case f == nil || !f.Open || !some(f.Class):
			case held(f.Class):
				prof.findings[f.Class] = nil
			default:
				s.commit(src, prof, *h, []finding.Change{{Class: f.Class, Level: f.Level,
					Action: finding.Closed, Reason: finding.Superseded}}, now)
			}
		}
	})
}
