package engine

import (
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/mailserver"
	"spamsensor/sensor/peer"
)

// Counts is what a host did in a period; CountNames has the names. The sensor keeps them by hour
// and host as its history.
type Counts [8]uint64

// The counts.
const (
	// The indexes of Counts.
	CountAttempts = iota
	CountSessions
	CountMessages
	CountRecipients
	CountRejected
	CountDeferred
	CountSessionsIn // sessions and messages that a mail server received
	CountMessagesIn
)

// CountNames are the names of Counts in their order.
var CountNames = [len(Counts{})]string{"attempts", "sessions", "messages", "recipients", "rejected",
	"deferred", "sessions_in", "messages_in"}

// Activity is what a host did since the call of Activity before.
type Activity struct {
	Addr   netip.Addr
	Server bool  // it is a watched mail server
	Hour   int64 // hours since 1970, of the packets' time
	Counts Counts
}

// Activity returns what the internal hosts did since the call before. Traffic between two calls
// belongs to the hour of the second. It may be called while workers run, by one goroutine.
func (e *Engine) Activity() (list []Activity) {
	now := e.clock.Now()
	if now == 0 {
		return nil
	}
	// The counters are cumulative. seen has the current ones, and the difference to the last call
	// is reported.
	seen := make(map[flowtable.HostKey]Counts, len(e.activityReported))
	e.sources.Counts(func(k *flowtable.HostKey, c *detect.Counters) { seen[*k] = countsOf(c) })
	e.tickMu.Lock()
	// A mail server may also be a source: its two kinds of counts are added.
	e.servers.Counts(func(k flowtable.HostKey, c *mailserver.Counts) {
		seen[k] = seen[k].and(countsIn(c))
	})
	e.tickMu.Unlock()
	for k, is := range seen {
		if d := is.since(e.activityReported[k]); d != (Counts{}) {
			list = append(list, Activity{peer.NetIP(k.Addr, k.Scope.V6()),
				e.servers.Watches(k.Addr),
				now / hour, d})
		}
	}
	e.activityReported = seen
	slices.SortFunc(list, func(a, b Activity) int { return a.Addr.Compare(b.Addr) })
	return list
}

// countsOf returns the counts of a source.
func countsOf(f *detect.Counters) Counts {
	return Counts{CountAttempts: uint64(f.Attempts), CountSessions: uint64(f.Sessions),
		CountMessages: uint64(f.Messages), CountRecipients: uint64(f.Recipients),
		CountRejected: uint64(f.Rejected) + uint64(f.RecipientsRejected),
		CountDeferred: uint64(f.Deferred)}
}

// countsIn returns the counts of a mail server.
func countsIn(c *mailserver.Counts) Counts {
	return Counts{CountSessionsIn: c.SessionsIn, CountMessagesIn: c.MessagesIn}
}

// and returns a sum.
func (c Counts) and(more Counts) Counts {
	for i, n := range more {
		c[i] += n
	}
	return c
}

// since returns what was added to an earlier count. A smaller count belongs to a host that was
// evicted in between and began anew.
func (c Counts) since(before Counts) (d Counts) {
	for i, n := range c {
		if n < before[i] {
			return c
		}
		d[i] = n - before[i]
	}
	return d
}
