package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"spamsensor/bench/corpus"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// odd is an unusual or damaged capture, and the expected result.
type odd struct {
	name   string
	file   string // empty for standard input, whose bytes are in data
	data   []byte
	frames uint64
	code   int
	says   string // text on standard error
	check  string // the health check that is raised
}

// damagedFiles returns the damaged files of the corpus; frames counts the frames before the damage.
func damagedFiles(dir string) (list []odd) {
	for _, o := range []odd{
		{"empty.pcap", "", nil, 0, exitPartial, "the file is empty", ""},
		{"trunc_filehdr.pcap", "", nil, 0, exitPartial, "ends inside its header", ""},
		{"trunc_rechdr.pcap", "", nil, 0, exitPartial, "inside a record header (byte 24)", ""},
		{"trunc_body.pcap", "", nil, 37, exitPartial, "inside a record: 1375 of 1506 bytes are there (byte 18620)", ""},
		{"caplen_0.pcap", "", nil, 5, exitPartial, "(byte 446)", ""}, // the bytes of the empty record count as the next record
		{"caplen_300000.pcap", "", nil, 4, exitPartial, "claims 300000 bytes, more than any capture keeps (262144) (byte 430)", ""},
		{"caplen_ffffffff.pcap", "", nil, 4, exitPartial, "claims 4294967295 bytes, more than any capture keeps (262144) (byte 430)", ""},
		{"snaplen_and_caplen_2g.pcap", "", nil, 4, exitPartial, "claims 2147483647 bytes", ""},
		{"snaplen_0.pcap", "", nil, 125, exitOK, "", ""},
		{"snaplen_ffffffff.pcap", "", nil, 125, exitOK, "", ""},
		{"version9.pcap", "", nil, 0, exitPartial, "pcap version 9.4 is not known", ""},
		{"linktype_user0.pcap", "", nil, 0, exitPartial, "link type 147, USER0, cannot be decoded", ""},
		{"mixed_lt.pcapng", "", nil, 3, exitOK, "", ""},
		{"multi.pcapng", "", nil, 6, exitOK, "", ""},
		{"a.pcapng", "", nil, 125, exitOK, "", ""},
		{"blocklen_lie.pcapng", "", nil, 0, exitPartial, "claims a length of 4294967280 bytes (byte 48)", ""},
		{"no_idb.pcapng", "", nil, 0, exitPartial, "names interface 0, but 0 are described (byte 28)", ""},
		{"bad_ifid.pcapng", "", nil, 0, exitPartial, "names interface 7, but 1 are described (byte 48)", ""},
		{"unknown_block.pcapng", "", nil, 1, exitOK, "", ""},
		{"smtp.pcap.gz", "", nil, 125, exitOK, "", ""},
		{"smtp.pcap.zst", "", nil, 125, exitOK, "", ""},
		{"smtp.pcap.xz", "", nil, 125, exitOK, "", ""},
		{"ts_2106.pcap", "", nil, 125, exitOK, "", "clock"},
		{"ts_zero.pcap", "", nil, 125, exitOK, "", "clock"},
		{"usec_overflow.pcap", "", nil, 125, exitOK, "", "clock"},
	} {
		o.file = filepath.Join(dir, o.name)
		list = append(list, o)
	}
	return list
}

