package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"spamsensor/sensor/engine"
)

// # History
//
// History answers "how much did this host send, by hour and by day, in the last 400 days".
// It holds addresses of hosts and counts: no sender, no recipient, no name.
//
// A row is a host's day: the key is the day and the address, the value the counts of its
// hours. So days are in order, the oldest are at the beginning when they have to go, and the bound is plain:
// days x hosts a day x a few hundred bytes. Who comes when a day's hosts are too many is
// counted in the row of the unspecified address.
//
// It is kept in bbolt and not in SQLite (modernc.org/sqlite, which needs no cgo), measured with
// 1,000 sources that each send in 10 hours of 400 days, on ext4, one row per hour in SQLite:
//
//	                                         bbolt 1.5.0     modernc.org/sqlite 1.61.1
//	add an hour of 1,000 sources, durably    2.9 ms          4.3 ms
//	add counts of 100 sources                0.46 ms         0.66 ms
//	read all days of one host                3.6 ms          331 ms (without a second index)
//	read everything                          116 ms          467 ms
//	drop a day                               0.8 ms          6.5 ms
//	size of the file                         84 MB           102 MB
//	the command grows by                     0.9 MB          5.5 MB
//	modules added                            1               8
//
// Both are whole after a crash: bbolt writes pages that are free and then one of two
// meta pages with a sum. What SQLite has beyond that is a reader beside a writer, so the
// file is opened for each commit, which costs 0.1 ms, and `spamsensor history` reads in between.
//
// A commit is whole or not there, and what it adds is nowhere else: nothing is added twice.

// HistoryConfig says what is kept.
type HistoryConfig struct {
	// Days is how many days with counts are kept. Zero means 400. They are counted, not
	// reckoned from today: a clock that jumps ahead must not erase everything.
	Days int
	// Hosts is how many hosts a day are told apart. Zero means 4096.
	Hosts int
}

// History is the file. Its methods are called by one goroutine.
type History struct {
	name string
	cfg  HistoryConfig
	// Of the day that was written last.
	day   uint32
	hosts int
}

// ErrNoRoom says that the disk is full: nothing is wrong with the history, and it can be used as soon as there is room.
var ErrNoRoom = errors.New("there is no room for the history")

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// OpenHistory uses the file history.db in a directory. A file that cannot be read is kept
// aside and said. With ErrNoRoom there is a history all the same.
func OpenHistory(dir string, cfg HistoryConfig) (h *History, refused *Refusal, err error) {
	if cfg.Days == 0 {
		cfg.Days = 400
	}
	if cfg.Hosts == 0 {
		cfg.Hosts = 4096
	}
	h = &History{name: filepath.Join(dir, "history.db"), cfg: cfg}
	err = h.with(true, func(*bbolt.Tx) error { return nil })
	switch {
	case noRoom(err):
		return h, nil, fmt.Errorf("%w: %w", ErrNoRoom, err)
	case err == nil || errors.Is(err, os.ErrPermission) || errors.Is(err, berrors.ErrTimeout) || errors.Is(err, syscall.EROFS):
		return h, nil, err
	}
	aside, errAside := setAside(h.name)
	if errAside != nil {
		return nil, nil, fmt.Errorf("%w, and cannot be kept aside: %w", err, errAside)
	}
	return h, &Refusal{h.name, aside, err}, h.with(true, func(*bbolt.Tx) error { return nil })
}

// historyVersion is that of the rows.
const historyVersion = 1

var (
	metaBucket = []byte("meta")
	rowBucket  = []byte("days")
	versionKey = []byte("version")
)

// with runs f in a transaction. The file is open only as long as that. A damaged
// file is an error: the library panics on some, and a file that was cut faults when it is read.
func (h *History) with(write bool, f func(tx *bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the history %s is damaged: %v", h.name, r)
		}
	}()
	db, err := bbolt.Open(h.name, 0o600, &bbolt.Options{Timeout: 5 * time.Second, FreelistType: bbolt.FreelistMapType, ReadOnly: !write})
	if err != nil {
		return fmt.Errorf("cannot open the history %s: %w", h.name, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if !write {
		return db.View(func(tx *bbolt.Tx) error { return errors.Join(checkVersion(tx), f(tx)) })
	}
	return db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(rowBucket); err != nil {
			return err
		}
		if meta.Get(versionKey) == nil {
			if err := meta.Put(versionKey, []byte{historyVersion}); err != nil {
				return err
			}
		}
		if err := checkVersion(tx); err != nil {
			return err
		}
		return f(tx)
	})
}

func checkVersion(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || tx.Bucket(rowBucket) == nil {
		return errors.New("it is no history of this sensor")
	}
	if v := meta.Get(versionKey); len(v) != 1 || v[0] != historyVersion {
		return errors.New("another version of the sensor wrote it")
	}
	return nil
}

