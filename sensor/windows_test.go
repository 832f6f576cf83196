package main

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
)

// longCapture is a capture of some windows: the frames of bot.pcap again and again, an hour later
// each time, and beside them web traffic. In one place there are a segment between two mail ports
// and a fragment, which are decoded in the order of the packets.
func longCapture(t *testing.T, copies int) string {
	t.Helper()
	le, be := binary.LittleEndian, binary.BigEndian
	bot := testdata(t, "bot.pcap")
	b, bot := bot[:24:24], bot[24:]
	web := make([]byte, 16+1400)
	le.PutUint32(web[8:], 1400)
	le.PutUint32(web[12:], 1400)
	ip := web[16+14:]
	copy(web[16:], "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00")
	copy(ip, "\x45\x00\x05\x6a\x00\x00\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x07\xc0\x00\x02\x01")
	for i := range copies {
		for at := 0; at < len(bot); {
			n := 16 + int(le.Uint32(bot[at+8:]))
			start := len(b)
			b = append(b, bot[at:at+n]...)
			at += n
			sec := le.Uint32(b[start:]) + uint32(i)*3600
			le.PutUint32(b[start:], sec)
			copy(web, b[start:start+8])
			be.PutUint32(ip[20:], 40000<<16|80)
			be.PutUint16(ip[6:], 0)
			ip[32], ip[33] = 5<<4, 0x18
			switch i {
			case copies/2 + 1:
				be.PutUint32(ip[20:], 25<<16|587)
			case copies/2 + 3:
				be.PutUint16(ip[6:], 0x2000)
			}
			b = append(append(b, web...), web...)
		}
	}
	path := filepath.Join(t.TempDir(), "long.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWindows checks that a capture of several windows gives the same events and the same report
// for every number of workers, and as a stream.
func TestWindows(t *testing.T) {
	path := longCapture(t, 24)
	if info, err := os.Stat(path); err != nil || info.Size() < 40<<20 {
		t.Fatalf("%v, %v", info.Size(), err)
	}
	t.Chdir(filepath.Dir(path))
	events, report, code := readWhole("long.pcap", "--workers", "1")
	if code != 0 || len(events) < 1000 {
		t.Fatalf("%d bytes of events, exit code %d", len(events), code)
	}
	for _, workers := range []string{"2", "3", "8"} {
		if e, r, c := readWhole("long.pcap", "--workers", workers); e != events || r != report || c != code {
			t.Errorf("%s workers give other events or another report", workers)
		}
	}
}

// TestWindowsAreTaken checks that windows are read side by side once the first rounds are over, and
// that those with packets that need order are read again.
func TestWindowsAreTaken(t *testing.T) {
	prefilter := engine.Prefilter(nil)
	files, err := capture.OpenFiles([]string{longCapture(t, 24)}, capture.FilesConfig{
		KnownLink: engine.KnownLink, Untimed: engine.Untimed, Prefilter: prefilter})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	e := engine.New(engine.Config{Helpers: 2}, engine.Output{})
	w := e.Worker()
	taken, single := 0, 0
	for {
		read := files.Stats().BytesRead
		feedWindows(context.Background(), files, w, new(job), new(job))
		taken += int((files.Stats().BytesRead - read) >> 22)
		b, err := files.Next()
		w.Skip(b.Skipped[:], b.First, b.Last)
		w.Take(b.Frames)
		if b.End {
			single++
		}
		if err == io.EOF {
			break
		}
	}
	e.Finish("end_of_input")
	if taken < 2 || single < 3 {
		t.Errorf("%d windows were read side by side, %d one by one", taken, single)
	}
	if st := e.Stats(); st.Frames != files.Stats().Frames {
		t.Errorf("%d frames are in the account, %d were read", st.Frames, files.Stats().Frames)
	}
}
