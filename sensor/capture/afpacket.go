package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcap"
	"golang.org/x/sys/unix"

	"spamsensor/sensor/frame"
)

// packetRing captures through an AF_PACKET socket whose ring of blocks (TPACKET_V3) the kernel
// shares with the sensor (packet(7), and Documentation/networking/packet_mmap.rst of Linux):
//
//	ring   [ block 0 | block 1 | ... ]     the kernel fills one block after the other
//	block  [ header | frame | frame | ... ]   is the sensor's until it is given back
//
// Frames are decoded where the kernel has put them: no copy and no call for each frame. libpcap
// uses the same ring, and gives its frames out one by one.
//
// gopacket/afpacket is not used. It gives a block back before it says that the block has ended, so
// its frames would have to be copied, and it forgets the ethertype of a VLAN tag.
type packetRing struct {
	fd       int
	memory   []byte
	blocks   int
	from     uint16
	index    int32 // of the interface
	loopback bool  // the interface gives each frame twice, sent and received

	block  int // the block that is read, or waited for
	taken  bool
	quiet  int    // waits since the last block
	left   uint32 // frames of the block that are not read yet
	at     int    // of the next frame, in memory
	hidden uint64 // frames that were skipped since counted
	name   string
	missed uint64 // the interface's own counter of lost frames, when it was read last
}

const (
	// ringBlock is the size of a block. It holds several joined segments (64 KiB each), and stays
	// in the L2 cache while it is read.
	ringBlock = 512 << 10
	// blockTimeout bounds how long the kernel keeps a block that is not full.
	blockTimeout = 50 * time.Millisecond
	// vlanRoom is kept free before each frame: the tag that the kernel has removed is put back.
	vlanRoom = 4
)

// Fanout is a group of sockets that share the frames of one interface. The frames of a connection,
// in both directions, go to the same one.
type Fanout struct {
	mu    sync.Mutex
	id    int
	known bool // id is set
}

// join adds a socket to the group. The kernel chooses the number of a new group, so that no other
// program has the same.
func (g *Fanout) join(fd int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	const mode = unix.PACKET_FANOUT_HASH << 16
	if g.known {
		return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, g.id|mode)
	}
	const unique = unix.PACKET_FANOUT_FLAG_UNIQUEID << 16
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, mode|unique); err != nil {
		return err
	}
	v, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	g.id, g.known = v&0xffff, err == nil
	return err
}

// errNotEthernet is the reason why a packetRing does not serve an interface.
var errNotEthernet = errors.New("afpacket serves Ethernet and loopback interfaces only")

// openPacketRing starts capturing.
func openPacketRing(cfg *LiveConfig) (_ *packetRing, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a packet socket: %w", err)
	}
	r := &packetRing{fd: fd, from: cfg.From, name: cfg.Interface}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.loopback, err = isLoopback(fd, cfg.Interface); err != nil {
		return nil, err
	}
	if !cfg.NoFilter {
		if err := r.setFilter(cfg); err != nil {
			return nil, fmt.Errorf("the kernel's filter: %w", err)
		}
	}
	if err := r.share(cfg.Buffer); err != nil {
		return nil, fmt.Errorf("the ring of the socket: %w", err)
	}
	return r, r.bind(cfg)
}

// isLoopback reports whether an interface is a loopback. Its error is errNotEthernet for an
// interface with another kind of frames.
func isLoopback(fd int, name string) (bool, error) {
	q, err := unix.NewIfreq(name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, q); err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	switch q.Uint16() {
	case unix.ARPHRD_ETHER:
		return false, nil
	case unix.ARPHRD_LOOPBACK:
		return true, nil
	}
	return false, errNotEthernet
}

