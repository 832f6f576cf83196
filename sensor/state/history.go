package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"spamsensor/sensor/engine"
)

// # History
//
// History answers "how much did this host send, by hour and by day, in the last 400 days".
// It holds addresses of hosts and counts: no sender, no recipient, no name.
//
// A row is a host's day: the key is the day and the address, the value the counts of its hours. So
// days are in order, the oldest ones are at the beginning when they are dropped, and the size has a
// simple bound: days x hosts a day x a few hundred bytes. Further hosts of a day that has too many
// are counted in the row of the unspecified address.
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
// Both are whole after a crash: bbolt writes free pages and then one of two meta pages with a sum.
// SQLite also allows a reader beside a writer. Without it the file is opened for each commit, which
// costs 0.1 ms, and `spamsensor history` reads in between.
//
// A commit is written whole or not at all, and its counts are in no other place, so that no count
// is added twice.

// HistoryConfig bounds the history.
type HistoryConfig struct {
	// Days is the number of days with counts that are kept. Zero means 400. Only days with counts
	// matter, not the distance from today: a clock that jumps ahead must not erase the history.
	Days int
	// Hosts is the number of hosts of a day that have a row of their own. Zero means 4096.
	Hosts int
}

// A row ends with a CRC-32C over its key and the rest of it, and the file holds the number of all
// rows and a sum over them. The file is checked (see tree.go) at the start, and after another
// process has written to it: 200,000 rows, 32 MiB, take 0.25 s. If there is damage, the good rows
// are written to a new file, the damaged file is kept aside, and the loss is reported: 2.3 s.

// History is the file of the history. One goroutine calls its methods.
type History struct {
	name string
	cfg  HistoryConfig
	// The day that was written last, and its number of hosts.
	day   uint32
	hosts int
	// The file after our last write; nil if unknown, and the file must be checked.
	lastInfo os.FileInfo
	refused  []Refusal // not yet returned by Refused
}

// ErrNoRoom means that the disk is full. The history is not damaged, and can be used as soon as the
// disk has space.
var ErrNoRoom = errors.New("there is no room for the history")

var (
	errNotRegular = errors.New("it is no regular file")
	errBusy       = errors.New("somebody else has kept the history locked for too long")
	errVersion    = errors.New("another version of the sensor wrote it")
	errEmptyFile  = errors.New("the history is empty, so that a new one was begun")
	errOneHead    = errors.New("one of the two heads of the history is damaged: " +
		"what was counted last may be lost")
)

// noRoom reports whether an error means that the disk or the quota is full.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// lockWait is the time for which another process may lock a history.
const lockWait = 5 * time.Second

// OpenHistory opens the file history.db in a directory, or makes it. A file that cannot be read is
// kept aside and returned as refused. With the error ErrNoRoom the history is valid too.
func OpenHistory(dir string, cfg HistoryConfig) (h *History, refused *Refusal, err error) {
	if cfg.Days == 0 {
		cfg.Days = 400
	}
	if cfg.Hosts == 0 {
		cfg.Hosts = 4096
	}
	h = &History{name: filepath.Join(dir, "history.db"), cfg: cfg}
	err = h.ensure()
	if list := h.Refused(); len(list) > 0 {
		refused = &list[0]
	}
	if noRoom(err) {
		err = fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return h, refused, err
}

// Refused returns the refusals of the file since the last call.
func (h *History) Refused() []Refusal {
	list := h.refused
	h.refused = nil
	return list
}

// ensure makes sure that the file is a whole history, which bbolt can use safely.
func (h *History) ensure() error {
	info, err := os.Stat(h.name)
	switch {
	case err == nil && h.lastInfo != nil && os.SameFile(info, h.lastInfo) &&
		info.Size() == h.lastInfo.Size() && info.ModTime().Equal(h.lastInfo.ModTime()):
		return nil
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("cannot open the history: %w", err)
	case info.Mode().IsRegular() && info.Size() == 0:
		h.refused = append(h.refused, Refusal{File: h.name, Err: errEmptyFile})
	default:
		if err := h.inspect(); err != nil {
			return err
		}
	}
	h.day, h.hosts = 0, 0
	return h.update(func(*bbolt.Tx, *digest) error { return nil })
}

// inspect checks the whole file, and replaces it by a new one if it is damaged.
func (h *History) inspect() error {
	r, err := survey(h.name, nil, nil, nil)
	switch {
	case err == nil && r.intact():
		if r.oneHead {
			h.refused = append(h.refused, Refusal{File: h.name, Err: errOneHead})
		}
		return nil
	case errors.Is(err, errBusy), errors.Is(err, os.ErrPermission):
		return fmt.Errorf("cannot open the history %s: %w", h.name, err)
	case err != nil: // no part of it can be used
		return h.putAside(err)
	}
	fresh := h.name + ".new"
	os.Remove(fresh)
	n := &History{name: fresh, cfg: h.cfg}
	if err := n.copyFrom(h.name); err != nil {
		os.Remove(fresh)
		return err
	}
	if r.damaged() {
		if err := h.putAside(r.loss()); err != nil {
			return err
		}
	}
	return os.Rename(fresh, h.name)
}

// putAside keeps the file aside and records the reason.
func (h *History) putAside(why error) error {
	aside, err := setAside(h.name)
	if err != nil {
		return fmt.Errorf("%w, and cannot be kept aside: %w", why, err)
	}
	h.refused = append(h.refused, Refusal{h.name, aside, why})
	return nil
}

// copyFrom copies the good rows of another file, 4,096 at a time.
func (h *History) copyFrom(name string) error {
	type pair struct{ k, v []byte }
	var some []pair
	var failed error
	put := func() {
		if failed == nil {
			failed = h.update(func(tx *bbolt.Tx, d *digest) error {
				b := tx.Bucket(rowBucket)
				for _, p := range some {
					if b.Get(p.k) != nil && !newer(p.k, p.v, b.Get(p.k)) {
						continue
					}
					if err := d.put(b, p.k, p.v); err != nil {
						return err
					}
				}
				return nil
			})
		}
		some = some[:0]
	}
	_, err := survey(name, nil, nil, func(k []byte, r *row) {
		if some = append(some, pair{k, r.encode(k)}); len(some) == 4096 {
			put()
		}
	})
	put()
	return errors.Join(err, failed)
}

// newer reports whether a row is a later version of another one, because counts only grow.
func newer(k, v, than []byte) bool {
	var a, b row
	if a.decode(k, v, false) != nil {
		return false
	}
	return b.decode(k, than, false) != nil || a.total() > b.total()
}

// total is the sum of all counts of a row.
func (r *row) total() (n uint64) {
	for hour := range r.hours {
		for _, m := range r.hours[hour] {
			n += m
		}
	}
	return n
}

// update runs f in a transaction, and opens the file only for that. A damaged file is an error: the
// library panics on some, and reading a file that was cut causes a fault.
func (h *History) update(f func(tx *bbolt.Tx, d *digest) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the history %s is damaged: %v", h.name, r)
		}
	}()
	h.lastInfo = nil
	db, err := bbolt.Open(h.name, 0o600,
		&bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fmt.Errorf("cannot open the history %s: %w", h.name, err)
	}
	defer func() {
		if err = errors.Join(err, db.Close()); err == nil {
			h.lastInfo, _ = os.Stat(h.name)
		}
	}()
	return db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(rowBucket); err != nil {
			return err
		}
		var d digest
		if v := meta.Get(versionKey); v == nil {
			if err := meta.Put(versionKey, sealed(versionKey, []byte{historyVersion})); err != nil {
				return err
			}
		} else if !d.read(meta.Get(digestKey)) || readVersion(v) != historyVersion {
			return errNoHistory
		}
		if err := f(tx, &d); err != nil {
			return err
		}
		return meta.Put(digestKey, d.text())
	})
}

