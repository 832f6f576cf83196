package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
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

// A row ends with a CRC-32C over its key and the rest of it, and the file holds the number of all
// rows and a sum over them. At the start, and where somebody else has written to it, the file is
// looked through (see tree.go): 200,000 rows, 32 MiB, take 0.25 s. If anything is wrong the rows
// that are good are written to a new file, the damaged one is kept aside, and what is lost is said:
// 2.3 s.

// History is the file. Its methods are called by one goroutine.
type History struct {
	name string
	cfg  HistoryConfig
	// Of the day that was written last.
	day   uint32
	hosts int
	// The file as we left it; nil where that is not known, and the file is to be looked through.
	left    os.FileInfo
	refused []Refusal // that were not said yet
}

// ErrNoRoom says that the disk is full: nothing is wrong with the history, and it can be used as soon as there is room.
var ErrNoRoom = errors.New("there is no room for the history")

var (
	errNotRegular = errors.New("it is no regular file")
	errBusy       = errors.New("somebody else has kept the history locked for too long")
	errVersion    = errors.New("another version of the sensor wrote it")
	errEmptyFile  = errors.New("the history is empty, so that a new one was begun")
)

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// lockWait is how long a history may be locked by somebody else.
const lockWait = 5 * time.Second

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
	err = h.ensure()
	if list := h.Refused(); len(list) > 0 {
		refused = &list[0]
	}
	if noRoom(err) {
		err = fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return h, refused, err
}

// Refused gives what was refused of the file since it was called before.
func (h *History) Refused() []Refusal {
	list := h.refused
	h.refused = nil
	return list
}

