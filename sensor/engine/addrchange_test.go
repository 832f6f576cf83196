package engine

import (
	"fmt"
	"strings"
	"testing"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// spam is one mail of a bot: every fifth is refused for its client, others for their recipients.
func spam(c *conn, i int) *conn {
	c.open().serverSends("220 mx ESMTP\r\n").clientSends(fmt.Sprintf("EHLO host%d\r\n", i*7919)).serverSends("250 mx\r\n").clientSends(fmt.Sprintf("MAIL FROM:<a@d%d.example>\r\n", i%28)).serverSends("250 ok\r\n")
	c.clientSends(fmt.Sprintf("RCPT TO:<b@e%d.example>\r\n", i))
	switch i % 5 {
	case 1:
		c.serverSends("550 5.1.1 no such user\r\n")
	case 3:
		c.serverSends("550 5.7.1 we take no mail from you\r\n")
	default:
		c.serverSends("250 ok\r\n").clientSends("DATA\r\n").serverSends("354 go\r\n").clientSends("buy\r\n.\r\n").serverSends("250 taken\r\n")
	}
	return c.clientSends("QUIT\r\n").serverSends("221 bye\r\n").close()
}

// hop sets another hop limit in the frames of the client (IPv4).
func hop(frames []timedFrame, ttl byte) []timedFrame {
	for _, f := range frames {
		if d := f.data; d[11] == 1 {
			sum := uint32(d[24])<<8 | uint32(d[25])
			sum += uint32(d[22]-ttl) << 8
			sum = sum&0xffff + sum>>16
			d[22], d[24], d[25] = ttl, byte(sum>>8), byte(sum)
		}
	}
	return frames
}

// takeTurns is 30 mails, each from another IP address of one link-layer address.
func takeTurns(v6 bool, every int64) (list [][]timedFrame) {
	for i := range 30 {
		client, server := fmt.Sprintf("10.0.2.%d", 1+i), fmt.Sprintf("198.51.%d.25", i)
		if v6 {
			client, server = fmt.Sprintf("fd00::2:%d", 1+i), fmt.Sprintf("2001:db8:%x::25", 1000+i)
		}
		c := newConn(client, server, uint16(40000+i), 25)
		c.at += int64(i) * every
		c.seq = [2]uint32{uint32(i) * 7919, uint32(i) * 104729}
		list = append(list, spam(c, i).frames)
	}
	return list
}

// TestAddressPerMail checks that a bot with another address for each mail counts as one machine
// with one finding.
func TestAddressPerMail(t *testing.T) {
	for pace, every := range map[string]int64{"M": minute, "S": 20 * minute} {
		for _, v6 := range []bool{false, true} {
			for _, row := range []int{1, 100, 1000} { // as live, and as files are read
				list := analyseRows(Config{}, together(takeTurns(v6, every)...), row).findings
				level, opened, closed, ids := verdict.NoLevel, 0, 0, map[string]bool{}
				for _, f := range list {
					if f.Class != verdict.Spambot {
						continue
					}
					ids[f.ID] = true
					if level = max(level, f.Level); f.Action == "opened" {
						opened++
					}
					if f.Action == "closed" {
						closed++
						if f.Source.Counters.Attempts < 15 || len(f.Also) == 0 || len(f.Reasons) == 0 {
							t.Errorf("%s, IPv6 %v, rows of %d: %d attempts, also %v", pace, v6, row, f.Source.Counters.Attempts, f.Also)
						}
					}
				}
				if level < verdict.Likely || opened != 1 || closed != 1 || len(ids) != 1 {
					t.Errorf("%s, IPv6 %v, rows of %d: %s, %d opened, %d closed, %d findings", pace, v6, row, level, opened, closed, len(ids))
				}
				if most := 14 + int(30*every/finding.UpdateEvery); len(list) > most { // an open finding is updated every half hour
					t.Errorf("%s, IPv6 %v, rows of %d: %d events", pace, v6, row, len(list))
				}
			}
		}
	}
}

// TestManyMachinesBehindOne checks that many addresses with one link-layer address are not one
// machine if a router forwards them, if they have simultaneous connections, if the addresses
// return, or if their mail is not refused.
func TestManyMachinesBehindOne(t *testing.T) {
	welcome := func(list [][]timedFrame) (frames []timedFrame) {
		for i := range list {
			c := newConn(fmt.Sprintf("10.0.2.%d", 1+i), fmt.Sprintf("198.51.%d.25", i), uint16(40000+i), 25)
			c.at += int64(i) * minute
			frames = append(frames, c.open().mail().close().frames...)
		}
		return frames
	}
	var outside, again, across []timedFrame
	for i := range 30 {
		c := newConn(fmt.Sprintf("203.0.113.%d", 1+i), "10.0.0.25", 40000, 25)
		c.at += int64(i) * minute
		outside = append(outside, c.open().mail().close().frames...)
	}
	for i, frames := range takeTurns(false, minute) {
		again = append(again, frames...)
		c := newConn("10.0.2.1", "198.51.0.25", uint16(50000+i), 25)
		c.at = epoch + int64(i)*minute + 30*second
		again = append(again, c.open().mail().close().frames...)
		across = append(across, frames[:len(frames)-3]...)
		across = append(across, at(frames[len(frames)-3:], 90*second)...)
	}
	for name, frames := range map[string][]timedFrame{
		"a router":          hop(together(takeTurns(false, minute)...), 63),
		"from outside, too": together(together(takeTurns(false, minute)...), at(outside, -second)),
		"at the same time":  together(across),
		"one comes again":   together(again),
		"nobody is refused": together(welcome(takeTurns(false, minute))),
	} {
		for _, f := range analyse(Config{}, frames).findings {
			if f.Level > verdict.Suspect || f.Class == verdict.Spambot && strings.HasPrefix(f.Source.Addr.String(), "10.0.2.") && len(f.Also) > 0 {
				t.Errorf("%s: %s %s at %s, also %v", name, f.Level, f.Class, f.Source.Addr, f.Also)
			}
		}
	}
}
