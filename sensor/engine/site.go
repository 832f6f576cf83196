package engine

import (
	"spamsensor/flowtable"
	"spamsensor/smtpsniff/refusal"
)

// citation is what a refusal said about our public address and about blocklists.
type citation struct {
	refusal.Citation
	server flowtable.Addr
	text   string
}

// learn takes in a citation and emits what is new.
func (e *Engine) learn(c *citation, now int64) {
	if e.site.Learn(&c.Citation, c.server, c.text, now) {
		e.emitSite(now)
	}
}

// emitSite emits what is known of our networks as a whole.
func (e *Engine) emitSite(now int64) {
	if e.out.Site != nil {
		e.out.Site(e.site.Event(now))
	}
}
