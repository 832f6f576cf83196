package detect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// Memory is what of a Host survives a restart. Windows of minutes and hours do not: a host that
// still sends fills them again. What the windows had proved is in the reasons. Hashes need the
// same secret.
type Memory struct {
	Verdict Verdict  `json:"Verdict"`
	Decided Decision `json:"Decided"`
	// Reasons by name, because their numbers are those of one version.
	Reasons map[string]SavedReason `json:"Reasons,omitempty"`

	Nets          SavedSet `json:"Nets"` // so that they are not new again
	Addrs         SavedSet `json:"Addrs"`
	HeloNames     SavedSet `json:"HeloNames"`
	SenderDomains SavedSet `json:"SenderDomains"`

	External    uint32          `json:"External"`
	Repeated    uint32          `json:"Repeated"`
	Answered    uint32          `json:"Answered"`
	Opened      uint32          `json:"Opened"`
	Heard       uint32          `json:"Heard"`
	Whole       uint32          `json:"Whole"`
	Attested    uint32          `json:"Attested"`
	Conflicting uint32          `json:"Conflicting"`
	Spread      SavedSpread     `json:"Spread"`
	Contacts    SavedContacts   `json:"Contacts"`
	Replies     SavedReplies    `json:"Replies"`
	Server      SavedServerLike `json:"Server"`
	Manner      SavedManner     `json:"Manner"`
	Names       SavedNames      `json:"Names"`
	Lists       SavedLists      `json:"Lists"`
	Oddities    []uint16        `json:"Oddities,omitempty"`
	Own         []uint32        `json:"Own,omitempty"` // networks and servers that it turned to itself
	OwnServers  []uint32        `json:"OwnServers,omitempty"`
	Mails       uint32          `json:"Mails"`
}

// SavedReason is a reason, and how it was told: what the text is made of is not all kept.
type SavedReason struct {
	Reason
	Text string `json:"Text,omitempty"`
}

// SavedSet is a set: its hashes, or when they are many the bits by which they are counted.
type SavedSet struct {
	Hashes []uint32 `json:"Hashes,omitempty"`
	Bits   []byte   `json:"Bits,omitempty"`
}

// SavedSpread is the test of new networks.
type SavedSpread struct {
	Sums []float64 `json:"Sums"`
	At   int64     `json:"At"`
}

// SavedContacts is the test of first contacts, but for those that wait for an answer.
type SavedContacts struct {
	LLR    float64     `json:"LLR"`
	Failed int         `json:"Failed"`
	Worked int         `json:"Worked"`
	Ports  []SavedPort `json:"Ports,omitempty"`
}

// SavedPort is what became of the attempts to a port.
type SavedPort struct {
	Port        uint16 `json:"Port"`
	Attempts    uint32 `json:"Attempts"`
	Answered    uint32 `json:"Answered"`
	Opened      uint32 `json:"Opened"`
	Refused     uint32 `json:"Refused"`
	Unreachable uint32 `json:"Unreachable"`
}

// SavedReplies is the test of refusals, and the count of unknown recipients.
type SavedReplies struct {
	SavedRefusals
	Unlisted      SavedRefusals `json:"Unlisted"` // without those that name a blocklist
	Recipients    uint32        `json:"Recipients"`
	Unknown       uint32        `json:"Unknown"`
	UnknownLLR    float64       `json:"UnknownLLR"`
	UnknownProved bool          `json:"UnknownProved"`
}

// SavedRefusals is one test of refusals.
type SavedRefusals struct {
	LLR      float64 `json:"LLR"`
	Sessions int     `json:"Sessions"`
	Refused  int     `json:"Refused"`
	Taken    uint32  `json:"Taken"`
	All      uint32  `json:"All"`
}

func (t *refusal) save() SavedRefusals {
	return SavedRefusals{t.llr, t.sessions, t.refused, t.taken, t.all}
}

func (r *SavedRefusals) refusal() refusal {
	return refusal{r.LLR, r.Sessions, r.Refused, r.Taken, r.All}
}

// SavedServerLike is what speaks for a mail server.
type SavedServerLike struct {
	Name      uint32 `json:"Name"`
	Sessions  uint32 `json:"Sessions"`
	Several   bool   `json:"Several"`
	Deferrals uint32 `json:"Deferrals"`
	Retried   uint32 `json:"Retried"`
	Served    uint32 `json:"Served"`
}

