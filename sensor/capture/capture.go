// Package capture gives frames: live from an interface through libpcap, or from
// capture files. It is the only package with cgo.
//
// Both are a [Source]. Frames come in batches and borrow the source's memory, so that
// reading costs no copy and no allocation. What could not be given is never silent:
// the kernel's drops are in [Stats], a file that cannot be read to its end gives every
// frame before the damage and then a [PartialError].
//
// Live, the kernel's filter sends away what is no mail; on a file a [Prefilter] does, while the
// records are walked: 98 of 100 frames of mixed traffic end there.
//
// Files are not read through libpcap: it reads them 4 KiB at a time (366,238 calls for
// a file of 1.5 GB), refuses pcapng files with two link types and everything that is
// compressed, and tells gopacket no more than "Read Error". There are two ways here:
//
//   - What comes in a stream (compressed, pcapng, standard input) is read in blocks of about
//     256 KiB, which stay in the L2 cache, and the records are walked in place.
//   - A plain pcap file on a disk is mapped, a stretch at a time, and walked in several
//     lanes at once; see mapped.go.
package capture

import (
	"fmt"
	"io"

	"spamsensor/sensor/frame"
)

// Prefilter looks at a frame's bytes and its length on the wire alone and says whether it can be left out, and how
// that is to be counted: class is below Classes. It must be quick, and is called by several goroutines.
type Prefilter func(link frame.LinkType, data []byte, wire int) (class uint8, skip bool)

// Classes bounds the numbers that a Prefilter gives.
const Classes = 64

// Batch is what a Source gives at a time. It is borrowed until the next call of Next.
type Batch struct {
	Parts   [][]frame.Frame // in the order of the input
	Skipped [Classes]uint64 // frames that the prefilter left out since the last batch
	// First and Last are the lowest and the highest time of all frames since the last batch, those left
	// out included; zero if there were none.
	First, Last int64
	// End says that the batch ends at a place in the input that depends on nothing but the
	// input: whoever tells counters then tells the same for every way of reading it.
	End bool
}

// Source gives frames until it returns an error: io.EOF at the end, *PartialError where
// an input is damaged (another call goes on with the next input, if there is one),
// anything else when there will be no more. A call that gives frames gives no error.
// A live source gives an empty batch when its timeout passed without a frame.
// A Source is used by one goroutine.
type Source interface {
	Next() (*Batch, error)
	// Input names the file or the interface with this number.
	Input(from uint16) string
	Stats() Stats
	Close() error
}

// Stats are a source's own counters, cumulative since it was opened.
type Stats struct {
	Frames uint64 // given by Next, or left out by the prefilter
	Bytes  uint64 // of those, captured
	// BytesRead is how much of the input was consumed, BytesTotal how much there is (0 if
	// that is not known), both as on disk: before decompression.
	BytesRead, BytesTotal uint64
	// Live only. KernelDrops is what the kernel could not give us because its buffer was
	// full, InterfaceDrops what the interface or its driver lost. In pcapng files both are what the
	// capturing program wrote down, if it did.
	KernelDrops, InterfaceDrops uint64
	// Unread is what the kernel counted as received and did not drop, and that Next did not give: what
	// is in its buffer, or was left there at the end. Live only.
	Unread uint64
	// Arrived is what the interface received, mail or not: the kernel's filter gives us a part of it. Live only,
	// zero where the system does not tell.
	Arrived  uint64
	Errors   uint64 // inputs that could not be read whole
	BadTimes uint64 // records whose fraction of a second is no fraction
	// Untimed are frames that were left out because their time lies outside of [1970-01-01,
	// 2262-04-11). They are part of Frames, and of Batch.Skipped under the class of the
	// configuration.
	Untimed uint64
}

// PartialError says that an input could not be read to its end. Everything before
// Offset was given.
type PartialError struct {
	Name   string
	Offset int64 // where the damage was found, in bytes of the (decompressed) input
	Frames uint64
	Reason string
	cause  error
}

func (e *PartialError) Error() string {
	switch {
	case e.Frames == 0 && e.Offset == 0:
		return fmt.Sprintf("%s: %s", e.Name, e.Reason)
	case e.Frames == 0:
		return fmt.Sprintf("%s: %s (byte %d)", e.Name, e.Reason, e.Offset)
	}
	return fmt.Sprintf("%s: %s (byte %d); the %d frames before it were read", e.Name, e.Reason, e.Offset, e.Frames)
}

// Unwrap makes errors.Is(err, io.ErrUnexpectedEOF) hold.
func (e *PartialError) Unwrap() []error { return []error{io.ErrUnexpectedEOF, e.cause} }

// partial makes an error of what was found wrong with an input.
func partial(name string, cause error) *PartialError {
	return &PartialError{Name: name, Reason: cause.Error(), cause: cause}
}