// setFilter attaches the kernel's filter, compiled by libpcap. It is attached before the socket is
// bound, so that no other frame comes in.
func (r *packetRing) setFilter(cfg *LiveConfig) error {
	program, err := pcap.CompileBPFFilter(layers.LinkType(frame.Ethernet), cfg.Snaplen,
		Filter(frame.Ethernet, cfg.Ports))
	if err != nil {
		return err
	}
	var filter []unix.SockFilter
	for _, i := range program {
		filter = append(filter, unix.SockFilter{Code: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	return unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// share makes the ring and maps it.
func (r *packetRing) share(buffer int) error {
	for _, o := range [][2]int{{unix.PACKET_VERSION, unix.TPACKET_V3},
		{unix.PACKET_RESERVE, vlanRoom}} {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, o[0], o[1]); err != nil {
			return err
		}
	}
	r.blocks = max(2, buffer/ringBlock)
	const frameSize = 2048 // of no effect with TPACKET_V3, but it must divide the block
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING,
		&unix.TpacketReq3{Block_size: ringBlock, Block_nr: uint32(r.blocks),
			Frame_size: frameSize, Frame_nr: uint32(r.blocks * (ringBlock / frameSize)),
			Retire_blk_tov: uint32(blockTimeout.Milliseconds())}); err != nil {
		return err
	}
	var err error
	r.memory, err = unix.Mmap(r.fd, 0, r.blocks*ringBlock, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED)
	return err
}

// bind binds the socket to the interface. Frames arrive from here on.
func (r *packetRing) bind(cfg *LiveConfig) error {
	q, err := unix.NewIfreq(r.name)
	if err == nil {
		err = unix.IoctlIfreq(r.fd, unix.SIOCGIFINDEX, q)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.index = int32(q.Uint32())
	if !cfg.NoPromiscuous && !r.loopback {
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: r.index, Type: unix.PACKET_MR_PROMISC}); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network byte order
	address := &unix.SockaddrLinklayer{Protocol: all, Ifindex: int(r.index)}
	if err := unix.Bind(r.fd, address); err != nil {
		return err
	}
	if err := r.socketError(); err != nil { // an interface that is down shows itself here
		return err
	}
	if cfg.Fanout != nil {
		if err := cfg.Fanout.join(r.fd); err != nil {
			return fmt.Errorf("fanout: %w", err)
		}
	}
	r.missed = missed(r.name)
	return nil
}

// socketError returns the error that the socket has waiting, and clears it. ErrDown is the error of
// an interface that is down: the socket goes on when it is up again.
func (r *packetRing) socketError() error {
	v, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case unix.Errno(v) == unix.ENETDOWN && r.isDeleted():
		return errors.New("the interface disappeared")
	case unix.Errno(v) == unix.ENETDOWN:
		return ErrDown
	case v != 0:
		return unix.Errno(v)
	}
	return nil
}

// isDeleted reports whether no interface has the number of the one that was bound. It may have
// another name by now.
func (r *packetRing) isDeleted() bool {
	q, err := unix.NewIfreq(r.name)
	if err != nil {
		return true
	}
	q.SetUint32(uint32(r.index))
	return unix.IoctlIfreq(r.fd, unix.SIOCGIFNAME, q) != nil
}

// read implements liveHandle. It gives a block back to the kernel in the call after the one that
// read its last frame.
func (r *packetRing) read(frames []frame.Frame) (n int, err error) {
	for n == 0 {
		if r.taken && r.left == 0 {
			r.giveBack()
		}
		if !r.taken {
			if ok, err := r.wait(); !ok {
				return 0, err
			}
		}
		for n < len(frames) && r.left > 0 {
			if r.next(&frames[n]) {
				n++
			}
		}
	}
	return n, nil
}

// Offsets in the header of a block (struct tpacket_block_desc), in bytes.
const (
	blockStatus = 8
	blockFrames = 12
	blockFirst  = 16
)

// status is the block's status word, which the kernel writes too.
func (r *packetRing) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&r.memory[r.block*ringBlock+blockStatus]))
}

// giveBack gives the block back to the kernel and goes on to the next one.
func (r *packetRing) giveBack() {
	atomic.StoreUint32(r.status(), unix.TP_STATUS_KERNEL)
	r.block = (r.block + 1) % r.blocks
	r.taken = false
}

// An interface on which nothing comes for quietWaits timeouts is waited for longer: each return
// costs a wake-up of the process, and a frame ends the wait whenever it comes.
const (
	quietWaits  = 20
	quietFactor = 5
)

