package peer

import "spamsensor/sensor/track"

// The notes of a flow: what detection remembers of it.
const (
	External     track.Notes = 1 << iota // its server is none of ours
	Relay                                // its server is an allowed relay
	Inside                               // its server is ours
	Watched                              // one end can be a mail server of ours
	Decided                              // its transaction was refused, or a message was accepted
	Encrypted                            // TLS began
	Relayed                              // it relayed a message from outside to outside
	Attested                             // the server answered what the client said
	Conflicted                           // the client sent bytes twice that differ
	SelfMade                             // the frames of both sides come from one machine
	Greeted                              // the server said something
	NewSender                            // the domain of the transaction's sender is new
	Refused                              // its transaction was refused
	RcptRefused                          // a recipient of its transaction was refused
	RcptAccepted                         // a recipient of its transaction was accepted
	Returned                             // the mail of its transaction has the null sender

	// Transaction are the notes that end with a mail transaction.
	Transaction = Decided | NewSender | Refused | RcptRefused | RcptAccepted | Returned
)
