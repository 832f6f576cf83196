// Package capture gives frames: live from an interface through libpcap, or from
// capture files. It is the only package with cgo.
//
// Both are a [Source]. Frames come in batches and borrow the source's memory, so that
// reading costs no copy and no allocation. What could not be given is never silent:
// the kernel's drops are in [Stats], a file that cannot be read to its end gives every
// frame before the damage and then a [PartialError].
//
// Files are not read through libpcap: it reads them 4 KiB at a time (366,238 calls for
// a file of 1.5 GB), refuses pcapng files with two link types and everything that is
// compressed, and tells gopacket no more than "Read Error". Here a block of about 256 KiB,
// which stays in the L2 cache, is read at a time and the records in it are walked in
// place.
package capture

import (
	"fmt"
	"io"
)

// A Frame is one captured frame. Data is borrowed: it is valid until the next call of
// Next on the Source that gave it.
type Frame struct {
	Data []byte
	Time int64  // nanoseconds since 1970
	Len  int    // length on the wire, in bytes; at least len(Data) in a sane capture
	Link uint16 // link type, as in https://www.tcpdump.org/linktypes.html
	From uint16 // index of the input: Source.Input says which file or interface
}

// Source gives frames until it returns an error: io.EOF at the end, *PartialError where
// an input is damaged (another call goes on with the next input, if there is one),
// anything else when there will be no more. A call that gives frames gives no error.
// A live source returns 0 and nil when its timeout passed without a frame.
// A Source is used by one goroutine.
type Source interface {
	Next(frames []Frame) (int, error)
	// Input names the file or the interface with this number.
	Input(from uint16) string
	Stats() Stats
	Close() error
}

// Stats are a source's own counters, cumulative since it was opened.
type Stats struct {
	Frames uint64 // given by Next
	Bytes  uint64 // of those, captured
	// BytesRead is how much of the input was consumed, BytesTotal how much there is (0 if
	// that is not known), both as on disk: before decompression.
	BytesRead, BytesTotal uint64
	// Live only. KernelDrops is what the kernel could not give us because its buffer was
	// full, InterfaceDrops what the interface or its driver lost. In pcapng files both are what the
	// capturing program wrote down, if it did.
	KernelDrops, InterfaceDrops uint64
	Errors                      uint64 // inputs that ended before their end
	BadTimes                    uint64 // records whose fraction of a second is no fraction
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
