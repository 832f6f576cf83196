package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"

	"spamsensor/sensor/engine"
)

// Journal records the findings that were emitted since the last checkpoint: a sensor that is killed
// would emit them again after its restart. An entry is a line with a sum, a time and the saved
// state of the finding:
//
//	0a1b2c3d {"at":...,"kept":...}
//
// An entry is appended before its event is written, so that no finding is emitted twice. It is not
// flushed to the disk: the journal survives the process, but not the machine. There are two files:
// findings.log, and findings.old while the checkpoint that includes its entries is being saved.
// Several goroutines may call its methods.
type Journal struct {
	dir     string
	mu      sync.Mutex
	f       *os.File // nil if there is no entry since the last checkpoint
	size    int
	skipped uint64 // entries without space in the file, or that could not be written
	stamp   int64  // see Stamp
}

// maxJournal bounds the entries between two checkpoints, in bytes: 4,000 hosts. Further findings
// may be emitted twice after a crash.
const maxJournal = 16 << 20

// Entry is an entry of the journal.
type Entry struct {
	At   int64         `json:"at"` // see Journal.Stamp
	Kept *engine.Saved `json:"kept"`
}

// OpenJournal opens the journal in a directory that is locked (see Open), and returns its entries.
// Entries that were cut or damaged are omitted. written is that of the checkpoint that was loaded.
func OpenJournal(dir string, written int64) (j *Journal, entries []Entry) {
	j = &Journal{dir: dir, stamp: written}
	for _, name := range []string{"findings.old", "findings.log"} {
		data, err := read(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(data) {
			if e, ok := decodeEntry(line); ok {
				entries = append(entries, e)
				j.stamp = max(j.stamp, e.At)
			}
		}
	}
	return j, entries
}

// decodeEntry reads a line of the journal.
func decodeEntry(line []byte) (e Entry, ok bool) {
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) {
		return e, false
	}
	return e, json.Unmarshal(text, &e) == nil && e.Kept != nil
}

// Stamp returns now, the time of the clock in nanoseconds since 1970, or the nanosecond after the
// latest stamp: the order of entries and checkpoints stays right when the clock is set back.
func (j *Journal) Stamp(now int64) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stamp = max(now, j.stamp+1)
	return j.stamp
}

// Add appends an entry. now is the time of the clock.
func (j *Journal) Add(now int64, kept *engine.Saved) {
	text, err := json.Marshal(Entry{j.Stamp(now), kept})
	if err != nil {
		return
	}
	text = append(text, '\n')
	text = append(fmt.Appendf(nil, "%08x ", crc32.Checksum(text, castagnoli)), text...)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		name := filepath.Join(j.dir, "findings.log")
		if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
			os.Remove(name)
		}
		j.f, err = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err == nil && j.size+len(text) <= maxJournal {
		_, err = j.f.Write(text)
		j.size += len(text)
	} else if err == nil {
		err = errors.New("the journal is full")
	}
	if err != nil {
		j.skipped++
	}
}

// Rotate begins a new file: a checkpoint that is made from now on includes the entries of the old
// file. If the last checkpoint could not be saved, the journal stays in the same file.
func (j *Journal) Rotate() {
	j.mu.Lock()
	defer j.mu.Unlock()
	old := filepath.Join(j.dir, "findings.old")
	if _, err := os.Lstat(old); err == nil {
		return
	}
	if os.Rename(filepath.Join(j.dir, "findings.log"), old) == nil && j.f != nil {
		j.f.Close()
		j.f, j.size = nil, 0
	}
}

// Saved drops the entries from before Rotate, because the checkpoint is saved. skipped is the
// number of entries that could not be written since the last call.
func (j *Journal) Saved() (skipped uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	os.Remove(filepath.Join(j.dir, "findings.old"))
	skipped, j.skipped = j.skipped, 0
	return skipped
}

// Close closes the file.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f != nil {
		j.f.Close()
		j.f = nil
	}
}

// Replay applies the entries that are newer than the checkpoint, and returns their number.
func (c *Checkpoint) Replay(entries []Entry) (taken int) {
	for _, e := range entries {
		if c.Engine.Replay(e.Kept, e.At >= c.Written) {
			taken++
		}
	}
	return taken
}
