package engine

import (
	"net/netip"
	"slices"

	"spamsensor/flowtable"
	"spamsensor/sensor/detect"
)

// site is what others say about our network: which address it has for them, and which
// blocklists name it.
type site struct {
	lists  []detect.NamedList
	quoted map[netip.Addr]quoted
	public netip.Addr
}

// quoted is an address in refusals: who quoted it.
type quoted struct {
	by [2]flowtable.Addr
	n  int
}

const (
	maxLists  = 32
	maxQuoted = 256
)

// citation is a refusal that names a blocklist.
type citation struct {
	detect.Citation
	text   string
	server flowtable.Addr
}

// cited gives out that a server outside named a blocklist.
func (s *shard) cited(f *flow, k *flowtable.Key, c *detect.Citation, text []byte) {
	s.seen(f.last, k, true, serverSeen{list: &citation{*c, string(text), k.Server}})
}

// cite counts it. An address that two servers quote, and that is none of theirs, is ours.
func (e *Engine) cite(c *citation, now int64) {
	t := &e.servers.site
	i := slices.IndexFunc(t.lists, func(l detect.NamedList) bool { return l.Name == c.List })
	fresh := i < 0
	switch {
	case fresh && len(t.lists) >= maxLists:
		e.servers.full.Add(1)
		return
	case fresh:
		i = len(t.lists)
		t.lists = append(t.lists, detect.NamedList{Name: c.List, First: now, Sample: c.text})
	}
	t.lists[i].Last = now
	t.lists[i].Count++
	for _, a := range c.Addrs {
		fresh = e.quote(a, c.server) || fresh
	}
	if fresh {
		e.tellSite(now)
	}
}

// quote notes that a server quoted an address; it reports whether our address is known anew.
func (e *Engine) quote(a netip.Addr, server flowtable.Addr) bool {
	t := &e.servers.site
	if a.As16() == server || t.public == a {
		return false
	}
	if t.quoted == nil {
		t.quoted = map[netip.Addr]quoted{}
	}
	q, known := t.quoted[a]
	switch {
	case !known && len(t.quoted) >= maxQuoted:
		e.servers.full.Add(1)
		return false
	case q.n > 0 && q.by[0] == server:
		return false
	}
	q.by[q.n%2] = server
	q.n++
	t.quoted[a] = q
	if q.n < 2 {
		return false
	}
	t.public = a
	return true
}

// tellSite gives out what others say, if there is anything.
func (e *Engine) tellSite(now int64) {
	t := &e.servers.site
	if e.out.Site == nil || len(t.lists) == 0 {
		return
	}
	d := &detect.SiteRecord{Time: now, PublicIP: t.public, Lists: slices.Clone(t.lists)}
	for _, s := range e.allServers() {
		if s.First != 0 {
			d.Servers = append(d.Servers, s.addr)
		}
	}
	e.out.Site(d)
}
