package notify

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Watch has blocklists asked for the public addresses, from time to time.
type Watch struct {
	Every time.Duration
	// Ask asks all lists; learned is the public address that receiving servers quote, as far as it
	// is known. It is called on a goroutine of its own, one call at a time.
	Ask func(ctx context.Context, learned netip.Addr) []Listing
}

// Listing is what a blocklist says of an address. Its texts must be safe to print.
type Listing struct {
	Address, List string
	Listed        bool
	Known         bool   // false: Listed means nothing
	Text          string // what the list answers; may be empty
}

// maxListings bounds the answers of one question.
const maxListings = 200

// watch starts a question when its time has come, and follows the answers to the last one.
func (s *Service) watch(ctx context.Context, now time.Time) {
	w, r := s.cfg.Watch, &s.rules
	if w == nil {
		return
	}
	select {
	case list := <-s.answers:
		s.asking = false
		r.listings(list, now)
		s.dirty = true
	default:
	}
	due := now.Sub(r.Asked) >= w.Every || now.Before(r.Asked)
	if s.asking || !due {
		return
	}
	learned, _ := netip.ParseAddr(r.PublicIP)
	r.Asked, s.asking = now, true
	go func() { s.answers <- w.Ask(ctx, learned) }()
}

// listings tells which addresses got on a list, and off it.
func (r *rules) listings(list []Listing, now time.Time) {
	for _, l := range list[:min(len(list), maxListings)] {
		id := clean(fmt.Sprintf("listed %s %s", l.Address, l.List), maxName)
		switch {
		case l.Known && l.Listed:
			text := fmt.Sprintf("the blocklist %s lists %s", l.List, l.Address)
			if l.Text != "" {
				text += ": " + l.Text
			}
			if c := r.Health[id]; c != nil && c.Raised {
				continue
			}
			r.raiseCheck(Item{Kind: itemListed, ID: id, Host: clean(l.Address, maxName),
				Class: clean(l.List, maxName), Severity: "high", Since: now,
				Headline: clean(text, maxText),
				Advice: "find out which machine sends, and stop it: spamsensor findings. Then " +
					"ask the list to remove the address; before that it would come back"}, now)
		case l.Known:
			text := fmt.Sprintf("the blocklist %s does not list %s any more", l.List, l.Address)
			r.clearCheck(id, clean(text, maxText), now, now)
		}
	}
}