// SavedManner is how the host goes about it.
type SavedManner struct {
	Internal uint32      `json:"Internal"`
	Attempts uint32      `json:"Attempts"`
	HalfOpen uint32      `json:"HalfOpen"`
	Mute     uint32      `json:"Mute"`
	Sessions uint32      `json:"Sessions"`
	Welcomed uint32      `json:"Welcomed"`
	Checks   uint32      `json:"Checks"`
	Mails    uint32      `json:"Mails"`
	First    uint32      `json:"First"`
	Last     int64       `json:"Last"`
	Gaps     float64     `json:"Gaps"`
	Mean     float64     `json:"Mean"`
	Squares  float64     `json:"Squares"`
	TTL      [][2]uint32 `json:"TTL"` // and how often
	TTLs     uint32      `json:"TTLs"`
	Addr     uint32      `json:"Addr"`
	Ports    uint8       `json:"Ports"`
	Swept    uint32      `json:"Swept"`
}

// SavedNames are the names that it introduced itself with.
type SavedNames struct {
	Names []string `json:"Names,omitempty"`
	Given uint32   `json:"Given"`
	Worst string   `json:"Worst,omitempty"`
}

// SavedLists are the blocklists that servers named.
type SavedLists struct {
	Names  []string `json:"Names,omitempty"`
	Sample string   `json:"Sample,omitempty"`
}

// Memory is what is to be kept of a host.
func (h *Host) Memory(f *Facts) Memory {
	o, s, m := &h.outcome, &h.server, &h.manner
	d := Memory{Verdict: h.verdict, Decided: h.decided,
		Nets: h.nets.save(), Addrs: h.addrs.save(), HeloNames: h.names.distinct.save(), SenderDomains: h.envelope.distinct.save(),
		External: h.external, Repeated: h.repeated, Answered: h.answered, Opened: h.opened, Heard: h.heard, Whole: h.whole, Attested: h.attested, Conflicting: h.conflicting,
		Spread:   SavedSpread{slices.Clone(h.spread.s[:]), h.spread.at},
		Contacts: SavedContacts{LLR: o.llr, Failed: o.failed, Worked: o.worked},
		Replies:  SavedReplies{h.refusal.save(), h.unlisted.save(), h.unknown.recipients, h.unknown.unknown, h.unknown.llr, h.unknown.proved},
		Server:   SavedServerLike{s.name, s.sessions, s.several, s.deferrals, s.retried, s.served},
		Manner: SavedManner{m.internal, m.attempts, m.halfOpen, m.mute, m.sessions, m.welcomed, m.checks, m.mails, m.first, m.last, m.gaps, m.mean, m.squares,
			nil, m.ttls, m.addr, m.ports, m.swept},
		Names:    SavedNames{slices.Clone(h.names.name[:h.names.n]), h.names.given, h.names.worst},
		Lists:    SavedLists{slices.Clone(h.Lists()), Anonymous(h.lists.sample)},
		Oddities: slices.Clone(h.dialect[:]), Mails: h.envelope.mails, Own: slices.Clone(h.own.nets[:h.own.n]), OwnServers: slices.Clone(h.own.servers[:h.own.m])}
	d.Verdict.Level = h.level
	for _, t := range m.ttl {
		d.Manner.TTL = append(d.Manner.TTL, [2]uint32{uint32(t.ttl), t.n})
	}
	for _, p := range h.ports {
		if p.port != 0 {
			d.Contacts.Ports = append(d.Contacts.Ports, SavedPort{p.port, p.attempts, p.answered, p.opened, p.refused, p.unreachable})
		}
	}
	for code := range h.reasons {
		if h.reasons[code].First != 0 {
			if d.Reasons == nil {
				d.Reasons = map[string]SavedReason{}
			}
			d.Reasons[Code(code).String()] = SavedReason{h.reasons[code], Anonymous(h.Text(Code(code), f))}
		}
	}
	return d
}