// Add adds what hosts did, all or nothing.
func (h *History) Add(list []engine.Activity) error {
	if len(list) == 0 {
		return nil
	}
	day, hosts := h.day, h.hosts // taken over only if all goes well
	err := h.with(true, func(tx *bbolt.Tx) error {
		b := tx.Bucket(rowBucket)
		for i := range list {
			a := &list[i]
			d := uint32(a.Hour / 24)
			if d != day {
				day, hosts = d, h.open(b, d)
			}
			k := rowKey(d, a.Addr)
			var r row
			old := b.Get(k)
			if old == nil {
				if hosts >= h.cfg.Hosts {
					k = rowKey(d, netip.IPv6Unspecified())
					old = b.Get(k)
				} else {
					hosts++
				}
			}
			if err := r.decode(old); err != nil {
				return err
			}
			r.server = r.server || a.Server
			c := &r.hours[a.Hour%24]
			for i, n := range a.Counts {
				c[i] += n
			}
			if err := b.Put(k, r.encode()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		h.day, h.hosts = day, hosts
	}
	return err
}

// open begins a day: how many hosts it has, and the oldest days go if they are too many.
func (h *History) open(b *bbolt.Bucket, day uint32) (hosts int) {
	c := b.Cursor()
	var days []uint32
	for k, _ := c.First(); len(k) == keyLen; {
		d := binary.BigEndian.Uint32(k)
		days = append(days, d)
		if d == 1<<32-1 {
			break
		}
		k, _ = c.Seek(binary.BigEndian.AppendUint32(nil, d+1))
	}
	for k, _ := c.Seek(binary.BigEndian.AppendUint32(nil, day)); len(k) == keyLen && binary.BigEndian.Uint32(k) == day; k, _ = c.Next() {
		hosts++
	}
	more := len(days) - h.cfg.Days
	if hosts == 0 {
		more++
	}
	for ; more > 0; more-- {
		for k, _ := c.First(); len(k) == keyLen && binary.BigEndian.Uint32(k) == days[0]; k, _ = c.First() {
			if c.Delete() != nil {
				return hosts
			}
		}
		days = days[1:]
	}
	return hosts
}

const keyLen = 4 + 16

func rowKey(day uint32, a netip.Addr) []byte {
	b := a.As16()
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, keyLen), day), b[:]...)
}

// row is a host's day.
type row struct {
	server bool
	hours  [24]engine.Counts
}

// encode writes a byte for the role, then each hour that has something: its number and
// its counts.
func (r *row) encode() []byte {
	b := make([]byte, 1, 256)
	if r.server {
		b[0] = 1
	}
	for hour := range r.hours {
		if r.hours[hour] == (engine.Counts{}) {
			continue
		}
		b = append(b, byte(hour))
		for _, n := range r.hours[hour] {
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

var errRow = errors.New("a row of the history is damaged")

func (r *row) decode(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	r.server = b[0] == 1
	for b = b[1:]; len(b) > 0; {
		hour := b[0]
		b = b[1:]
		if hour >= 24 {
			return errRow
		}
		for i := range r.hours[hour] {
			n, size := binary.Uvarint(b)
			if size <= 0 {
				return errRow
			}
			r.hours[hour][i], b = n, b[size:]
		}
	}
	return nil
}

// Query says what is asked. Zero fields mean all.
type Query struct {
	Host           netip.Addr
	Servers        bool // hosts that were mail servers only
	FromDay, ToDay int64
}

// HistoryDays are the first and the last day of the history in a directory; 0 and -1 if it is empty.
func HistoryDays(dir string) (first, last int64, err error) {
	h := History{name: filepath.Join(dir, "history.db")}
	last = -1
	err = h.with(false, func(tx *bbolt.Tx) error {
		c := tx.Bucket(rowBucket).Cursor()
		if k, _ := c.First(); len(k) == keyLen {
			first = int64(binary.BigEndian.Uint32(k))
			k, _ = c.Last()
			last = int64(binary.BigEndian.Uint32(k))
		}
		return nil
	})
	return first, last, err
}

// ReadHistory reads the history in a directory; see Read.
func ReadHistory(dir string, q Query, f func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts)) error {
	h := History{name: filepath.Join(dir, "history.db")}
	return h.Read(q, f)
}

// Read calls f for each host's day, in the order of days and addresses: counts by hour.
func (h *History) Read(q Query, f func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts)) error {
	return h.with(false, func(tx *bbolt.Tx) error {
		c := tx.Bucket(rowBucket).Cursor()
		for k, v := c.Seek(binary.BigEndian.AppendUint32(nil, uint32(q.FromDay))); len(k) == keyLen; k, v = c.Next() {
			day := int64(binary.BigEndian.Uint32(k))
			if q.ToDay != 0 && day > q.ToDay {
				return nil
			}
			host := netip.AddrFrom16([16]byte(k[4:])).Unmap()
			if q.Host.IsValid() && host != q.Host.Unmap() {
				continue
			}
			var r row
			if err := r.decode(v); err != nil {
				return err
			}
			if !q.Servers || r.server {
				f(day, host, r.server, &r.hours)
			}
		}
		return nil
	})
}
