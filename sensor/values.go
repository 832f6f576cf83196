package main

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"spamsensor/smtpsniff/mailname"
)

// resolver converts texts to values and collects the errors.
type resolver struct {
	*layers
	errs     []error
	warnings []*fault
	kinds    map[string]valueForm // of each key that was asked for; nil if nobody wants to know

	credentials bool // secrets are read
	asks        bool // events are not written, and their key may be unreadable
}

// valueForm is the form of the value of a setting.
type valueForm struct {
	kind   string   // the name of the method of resolver, without one for numbers
	values []string // of oneOf
}

var indexes = regexp.MustCompile(`\[\d+\]`)

// learn notes the form of the value of a key. The numbers of entries of lists are left out.
func (r *resolver) learn(key, kind string, values ...string) {
	if r.kinds != nil {
		r.kinds[indexes.ReplaceAllString(key, "[]")] = valueForm{kind, values}
	}
}

// reject adds an error about the setting with a key such as detect.fast_time.
func (r *resolver) reject(key, format string, args ...any) {
	r.errs = append(r.errs, r.fault("error", key, format, args...))
}

// warn adds a warning about the setting with a key.
func (r *resolver) warn(key, format string, args ...any) {
	r.warnings = append(r.warnings, r.fault("warning", key, format, args...))
}

// duration parses a positive duration; otherwise is the value of an absent or a wrong one.
func (r *resolver) duration(path, s string, otherwise time.Duration) time.Duration {
	r.learn(path, "duration")
	if s == "" {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		r.reject(path, "%q is not a duration (try 30s, 5m, 1h)", s)
		return otherwise
	}
	return d
}

// sizeUnits maps a unit to its bytes.
var sizeUnits = map[string]float64{
	"": 1, "B": 1, "K": 1 << 10, "KiB": 1 << 10, "M": 1 << 20, "MiB": 1 << 20, "G": 1 << 30,
	"GiB": 1 << 30, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
}

// bytes parses a size in bytes, with an optional unit (KiB, MiB and GiB, also written K, M and G;
// kB, MB and GB are powers of ten); 0 means absent.
func (r *resolver) bytes(path, s string) int {
	r.learn(path, "bytes")
	if s == "" {
		return 0
	}
	number := strings.TrimRight(s, "kKMGiB")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	unit, ok := sizeUnits[s[len(number):]]
	if size := n * unit; err == nil && ok && size >= 1 && size <= 1<<40 {
		return int(size)
	}
	r.reject(path, "%q is not a size (try 64MiB)", s)
	return 0
}

// prefix parses a network, or an address as a network of one.
func (r *resolver) prefix(path, s string) netip.Prefix {
	r.learn(path, "prefix")
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, errA := netip.ParseAddr(s)
		if errA != nil {
			r.reject(path, "%q is not a network (try 192.0.2.0/24)", s)
			return netip.Prefix{}
		}
		return netip.PrefixFrom(a, a.BitLen())
	}
	return p
}

// addr parses an address.
func (r *resolver) addr(path, s string) netip.Addr {
	r.learn(path, "addr")
	a, err := netip.ParseAddr(s)
	if err != nil {
		r.reject(path, "%q is not an address (try 192.0.2.25)", s)
	}
	return a
}

// domain parses a domain name into the spelling in which names from the wire are compared, without
// leading and trailing dots.
func (r *resolver) domain(path, s string) string {
	r.learn(path, "domain")
	d := mailname.Domain(strings.TrimPrefix(s, "."))
	if d == "" || strings.ContainsAny(d, " @/") {
		r.reject(path, "%q is not a domain (try example.org; those below it are included)", s)
	}
	return d
}

// date parses a day and returns its end, in nanoseconds since 1970; 0 means no end.
func (r *resolver) date(path, s string) int64 {
	r.learn(path, "date")
	if s == "" {
		return 0
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		r.reject(path, "%q is not a day (try 2027-01-31)", s)
	}
	switch end := d.AddDate(0, 0, 1); {
	case end.Year() > 2261: // such as 9999-12-31; int64 holds nanoseconds up to 2262-04-11
		return math.MaxInt64
	case end.Year() < 1970:
		return 1 // it is over
	default:
		return end.UnixNano()
	}
}

// oneOf accepts one of the values, or nothing.
func (r *resolver) oneOf(path, s string, values ...string) string {
	r.learn(path, "oneOf", values...)
	if s != "" && !slices.Contains(values, s) {
		near := nearest(s, values)
		if near != "" {
			near = fmt.Sprintf("; did you mean %q?", near)
		}
		r.reject(path, "%q is none of %s%s", s, strings.Join(values, ", "), near)
	}
	return s
}

// port parses a port or a range of ports.
func (r *resolver) port(path, s string) (ports []uint16) {
	r.learn(path, "port")
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil || a == 0 || b < a {
		r.reject(path, "%q is not a port (try 25 or 1-1024)", s)
		return nil
	}
	for p := a; p <= b; p++ {
		ports = append(ports, uint16(p))
	}
	return ports
}
