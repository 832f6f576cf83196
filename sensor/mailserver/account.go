package mailserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/sketch"
	"spamsensor/sensor/verdict"
)

// Accounts are the accounts of a mail server, by a keyed hash of their names. A name is known where
// the client sends it before TLS. Four signs say that somebody else uses an account, within a day:
//
//	spread    clients in 10 external networks; a person has home, office, telephone and hotel
//	volume    100 recipients in an hour, and five times the busiest hour of the days before;
//	          500 on the first day
//	strangers a quarter of its recipients do not exist, 10 at least: people mistype, and
//	          newsletters have dead addresses
//	senders   3 domains in its senders that were not there in the days before
//
// One sign is suspicious, two are likely, three are confirmed; spread counts twice.
//
// The fields are the format of the checkpoint.
type Accounts struct {
	Known map[uint32]Account `json:"Known,omitempty"`
	// hash of a sender > account that used it today
	Senders map[uint64]uint32 `json:"Senders,omitempty"`
	Day     int64             `json:"Day"`
	Full    uint64            `json:"Full"` // accounts beyond maxAccounts
}

// Account is the state of one account.
type Account struct {
	First      int64      `json:"First"`
	Last       int64      `json:"Last"`
	Nets       []Seen     `json:"Nets"`    // of its clients outside
	Domains    []Seen     `json:"Domains"` // of its senders
	Client     netip.Addr `json:"Client"`  // the latest external one
	Hour       int64      `json:"Hour"`
	Recipients uint32     `json:"Recipients"` // in it
	Peak       uint32     `json:"Peak"`       // busiest hour of the days before, and of this day
	Peaking    uint32     `json:"Peaking"`
	// recipients to which other servers replied today; Absent of them do not exist
	Tried      uint32        `json:"Tried"`
	Absent     uint32        `json:"Absent"`
	Level      verdict.Level `json:"Told"`
	ReportedAt int64         `json:"ToldAt"`
}

// Seen is the keyed hash of a value, and the seconds in which the value was seen first and last.
type Seen struct {
	Hash  uint32 `json:"Hash"`
	First uint32 `json:"First"`
	Last  uint32 `json:"Last"`
}

const (
	maxAccounts     = 256
	maxSenders      = 1024
	accountNets     = 10
	accountVolume   = 100
	accountTimes    = 5
	accountFirst    = 500
	accountStranger = 10
	accountSenders  = 3
)

// of is the state of an account; it is made for a new one. ok is false if there are maxAccounts
// others.
func (a *Accounts) of(hash uint32, now int64) (x Account, ok bool) {
	x, ok = a.Known[hash]
	if ok {
		return x, true
	}
	if a.Known == nil {
		a.Known = map[uint32]Account{}
	}
	if len(a.Known) >= maxAccounts {
		a.Full++
		return x, false
	}
	return Account{First: now}, true
}

// seen adds a hash to a list. In a full list it replaces the oldest one.
func seen(list []Seen, hash uint32, now int64) []Seen {
	at := sketch.Stamp(now)
	for i := range list {
		if list[i].Hash == hash {
			list[i].Last = at
			return list
		}
	}
	if len(list) >= accountNets {
		i := 0
		for j := range list {
			if list[j].Last < list[i].Last {
				i = j
			}
		}
		list = slices.Delete(list, i, i+1)
	}
	return append(list, Seen{hash, at, at})
}

// session observes a session in which an external client authenticated.
func (a *Accounts) session(s *Session, out *verdicts) {
	if x, ok := a.of(s.Account, s.Time); ok {
		x.Nets, x.Client, x.Last = seen(x.Nets, s.Net, s.Time), s.Client, s.Time
		a.judge(s.Account, x, s.Time, out)
	}
}

