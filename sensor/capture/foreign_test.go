package capture

import (
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"spamsensor/sensor/frame"
)

// threeInBzip2 is the capture `three`, compressed with bzip2.
const threeInBzip2 = "425a68393141592653595d9075cb000026c9beff00000802419480001020001000081004000000a00054500189a64d186110801ea0296e24c5ad751f204dd1033d9e8298681a3c738eb2ac5213e96f7ed1d2338bb9229c28482ec83ae580"

func TestBzip2(t *testing.T) {
	b, err := hex.DecodeString(threeInBzip2)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1000 one 1/4", "2000 two 1/4", "3000 three 1/6"}
	if got, errs := readAll(t, open(t, anyLink, put(t, t.TempDir(), "a.pcap.bz2", b))); !slices.Equal(got, want) || errs != nil {
		t.Errorf("%q, %v", got, errs)
	}
	damaged := slices.Clone(b)
	damaged[len(b)/2] ^= 0x55
	for what, c := range map[string][]byte{"the compressed data is damaged": damaged, "the file ends": b[:len(b)-12]} {
		s, err := OpenFiles([]string{put(t, t.TempDir(), "a.pcap.bz2", c)}, FilesConfig{KnownLink: anyLink})
		if err != nil {
			t.Fatal(err)
		}
		if _, errs := readAll(t, s); len(errs) != 1 || !strings.Contains(errs[0].Error(), what) {
			t.Errorf("%v, want %q", errs, what)
		}
	}
}

// TestForeignFormats checks that an input in a format that is not read is named, with what to do.
func TestForeignFormats(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar, "a.pcap")
	copy(tar[257:], "ustar\x0000")
	for _, c := range []struct {
		name, head string
		says       []string
		holds      bool
	}{
		{"a.zip", "PK\x03\x04\x14\x00", []string{"zip", "unzip"}, true},
		{"a.7z", "7z\xbc\xaf\x27\x1c\x00", []string{"7z"}, true},
		{"a.tar", string(tar), []string{"tar archive", "tar -xf"}, true},
		{"a.lz4", "\x04\x22\x4d\x18\x64", []string{"lz4"}, true},
		{"a.Z", "\x1f\x9d\x90\x00", []string{"compress", "gunzip"}, true},
		{"a.lzma", "\x5d\x00\x00\x80\x00", []string{"lzma"}, true},
		{"a.snoop", "snoop\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x04", []string{"snoop", "RFC 1761", "editcap"}, true},
		{"a.trc", "iptrace 2.0\x00\x00", []string{"AIX iptrace", "editcap"}, true},
		{"a.cap", "GMBU\x00\x02\x01\x00", []string{"Network Monitor", "editcap"}, true},
		{"a.etl", "\x00\x00\x01\x00\x48\x00", []string{"event trace of Windows", "etl2pcapng"}, true},
		{"a.ERF", "\x00\x00\x01\x00\x48\x00", []string{"Endace", "editcap"}, true},
		{"a.hccapx", "HCPX\x04\x00\x00\x00", []string{"hashcat"}, true},
		{"a.txt", "14:13:20.000000 IP 192.168.1.66.40000 > 192.0.2.25.25: Flags [S], seq 1\n", []string{"print of tcpdump", "-w"}, true},
		{"b.txt", "14:13:20.000000 IP 192.168.1.66 > 192.0.2.25: tcp 0\n\t0x0000:  4500 0028\n", []string{"tcpdump -X", "text2pcap"}, true},
		{"c.txt", "0000   45 00 00 28 00 01 00 00  40 06\n", []string{"hex dump", "text2pcap"}, true},
		{"d.txt", "00000000: 4500 0028 0001 0000 4006  E..(....@.\n", []string{"hex dump", "text2pcap"}, true},
		{"a.xml", "<?xml version=\"1.0\"?>\n<pdml version=\"0\">\n", []string{"XML print of tshark"}, true},
		{"a.json", "{\"type\":\"finding\"}\n", []string{"JSON"}, false},
		{"a.html", "<html>", []string{"HTML", "findings -r FILE"}, false},
		{"README", "Dear reader, this is no capture", []string{"but text"}, false},
		{"u.txt", "\xff\xfe1\x004\x00", []string{"UTF-16", "-w"}, false},
		{"a.bin", "\x00\x01\x02\x03\x04\x05", []string{"gzip, bzip2, zstd or xz"}, false},
		{"short", "ab", []string{"but text"}, false},
	} {
		dir := t.TempDir()
		path := put(t, dir, c.name, []byte(c.head))
		s, err := OpenFiles([]string{path}, FilesConfig{KnownLink: anyLink})
		if err != nil {
			t.Fatal(err)
		}
		_, errs := readAll(t, s)
		if len(errs) != 1 {
			t.Errorf("%s: %v", c.name, errs)
			continue
		}
		for _, text := range append(c.says, path, "no capture file") {
			if !strings.Contains(errs[0].Error(), text) || strings.Contains(errs[0].Error(), "\n") {
				t.Errorf("%s: %v, want %q in one line", c.name, errs[0], text)
			}
		}
		// Beside a capture it is an error if it may hold one, and is named in any case.
		put(t, dir, "z.pcap", pcapBytes(le, 0xa1b2c3d4, 1, three...))
		s = open(t, anyLink, dir)
		lines, errs := readAll(t, s)
		names, n := s.LeftOut()
		if named := len(errs) == 1 && n == 0 || len(errs) == 0 && slices.Equal(names, []string{path}); len(lines) != 3 || !named || (len(errs) == 1) != c.holds {
			t.Errorf("%s beside a capture: %d frames, %v, left out are %q of %d", c.name, len(lines), errs, names, n)
		}
	}
}

// TestLeftOut checks that the names of files that are left out are bounded.
func TestLeftOut(t *testing.T) {
	dir := t.TempDir()
	for _, name := range strings.Fields("a b c d e f g h i j") {
		put(t, dir, name, []byte("text\n"))
	}
	var none *NoInputError
	if _, err := OpenFiles([]string{dir}, FilesConfig{KnownLink: anyLink}); !errors.As(err, &none) || !strings.Contains(err.Error(), "other files: 10") {
		t.Errorf("a directory without captures: %v", err)
	}
	put(t, dir, "k.pcap", pcapBytes(le, 0xa1b2c3d4, 1, three...))
	s := open(t, anyLink, dir)
	if names, n := s.LeftOut(); len(names) != maxLeftOut || n != 10 || filepath.Base(names[0]) != "a" {
		t.Errorf("%q of %d", names, n)
	}
	s.Close()
}

// TestAIX checks captures of tcpdump on AIX: version 2.2, other numbers of link types, nanoseconds.
func TestAIX(t *testing.T) {
	b := pcapBytes(le, 0xa1b2c3d4, 6, three...)
	b[6] = 2
	if got, errs := readAll(t, open(t, onlyEthernet, put(t, t.TempDir(), "a", b))); errs != nil || len(got) != 3 || got[0] != "1 one 1/4" {
		t.Errorf("%q, %v", got, errs)
	}
	le.PutUint32(b[20:], 9)
	named := func(l frame.LinkType) error { return errors.New(l.String()) }
	s, err := OpenFiles([]string{put(t, t.TempDir(), "a", b)}, FilesConfig{KnownLink: named})
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := readAll(t, s); len(errs) != 1 || !strings.Contains(errs[0].Error(), "Token Ring") {
		t.Errorf("%v", errs)
	}
}
