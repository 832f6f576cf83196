package reputation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"spamsensor/sensor/event"
)

var (
	codes127 = netip.MustParsePrefix("127.0.0.0/8")
	// errors127 are answers of Spamhaus that are no listing.
	errors127 = netip.MustParsePrefix("127.255.255.0/24")
)

// refusals are the answers with which lists say that they do not answer.
// https://www.spamhaus.org/faqs/dnsbl-usage/
var refusals = map[netip.Addr]string{
	netip.MustParseAddr("127.255.255.252"): "the name of the list is misspelt",
	netip.MustParseAddr("127.255.255.254"): "the list does not answer public resolvers: ask it " +
		"through a resolver of your own (--resolver)",
	netip.MustParseAddr("127.255.255.255"): "you have asked the list too often",
	netip.MustParseAddr("127.0.0.1"): "the list answers 127.0.0.1, by which lists refuse a " +
		"resolver: ask it through a resolver of your own (--resolver)",
}

// lookup asks for an address: codes are empty if it is not listed, why says why that is not known.
func (q *asker) lookup(ctx context.Context, a netip.Addr) (codes []string, why string) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(q.Timeout, defaultTimeout))
	defer cancel()
	var rcode atomic.Int32
	found, err := q.resolver(&rcode).LookupNetIP(ctx, "ip4", Name(a, q.list))
	var dns *net.DNSError
	switch {
	case err == nil:
	case errors.As(err, &dns) && dns.IsNotFound:
		return nil, ""
	default:
		return nil, failure(ctx, err, int(rcode.Load()))
	}
	slices.SortFunc(found, netip.Addr.Compare)
	for _, f := range found {
		f = f.Unmap()
		switch {
		case refusals[f] != "":
			return nil, refusals[f]
		case errors127.Contains(f):
			return nil, fmt.Sprintf("the list answers %s, which is an error and no listing", f)
		case !codes127.Contains(f):
			return nil, fmt.Sprintf("the answer %s is none of a list: your resolver rewrites "+
				"answers; ask through another one (--resolver)", f)
		}
		codes = append(codes, f.String())
	}
	return codes, ""
}

// Response codes (RFC 1035, section 4.1.1).
const (
	serverFailure = 2
	refused       = 5
)

// failure says why there is no answer.
func failure(ctx context.Context, err error, rcode int) string {
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil || errors.As(err, &dns) && dns.IsTimeout:
		return "timeout: no answer came in time"
	case rcode == refused:
		return "REFUSED: the resolver does not answer you, or the list does not answer it"
	case rcode == serverFailure:
		return "SERVFAIL: the resolver cannot reach the list, or the list is broken"
	case rcode > 0:
		return fmt.Sprintf("the resolver answers with the error %d", rcode)
	}
	if dns != nil {
		return event.Escape(dns.Err, maxText)
	}
	return event.Escape(err.Error(), maxText)
}

// text asks for the explanation of a listing; it may be empty.
func (q *asker) text(ctx context.Context, a netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(q.Timeout, defaultTimeout))
	defer cancel()
	texts, err := q.resolver(nil).LookupTXT(ctx, Name(a, q.list))
	if err != nil {
		return ""
	}
	return event.Escape(strings.Join(texts, " "), maxText)
}

// resolver makes a resolver that notes the response code in rcode: the standard library does not
// tell REFUSED from SERVFAIL.
func (q *asker) resolver(rcode *atomic.Int32) *net.Resolver {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, cmp.Or(q.Resolver, address))
		if u, ok := c.(*net.UDPConn); ok && rcode != nil {
			return &noted{u, rcode}, nil
		}
		return c, err
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

// noted notes the response codes of the messages that it receives.
type noted struct {
	*net.UDPConn
	rcode *atomic.Int32
}

// Read implements net.Conn.
func (c *noted) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if n >= 4 {
		c.rcode.Store(int32(b[3] & 15))
	}
	return n, err
}
