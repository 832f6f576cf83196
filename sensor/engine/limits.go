package engine

import (
	"cmp"
	"unsafe"

	"spamsensor/flowtable"
	"spamsensor/smtpsniff"
)

// Limits bound the memory. Numbers that are zero are derived from Memory.
type Limits struct {
	// Memory is what the engine takes when everything is full, in bytes, but for the packets in
	// hand. Zero means 152 MiB.
	Memory int
	// Attempts, Flows and Sources are how many of a kind are remembered at a time; SYN entries of external
	// hosts are half as many as Attempts, and beside them.
	Attempts, Flows, Sources int
	// Sessions is how many dialogues are followed at a time, Hosts how many sources are judged.
	Sessions, Hosts int
	// TalkBytes bounds what the dialogues take together, with their texts and with what waits for
	// the rest of a line or for a reply.
	SessionBytes int
	// Servers is how many mail servers are watched that nobody declared, QueueBytes what all
	// servers share for what waits in their queues.
	Servers, QueueBytes int
	// MailBytes bounds the transactions that these servers have in hand.
	MailBytes int
	// ExactBytes is what the sets of all hosts share to count exactly beyond their own kilobyte.
	ExactBytes int
	// HeldBytes bounds the segments that wait for missing ones.
	HeldBytes int
}

// defaultMemory, with the capture's buffer of 64 MiB and what the program needs for itself, is
// 256 MiB.
const defaultMemory = 152 << 20

// hostBytes is what a judged source takes with its sets, about.
const hostBytes = 6 << 10

// talkBytes is what a dialogue with short texts takes.
const sessionSize = int(unsafe.Sizeof(smtpsniff.Session{})) + 192

// serverBytes is what a watched mail server takes beside its queue, about: 60 KB, the domains that it
// learned, and the accounts of its users, at most 90 KB.
const serverBytes = 200 << 10

// fill derives what is not given. The shares are in percent.
func (l *Limits) fill() {
	l.Memory = cmp.Or(l.Memory, defaultMemory)
	room := func(n *int, percent int, size uintptr) {
		if *n == 0 {
			*n = l.Memory / 100 * percent / int(size)
		}
	}
	attempt, syn := flowtable.AttemptBytes, flowtable.SYNEntryBytes[synDetails]()
	if l.Attempts == 0 { // rings have sizes that are powers of two
		for l.Attempts = 256; l.Attempts*int(2*attempt+syn) <= l.Memory/100*16; {
			l.Attempts *= 2
		}
	}
	room(&l.Flows, 21, flowtable.FlowBytes[flow]())
	room(&l.Sources, 14, flowtable.SourceBytes[source]())
	l.SessionBytes = max(cmp.Or(l.SessionBytes, l.Memory/100*18), l.Sessions*sessionSize)
	l.Sessions = cmp.Or(l.Sessions, l.SessionBytes/sessionSize)
	room(&l.Hosts, 15, hostBytes)
	room(&l.Servers, 3, serverBytes)
	room(&l.QueueBytes, 3, 1)
	room(&l.MailBytes, 2, 1)
	room(&l.ExactBytes, 3, 1)
	room(&l.HeldBytes, 5, 1)
}
