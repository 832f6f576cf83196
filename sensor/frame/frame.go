// Package frame holds the types that two packages share: capture, which reads frames, and wire,
// which decodes them. It does not know where frames come from or what is in them.
package frame

import "fmt"

// Frame is one captured frame. Data is borrowed from the reader that gave the frame; the reader
// says for how long.
type Frame struct {
	Data []byte   // captured bytes, link header first
	Time int64    // nanoseconds since 1970; see ReadTime
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

	ATM         LinkType = 100 // RFC 1483: LLC
	Enc         LinkType = 109 // OpenBSD: decrypted IPsec
	Prism       LinkType = 119 // IEEE 802.11 behind a description of the reception
	IP1394      LinkType = 138 // Apple: IP over FireWire
	PKTAPUser   LinkType = 149 // PKTAP as macOS numbers it, which others use as they like (USER2)
	AVS         LinkType = 163 // IEEE 802.11 behind a description of the reception
	PPPD        LinkType = 166 // PPP behind a direction, as pppd writes it
	ERF         LinkType = 197 // Endace cards
	PPPDir      LinkType = 204 // PPP behind a direction
	HDLCDir     LinkType = 205 // Cisco HDLC behind a direction
	PKTAP       LinkType = 258 // Apple: another link type behind a description of the process
	BRCMTag     LinkType = 281 // Ethernet with the tag of a Broadcom switch
	BRCMPrepend LinkType = 282 // Ethernet behind the tag of a Broadcom switch
	DSA         LinkType = 284 // Ethernet with the tag of a Marvell switch
	EDSA        LinkType = 285 // the same, with an ethertype
)

// names holds further link types that people have in capture files, and that Decode does not read.
var names = map[LinkType]string{
	Null: "NULL", Ethernet: "Ethernet", PPP: "PPP", RawBSD: "raw IP", RawOpen: "raw IP",
	PPPHDLC: "PPP over HDLC", PPPEther: "PPPoE", Raw: "raw IP", CiscoHD: "Cisco HDLC",
	WLAN: "802.11", Loop: "LOOP", SLL: "Linux cooked", PFLog: "PFLOG",
	Radiotap: "802.11 radiotap", PPI: "PPI", RawIPv4: "raw IPv4", RawIPv6: "raw IPv6",
	NFLog: "NFLOG", SLL2: "Linux cooked v2",
	ATM: "ATM (RFC 1483)", Enc: "IPsec (ENC)", Prism: "802.11 Prism", IP1394: "IP over FireWire",
	PKTAPUser: "PKTAP (USER2)", AVS: "802.11 AVS", PPPD: "PPP of pppd", ERF: "ERF",
	PPPDir: "PPP with direction", HDLCDir: "Cisco HDLC with direction", PKTAP: "PKTAP",
	BRCMTag: "Broadcom switch tag", BRCMPrepend: "Broadcom switch tag", DSA: "Marvell switch tag",
	EDSA: "Marvell switch tag",
	6:    "Token Ring", 7: "ARCNET", 8: "SLIP", 10: "FDDI", 107: "Frame Relay", 114: "LocalTalk",
	122: "IP over Fibre Channel", 129: "ARCNET", 139: "MTP2", 140: "MTP2", 141: "MTP3",
	142: "SCCP", 143: "DOCSIS", 144: "IrDA", 147: "USER0", 148: "USER1", 150: "USER3",
	165: "BACnet MS/TP", 177: "LAPD", 178: "Juniper Ethernet", 186: "USB", 187: "Bluetooth",
	189: "USB", 190: "CAN bus", 195: "802.15.4", 201: "Bluetooth", 215: "802.15.4",
	220: "USB", 226: "IPNET", 227: "CAN bus", 230: "802.15.4", 240: "netANALYZER",
	241: "netANALYZER", 242: "IP over InfiniBand", 247: "InfiniBand", 249: "USB of Windows",
	251: "Bluetooth LE", 252: "Wireshark Upper PDU", 253: "Linux netlink", 254: "Bluetooth",
	256: "Bluetooth LE", 264: "DOCSIS", 266: "USB of macOS", 271: "Linux vsock",
	272: "Bluetooth of nRF", 274: "Ethernet mPackets", 283: "802.15.4 TAP",
	288: "USB 2.0", 290: "Windows event trace",
}

// String names the link type for messages.
func (l LinkType) String() string {
	if n, ok := names[l]; ok {
		return n
	}
	return fmt.Sprintf("type %d", uint16(l))
}
