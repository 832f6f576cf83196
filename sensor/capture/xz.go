package capture

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// xzFile decompresses an xz file (https://tukaani.org/xz/xz-file-format.txt). The library has a
// reader too, but that reader allocates every dictionary that a block asks for, up to 4 GiB and
// anew for each block, and keeps a record of every block until the end. The memory of xzFile is
// bounded for every file:
//
//	stream:  header 12, blocks, index, footer 12; padding of fours between streams
//	block:   header (size 1, flags 1, sizes, filters, CRC 4), LZMA2 data, padding, check
//	index:   0, number of blocks, sizes of each, padding, CRC 4
type xzFile struct {
	r        *bufio.Reader
	flags    [2]byte // of the stream
	check    hash.Hash
	data     io.Reader       // of the current block, nil between blocks
	packed   *countingReader // the input of data
	size     int64           // of the block decompressed, -1 if its header does not say
	unpacked int64           // decompressed bytes of the block so far
	blocks   uint64          // of the stream
	// budget is the number of dictionary bytes that may still be allocated; decompressed bytes
	// add to it. Without it small blocks with large dictionaries would cost seconds for each
	// kilobyte.
	budget int64
	err    error
}

const (
	// maxDictionary is the dictionary of xz -9. Larger ones need further options of xz.
	maxDictionary = 64 << 20
	// dictionaryShare is the number of dictionary bytes that a decompressed byte adds to the
	// budget: xz makes blocks of three dictionaries, and pixz of one.
	dictionaryShare = 16
	dictionaryStart = 16 * maxDictionary
)

// checkSizes are the sizes of a block's check in bytes, by its number.
var checkSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

var errXZ = errors.New("xz: the compressed data is damaged")

// newXZ reads the header of the first stream.
func newXZ(r io.Reader) (*xzFile, error) {
	x := &xzFile{r: bufio.NewReaderSize(r, 64<<10), budget: dictionaryStart}
	return x, x.streamHeader()
}

// Read implements io.Reader.
func (x *xzFile) Read(p []byte) (n int, err error) {
	for n == 0 && x.err == nil && len(p) > 0 {
		n, x.err = x.read(p)
	}
	if n > 0 {
		return n, nil
	}
	return n, x.err
}

func (x *xzFile) read(p []byte) (n int, err error) {
	if x.data == nil {
		size, err := x.r.ReadByte()
		switch {
		case err != nil:
			return 0, cut(err)
		case size == 0:
			return 0, x.index()
		}
		return 0, x.blockHeader(size)
	}
	n, err = x.data.Read(p)
	x.unpacked += int64(n)
	x.budget += int64(n) * dictionaryShare
	if x.check != nil {
		x.check.Write(p[:n])
	}
	switch {
	case err == io.EOF:
		return n, x.blockEnd()
	case err != nil:
		return n, fmt.Errorf("xz: %w", cut(err))
	}
	return n, nil
}

// cut replaces io.EOF by io.ErrUnexpectedEOF.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// full reads n bytes.
func (x *xzFile) full(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(x.r, b)
	return b, cut(err)
}

// streamHeader reads a stream header: magic 6, flags 2, CRC of the flags 4.
func (x *xzFile) streamHeader() error {
	b, err := x.full(12)
	if err != nil {
		return err
	}
	if string(b[:6]) != "\xfd7zXZ\x00" ||
		crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return errXZ
	}
	x.flags = [2]byte(b[6:])
	x.blocks = 0
	switch x.flags[1] {
	case 0:
		x.check = nil
	case 1:
		x.check = crc32.NewIEEE()
	case 4:
		x.check = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.check = sha256.New()
	default:
		return fmt.Errorf("xz: check %d is not known", x.flags[1])
	}
	return nil
}