// ensure makes sure that the file is a whole history that bbolt can be let near.
func (h *History) ensure() error {
	info, err := os.Stat(h.name)
	switch {
	case err == nil && h.left != nil && os.SameFile(info, h.left) && info.Size() == h.left.Size() && info.ModTime().Equal(h.left.ModTime()):
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

// inspect looks the file through, and puts a new one in its place if anything is wrong with it.
func (h *History) inspect() error {
	r, err := survey(h.name, nil, nil, nil)
	switch {
	case err == nil && r.sound():
		if r.oneHead {
			h.refused = append(h.refused, Refusal{File: h.name, Err: errors.New("one of the two heads of the history is damaged: what was counted last may be lost")})
		}
		return nil
	case errors.Is(err, errBusy), errors.Is(err, os.ErrPermission):
		return fmt.Errorf("cannot open the history %s: %w", h.name, err)
	case err != nil: // nothing of it can be used
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

// putAside keeps the file aside and notes why.
func (h *History) putAside(why error) error {
	aside, err := setAside(h.name)
	if err != nil {
		return fmt.Errorf("%w, and cannot be kept aside: %w", why, err)
	}
	h.refused = append(h.refused, Refusal{h.name, aside, why})
	return nil
}

// copyFrom takes over the good rows of another file, some at a time.
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

// newer reports whether a row is a later form of another one: counts only grow.
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

// found is what survey found out about a file.
type found struct {
	*tree
	rows    int  // good ones
	strays  int  // good ones in pages to which nothing leads; some are older forms of others
	bad     int  // rows that are damaged
	lost    int  // how many rows the file should have beyond these; not zero as well where one is another
	version byte // of the rows
}

// sound reports whether the file can be used as it is.
func (r *found) sound() bool { return !r.damaged() && r.version == historyVersion }

// damaged reports whether anything of it is lost, or may be.
func (r *found) damaged() bool { return r.wrong > 0 || r.bad > 0 || r.lost != 0 }

// loss says what is lost of a file.
func (r *found) loss() error {
	text := fmt.Sprintf("the history is damaged: %d rows (a host's day each) are good", r.rows)
	switch lost := max(r.bad, r.lost); {
	case lost > 0:
		text += fmt.Sprintf(", %d are lost", lost)
	case r.wrong > 0:
		text += ", and it is not known how many are lost"
	}
	if r.strays > 0 {
		text += fmt.Sprintf("; %d more, some of them older, are in pages to which nothing leads", r.strays)
	}
	if len(r.damage) > 0 {
		text += " (" + strings.Join(r.damage, "; ") + ")"
	}
	return errors.New(text)
}

// survey reads a file, and calls each, if it is not nil, for its good rows with keys in [from, to].
// Only without bounds all of the file is looked at. An error says that nothing of it can be used.
func survey(name string, from, to []byte, each func(k []byte, r *row)) (f *found, err error) {
	t, err := openTree(name, lockWait)
	if err != nil {
		return nil, err
	}
	defer t.close()
	f = &found{tree: t}
	var rows *element
	var said digest
	whole := false
	t.walk(t.root, 0, nil, nil, func(e *element) {
		switch {
		case e.bucket && bytes.Equal(e.key, rowBucket):
			rows = e
		case e.bucket && bytes.Equal(e.key, metaBucket):
			t.bucket(e, nil, nil, func(e *element) {
				switch {
				case bytes.Equal(e.key, versionKey):
					f.version = readVersion(e.value)
				case bytes.Equal(e.key, digestKey):
					whole = said.read(e.value)
				}
			})
		}
	})
	if f.version > historyVersion {
		return nil, errVersion
	}
	if rows == nil && t.wrong == 0 {
		return nil, errNoHistory
	}
	var is digest
	take := func(e *element) {
		var r row
		if e.bucket || len(e.key) != keyLen || r.decode(e.key, e.value, f.version == 1) != nil {
			f.bad++
			return
		}
		f.rows++
		is.add(e.key, e.value)
		if each != nil {
			each(e.key, &r)
		}
	}
	if rows != nil {
		t.bucket(rows, from, to, take)
	}
	if from != nil || to != nil {
		return f, nil
	}
	t.freed()
	switch {
	case f.version != historyVersion: // an older one had no sum; or the version is damaged
		if f.version == 0 {
			t.bad("the version of the rows is damaged")
		}
	case !whole:
		t.bad("the sum of the rows is damaged")
	case is != said:
		if f.lost = int(int64(said.rows - is.rows)); f.lost <= 0 {
			f.lost = 1
		}
	}
	if t.wrong > 0 || rows == nil {
		t.scan(func(e *element) {
			var r row
			if e.bucket || len(e.key) != keyLen || r.decode(e.key, e.value, false) != nil {
				return
			}
			f.strays++
			if each != nil {
				each(e.key, &r)
			}
		})
	}
	if t.headless && f.rows+f.strays == 0 {
		return nil, errNoHistory
	}
	return f, nil
}

// historyVersion is that of the rows. Version 1 had no sums.
const historyVersion = 2

var (
	metaBucket = []byte("meta")
	rowBucket  = []byte("days")
	versionKey = []byte("version")
	digestKey  = []byte("sum")
)

// sealed gives a value with the sum over its key and itself behind it.
func sealed(k, v []byte) []byte {
	return binary.LittleEndian.AppendUint32(v, crc32.Update(crc32.Checksum(k, castagnoli), castagnoli, v))
}

// unseal takes the sum off; ok says that it is right.
func unseal(k, b []byte) (v []byte, ok bool) {
	if len(b) < 4 {
		return nil, false
	}
	v = b[: len(b)-4 : len(b)-4]
	return v, bytes.Equal(sealed(k, v), b)
}

// readVersion is that of the rows, zero if it is damaged.
func readVersion(b []byte) byte {
	if len(b) == 1 && b[0] == 1 {
		return 1
	}
	if v, ok := unseal(versionKey, b); ok && len(v) == 1 && v[0] > 1 {
		return v[0]
	}
	return 0
}

// digest is the number of all rows, and a sum over them in whatever order.
type digest struct{ rows, sum uint64 }

func rowSum(k, v []byte) uint64 {
	h := fnv.New64a()
	h.Write(k)
	h.Write(v)
	return h.Sum64()
}

func (d *digest) add(k, v []byte)  { d.rows, d.sum = d.rows+1, d.sum+rowSum(k, v) }
func (d *digest) take(k, v []byte) { d.rows, d.sum = d.rows-1, d.sum-rowSum(k, v) }

// put writes a row.
func (d *digest) put(b *bbolt.Bucket, k, v []byte) error {
	if old := b.Get(k); old != nil {
		d.take(k, old)
	}
	d.add(k, v)
	return b.Put(k, v)
}

func (d *digest) read(b []byte) (ok bool) {
	v, ok := unseal(digestKey, b)
	if !ok || len(v) != 16 {
		return false
	}
	d.rows, d.sum = binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[8:])
	return true
}

func (d *digest) text() []byte {
	return sealed(digestKey, binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, d.rows), d.sum))
}

// update runs f in a transaction. The file is open only as long as that. A damaged file is an
// error: the library panics on some, and a file that was cut faults when it is read.
func (h *History) update(f func(tx *bbolt.Tx, d *digest) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the history %s is damaged: %v", h.name, r)
		}
	}()
	h.left = nil
	db, err := bbolt.Open(h.name, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fmt.Errorf("cannot open the history %s: %w", h.name, err)
	}
	defer func() {
		if err = errors.Join(err, db.Close()); err == nil {
			h.left, _ = os.Stat(h.name)
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

// Add adds what hosts did, all or nothing. A row that is damaged begins anew.
func (h *History) Add(list []engine.Activity) error {
	if len(list) == 0 {
		return nil
	}
	if err := h.ensure(); err != nil {
		return err
	}
	day, hosts := h.day, h.hosts // taken over only if all goes well
	err := h.update(func(tx *bbolt.Tx, sum *digest) error {
		b := tx.Bucket(rowBucket)
		for i := range list {
			a := &list[i]
			d := uint32(a.Hour / 24)
			if d != day {
				day, hosts = d, h.open(b, d, sum)
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

// open begins a day: how many hosts it has, and the oldest days go if they are too many.
func (h *History) open(b *bbolt.Bucket, day uint32, sum *digest) (hosts int) {
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
		for k, v := c.First(); len(k) == keyLen && binary.BigEndian.Uint32(k) == days[0]; k, v = c.First() {
			before := *sum
			sum.take(k, v)
			if c.Delete() != nil {
				*sum = before
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
// its counts; and the sum over that and the key.
func (r *row) encode(k []byte) []byte {
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
	return sealed(k, b)
}

var errRow = errors.New("a row of the history is damaged")

// decode reads a row; bare says that it has no sum.
func (r *row) decode(k, b []byte, bare bool) error {
	if !bare {
		v, ok := unseal(k, b)
		if !ok {
			return errRow
		}
		b = v
	}
	if len(b) == 0 || b[0] > 1 {
		return errRow
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

// HistoryDays are the days of the history in a directory, in order. It looks all of the file
// through: damaged says what is lost of it, nil if nothing is.
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
func ReadHistory(dir string, q Query, f func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts)) error {
	h := History{name: filepath.Join(dir, "history.db")}
	return h.Read(q, f)
}

// Read calls f for each host's day, in the order of days and addresses: counts by hour. Rows that
// are damaged are left out; see HistoryDays.
func (h *History) Read(q Query, f func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts)) error {
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