// submitted observes a message that the server accepted from an account.
func (a *Accounts) submitted(m *Mail, out *verdicts) {
	x, ok := a.of(m.Account, m.Time)
	if !ok {
		return
	}
	if h := m.Time / hour; h != x.Hour {
		x.Hour, x.Recipients = h, 0
	}
	for i := range m.Rcpts {
		if m.Rcpts[i].Code/100 == 2 {
			x.Recipients++
		}
	}
	x.Peaking, x.Last = max(x.Peaking, x.Recipients), m.Time
	if m.FromDomain != 0 {
		x.Domains = seen(x.Domains, m.FromDomain, m.Time)
	}
	if a.Senders == nil {
		a.Senders = map[uint64]uint32{}
	}
	if len(a.Senders) < maxSenders {
		a.Senders[m.From] = m.Account
	}
	a.judge(m.Account, x, m.Time, out)
}

// answered observes another server's reply to a recipient of a message that an account may have
// submitted.
func (a *Accounts) answered(from uint64, absent bool, now int64, out *verdicts) {
	hash, ok := a.Senders[from]
	x, known := a.Known[hash]
	if !ok || !known {
		return
	}
	x.Tried++
	if absent {
		x.Absent++
	}
	a.judge(hash, x, now, out)
}

// judge weighs the signs of an account, and stores its state.
func (a *Accounts) judge(hash uint32, x Account, now int64, out *verdicts) {
	var why []string
	spread := 0
	for _, n := range x.Nets {
		if sketch.Stamp(now)-n.Last < 86400 {
			spread++
		}
	}
	if spread >= accountNets {
		why = append(why, fmt.Sprintf("from at least %d networks outside", spread))
	}
	volume := max(accountVolume, accountTimes*x.Peak)
	if now-x.First < day {
		volume = accountFirst
	}
	if x.Hour == now/hour && x.Recipients >= volume {
		why = append(why, fmt.Sprintf("for %d recipients within an hour (the busiest hour of "+
			"the days before had %d)", x.Recipients, x.Peak))
	}
	if x.Absent >= accountStranger && x.Absent*4 >= x.Tried {
		why = append(why, fmt.Sprintf("for recipients, %d of %d of whom do not exist", x.Absent,
			x.Tried))
	}
	fresh := 0
	for _, d := range x.Domains {
		if d.First > sketch.Stamp(x.First)+86400 && sketch.Stamp(now)-d.First < 86400 {
			fresh++
		}
	}
	if fresh >= accountSenders {
		why = append(why, fmt.Sprintf("in the name of %s that it had never used",
			verdict.Plural(fresh, "domain")))
	}
	signs := len(why)
	if spread >= accountNets {
		signs++
	}
	level := verdict.Level(min(signs, int(verdict.Confirmed)))
	if level > x.Level || level > verdict.NoLevel && now-x.ReportedAt >= day {
		x.Level, x.ReportedAt = level, now
		text := fmt.Sprintf("An account was used within a day %s.", strings.Join(why, ", and "))
		if x.Client.IsValid() {
			text += fmt.Sprintf(" Account names are not kept: look in the server's log for the "+
				"account that %s used, last at %s UTC.",
				x.Client, time.Unix(0, x.Last).UTC().Format("15:04"))
		}
		out.add(verdict.Verdict{Class: verdict.HijackedAccount, Level: level, Client: x.Client,
			Code: fmt.Sprintf("account_%08x",
				hash), Time: now, Value: float64(len(why)), Threshold: 1, Text: text})
	}
	a.Known[hash] = x
}

// tick begins a new day, and drops accounts that were not used for 30 days.
func (a *Accounts) tick(now int64) {
	if now/day == a.Day {
		return
	}
	a.Day = now / day
	clear(a.Senders)
	for hash, x := range a.Known {
		if now-x.Last > 30*day {
			delete(a.Known, hash)
			continue
		}
		x.Peak, x.Peaking = max(x.Peak*9/10, x.Peaking), 0
		x.Tried, x.Absent = 0, 0
		a.Known[hash] = x
	}
}
