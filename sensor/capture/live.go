package capture

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"spamsensor/sensor/frame"
)

// LiveConfig configures Live.
type LiveConfig struct {
	Interface string // name of the interface; required
	// Snaplen is the number of bytes of a frame that are captured. Zero means 262144, the whole
	// frame: a card may join segments to frames of 64 KiB, and with the filter only mail is copied.
	Snaplen int
	// Buffer is the kernel's buffer in bytes. Zero means DefaultBuffer, 64 MiB: a reader that
	// stalls for 0.2 s at 0.8 million packets a second lost 7.4 % with 2 MiB and nothing with 64.
	Buffer int
	// Ports are the mail ports, for the kernel's filter.
	Ports []uint16
	// NoFilter captures every frame. It serves to examine a mirror port.
	NoFilter bool
	// From is the index of this input, for Frame.From.
	From uint16
	// Method is the way of capturing. Zero means MethodAuto.
	Method Method
	// Fanout is a group of Lives that share the frames of the interface; it needs MethodAFPacket.
	// Nil means that this Live gets all of them.
	Fanout *Fanout
	// NoPromiscuous does not set the interface to promiscuous mode.
	NoPromiscuous bool
}

// readTimeout bounds how long Next waits and how long Close takes. With no timeout and no traffic,
// Close would never return.
const readTimeout = 100 * time.Millisecond

// InterfaceError is the reason why an interface cannot be captured on, and a hint for the user.
type InterfaceError struct {
	Interface string
	Reason    string
	Hint      string // further lines; may be empty
	Err       error
}

// Error implements error: the reason, and the hint on further lines.
func (e *InterfaceError) Error() string {
	s := fmt.Sprintf("cannot capture on %s: %s", e.Interface, e.Reason)
	if e.Hint != "" {
		s += "\n" + e.Hint
	}
	return s
}

// Unwrap returns Err.
func (e *InterfaceError) Unwrap() error { return e.Err }

// ErrNoInterface is wrapped by the error for a name that no interface has.
var ErrNoInterface = errors.New("no such interface")

// LiveBatch is the most frames in a batch of Live.
const LiveBatch = 512

// Method is a way of capturing.
type Method string

// The methods. MethodAuto is MethodAFPacket where it serves the interface, and MethodPcap
// elsewhere. The zero value means MethodAuto.
const (
	MethodAuto     Method = "auto"
	MethodPcap     Method = "pcap"     // libpcap
	MethodAFPacket Method = "afpacket" // a ring that is shared with the kernel; see packetRing
)

// Methods are the names of all methods.
var Methods = []string{string(MethodAuto), string(MethodPcap), string(MethodAFPacket)}

// liveHandle is an open interface.
type liveHandle interface {
	// read fills frames until the kernel has no more, or readTimeout has passed. The frames borrow
	// the handle's memory until the next call. After an error the handle is of no more use.
	read(frames []frame.Frame) (n int, err error)
	// counted returns what was counted since the last call: frames that the kernel received, with
	// those that it dropped; frames that it dropped; and frames that the interface lost.
	counted() (received, drops, ifDrops uint64)
	method() Method
	close()
}

// Live captures on one interface. When the interface goes away, Next returns one error and from
// then on tries to open it again, every second; Stats.Errors counts these errors. One goroutine
// uses it; Stats and Problem may be called from any.
type Live struct {
	cfg    LiveConfig
	handle liveHandle // nil while the interface is gone
	frames [LiveBatch]frame.Frame
	batch  Batch

	retry     time.Time // when to open the interface again; handle is nil then
	countedAt time.Time // when the handle's counters were read last
	linkCount uint64    // the interface's own counter, when it was read last

	// Written by the goroutine that calls Next, read by Stats from any: libpcap's own counters are
	// not safe to read from another goroutine.
	gone                          atomic.Bool
	index                         atomic.Int64 // of the interface, zero if it has none
	returned, bytes, received     atomic.Uint64
	drops, ifDrops, errs, arrived atomic.Uint64
}

