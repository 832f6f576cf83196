// Package traffic draws the packets of a network as a mirror port shows them, with the truth about
// each host. It shares nothing with the sensor, and nothing with package campaign: what both
// generators take for granted is then at least taken for granted twice.
//
// Words: a world is one network for hours or days; the mirror is the port that shows its traffic,
// perhaps not all of it; a host is a machine inside or outside; a stack is its TCP; a provider is a
// company that takes mail; a domain is a receiver with its mail servers; the truth is what a
// careful analyst would say of the capture.
//
// A caller makes a World, adds hosts, and draws connections: Dial, then Open, Silent, Refuse or
// Unreachable, then SMTP. The order of drawing has no meaning: frames are sorted by time at the end
// (Finish), where the mirror also drops, doubles or cuts them. Counts of the truth are made where
// the packets are made, and only where the mirror shows what they count.
//
// The packets follow RFC 9293 (TCP), RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 8446 (TLS 1.3: a
// ClientHello that parses, then random bytes in records), RFC 1035 (DNS), RFC 792 and RFC 4443
// (ICMP). The same scenario and seed give the same bytes.
//
// It does not draw congestion, TLS 1.2 certificates, DNS over TCP, or fragments.
package traffic
