package capture

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
)

// errNotCapture is the error of an input whose format nobody knows. Such files may well lie beside
// captures.
var errNotCapture = &foreignError{what: "this is no capture file (pcap or pcapng, plain or " +
	"compressed with gzip, bzip2, zstd or xz)"}

// foreignError is the error of an input in a format that is not read.
type foreignError struct {
	what string // a sentence without its end
	do   string // what the user can do about it; empty if there is nothing
	// holds reports that the input may well hold a capture: to leave it out is a loss.
	holds bool
}

// Error implements error.
func (e *foreignError) Error() string {
	if e.do == "" {
		return e.what
	}
	return e.what + "; " + e.do
}

// foreignFormat is a format that is recognised and not read.
type foreignFormat struct {
	at    int // place of the magic bytes
	magic string
	name  string // with its article
	do    string
	// text: it is no capture file, but a text about one.
	text bool
}

const (
	convert = "convert it with `editcap -F pcap FILE NEW.pcap` (Wireshark)"
	unpack  = "unpack it first"
)

// foreignFormats are the formats in which people have captures, beside those that are read; from
// the vendors' descriptions, and from the readers of libpcap and Wireshark.
var foreignFormats = []foreignFormat{
	{magic: "PK\x03\x04", name: "a zip archive", do: "unpack it first, with unzip"},
	{magic: "PK\x05\x06", name: "an empty zip archive"},
	{magic: "7z\xbc\xaf\x27\x1c", name: "a 7z archive", do: "unpack it first, with 7z x"},
	{magic: "Rar!\x1a\x07", name: "a rar archive", do: "unpack it first, with unrar x"},
	{at: 257, magic: "ustar", name: "a tar archive", do: "unpack it first, with tar -xf"},
	{magic: "\x04\x22\x4d\x18", name: "a file compressed with lz4",
		do: "unpack it first, with lz4 -d, or read from a pipe: lz4 -dc FILE | spamsensor read -"},
	{magic: "\x02\x21\x4c\x18", name: "a file compressed with lz4",
		do: "unpack it first, with lz4 -d"},
	{magic: "LZIP", name: "a file compressed with lzip", do: "unpack it first, with lzip -d"},
	{magic: "\x89LZO\x00\r\n\x1a\n", name: "a file compressed with lzop",
		do: "unpack it first, with lzop -d"},
	{magic: "\x1f\x9d", name: "a file compressed with compress",
		do: "unpack it first, with gunzip"},
	{magic: "\x1f\xa0", name: "a file compressed with compress",
		do: "unpack it first, with gunzip"},
	{magic: "\x5d\x00\x00", name: "a file compressed with lzma",
		do: "unpack it first, with unlzma"},
	{magic: "\xff\x06\x00\x00sNaPpY", name: "a file compressed with snappy", do: unpack},
	{magic: "MSCF", name: "a Windows cabinet", do: "unpack it first, with cabextract or expand"},

	{magic: "snoop\x00\x00\x00", name: "a capture of snoop (RFC 1761)", do: convert},
	{magic: "iptrace 1.0", name: "a capture of AIX iptrace", do: convert},
	{magic: "iptrace 2.0", name: "a capture of AIX iptrace", do: convert},
	{magic: "GMBU", name: "a capture of Microsoft Network Monitor", do: convert},
	{magic: "RTSS", name: "a capture of Microsoft Network Monitor 1", do: convert},
	{magic: "TRSNIFF data    \x1a", name: "a capture of the Sniffer", do: convert},
	{magic: "XCP\x00", name: "a capture of NetXRay or the Windows Sniffer", do: convert},
	{magic: "ObserverPktBuffe", name: "a capture of Observer", do: convert},
	{magic: "\x7fver", name: "a capture of EtherPeek or OmniPeek", do: convert},
	{magic: "\x05VNF", name: "a capture of Visual Networks", do: convert},
	{magic: "\x54\x52\x00\x64\x00", name: "a capture of HP-UX nettl", do: convert},
	{magic: "\x1c\x00\x01\xac", name: "a capture of an IXIA device", do: convert},
	{magic: "\xac\x01\x00\x1c", name: "a capture of an IXIA device", do: convert},
	{magic: "\x1c\x00\x01\xab", name: "a capture of an IXIA device", do: convert},
	{magic: "\xab\x01\x00\x1c", name: "a capture of an IXIA device", do: convert},
	{magic: "btsnoop\x00", name: "a capture of Bluetooth (btsnoop)"},
	{magic: "HCPX", name: "a hashcat file with a handshake of a wireless network"},

	{magic: "\xff\xfe", name: "text in UTF-16, as PowerShell writes the output of a command",
		do: "write a capture with the option -w FILE instead", text: true},
	{magic: "%PDF-", name: "a PDF document", text: true},
	{magic: "SQLite format 3\x00", name: "an SQLite database", text: true},
	{magic: "\x7fELF", name: "a program", text: true},
}

