package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/fnv"
	"net/netip"

	"go.etcd.io/bbolt"

	"spamsensor/sensor/engine"
)

// keyLen is the length of a row's key: day 4, address 16.
const keyLen = 4 + 16

// rowKey is the key of a host's day.
func rowKey(day uint32, a netip.Addr) []byte {
	b := a.As16()
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, keyLen), day), b[:]...)
}

// row is a host's day.
type row struct {
	server bool
	hours  [24]engine.Counts
}

// encode writes a byte for the role, then the number and the counts of each hour that has counts,
// and the sum over these and the key.
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

// decode reads a row; noSum means that it has no sum.
func (r *row) decode(k, b []byte, noSum bool) error {
	if !noSum {
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

// historyVersion is the version of the rows. Version 1 had no sums.
const historyVersion = 2

var (
	metaBucket = []byte("meta")
	rowBucket  = []byte("days")
	versionKey = []byte("version")
	digestKey  = []byte("sum")
)

// sealed is a value followed by the sum over its key and itself.
func sealed(k, v []byte) []byte {
	return binary.LittleEndian.AppendUint32(v,
		crc32.Update(crc32.Checksum(k, castagnoli), castagnoli, v))
}

// unseal removes the sum; ok reports that it is right.
func unseal(k, b []byte) (v []byte, ok bool) {
	if len(b) < 4 {
		return nil, false
	}
	v = b[: len(b)-4 : len(b)-4]
	return v, bytes.Equal(sealed(k, v), b)
}

// readVersion reads the version of the rows; zero means damaged.
func readVersion(b []byte) byte {
	if len(b) == 1 && b[0] == 1 {
		return 1
	}
	if v, ok := unseal(versionKey, b); ok && len(v) == 1 && v[0] > 1 {
		return v[0]
	}
	return 0
}

// digest is the number of all rows, and a sum over them that does not depend on their order.
type digest struct{ rows, sum uint64 }

func rowSum(k, v []byte) uint64 {
	h := fnv.New64a()
	h.Write(k)
	h.Write(v)
	return h.Sum64()
}

func (d *digest) add(k, v []byte)    { d.rows, d.sum = d.rows+1, d.sum+rowSum(k, v) }
func (d *digest) remove(k, v []byte) { d.rows, d.sum = d.rows-1, d.sum-rowSum(k, v) }

// put writes a row.
func (d *digest) put(b *bbolt.Bucket, k, v []byte) error {
	if old := b.Get(k); old != nil {
		d.remove(k, old)
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
	return sealed(digestKey,
		binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, d.rows), d.sum))
}
