package engine

import (
	"cmp"
	"unsafe"

	"spamsensor/flowtable"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/track"
	"spamsensor/smtpsniff"
)

// Limits bound the memory. A limit that is zero is derived from Memory.
type Limits struct {
	// Memory bounds what the engine allocates when every table is full, in bytes. The packets of a
	// round come on top. Zero means 152 MiB.
	Memory int
	// Attempts, Flows and Sources bound the entries of the table. On top of Attempts the SYN cache
	// holds half as many SYNs of external hosts.
	Attempts, Flows, Sources int
	// Sessions bounds the dialogues that are followed, Hosts the sources that have a profile.
	Sessions, Hosts int
	// SessionBytes bounds the memory of all dialogues together, with their texts, unfinished lines
	// and data held for a reply.
	SessionBytes int
	// Servers bounds the watched mail servers that are not declared. QueueBytes bounds the memory
	// of all servers' queues together.
	Servers, QueueBytes int
	// MailBytes bounds the open transactions of watched servers.
	MailBytes int
	// ExactBytes bounds what the sets of all hosts together may use beyond their own kilobyte to
	// count exactly.
	ExactBytes int
	// HeldBytes bounds the out-of-order segments that wait for missing ones.
	HeldBytes int
}

// defaultMemory is 152 MiB. With the capture's buffer of 64 MiB and the program itself the process
// takes 256 MiB.
const defaultMemory = 152 << 20

// hostBytes is the typical size of a source's profile with its sets.
const hostBytes = 9 << 10

// sessionSize is the size of a dialogue with short texts.
const sessionSize = int(unsafe.Sizeof(smtpsniff.Session{})) + 192

// serverBytes is the typical size of a watched mail server without its queue: 60 KB, the domains
// that it learned, and its users' accounts, at most 90 KB.
const serverBytes = 200 << 10

// fill derives the limits that are zero. The shares are in percent of Memory.
func (l *Limits) fill() {
	l.Memory = cmp.Or(l.Memory, defaultMemory)
	room := func(n *int, percent int, size uintptr) {
		if *n == 0 {
			*n = l.Memory / 100 * percent / int(size)
		}
	}
	attempt, syn := flowtable.AttemptBytes, flowtable.SYNEntryBytes[track.SYNDetails]()
	if l.Attempts == 0 { // rings have sizes that are powers of two
		for l.Attempts = 256; l.Attempts*int(2*attempt+syn) <= l.Memory/100*16; {
			l.Attempts *= 2
		}
	}
	room(&l.Flows, 21, flowtable.FlowBytes[track.Flow]())
	room(&l.Sources, 14, flowtable.SourceBytes[sources.Source]())
	l.SessionBytes = max(cmp.Or(l.SessionBytes, l.Memory/100*18), l.Sessions*sessionSize)
	l.Sessions = cmp.Or(l.Sessions, l.SessionBytes/sessionSize)
	room(&l.Hosts, 15, hostBytes)
	room(&l.Servers, 3, serverBytes)
	room(&l.QueueBytes, 3, 1)
	room(&l.MailBytes, 2, 1)
	room(&l.ExactBytes, 3, 1)
	room(&l.HeldBytes, 5, 1)
}
