package machines

import (
	"encoding/binary"
	"sync/atomic"

	"spamsensor/flowtable"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/inorder"
	"spamsensor/sensor/sources"
)

// Tracker joins the addresses of machines that change them. The holder of tickMu owns it.
type Tracker struct {
	chains       map[uint64]*addressChain            // by macKey, at most maxMachines
	chainOf      map[flowtable.HostKey]*addressChain // of the members
	rotations    map[rotationKey]*rotation           // at most maxRotations
	hosts        map[hostID]*host                    // at most maxMachines
	hostOf       map[flowtable.HostKey]*host         // of their joined addresses
	links        map[uint64]*link                    // senders of frames by macKey: maxLinks
	waiting      []*link                             // with networks that may turn out to be ours
	nextSweep    int64                               // when links may be swept again, ns since 1970
	nextHops     []uint16                            // to which home machines send
	sources      *sources.Set
	held         []*sources.FindingEvent // findings that are held back, at most maxHeld
	forgotten    atomic.Uint64           // machines that were dropped at a bound
	incidents    finding.Incidents       // incidents of findings
	newAddresses []sources.NewAddress    // scratch of trackAddresses
	linkNotes    []sources.LinkNote      // scratch of TrackLinks
	merger       inorder.Merger          // scratch of both
	changed      []flowtable.HostKey     // scratch of JoinAddresses
	parted       []flowtable.HostKey     // addresses that are to be judged alone again
	news         bool                    // some host may be dirty
}

// Lost is the number of machines that were dropped at a bound.
func (t *Tracker) Lost() uint64 { return t.incidents.Evicted.Load() + t.forgotten.Load() }

// Init sets up the tracker of the machines behind a set of sources.
func (t *Tracker) Init(sources *sources.Set) { t.sources = sources }

// macKey is a link-layer address as a number: maps find numbers in a third of the instructions.
func macKey(mac [6]byte) uint64 {
	return uint64(binary.BigEndian.Uint16(mac[:]))<<32 | uint64(binary.BigEndian.Uint32(mac[2:]))
}

// timeRank is the rank of a time for a merger: ranks have no sign.
func timeRank(ns int64) uint64 { return uint64(ns) ^ 1<<63 }
