package capture

import (
	"fmt"

	"github.com/google/gopacket/pcap"

	"spamsensor/sensor/frame"
)

// pcapHandle captures through libpcap. It serves every kind of interface.
type pcapHandle struct {
	h    *pcap.Handle
	from uint16
	room int // the most bytes of a frame
	// Frames are copied here, because libpcap returns them one by one and reuses the memory with
	// the next. With the filter these are mail frames only.
	arena []byte
	last  pcap.Stats // libpcap's counters when they were read last
}

// openPcapHandle starts capturing. cause is libpcap's own text about the error.
func openPcapHandle(cfg *LiveConfig) (h *pcapHandle, err, cause error) {
	in, err := pcap.NewInactiveHandle(cfg.Interface)
	if err != nil {
		return nil, err, nil
	}
	defer in.CleanUp()
	for _, set := range []func() error{
		func() error { return in.SetSnapLen(cfg.Snaplen) },
		func() error { return in.SetPromisc(!cfg.NoPromiscuous) },
		func() error { return in.SetTimeout(readTimeout) },
		func() error { return in.SetBufferSize(cfg.Buffer) },
	} {
		if err := set(); err != nil {
			return nil, err, in.Error()
		}
	}
	p, err := in.Activate()
	if err != nil {
		return nil, err, in.Error()
	}
	if !cfg.NoFilter {
		if err := p.SetBPFFilter(Filter(frame.LinkType(p.LinkType()), cfg.Ports)); err != nil {
			defer p.Close()
			return nil, fmt.Errorf("the kernel's filter: %w", err), p.Error()
		}
	}
	return &pcapHandle{h: p, from: cfg.From, room: cfg.Snaplen,
		arena: make([]byte, 256<<10+cfg.Snaplen)}, nil, nil
}

// read implements liveHandle.
func (p *pcapHandle) read(frames []frame.Frame) (n int, err error) {
	link, used := frame.LinkType(p.h.LinkType()), 0
	for n < len(frames) && used+p.room <= len(p.arena) {
		data, ci, err := p.h.ZeroCopyReadPacketData()
		if err == pcap.NextErrorTimeoutExpired {
			break
		}
		if err != nil {
			if n == 0 {
				return 0, p.describe(err)
			}
			break // the next call meets the same error
		}
		to := p.arena[used : used+len(data) : used+len(data)]
		copy(to, data)
		used += len(data)
		at := frame.ReadTime(ci.Timestamp.UnixNano())
		frames[n] = frame.Frame{Data: to, Time: at, Len: ci.Length, Link: link, From: p.from}
		n++
		if at-frames[0].Time > int64(readTimeout) {
			break
		}
	}
	return n, nil
}

// describe adds libpcap's own text to an error of gopacket, which says "Read Error" alone.
func (p *pcapHandle) describe(err error) error {
	if cause := p.h.Error(); cause != nil && cause.Error() != "" {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// counted implements liveHandle. libpcap's counters are 32 bits wide and wrap within hours on a
// busy link.
func (p *pcapHandle) counted() (received, drops, ifDrops uint64) {
	st, err := p.h.Stats()
	if err != nil {
		return 0, 0, 0
	}
	received = uint64(uint32(st.PacketsReceived - p.last.PacketsReceived))
	drops = uint64(uint32(st.PacketsDropped - p.last.PacketsDropped))
	ifDrops = uint64(uint32(st.PacketsIfDropped - p.last.PacketsIfDropped))
	p.last = *st
	return received, drops, ifDrops
}

// method implements liveHandle.
func (p *pcapHandle) method() Method { return MethodPcap }

// close implements liveHandle.
func (p *pcapHandle) close() { p.h.Close() }

// LibpcapVersion is the version of the linked libpcap.
func LibpcapVersion() string { return pcap.Version() }