// compressed is b in the three formats of compression.
func compressed(t testing.TB, b []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, pack := range map[string]func(io.Writer) (io.WriteCloser, error){
		"gz":  func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
		"zst": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
		"xz":  func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
	} {
		var buf bytes.Buffer
		w, err := pack(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(b)
		w.Close()
		out[name] = buf.Bytes()
	}
	return out
}

// madeFiles are files that this test makes, of a capture of 338 frames.
func madeFiles(t testing.TB, dir string) (list []odd) {
	whole := testdata(t, "deliveries.pcap")
	records := recordsOf(t, whole)
	n := uint64(len(records))
	for ext, b := range compressed(t, whole) {
		list = append(list, odd{name: ext + " from standard input", data: b, frames: n})
		path := filepath.Join(dir, "capture."+ext)
		os.WriteFile(path, b, 0o600)
		list = append(list, odd{name: ext, file: path, frames: n})
		path = filepath.Join(dir, "cut."+ext)
		os.WriteFile(path, b[:len(b)-1], 0o600)
		left := n
		if ext == "zst" {
			left = 0 // a block is passed on after its checksum, and this file is one block
		}
		list = append(list, odd{name: ext + " without its last byte", file: path, frames: left, code: exitPartial, says: "the file ends"})
	}
	list = append(list, odd{name: "standard input", data: whole, frames: n},
		odd{name: "standard input, cut", data: whole[:len(whole)-3], frames: n - 1, code: exitPartial, says: "standard input: the file ends inside a record"})
	for cut, frames := range map[int]uint64{0: n, 3: n - 1} {
		pipe := filepath.Join(dir, fmt.Sprintf("pipe%d", cut))
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() {
			if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
				w.Write(whole[:len(whole)-cut])
				w.Close()
			}
		}()
		o := odd{name: "named pipe", file: pipe, frames: frames}
		if cut > 0 {
			o.name, o.code, o.says = "named pipe, cut", exitPartial, "the file ends inside a record"
		}
		list = append(list, o)
	}
	short := pcapHeader() // every frame is cut to 64 bytes, as with snaplen 64
	for _, r := range records {
		r = slices.Clone(r[:min(len(r), 16+64)])
		littleEndian.PutUint32(r[8:], uint32(len(r)-16))
		short = append(short, r...)
	}
	list = append(list, odd{name: "snaplen 64", data: short, frames: n})
	snaplen := func(n uint32) []byte {
		b := slices.Clone(whole)
		littleEndian.PutUint32(b[16:], n)
		return b
	}
	list = append(list, odd{name: "snapshot length of 0", data: snaplen(0), frames: n}, odd{name: "snapshot length of 4 GiB", data: snaplen(1<<32 - 1), frames: n})
	// The second file header counts as an empty record, and the records after it are invalid.
	list = append(list, odd{name: "two captures, one behind the other", data: slices.Concat(whole, whole), frames: n + 1, code: exitPartial, says: "more than any capture keeps"},
		odd{name: "zeros behind the header", data: slices.Concat(pcapHeader(), make([]byte, 1<<20)), frames: 1 << 16, check: ""},
		odd{name: "only a header", data: pcapHeader()})
	return list
}

// TestOddFiles checks unusual and damaged files: all frames before the damage are counted, the
// error and its place are reported, the exit code shows it, and the account of the frames balances.
func TestOddFiles(t *testing.T) {
	list := madeFiles(t, t.TempDir())
	if dir := corpus.Find(); dir != "" {
		list = append(list, damagedFiles(filepath.Join(dir, "damaged"))...)
	}
	for _, o := range list {
		var out, errs bytes.Buffer
		name := o.file
		if name == "" {
			name = "-"
		}
		code := run(context.Background(), []string{"read", "--events", "-", "-q", name}, bytes.NewReader(o.data), &out, &errs)
		events := parseEvents(t, out.Bytes())
		frames := uint64(0)
		if len(events) > 0 {
			e := lastStats(t, events)
			balanced(t, o.name, e)
			frames = e.Decode["frames"]
		}
		if code != o.code || frames != o.frames || !strings.Contains(errs.String(), o.says) || o.says == "" && errs.Len() > 0 {
			t.Errorf("%s: exit code %d and %d frames, want %d and %d; said %q, want %q", o.name, code, frames, o.code, o.frames, errs.String(), o.says)
		}
		raised := false
		for _, e := range ofType(events, "health") {
			raised = raised || e.Health.Check == o.check
		}
		if o.check != "" && !raised {
			t.Errorf("%s: %s is not raised", o.name, o.check)
		}
	}
	t.Logf("R20: %d odd or damaged files, each with its outcome (goal 30)", len(list))
}

// TestEveryWayIn checks that the events do not depend on the way in which a capture is read.
func TestEveryWayIn(t *testing.T) {
	whole := testdata(t, "bot.pcap")
	say := func(b []byte) string {
		var out, errs bytes.Buffer
		if code := run(context.Background(), []string{"read", "--events", "-", "-q", "-"}, bytes.NewReader(b), &out, &errs); code != exitOK {
			t.Fatal(errs.String())
		}
		return out.String()
	}
	want := say(whole)
	for name, b := range compressed(t, whole) {
		if say(b) != want {
			t.Errorf("%s says something else", name)
		}
	}
}

// TestNothingReadable checks that an unreadable file has an account: the events of an earlier run
// are removed, and the report claims nothing.
func TestNothingReadable(t *testing.T) {
	file, events := filepath.Join(t.TempDir(), "cut.pcap"), filepath.Join(t.TempDir(), "events.json")
	os.WriteFile(file, []byte("\xd4\xc3\xb2\xa1\x02\x00"), 0o600)
	os.WriteFile(events, []byte("{\"of\":\"yesterday\"}\n"), 0o600)
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"read", "--events", events, file}, strings.NewReader(""), &out, &errs)
	if code != exitPartial || !strings.Contains(errs.String(), "ends inside its header") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if !strings.Contains(out.String(), "Unread") || !strings.Contains(out.String(), "no packet to judge") || strings.Contains(out.String(), "sends spam") {
		t.Errorf("the report:\n%s", out.String())
	}
	b, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	if list := parseEvents(t, b); len(list) != 1 || list[0].Type != "stats" || list[0].Decode["frames"] != 0 {
		t.Errorf("the events: %s", b)
	}
}
