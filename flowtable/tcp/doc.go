// Package tcp follows one TCP connection as an observer: whether it was established, how it ended,
// which bytes each side sent and in which order, and which bytes the capture has missed.
//
// Words:
//
//	half   one direction of a connection
//	next   the sequence number of the next byte that a half delivers
//	held   a segment that cannot be delivered yet
//	hole   missing bytes that keep segments waiting
//	gap    missing bytes for which the stream does not wait any longer
//
// Bytes are delivered in an order in which they can have happened. A segment waits for the bytes
// before it in its own half, and for the bytes of the other half that it acknowledges: a reply is
// never delivered before its command, even where a mirror port delivers the two directions out of
// step.
//
//	client  EHLO x ........ [lost] ........ MAIL <- held: bytes before it are missing
//	server         250 ok ack=EHLO                  250 ok ack=... <- held: it acknowledges bytes
//	                                                               that were not delivered
//
// A hole ends in one of three ways: segments fill it; or the receiver has acknowledged it, so that
// no segment will repeat it, and three more segments have come; or too much is held. In the latter
// two cases the stream delivers a gap.
//
// A receiver drops a segment that acknowledges more than the other half has sent, with all its
// bytes; or the capture has lost segments. Such a segment waits too. A copy of it that acknowledges
// no more than was sent takes its place; the missing bytes become a gap once the other half sends
// bytes behind them. Before the server has sent data, only the acknowledgment of its SYN-ACK opens
// the connection.
//
// Of two copies of a byte the stream delivers the one that Linux takes, usually the first. Where
// the copies differ the connection is marked with Conflict, because the receiver may have taken
// the other. For the comparison the stream remembers the bytes that it has delivered last; see
// history. A reset or a FIN outside the window changes nothing.
//
// A segment that the receiver may drop, by its DropRisk or its timestamp, waits for the
// acknowledgment of its bytes. Where other bytes come meanwhile in a segment without such a risk,
// those are delivered.
//
// The package does not handle window scaling, checksums, and options other than timestamps. It
// leaves out the one byte of urgent data, as nearly all receivers do, and marks the connection,
// because a program can have it in its place.
package tcp