// byName are formats without magic bytes, by the end of the file's name.
var byName = map[string]foreignFormat{
	".etl": {name: "an event trace of Windows",
		do: "convert it with `etl2pcapng FILE NEW.pcapng` or `pktmon etl2pcap FILE`"},
	".erf":    {name: "a capture of an Endace card (ERF)", do: convert},
	".ncf":    {name: "a capture of CommView", do: "export it as pcap in CommView"},
	".ncfx":   {name: "a capture of CommView", do: "export it as pcap in CommView"},
	".rf5":    {name: "a capture of a Tektronix K12", do: convert},
	".lzma":   {name: "a file compressed with lzma", do: "unpack it first, with unlzma"},
	".br":     {name: "a file compressed with brotli", do: "unpack it first, with brotli -d"},
	".hccap":  {name: "a hashcat file with a handshake of a wireless network"},
	".pklg":   {name: "a capture of Apple's PacketLogger, which is of Bluetooth"},
	".pktlog": {name: "a capture of Apple's PacketLogger, which is of Bluetooth"},
}

// probeLength is how many bytes of an input show its format: a tar archive has its magic last.
const probeLength = 512

// foreign is the error of an input that is no capture and begins with these bytes.
func foreign(name string, head []byte) *foreignError {
	for i := range foreignFormats {
		x := &foreignFormats[i]
		if len(head) >= x.at && bytes.HasPrefix(head[x.at:], []byte(x.magic)) {
			return x.error()
		}
	}
	if x := textFormat(head); x != nil {
		return x.error()
	}
	if x, ok := byName[strings.ToLower(filepath.Ext(name))]; ok {
		return x.error()
	}
	return errNotCapture
}

// error is the error of an input in this format.
func (x *foreignFormat) error() *foreignError {
	return &foreignError{what: fmt.Sprintf("this is no capture file (pcap or pcapng), but %s",
		x.name), do: x.do, holds: !x.text}
}

// textFormat recognises texts: what tcpdump or tshark print, and others. It returns nil for bytes
// that are no text.
func textFormat(head []byte) *foreignFormat {
	if !isText(head) {
		return nil
	}
	const print = "it lacks most of the packets' bytes: write a capture with the option -w instead"
	trimmed := bytes.TrimLeft(head, " \t\r\n\xef\xbb\xbf")
	first, _, _ := bytes.Cut(trimmed, []byte("\n"))
	switch {
	case len(trimmed) == 0:
		return &foreignFormat{name: "blank", text: true}
	case bytes.Contains(head, []byte("0x0000: ")):
		return &foreignFormat{name: "a print of tcpdump -X or -x",
			do: "write a capture with tcpdump -w instead, or convert it with text2pcap"}
	case hexDump(first):
		return &foreignFormat{name: "a hex dump",
			do: "convert it with `text2pcap FILE NEW.pcap` (Wireshark)"}
	case bytes.Contains(first, []byte(" IP ")), bytes.Contains(first, []byte(" IP6 ")):
		return &foreignFormat{name: "a print of tcpdump", do: print}
	case bytes.Contains(head, []byte("<pdml")), bytes.Contains(head, []byte("<psml")):
		return &foreignFormat{name: "an XML print of tshark", do: print}
	case trimmed[0] == '{', trimmed[0] == '[' && bytes.ContainsAny(trimmed, `"{`):
		return &foreignFormat{name: "JSON", text: true,
			do: "events of spamsensor or of tshark hold no packets"}
	case trimmed[0] == '<':
		return &foreignFormat{name: "HTML or XML", text: true,
			do: "a report of spamsensor is asked with -r, as in `spamsensor findings -r FILE`"}
	}
	return &foreignFormat{name: "text", text: true}
}

// hexDump reports whether a line is an offset of four digits or more, and bytes in hexadecimal.
func hexDump(line []byte) bool {
	words := bytes.Fields(line)
	if len(words) < 3 || len(words[0]) < 4 {
		return false
	}
	for i, w := range words[:3] {
		if i == 0 {
			w = bytes.TrimRight(w, ":")
		}
		if len(bytes.Trim(w, "0123456789abcdefABCDEF")) > 0 || i > 0 && len(w) != 2 && len(w) != 4 {
			return false
		}
	}
	return true
}

// isText reports whether bytes are UTF-8 or a similar text: no control characters but those of
// lines.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}