// DefaultBuffer holds the frames of 200 ms at 0.8 million packets a second: the system may stop the
// sensor for that long.
const DefaultBuffer = 64 << 20

// ErrDown is wrapped by the error for an interface that is down.
var ErrDown = errors.New("the interface is down")

// OpenLive starts capturing. Errors are *InterfaceError. After ErrDown the Live may be used all the
// same: Next tries to open the interface every second.
func OpenLive(cfg LiveConfig) (*Live, error) {
	if cfg.Snaplen == 0 {
		cfg.Snaplen = maxCaplen
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = DefaultBuffer
	}
	l := &Live{cfg: cfg}
	l.findIndex()
	return l, l.open()
}

// open opens the interface.
func (l *Live) open() error {
	h, err := l.openHandle()
	if err != nil {
		return err
	}
	l.findIndex()
	l.gone.Store(false)
	l.handle, l.linkCount = h, received(sysDir(l.cfg.Interface))
	return nil
}

// openHandle opens the interface by the method of the configuration. With MethodAuto libpcap serves
// what a ring does not, and says why an interface cannot be opened.
func (l *Live) openHandle() (liveHandle, error) {
	if l.cfg.Method != MethodPcap {
		r, err := openPacketRing(&l.cfg)
		if err == nil {
			return r, nil
		}
		if l.cfg.Method == MethodAFPacket || l.cfg.Fanout != nil {
			return nil, l.openError(err, nil)
		}
	}
	h, err, cause := openPcapHandle(&l.cfg)
	if err != nil {
		return nil, l.openError(err, cause)
	}
	return h, nil
}

// Method is how the interface is captured: MethodPcap or MethodAFPacket, or empty while it is gone.
// Only the goroutine that calls Next may call it.
func (l *Live) Method() Method {
	if l.handle == nil {
		return ""
	}
	return l.handle.method()
}

// findIndex looks for the interface by its name; "any" is libpcap's name for all.
func (l *Live) findIndex() {
	l.index.Store(0)
	if is, err := net.InterfaceByName(l.cfg.Interface); err == nil {
		l.index.Store(int64(is.Index))
	}
}

// openError is the InterfaceError of a failed open. cause is libpcap's own text.
func (l *Live) openError(err, cause error) error {
	e := &InterfaceError{Interface: l.cfg.Interface, Reason: err.Error(), Err: err}
	if cause != nil && cause.Error() != "" {
		e.Reason += ": " + cause.Error()
	}
	text := strings.ToLower(e.Reason)
	switch _, missing := net.InterfaceByName(l.cfg.Interface); {
	case missing != nil && l.cfg.Interface != "any":
		e.Reason, e.Err = "there is no such interface", ErrNoInterface
		e.Hint = fmt.Sprintf("  there are: %s   (more with: spamsensor interfaces)",
			strings.Join(InterfaceNames(), ", "))
	case strings.Contains(text, "permi") || strings.Contains(text, "not permitted"):
		exe, _ := os.Executable()
		e.Reason, e.Err = "permission denied", os.ErrPermission
		e.Hint = fmt.Sprintf("  as a service:  AmbientCapabilities=CAP_NET_RAW     "+
			"once, by hand:  sudo setcap cap_net_raw+ep %s\n", exe) +
			"  in a container: --network host --cap-drop ALL --cap-add NET_RAW (user 0)"
	case errors.Is(err, ErrDown) || strings.Contains(text, "not up"):
		e.Reason, e.Err = ErrDown.Error(), ErrDown
		e.Hint = "  sudo ip link set " + l.cfg.Interface + " up promisc on"
	}
	return e
}

// Next returns frames, or an empty batch after 100 ms without a frame, or an *InterfaceError when
// the interface goes away.
func (l *Live) Next() (*Batch, error) {
	l.batch = Batch{End: true}
	n, err := l.fill()
	if n > 0 {
		l.batch.Frames = l.frames[:n]
		l.batch.First, l.batch.Last = l.frames[0].Time, l.frames[n-1].Time
	}
	return &l.batch, err
}

