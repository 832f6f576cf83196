package main

import (
	"fmt"
	"net/netip"

	"spamsensor/sensor/status"
)

// relayText says that a host is one of allowed_relays.
const relayText = "our hosts may send to it: it is an allowed relay"

// roleText says which role of smtp_servers a host has.
func roleText(role string) string {
	if role == "" || role == "mailserver" {
		return "it is declared as a mail server"
	}
	return fmt.Sprintf("it is declared with the role %s", role)
}

// declared is what a configuration says of a host, each entry with its place. Of several roles the
// last one holds.
func (c *config) declared(addr netip.Addr) []status.Declaration {
	list := []status.Declaration{}
	add := func(key string, i int, text string) {
		at := c.layers.fault("", fmt.Sprintf("%s[%d]", key, i), "")
		list = append(list, status.Declaration{Key: key, Text: text, File: at.File, Line: at.Line})
	}
	for i := len(c.file.SMTPServers) - 1; i >= 0; i-- {
		s := &c.file.SMTPServers[i]
		if a, err := netip.ParseAddr(s.IP); err == nil && a.Unmap() == addr {
			add("smtp_servers", i, roleText(s.Role))
			break
		}
	}
	for i, p := range c.engine.AllowedRelays {
		if p.Contains(addr) {
			add("allowed_relays", i, relayText)
			break
		}
	}
	for i, x := range c.engine.Ignore {
		if x.Net.Contains(addr) && !isOver(x.Until) {
			text := fmt.Sprintf("its findings are for information: %s", printable(x.Why))
			if x.Until != 0 {
				text = fmt.Sprintf("its findings are for information until %s: %s",
					lastDay(x.Until), printable(x.Why))
			}
			add("ignore", i, text)
			break
		}
	}
	return list
}
