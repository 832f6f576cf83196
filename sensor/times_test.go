package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/wire/wiretest"
)

// ngCapture writes the records of a capture as pcapng, with an offset of all times (if_tsoffset).
func ngCapture(records [][]byte, offset int64) []byte {
	block := func(b []byte, kind uint32, body []byte) []byte {
		n := uint32(12 + (len(body)+3)&^3)
		b = littleEndian.AppendUint32(littleEndian.AppendUint32(b, kind), n)
		b = append(append(b, body...), make([]byte, -len(body)&3)...)
		return littleEndian.AppendUint32(b, n)
	}
	b := block(nil, 0x0a0d0d0a, []byte("\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	b = block(b, 1, littleEndian.AppendUint64([]byte("\x01\x00\x00\x00\x00\x00\x04\x00\x0e\x00\x08\x00"), uint64(offset)))
	for _, r := range records {
		at := uint64(littleEndian.Uint32(r))*1e6 + uint64(littleEndian.Uint32(r[4:]))
		body := littleEndian.AppendUint32(make([]byte, 4, 64), uint32(at>>32))
		body = append(littleEndian.AppendUint32(body, uint32(at)), r[8:]...)
		b = block(b, 6, body)
	}
	return b
}

// TestTimesBeyondEverything checks that a file with times before 1970 or after 2262 affects no
// other file: the bot in the next file is found.
func TestTimesBeyondEverything(t *testing.T) {
	bot := testdata(t, "bot.pcap")
	records := recordsOf(t, testdata(t, "deliveries.pcap"))
	first := int64(littleEndian.Uint32(records[0]))
	for name, offset := range map[string]int64{"before 1970": -first - 1, "half before 1970": -first - 3, "after 2262": 9_223_286_400 - first,
		"far before": -1 << 62, "far after": 1 << 62} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "1.pcapng"), ngCapture(records, offset), 0o600)
		os.WriteFile(filepath.Join(dir, "2.pcap"), bot, 0o600)
		events, code, stderr := readEvents(t, dir)
		stats := lastStats(t, events)
		balanced(t, name, stats)
		confirmed := false
		for _, e := range ofType(events, "finding") {
			confirmed = confirmed || e.Src == "192.168.77.66" && e.Finding.Level == "confirmed"
		}
		if code != exitPartial || stats.Panics != 0 || !confirmed || stats.Decode["bad_time"] == 0 {
			t.Errorf("%s: exit code %d, %d panics, found %v, %v; %s", name, code, stats.Panics, confirmed, stats.Decode, stderr)
		}
	}
}

// TestEndOfTime checks the last hours that can be represented.
func TestEndOfTime(t *testing.T) {
	records := recordsOf(t, testdata(t, "bot.pcap"))
	last := int64(littleEndian.Uint32(records[len(records)-1]))
	for _, before := range []int64{1, 3600, 86400, 14 * 86400, 400 * 86400} {
		file := filepath.Join(t.TempDir(), "late.pcapng")
		os.WriteFile(file, ngCapture(records, 9_223_286_400-before-last), 0o600)
		events, code, stderr := readEvents(t, file)
		stats := lastStats(t, events)
		found := false
		for _, e := range ofType(events, "finding") {
			found = found || e.Src == "192.168.77.66" && e.Finding.Level == "confirmed"
		}
		if code != exitOK || stats.Panics != 0 || !found || stats.Decode["bad_time"] != 0 {
			t.Errorf("%d s before the end: exit code %d, %d panics, found %v, %v; %s", before, code, stats.Panics, found, stats.Decode, stderr)
		}
	}
}

// TestFaultsInOneFile checks that many faults in one file do not keep other files from being read.
func TestFaultsInOneFile(t *testing.T) {
	dir := t.TempDir()
	records := dialogues(150, 1)
	sick, sound := filepath.Join(dir, "1.pcap"), filepath.Join(dir, "2.pcap")
	os.WriteFile(sick, pcapOf(records), 0o600)
	later := slices.Clone(records)
	for i := range later {
		later[i].at += 600e9
	}
	os.WriteFile(sound, pcapOf(later), 0o600)
	a := &app{stderr: &bytes.Buffer{}}
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		t.Fatal(err)
	}
	cfg.engine.AllSessions = true
	files, err := capture.OpenFiles([]string{sick, sound}, capture.FilesConfig{KnownLink: engine.KnownLink, Prefilter: engine.Prefilter(nil), Untimed: engine.Untimed})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var out bytes.Buffer
	p := newPipeline(cfg, "fa", false, &out, func(from uint16) string {
		if from == 0 {
			panic("a fault")
		}
		return files.Input(from)
	}, files.Stats)
	problems, interrupted := a.feedFiles(context.Background(), files, new(atomic.Uint64), p, readOptions{})
	failed := p.finish("end_of_input")
	told := 0
	for _, e := range ofType(parseEvents(t, out.Bytes()), "session") {
		if e.Filename == sound {
			told++
		}
	}
	if told != 150 || len(problems) > 0 || interrupted || failed == nil {
		t.Errorf("%d sessions of 150 in the sound file; %v, interrupted %v, %v", told, problems, interrupted, failed)
	}
	if e := new(exitError); !errors.As(failed, &e) || e.code != exitInternal {
		t.Errorf("the faults end in %v", failed)
	}
}

// TestReadTwice checks that the same input gives the same bytes at any time and for any number of
// workers, also for a capture without mail.
func TestReadTwice(t *testing.T) {
	arp := wiretest.Frame(wiretest.Ethernet{}, wiretest.Bytes(make([]byte, 46)))
	for name, b := range map[string][]byte{
		"no frame":       pcapHeader(),
		"no mail":        pcapOf([]record{{1.7e18, arp}, {1.7e18 + 5, arp}}),
		"no time":        ngCapture(recordsOf(t, testdata(t, "deliveries.pcap")), 1<<40),
		"no packet left": pcapHeader()[:10],
		"mail":           testdata(t, "bot.pcap"),
	} {
		file := filepath.Join(t.TempDir(), "x.pcap")
		os.WriteFile(file, b, 0o600)
		var first string
		for i, workers := range []string{"1", "1", "2", "8"} {
			var out, errs bytes.Buffer
			run(context.Background(), []string{"read", "-q", "--events", "-", "--workers", workers, file}, strings.NewReader(""), &out, &errs)
			if i == 0 {
				first = out.String()
			} else if out.String() != first {
				t.Errorf("%s, %s workers: %.300s\nand before\n%.300s", name, workers, out.String(), first)
			}
		}
		if !strings.Contains(first, `"event_type":"stats"`) {
			t.Errorf("%s: %s", name, first)
		}
	}
}

// timesRefused requires that every frame is refused for its time, that this is reported, and that
// there is no other fault.
func timesRefused(t *testing.T, got outcome) {
	stats := lastStats(t, got.events)
	balanced(t, "all", stats)
	if n := stats.Decode["bad_time"]; n == 0 || n != stats.Decode["frames"] || stats.Panics != 0 {
		t.Errorf("%d of %d frames refused for their times, %d panics", n, stats.Decode["frames"], stats.Panics)
	}
	if got.code != exitPartial || !strings.Contains(got.stderr, "their times lie before 1970-01-01") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}
