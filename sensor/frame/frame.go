// Package frame holds the types that two packages share: capture, which reads frames, and wire,
// which decodes them. It does not know where frames come from or what is in them.
package frame

import "fmt"

// Frame is one captured frame. Data is borrowed from the reader that gave the frame; the reader
// says for how long.
type Frame struct {
	Data []byte   // captured bytes, link header first
	Time int64    // nanoseconds since 1970
	Len  int      // bytes on the wire; 0 means len(Data)
	Link LinkType // what Data begins with
	From uint16   // index of the input: a file or an interface
}

// LinkType is the kind of link that a frame was captured on, numbered as in capture files
// (https://www.tcpdump.org/linktypes.html).
type LinkType uint16

// The link types that package wire decodes.
const (
	Null     LinkType = 0   // BSD loopback, family in the byte order of the capturing host
	Ethernet LinkType = 1   //
	PPP      LinkType = 9   // PPP, with or without HDLC address and control
	RawBSD   LinkType = 12  // IP without link header, as some BSDs number it
	RawOpen  LinkType = 14  // the same on OpenBSD
	PPPHDLC  LinkType = 50  // PPP in HDLC-like framing (RFC 1662)
	PPPEther LinkType = 51  // PPPoE without Ethernet
	Raw      LinkType = 101 // IP without link header
	CiscoHD  LinkType = 104 // Cisco HDLC
	WLAN     LinkType = 105 // IEEE 802.11
	Loop     LinkType = 108 // OpenBSD loopback, family in network byte order
	SLL      LinkType = 113 // Linux cooked capture
	PFLog    LinkType = 117 // OpenBSD packet filter log
	Radiotap LinkType = 127 // IEEE 802.11 behind a description of the reception
	PPI      LinkType = 192 // another link type behind a description of the reception
	RawIPv4  LinkType = 228
	RawIPv6  LinkType = 229
	NFLog    LinkType = 239 // Linux netfilter log
	SLL2     LinkType = 276 // Linux cooked capture version 2
)

// names holds further link types that people have in capture files: USB, Bluetooth, 802.15.4.
var names = map[LinkType]string{
	Null: "NULL", Ethernet: "Ethernet", PPP: "PPP", RawBSD: "raw IP", RawOpen: "raw IP",
	PPPHDLC: "PPP over HDLC", PPPEther: "PPPoE", Raw: "raw IP", CiscoHD: "Cisco HDLC",
	WLAN: "802.11", Loop: "LOOP", SLL: "Linux cooked", PFLog: "PFLOG",
	Radiotap: "802.11 radiotap", PPI: "PPI", RawIPv4: "raw IPv4", RawIPv6: "raw IPv6",
	NFLog: "NFLOG", SLL2: "Linux cooked v2",
	119: "802.11 Prism", 147: "user-defined (USER0)", 195: "802.15.4",
	189: "USB", 220: "USB", 187: "Bluetooth", 201: "Bluetooth",
}

// String names the link type for messages.
func (l LinkType) String() string {
	if n, ok := names[l]; ok {
		return n
	}
	return fmt.Sprintf("type %d", uint16(l))
}
