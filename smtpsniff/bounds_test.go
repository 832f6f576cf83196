package smtpsniff

import (
	"strings"
	"testing"
)

// said plays lines "C: " and "S: " to a listener and gives the session.
func said(lines ...string) *hearing {
	h := &hearing{}
	h.s = h.l.New(false, false)
	for _, line := range lines {
		h.feed(sideOf(line[0]), []byte(line[3:]+"\r\n"))
	}
	return h
}

// The largest size of BDAT has 18 digits, 19 may not fit in 63 bits.
func TestBDATDigits(t *testing.T) {
	for digits, bad := range map[int]bool{3: false, 18: false, 19: true, 20: true, 400: true} {
		h := said("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: BDAT "+strings.Repeat("1", digits)+" LAST", "C: NOOP")
		if got := h.s.Flags&BadBDAT != 0; got != bad || (h.s.Commands == 3) != bad {
			t.Errorf("%d digits: bad %v, %d commands", digits, got, h.s.Commands)
		}
	}
}

// Sixteen lines after AUTH are credentials, whatever they look like; the one behind them is a command or none.
func TestAuthEnds(t *testing.T) {
	for lines, commands := range map[int]uint32{maxAuth - 1: 2, maxAuth: 2, maxAuth + 1: 3} {
		h := said("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: AUTH LOGIN")
		for range lines {
			h.feed(Client, []byte("NOOP\r\n"))
		}
		if h.s.Commands != commands {
			t.Errorf("%d lines: %d commands, want %d", lines, h.s.Commands, commands)
		}
	}
}

// Behind STARTTLS what a server says in the clear is heard where records of TLS are stepped over; behind
// bytes that are no record nobody knows where it begins.
func TestRecordsOfTLS(t *testing.T) {
	for typ, heard := range map[byte]bool{0x00: false, 0x13: false, 0x14: true, 0x17: true, 0x18: true, 0x19: false, 0xff: false} {
		h := said("S: 220 mx", "C: EHLO a", "S: 250 mx", "C: STARTTLS", "S: 220 go")
		h.feed(Client, []byte("\x16\x03\x01\x00\x05hello"))
		before := h.s.Replies
		h.feed(Server, []byte{typ, 3, 3, 0, 2, 'x', 'y'})
		h.feed(Server, []byte("421 bye\r\n"))
		if got := h.s.Replies > before; got != heard {
			t.Errorf("type %#x: heard %v", typ, got)
		}
	}
}
