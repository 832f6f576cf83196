// Package capture reads frames: live from an interface ([Live]), through a ring that is shared with
// the kernel or through libpcap, or from capture files ([Files]). It is the only package with cgo.
//
// # Words
//
// An input is a file or an interface. A record is a frame as a file holds it. A [Batch] is what one
// call of Next returns; its frames borrow the reader's memory, so that reading costs no copy and no
// allocation. A block is the part of a file that is in memory at a time. A window is a part of a
// file whose beginning and end depend on the file alone.
//
// # What is counted
//
// No frame disappears silently. [Stats] holds the kernel's drops. A file that cannot be read to its
// end gives every frame before the damage and then a [PartialError].
//
// The kernel's filter drops live frames that are not mail. A [frame.Prefilter] does so for files
// while the records are walked: 98 of 100 frames of mixed traffic end there, see walk.go.
//
// # How a file is read
//
// Files are not read through libpcap. It reads 4 KiB at a time (366,238 calls for a file of 1.5
// GB), refuses pcapng files with two link types and all compressed files, and gives gopacket no
// other reason than "Read Error". Instead every input, plain, compressed or standard input, is read
// into a buffer of 288 KiB, which stays in the L2 cache, and its records are walked in place; see
// readbuffer.go. A mapping of the file would save the copy, and takes three times as long: each of
// its pages is a page fault, comes from memory, and counts as memory of the process.
//
// Several goroutines can read a plain file side by side, a window each; see window.go.
//
// # What it does not do
//
// It does not decode frames, does not write capture files and does not sort the frames of one
// input by time.
package capture

import (
	"fmt"
	"io"

	"spamsensor/sensor/frame"
)

// Batch is the result of one call of Next. It is borrowed until the next call.
type Batch struct {
	Frames []frame.Frame // in the order of the input
	// Skipped are the frames that the prefilter skipped since the last batch, by class.
	Skipped [frame.Classes]uint64
	// First and Last are the lowest and the highest time of all frames since the last batch,
	// skipped ones included; zero if there were none.
	First, Last int64
	// Round reports that a window or a file ends behind the batch. These places depend on the
	// input alone: what is processed together up to there is the same in every way of reading.
	Round bool
	// End reports that a window ends there: counters may be output.
	End bool
}

// Stats are the counters of an open reader, cumulative.
type Stats struct {
	Frames uint64 // returned by Next, or skipped by the prefilter
	Bytes  uint64 // captured bytes of these frames
	// BytesRead is the consumed part of the input, BytesTotal its size (0 if unknown), both as on
	// disk: before decompression.
	BytesRead, BytesTotal uint64
	// KernelDrops are frames that the kernel dropped because its buffer was full, InterfaceDrops
	// frames that the interface or its driver lost. In a pcapng file both are the counts that the
	// capturing program wrote, if it did; other files have none.
	KernelDrops, InterfaceDrops uint64
	// Unread are frames that the kernel received and did not drop, and that Next did not return:
	// they are in its buffer, or were left there at the end. Live only.
	Unread uint64
	// Arrived are frames that the interface received, mail or not; the kernel's filter passes a
	// part of them. Live only, zero where the system has no such counter.
	Arrived  uint64
	Errors   uint64 // inputs that could not be read whole
	BadTimes uint64 // records whose fraction of a second is a second or more
	// Untimed are frames that were skipped because their time lies outside of [1970-01-01,
	// 2262-04-11). Frames includes them, and Batch.Skipped counts them under the class
	// FilesConfig.Untimed.
	Untimed uint64
}

// Add adds the counters of another reader.
func (s *Stats) Add(o Stats) {
	s.Frames += o.Frames
	s.Bytes += o.Bytes
	s.BytesRead += o.BytesRead
	s.BytesTotal += o.BytesTotal
	s.KernelDrops += o.KernelDrops
	s.InterfaceDrops += o.InterfaceDrops
	s.Unread += o.Unread
	s.Arrived += o.Arrived
	s.Errors += o.Errors
	s.BadTimes += o.BadTimes
	s.Untimed += o.Untimed
}

// PartialError reports an input that could not be read to its end. All frames before Offset were
// returned.
type PartialError struct {
	Name   string
	Offset int64 // of the damage, in bytes of the decompressed input
	Frames uint64
	Reason string
	cause  error
}

// Error implements error.
func (e *PartialError) Error() string {
	switch {
	case e.Frames == 0 && e.Offset == 0:
		return fmt.Sprintf("%s: %s", e.Name, e.Reason)
	case e.Frames == 0:
		return fmt.Sprintf("%s: %s (byte %d)", e.Name, e.Reason, e.Offset)
	}
	return fmt.Sprintf("%s: %s (byte %d); the %d frames before it were read",
		e.Name, e.Reason, e.Offset, e.Frames)
}

// Unwrap makes errors.Is(err, io.ErrUnexpectedEOF) true.
func (e *PartialError) Unwrap() []error { return []error{io.ErrUnexpectedEOF, e.cause} }

// partial is the PartialError of an input without an offset.
func partial(name string, cause error) *PartialError {
	return &PartialError{Name: name, Reason: cause.Error(), cause: cause}
}
