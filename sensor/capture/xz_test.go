package capture

import (
	"bytes"
	"io"
	"testing"

	"github.com/ulikunitz/xz"
)

// TestXZDictionariesAreEarned checks the bound of dictionaries: a block may always have a
// dictionary sixteen times as large as the bytes that were unpacked since the block before, and a
// larger one only at the start of the file.
func TestXZDictionariesAreEarned(t *testing.T) {
	const dictionary, blocks = 1 << 20, 100
	for length, whole := range map[int]bool{dictionary / 16: true,
		dictionary/16 - dictionary/512: false} {
		var one bytes.Buffer
		w, err := xz.WriterConfig{DictCap: dictionary}.NewWriter(&one)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, length))
		w.Close()
		x, err := newXZ(bytes.NewReader(bytes.Repeat(one.Bytes(), blocks)))
		if err != nil {
			t.Fatal(err)
		}
		x.budget = 2 * dictionary
		n, err := io.Copy(io.Discard, x)
		if (err == nil) != whole || whole && n != int64(blocks*length) || n < int64(length) {
			t.Errorf("blocks of %d bytes: %d were unpacked, %v", length, n, err)
		}
	}
}
