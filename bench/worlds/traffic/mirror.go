package traffic

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// Mirror is what the mirror port does to the traffic. The zero value shows all of it once.
type Mirror struct {
	Twice   bool    // every frame comes twice: both ports of a switch are mirrored
	Loss    float64 // share of frames that the port drops
	Snaplen int     // bytes of each frame that are kept; 0: all
	Only    string  // "out" or "in": the port mirrors one direction
	// From and To cut the capture; zero: from the start, to the end.
	From, To time.Duration
	Nano     bool // times of the file are in nanoseconds
}

// sees reports whether a time is within the capture.
func (m *Mirror) sees(at time.Duration) bool {
	return at >= m.From && (m.To == 0 || at < m.To)
}

// forget removes the counts that the mirror does not show exactly.
func (m *Mirror) forget(t *Truth) {
	for _, c := range t.Sources {
		if m.Loss > 0 {
			c.Attempts, c.Retransmits, c.Sessions, c.Messages = -1, -1, -1, -1
		}
		if m.Only != "" {
			c.Sessions, c.Messages = -1, -1
		}
		if m.Only == "in" {
			c.Attempts, c.Retransmits = -1, -1
		}
		if m.Snaplen > 0 || m.From > 0 || m.To > 0 {
			c.Messages = -1
		}
		if m.From > 0 {
			c.Attempts, c.Retransmits, c.Sessions = -1, -1, -1
		}
	}
}

// Finish ends the drawing: it puts the frames in order, passes them through the mirror and
// completes the truth. It returns the capture as a pcap file.
func (w *World) Finish() []byte {
	slices.SortStableFunc(w.frames, func(a, b frame) int { return cmp.Compare(a.at, b.at) })
	w.finishTruth()
	var out bytes.Buffer
	header := make([]byte, 24)
	magic := uint32(0xa1b2c3d4)
	if w.Mirror.Nano {
		magic = 0xa1b23c4d
	}
	binary.LittleEndian.PutUint32(header[0:], magic)
	binary.LittleEndian.PutUint16(header[4:], 2)
	binary.LittleEndian.PutUint16(header[6:], 4)
	binary.LittleEndian.PutUint32(header[16:], 262144)
	binary.LittleEndian.PutUint32(header[20:], 1) // Ethernet
	out.Write(header)
	kept := slices.DeleteFunc(w.frames, func(f frame) bool {
		out := bytes.Equal(f.data[:6], w.Gateway.MAC[:])
		in := bytes.Equal(f.data[6:12], w.Gateway.MAC[:])
		return !w.Mirror.sees(f.at) || w.Mirror.Only == "out" && !out ||
			w.Mirror.Only == "in" && !in ||
			w.Mirror.Loss > 0 && w.R.Float64() < w.Mirror.Loss
	})
	if w.Mirror.Twice {
		var twice []frame
		for _, f := range kept {
			again := f
			again.at += time.Duration(1+w.R.IntN(40)) * time.Microsecond
			twice = append(twice, f, again)
		}
		slices.SortStableFunc(twice, func(a, b frame) int { return cmp.Compare(a.at, b.at) })
		kept = twice
	}
	for _, f := range kept {
		w.record(&out, f)
	}
	w.Truth.Packets = len(kept)
	if len(kept) > 0 {
		w.Truth.Span = (kept[len(kept)-1].at - kept[0].at).Seconds()
	}
	w.frames = nil
	return out.Bytes()
}

// record writes one frame.
func (w *World) record(out *bytes.Buffer, f frame) {
	at := w.Start.Add(f.at)
	var h [16]byte
	part := at.Nanosecond()
	if !w.Mirror.Nano {
		part /= 1000
	}
	if w.Mirror.Snaplen > 0 && len(f.data) > w.Mirror.Snaplen {
		f.data = f.data[:w.Mirror.Snaplen]
	}
	binary.LittleEndian.PutUint32(h[0:], uint32(at.Unix()))
	binary.LittleEndian.PutUint32(h[4:], uint32(part))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(f.data)))
	binary.LittleEndian.PutUint32(h[12:], uint32(f.whole))
	out.Write(h[:])
	out.Write(f.data)
}