// wait waits until the kernel has finished the block, readTimeout at most, or quietFactor times as
// long where nothing comes.
func (r *packetRing) wait() (ok bool, err error) {
	limit := readTimeout
	if r.quiet >= quietWaits {
		limit *= quietFactor
	}
	r.quiet++
	for end := time.Now().Add(limit); ; {
		if atomic.LoadUint32(r.status())&unix.TP_STATUS_USER != 0 {
			break
		}
		left := time.Until(end)
		if left <= 0 {
			return false, nil
		}
		p := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}}
		n, err := unix.Poll(p, max(1, int(left.Milliseconds())))
		if err != nil && err != unix.EINTR {
			return false, err
		}
		if n > 0 && p[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			if err := r.socketError(); err != nil && err != ErrDown {
				return false, err
			}
		}
	}
	start := r.block * ringBlock
	r.taken, r.quiet = true, 0
	r.left = native32(r.memory[start+blockFrames:])
	r.at = start + int(native32(r.memory[start+blockFirst:]))
	return true, nil
}

// Offsets in the header of a frame (struct tpacket3_hdr), in bytes, and of the packet type in the
// sockaddr_ll behind it.
const (
	frameNext     = 0
	frameSeconds  = 4
	frameNanos    = 8
	frameCaptured = 12
	frameLength   = 16
	frameStatus   = 20
	frameMAC      = 24
	frameTag      = 32
	frameTagType  = 36
	framePacket   = 48 + 10
)

// next reads the next frame of the block. It reports false for a frame that is the same as another
// one: a loopback shows each frame when it is sent and when it is received.
func (r *packetRing) next(f *frame.Frame) bool {
	h := r.memory[r.at:]
	start := r.at + int(native16(h[frameMAC:]))
	captured, length := int(native32(h[frameCaptured:])), int(native32(h[frameLength:]))
	status, sent := native32(h[frameStatus:]), h[framePacket] == unix.PACKET_OUTGOING
	at := int64(native32(h[frameSeconds:]))*1e9 + int64(native32(h[frameNanos:]))
	if status&unix.TP_STATUS_VLAN_VALID != 0 && captured >= 12 {
		tag, kind := native32(h[frameTag:]), uint16(unix.ETH_P_8021Q)
		if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
			kind = native16(h[frameTagType:])
		}
		start -= vlanRoom
		insertTag(r.memory[start:], kind, uint16(tag))
		captured, length = captured+vlanRoom, length+vlanRoom
	}
	end := start + captured
	*f = frame.Frame{Data: r.memory[start:end:end], Time: frame.ReadTime(at), Len: length,
		Link: frame.Ethernet, From: r.from}
	r.left--
	r.at += int(native32(h[frameNext:]))
	if r.loopback && sent {
		r.hidden++
		return false
	}
	return true
}

// insertTag puts a VLAN tag between the addresses, which begin at b[4], and the ethertype. The
// addresses move to b[0].
func insertTag(b []byte, kind, tag uint16) {
	copy(b, b[vlanRoom:vlanRoom+12])
	b[12], b[13], b[14], b[15] = byte(kind>>8), byte(kind), byte(tag>>8), byte(tag)
}

// native16 and native32 read numbers in the byte order of this machine, as the kernel writes them.
func native16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
func native32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

// counted implements liveHandle. The kernel's counters start again at each call.
func (r *packetRing) counted() (received, drops, ifDrops uint64) {
	st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, 0, 0
	}
	received, drops = uint64(st.Packets), uint64(st.Drops)
	received -= min(received, r.hidden)
	r.hidden = 0
	now := missed(r.name)
	ifDrops = now - min(now, r.missed)
	r.missed = now
	return received, drops, ifDrops
}

// missed is the number of frames that an interface and its driver have lost, as libpcap counts it.
func missed(name string) uint64 {
	dir := sysDir(name)
	return uint64(sysNumber(dir, "statistics/rx_missed_errors") +
		sysNumber(dir, "statistics/rx_fifo_errors"))
}

// method implements liveHandle.
func (r *packetRing) method() Method { return MethodAFPacket }

// close implements liveHandle.
func (r *packetRing) close() {
	if r.memory != nil {
		unix.Munmap(r.memory)
		r.memory = nil
	}
	unix.Close(r.fd)
}