// Add adds the counts of hosts, all or none. A damaged row is replaced.
func (h *History) Add(list []engine.Activity) error {
	if len(list) == 0 {
		return nil
	}
	if err := h.ensure(); err != nil {
		return err
	}
	day, hosts := h.day, h.hosts // kept only if the transaction succeeds
	err := h.update(func(tx *bbolt.Tx, sum *digest) error {
		b := tx.Bucket(rowBucket)
		for i := range list {
			a := &list[i]
			d := uint32(a.Hour / 24)
			if d != day {
				day, hosts = d, h.beginDay(b, d, sum)
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
			if old != nil && r.decode(k, old, false) != nil {
				r = row{}
			}
			r.server = r.server || a.Server
			c := &r.hours[a.Hour%24]
			for i, n := range a.Counts {
				c[i] += n
			}
			if err := sum.put(b, k, r.encode(k)); err != nil {
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

// beginDay returns the number of hosts of a day, and drops the oldest days if there are too many.
func (h *History) beginDay(b *bbolt.Bucket, day uint32, sum *digest) (hosts int) {
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
	isDay := func(k []byte, day uint32) bool {
		return len(k) == keyLen && binary.BigEndian.Uint32(k) == day
	}
	k, _ := c.Seek(binary.BigEndian.AppendUint32(nil, day))
	for ; isDay(k, day); k, _ = c.Next() {
		hosts++
	}
	more := len(days) - h.cfg.Days
	if hosts == 0 {
		more++
	}
	for ; more > 0; more-- {
		for k, v := c.First(); isDay(k, days[0]); k, v = c.First() {
			before := *sum
			sum.remove(k, v)
			if c.Delete() != nil {
				*sum = before
				return hosts
			}
		}
		days = days[1:]
	}
	return hosts
}

// Query selects rows. Zero fields mean all.
type Query struct {
	Host           netip.Addr
	Servers        bool // hosts that were mail servers only
	FromDay, ToDay int64
}

// HistoryDays returns the days of the history in a directory, in order. It checks the whole file:
// damaged describes the loss, nil if there is none.
func HistoryDays(dir string) (days []int64, damaged, err error) {
	seen := map[int64]bool{}
	f, err := survey(filepath.Join(dir, "history.db"), nil, nil, func(k []byte, _ *row) {
		if day := int64(binary.BigEndian.Uint32(k)); !seen[day] {
			seen[day] = true
			days = append(days, day)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if f.damaged() {
		damaged = f.loss()
	}
	slices.Sort(days)
	return days, damaged, nil
}

// ReadHistory reads the history in a directory; see Read.
func ReadHistory(dir string, q Query,
	f func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts)) error {
	h := History{name: filepath.Join(dir, "history.db")}
	return h.Read(q, f)
}

// Read calls f with the counts by hour of each host's day, in the order of days and addresses.
// Damaged rows are omitted; see HistoryDays.
func (h *History) Read(q Query,
	f func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts)) error {
	from := binary.BigEndian.AppendUint32(nil, uint32(q.FromDay))
	to := bytes.Repeat([]byte{0xff}, keyLen)
	if q.ToDay != 0 {
		binary.BigEndian.PutUint32(to, uint32(q.ToDay))
	}
	_, err := survey(h.name, from, to, func(k []byte, r *row) {
		host := netip.AddrFrom16([16]byte(k[4:])).Unmap()
		if (!q.Host.IsValid() || host == q.Host.Unmap()) && (!q.Servers || r.server) {
			f(int64(binary.BigEndian.Uint32(k)), host, r.server, &r.hours)
		}
	})
	return err
}
