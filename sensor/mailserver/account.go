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

// Accounts are those of a mail server, by a keyed hash of their names: it is known where names are sent
// before TLS. Four signs say that somebody else uses one, within a day:
//
//	spread    clients in 10 networks outside; a person has home, office, telephone and hotel
//	volume    100 recipients in an hour, and five times the busiest hour of the days before; 500 on the
//	          first day
//	strangers a quarter of its recipients do not exist, 10 at least: people mistype, and newsletters have dead addresses
//	senders   3 domains in its senders that were not there in the days before
//
// One is suspicious, two are likely, three are sure; spread counts twice.
//
// The fields are the format of the checkpoint.
type Accounts struct {
	Known   map[uint32]Account `json:"Known,omitempty"`
	Senders map[uint64]uint32  `json:"Senders,omitempty"` // who submitted in a sender's name today, by the hashes
	Day     int64              `json:"Day"`
	Full    uint64             `json:"Full"` // that found no room
}

// Account is what is known of one.
type Account struct {
	First      int64         `json:"First"`
	Last       int64         `json:"Last"`
	Nets       []Seen        `json:"Nets"`    // of its clients outside
	Domains    []Seen        `json:"Domains"` // of its senders
	Client     netip.Addr    `json:"Client"`  // the latest outside
	Hour       int64         `json:"Hour"`
	Recipients uint32        `json:"Recipients"` // in it
	Peak       uint32        `json:"Peak"`       // busiest hour of the days before, and of this day
	Peaking    uint32        `json:"Peaking"`
	Tried      uint32        `json:"Tried"` // recipients that the world answered to today, and that do not exist
	Absent     uint32        `json:"Absent"`
	Level      verdict.Level `json:"Told"`
	ReportedAt int64         `json:"ToldAt"`
}

// Seen is something that was seen, by its hash, and when: first and last, in seconds.
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

// of is an account, made if it is new.
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

// seen notes something in a list, in which the oldest makes room.
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

// session is one in which a client outside authenticated.
func (a *Accounts) session(s *Session, out *verdicts) {
	if x, ok := a.of(s.Account, s.Time); ok {
		x.Nets, x.Client, x.Last = seen(x.Nets, s.Net, s.Time), s.Client, s.Time
		a.judge(s.Account, x, s.Time, out)
	}
}

// submitted is mail that an account brought.
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

// answered is the world's answer to a recipient of mail that an account may have brought.
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

// judge weighs the signs, and keeps the account.
func (a *Accounts) judge(hash uint32, x Account, now int64, out *verdicts) {
	var why []string
	spread := 0
	for _, n := range x.Nets {
		if sketch.Stamp(now)-n.Last < 86400 {
			spread++
		}
	}
	if spread >= accountNets {
		why = append(why, fmt.Sprintf("from %d networks outside or more", spread))
	}
	volume := max(accountVolume, accountTimes*x.Peak)
	if now-x.First < day {
		volume = accountFirst
	}
	if x.Hour == now/hour && x.Recipients >= volume {
		why = append(why, fmt.Sprintf("for %d recipients within an hour (the busiest hour of the days before had %d)", x.Recipients, x.Peak))
	}
	if x.Absent >= accountStranger && x.Absent*4 >= x.Tried {
		why = append(why, fmt.Sprintf("for recipients of whom %d of %d do not exist", x.Absent, x.Tried))
	}
	fresh := 0
	for _, d := range x.Domains {
		if d.First > sketch.Stamp(x.First)+86400 && sketch.Stamp(now)-d.First < 86400 {
			fresh++
		}
	}
	if fresh >= accountSenders {
		why = append(why, fmt.Sprintf("in the name of %s that it had never used", verdict.Plural(fresh, "domain")))
	}
	signs := len(why)
	if spread >= accountNets {
		signs++
	}
	level := verdict.Level(min(signs, int(verdict.Confirmed)))
	if level > x.Level || level > verdict.NoLevel && now-x.ReportedAt >= day {
		x.Level, x.ReportedAt = level, now
		text := "An account was used within a day " + strings.Join(why, ", and ") + "."
		if x.Client.IsValid() {
			text += fmt.Sprintf(" Names are not kept: it is the one that %s authenticated with, last at %s UTC.", x.Client, time.Unix(0, x.Last).UTC().Format("15:04"))
		}
		out.add(verdict.Verdict{Class: verdict.HijackedAccount, Level: level, Client: x.Client, Code: fmt.Sprintf("account_%08x", hash), Time: now, Value: float64(len(why)), Threshold: 1, Text: text})
	}
	a.Known[hash] = x
}

// tick begins a new day.
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
