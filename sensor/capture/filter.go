package capture

import (
	"spamsensor/sensor/frame"
	"strconv"
	"strings"
)

// Filter is the kernel's filter for a link type, in the syntax of pcap-filter(7). It passes all
// frames that package wire may decode to mail or DNS, and some more where the syntax is too weak.
// The filter `tcp port 25` alone would drop fragments, every IPv6 extension header, frames with two
// tags and all tunnels.
//
// The kernel removes the outermost VLAN tag of a frame before the filter sees it, so that a tagged
// frame matches like any other; an ethertype of 802.1Q in the frame means that there is another
// tag.
func Filter(link frame.LinkType, ports []uint16) string {
	var tcp []string
	for _, p := range ports {
		tcp = append(tcp, "tcp port "+strconv.Itoa(int(p)))
	}
	or := []string{
		strings.Join(tcp, " or "),
		"port 53",
		// fragments of TCP: only one of them has the ports
		"(ip proto 6 and ip[6:2] & 0x3fff != 0)",
		// errors that quote a segment
		"(icmp and (icmp[0] = 3 or icmp[0] = 11 or icmp[0] = 12))",
		"(ip6 and ip6[6] = 58 and (ip6[40] = 1 or ip6[40] = 3 or ip6[40] = 4))",
		// a first SYN to any port: a scanner is no spammer
		"(ip proto 6 and ip[6:2] & 0x1fff = 0 and tcp[13] & 0x12 = 2)",
		"(ip6 and ip6[6] = 6 and ip6[53] & 0x12 = 2)",
		// IPv6 with anything but TCP, UDP and ICMPv6 directly behind the header
		"(ip6 and ip6[6] != 6 and ip6[6] != 17 and ip6[6] != 58)",
		// tunnels
		"ip proto 4", "ip proto 41", "ip proto 47", "ip proto 97", "ip proto 137",
		"udp dst port 4789", "udp dst port 8472", "udp dst port 4790", "udp dst port 6081",
		"udp dst port 37008",
	}
	// 802.3: a length in place of the ethertype, or a protocol number of the cooked header
	llc := map[frame.LinkType]string{frame.Ethernet: "ether[12:2] < 1536",
		frame.SLL: "link[14:2] = 1 or link[14:2] = 4"}[link]
	if llc != "" {
		for _, t := range []string{"0x8100", "0x88a8", "0x9100", "0x9200", "0x893f", "0x88e7",
			"0x8847", "0x8848", "0x8864"} {
			or = append(or, "ether proto "+t)
		}
		or = append(or, llc)
	}
	return strings.Join(or, " or ")
}