// Recall is the opposite of Memory. It is to be called for a Host that has seen nothing yet.
// published says that a finding is open at its level; without one, the next observation publishes
// the verdict anew.
func (h *Host) Recall(d *Memory, published bool) {
	for code := range h.reasons {
		if r, ok := d.Reasons[Code(code).String()]; ok && h.off>>code&1 == 0 {
			h.reasons[code] = r.Reason
			if h.recalled == nil {
				h.recalled = map[Code]SavedReason{}
			}
			h.recalled[Code(code)] = r
		}
	}
	h.nets.load(&d.Nets, h.Room)
	h.addrs.load(&d.Addrs, h.Room)
	h.names.distinct.load(&d.HeloNames, nil)
	h.envelope.distinct.load(&d.SenderDomains, nil)
	h.external, h.repeated, h.answered, h.opened, h.heard = d.External, d.Repeated, d.Answered, d.Opened, d.Heard
	h.whole, h.attested, h.conflicting = d.Whole, d.Attested, d.Conflicting
	if d.Verdict.Level > Suspect && d.Whole == 0 { // an older version counted no such sessions, and wanted one for its verdict
		h.whole, h.attested = min(1, d.Opened), min(1, d.Heard)
	}
	copy(h.spread.s[:], d.Spread.Sums)
	h.spread.at = d.Spread.At
	h.outcome.llr, h.outcome.failed, h.outcome.worked = d.Contacts.LLR, d.Contacts.Failed, d.Contacts.Worked
	for i, p := range d.Contacts.Ports[:min(len(d.Contacts.Ports), len(h.ports))] {
		h.ports[i] = portOutcome{p.Attempts, p.Answered, p.Opened, p.Refused, p.Unreachable, p.Port}
	}
	r := &d.Replies
	h.refusal, h.unlisted = r.refusal(), r.Unlisted.refusal()
	h.unknown = unknown{r.Recipients, r.Unknown, r.UnknownLLR, r.UnknownProved}
	s := &d.Server
	h.server.name, h.server.sessions, h.server.several = s.Name, s.Sessions, s.Several
	h.server.deferrals, h.server.retried, h.server.served = s.Deferrals, s.Retried, s.Served
	m := &d.Manner
	h.manner = manner{m.Internal, m.Attempts, m.HalfOpen, m.Mute, m.Sessions, m.Welcomed, m.Checks, m.Mails, m.First, m.Last, m.Gaps, m.Mean, m.Squares,
		[4]ttlCount{}, m.TTLs, m.Addr, m.Ports, m.Swept}
	for i, t := range m.TTL[:min(len(m.TTL), len(h.manner.ttl))] {
		h.manner.ttl[i] = ttlCount{uint8(t[0]), t[1]}
	}
	h.names.n = uint8(copy(h.names.name[:], d.Names.Names))
	h.names.given, h.names.worst = d.Names.Given, d.Names.Worst
	h.lists.n = copy(h.lists.name[:], d.Lists.Names)
	h.lists.sample = d.Lists.Sample
	copy(h.dialect[:], d.Oddities)
	h.own.n, h.own.m = uint8(copy(h.own.nets[:], d.Own)), uint8(copy(h.own.servers[:], d.OwnServers))
	h.envelope.mails = d.Mails
	h.verdict, h.decided = d.Verdict, d.Decided
	h.verdict.Level = min(d.Verdict.Level, Confirmed)
	if published {
		h.level = h.verdict.Level
	} else {
		h.changed = len(d.Reasons) > 0
	}
}

// told reports whether a reason stands as it was before a restart, and how it was told.
func (h *Host) told(code Code) (text string, ok bool) {
	r, ok := h.recalled[code]
	return r.Text, ok && h.reasons[code].Last == r.Last
}

// Anonymous is a text from the wire as a checkpoint holds it: servers quote addresses, and of
// these the names of people are left out.
func Anonymous(text string) string {
	var b []byte
	for i := range len(text) {
		if text[i] == '@' {
			name := bytes.LastIndexAny(b, " \t<>()[]:;,='") + 1
			b = append(b[:name], '*')
		}
		b = append(b, text[i])
	}
	return string(b)
}

// save is the set as a checkpoint holds it.
func (s *set) save() (d SavedSet) {
	if !s.rough && s.n*4 <= setWords*3 {
		for _, v := range s.table {
			if v != 0 {
				d.Hashes = append(d.Hashes, v)
			}
		}
		slices.Sort(d.Hashes)
		return d
	}
	rough := s
	if !s.rough {
		rough = &set{table: make([]uint32, setWords), rough: true}
		for _, v := range s.table {
			if v != 0 {
				rough.mark(v)
			}
		}
	}
	for _, word := range rough.table {
		d.Bits = binary.LittleEndian.AppendUint32(d.Bits, word)
	}
	return d
}

// load takes over what save gave; nothing of it if it is neither.
func (s *set) load(d *SavedSet, room *Room) {
	if len(d.Bits) == setWords*4 {
		room.release(s.table)
		*s = set{table: make([]uint32, setWords), rough: true}
		for i := range s.table {
			s.table[i] = binary.LittleEndian.Uint32(d.Bits[i*4:])
			s.n += bits.OnesCount32(s.table[i])
		}
		return
	}
	for _, v := range d.Hashes[:min(len(d.Hashes), setWords)] {
		s.add(v, room)
	}
}

// MarshalText and UnmarshalText have checkpoints name classes, because their numbers are those of
// one version.
func (c Class) MarshalText() ([]byte, error) {
	if c >= Classes {
		return nil, fmt.Errorf("there is no class %d", c)
	}
	return []byte(c.String()), nil
}

// UnmarshalText: see MarshalText.
func (c *Class) UnmarshalText(name []byte) error {
	for *c = 0; *c < Classes; *c++ {
		if c.String() == string(name) {
			return nil
		}
	}
	return fmt.Errorf("there is no class %q", name)
}