// fill reads frames until the kernel has no more, or readTimeout has passed.
func (l *Live) fill() (n int, err error) {
	if l.handle == nil {
		if wait := time.Until(l.retry); wait > 0 {
			time.Sleep(min(wait, readTimeout))
			return 0, nil
		}
		if l.open() != nil {
			l.retry = time.Now().Add(time.Second)
			return 0, nil
		}
	}
	n, err = l.handle.read(l.frames[:])
	if err != nil {
		return 0, l.disconnect(err)
	}
	size := 0
	for i := range l.frames[:n] {
		size += len(l.frames[i].Data)
	}
	l.returned.Add(uint64(n))
	l.bytes.Add(uint64(size))
	if now := time.Now(); now.Sub(l.countedAt) >= time.Second {
		l.countedAt = now
		l.count()
	}
	return n, nil
}

// disconnect closes the handle after an error. libpcap would repeat the error for ever (247,319
// times in 1.4 s were seen), even when the interface is back under the same name.
func (l *Live) disconnect(err error) error {
	l.count()
	l.handle.close()
	l.handle = nil
	l.errs.Add(1)
	l.gone.Store(true)
	l.retry = time.Now().Add(time.Second)
	return &InterfaceError{Interface: l.cfg.Interface, Reason: err.Error(), Err: err}
}

// count adds the handle's counters to ours.
func (l *Live) count() {
	seen, drops, ifDrops := l.handle.counted()
	l.received.Add(seen)
	l.drops.Add(drops)
	l.ifDrops.Add(ifDrops)
	n := received(sysDir(l.cfg.Interface))
	l.arrived.Add(n - min(n, l.linkCount)) // the counter of a new interface begins at zero
	l.linkCount = n
}

// drainTime bounds Drain: four times as long as a full buffer takes at a million packets a second.
const drainTime = 2 * time.Second

// Drain calls take for the frames that were in the kernel's buffer at the time of the call.
func (l *Live) Drain(take func(*Batch)) {
	if l.handle == nil {
		return
	}
	l.count()
	wanted := l.received.Load()
	end := time.Now().Add(drainTime)
	for time.Now().Before(end) && l.returned.Load()+l.drops.Load() < wanted {
		b, err := l.Next()
		if take(b); err != nil || len(b.Frames) == 0 {
			return
		}
	}
}

// Problem is a short text that explains why no frame can arrive: the interface is gone, or down, or
// has no carrier; "" if no reason is known. A renamed interface is the same interface. It may be
// called from any goroutine.
func (l *Live) Problem() string {
	index := int(l.index.Load())
	if l.gone.Load() {
		return "is gone"
	}
	if index == 0 {
		return ""
	}
	is, err := net.InterfaceByIndex(index)
	switch {
	case err != nil:
		return "is gone"
	case is.Flags&net.FlagUp == 0:
		return "is down"
	case is.Flags&net.FlagRunning == 0:
		return "has no carrier"
	}
	return ""
}

// Input is the name of the interface.
func (l *Live) Input(uint16) string { return l.cfg.Interface }

// Stats are the counters so far. It may be called from any goroutine.
func (l *Live) Stats() Stats {
	returned, drops, received := l.returned.Load(), l.drops.Load(), l.received.Load()
	return Stats{Frames: returned, Unread: received - min(received, returned+drops),
		Bytes: l.bytes.Load(), BytesRead: l.bytes.Load(), KernelDrops: drops,
		InterfaceDrops: l.ifDrops.Load(), Errors: l.errs.Load(), Arrived: l.arrived.Load()}
}

// Close ends the capture.
func (l *Live) Close() error {
	if l.handle != nil {
		l.count()
		l.handle.close()
		l.handle = nil
	}
	return nil
}