// blockHeader reads the rest of a block header, whose length is (size+1)*4 with the size byte, and
// the CRC behind it.
func (x *xzFile) blockHeader(size byte) error {
	rest, err := x.full((int(size)+1)*4 - 1)
	if err != nil {
		return err
	}
	h := append([]byte{size}, rest...)
	sum := len(h) - 4
	if crc32.ChecksumIEEE(h[:sum]) != binary.LittleEndian.Uint32(h[sum:]) {
		return errXZ
	}
	flags, b := h[1], h[2:sum]
	if flags&3 != 0 || flags&0x3c != 0 {
		return errors.New("xz: filters other than LZMA2 are not known")
	}
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		if n <= 0 {
			err = errXZ
		}
		return v
	}
	x.size = -1
	if flags&0x40 != 0 {
		number() // length of the packed data
	}
	if flags&0x80 != 0 {
		x.size = int64(number())
	}
	id, n := number(), number()
	if err != nil || id != 0x21 || n != 1 || len(b) == 0 || x.size < -1 {
		return errXZ
	}
	want, err := lzma.DecodeDictCap(b[0])
	if err != nil {
		return errXZ
	}
	if x.size >= 0 { // a dictionary is never longer than the block
		want = min(want, max(x.size, lzma.MinDictCap))
	}
	if want > maxDictionary {
		return fmt.Errorf("xz: it takes %d MiB of memory to unpack, and %d are allowed "+
			"(do it by hand: xz -dc FILE | spamsensor read -)", want>>20, maxDictionary>>20)
	}
	if x.budget -= want; x.budget < 0 {
		return errors.New("xz: blocks that hold almost nothing ask for large dictionaries")
	}
	x.packed = &countingReader{r: x.r}
	x.unpacked = 0
	if x.check != nil {
		x.check.Reset()
	}
	data, err := lzma.Reader2Config{DictCap: int(max(want, lzma.MinDictCap))}.NewReader2(x.packed)
	if err != nil {
		return fmt.Errorf("xz: %w", err)
	}
	x.data = data
	return nil
}

// blockEnd reads the bytes behind a block's data: padding to four, the check.
func (x *xzFile) blockEnd() error {
	x.data = nil
	x.blocks++
	b, err := x.full(int(-x.packed.n&3) + checkSizes[x.flags[1]&15])
	if err != nil {
		return err
	}
	pad := int(-x.packed.n & 3)
	if x.size >= 0 && x.unpacked != x.size || !bytes.Equal(b[:pad], make([]byte, pad)) {
		return errXZ
	}
	if x.check == nil {
		return nil
	}
	sum := x.check.Sum(nil)
	if x.flags[1] != 10 { // little-endian here, big-endian in package hash
		for i := range len(sum) / 2 {
			sum[i], sum[len(sum)-1-i] = sum[len(sum)-1-i], sum[i]
		}
	}
	if !bytes.Equal(sum, b[pad:]) {
		return errors.New("xz: a checksum does not fit")
	}
	return nil
}

// index reads the index, whose first byte was read, and the footer, and then the next stream's
// header if there is one.
func (x *xzFile) index() error {
	sum := crc32.NewIEEE()
	sum.Write([]byte{0})
	n := int64(1)
	in := byteReader(func() (byte, error) {
		c, err := x.r.ReadByte()
		sum.Write([]byte{c})
		n++
		return c, cut(err)
	})
	blocks, err := binary.ReadUvarint(in)
	if err == nil && blocks != x.blocks {
		err = errXZ
	}
	for i := uint64(0); i < 2*blocks && err == nil; i++ {
		_, err = binary.ReadUvarint(in)
	}
	for n%4 != 0 && err == nil {
		_, err = in.ReadByte()
	}
	if err != nil {
		return err
	}
	// CRC of the index 4; CRC 4, length of the index 4, flags 2, magic 2
	b, err := x.full(16)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	if le.Uint32(b) != sum.Sum32() || le.Uint32(b[4:]) != crc32.ChecksumIEEE(b[8:14]) ||
		(int64(le.Uint32(b[8:]))+1)*4 != n+4 || [2]byte(b[12:]) != x.flags ||
		string(b[14:]) != "YZ" {
		return errXZ
	}
	for {
		next, err := x.r.Peek(4)
		if len(next) == 0 && err == io.EOF {
			return io.EOF
		}
		if !bytes.Equal(next, make([]byte, 4)) {
			return x.streamHeader()
		}
		x.r.Discard(4)
	}
}

// byteReader is a function as an io.ByteReader.
type byteReader func() (byte, error)

// ReadByte implements io.ByteReader.
func (f byteReader) ReadByte() (byte, error) { return f() }
