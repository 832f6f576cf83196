// Package reputation asks blocklists in the DNS for addresses (RFC 5782). It is the one part of
// spamsensor that asks the world, and asks only lists that the user names.
//
// There are three answers. A list that cannot be asked has not said that an address is fine, and a
// refusal is no listing: resolvers that rewrite answers, lists that refuse public resolvers, and
// lists that were shut down and list everything made many people look for a fault where none was.
// So each list is first asked for the entries that it must have and must not have (section 5).
package reputation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"spamsensor/sensor/event"
)

// State is an answer.
type State string

// The answers of a list about an address.
const (
	Listed    State = "listed"
	NotListed State = "not_listed"
	Unknown   State = "unknown"
)

// Answer is what a list says of an address. Its texts are safe to print.
type Answer struct {
	Address netip.Addr `json:"address"`
	List    string     `json:"list"`
	State   State      `json:"state"`
	// Code are the addresses in 127.0.0.0/8 that the list answers, Text is its explanation.
	Code string `json:"code,omitempty"`
	Text string `json:"text,omitempty"`
	// Why says why the answer is not known.
	Why string `json:"why,omitempty"`
}

// Config has the lists to ask, and the addresses.
type Config struct {
	Lists     []string // domain names, without a dot at the end
	Addresses []netip.Addr
	// Resolver is an address with a port; empty means the resolvers of the machine.
	Resolver string
	// Timeout bounds one query; zero means 5 seconds.
	Timeout time.Duration
}

// Bounds of a Config.
const (
	MaxLists     = 50
	MaxAddresses = 50
)

const (
	// parallel bounds the lists that are asked at a time.
	parallel = 8
	// maxText bounds the explanation of a list, in bytes.
	maxText = 500

	defaultTimeout = 5 * time.Second
)

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Lists) > MaxLists || len(c.Addresses) > MaxAddresses {
		errs = append(errs, fmt.Errorf("%d lists and %d addresses are too many (at most %d and %d)",
			len(c.Lists), len(c.Addresses), MaxLists, MaxAddresses))
	}
	for _, a := range c.Addresses {
		errs = append(errs, CheckAddress(a))
	}
	return errors.Join(errs...)
}

// CheckAddress reports whether lists may have an address: they have public ones.
func CheckAddress(a netip.Addr) error {
	if a = a.Unmap(); !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return fmt.Errorf("%s is no public address: lists do not have it", a)
	}
	return nil
}

// Check asks all lists for all addresses. The answers are in the order of the addresses, then of
// the lists.
func Check(ctx context.Context, c *Config) []Answer {
	answers := make([]Answer, len(c.Addresses)*len(c.Lists))
	asking := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, list := range c.Lists {
		wg.Go(func() {
			asking <- struct{}{}
			defer func() { <-asking }()
			q := asker{Config: c, list: list, usable: map[bool]string{}}
			for j, a := range c.Addresses {
				answers[j*len(c.Lists)+i] = q.ask(ctx, a.Unmap())
			}
		})
	}
	wg.Wait()
	return answers
}

// asker asks one list.
type asker struct {
	*Config
	list string
	// usable has why the list cannot be asked for IPv4 (true) and IPv6 (false); empty if it can.
	usable map[bool]string
}

// ask asks for an address, after the test entries of its family.
func (q *asker) ask(ctx context.Context, a netip.Addr) Answer {
	answer := Answer{Address: a, List: event.Escape(q.list, maxText), State: Unknown}
	why, tested := q.usable[a.Is4()]
	if !tested {
		why = q.test(ctx, a.Is4())
		q.usable[a.Is4()] = why
	}
	if why != "" {
		answer.Why = why
		return answer
	}
	codes, why := q.lookup(ctx, a)
	switch {
	case why != "":
		answer.Why = why
	case len(codes) == 0:
		answer.State = NotListed
	default:
		answer.State, answer.Code = Listed, strings.Join(codes, " ")
		answer.Text = q.text(ctx, a)
	}
	return answer
}

// Test entries (RFC 5782, section 5).
var (
	mustList4 = netip.MustParseAddr("127.0.0.2")
	mustNot4  = netip.MustParseAddr("127.0.0.1")
	mustList6 = netip.MustParseAddr("::ffff:127.0.0.2")
	mustNot6  = netip.MustParseAddr("::ffff:127.0.0.1")
)

// test asks for the test entries, and returns why the answers of the list mean nothing.
func (q *asker) test(ctx context.Context, is4 bool) string {
	must, mustNot := mustList4, mustNot4
	if !is4 {
		must, mustNot = mustList6, mustNot6
	}
	codes, why := q.lookup(ctx, must)
	switch {
	case why != "":
		return why
	case len(codes) == 0 && !is4:
		return fmt.Sprintf("it lacks the test entry %s: it does not list IPv6 addresses", must)
	case len(codes) == 0:
		return fmt.Sprintf("it lacks the test entry %s: it is gone, its name is wrong, or it does "+
			"not answer your resolver", must)
	}
	codes, why = q.lookup(ctx, mustNot)
	if why == "" && len(codes) > 0 {
		why = fmt.Sprintf("it lists the test address %s, so it lists everything: it was shut "+
			"down, or your resolver rewrites answers", mustNot)
	}
	return why
}

// Name returns the name that is looked up for an address: its octets, or for IPv6 its nibbles, in
// reverse, then the list (RFC 5782, sections 2.1 and 2.4). ::ffff:0:0/96 counts as IPv6.
func Name(a netip.Addr, list string) string {
	var b strings.Builder
	if a.Is4() {
		x := a.As4()
		fmt.Fprintf(&b, "%d.%d.%d.%d.", x[3], x[2], x[1], x[0])
	} else {
		x := a.As16()
		for i := 15; i >= 0; i-- {
			fmt.Fprintf(&b, "%x.%x.", x[i]&15, x[i]>>4)
		}
	}
	return b.String() + list + "."
}
