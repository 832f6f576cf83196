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
	"time"

	"spamsensor/sensor/engine"
)

// Journal holds what was told of findings since the last checkpoint: a sensor that is killed would
// tell it again after its restart. An entry is a line of a sum, a time and what the finding leaves
// behind:
//
//	0a1b2c3d {"at":...,"kept":...}
//
// It is appended before the event is written, so that none is told twice, and not flushed to the
// disk: the journal outlives the process and not the machine. There are two files: findings.log,
// and findings.old while a checkpoint is saved that will hold all of it. Its methods may be called
// by several goroutines.
type Journal struct {
	dir     string
	mu      sync.Mutex
	f       *os.File // nil if there is nothing since the last checkpoint
	size    int
	skipped uint64 // entries for which there was no room, or that could not be written
}

// maxJournal bounds the entries between two checkpoints, in bytes: 4,000 hosts. Findings beyond
// that may be told twice after a crash.
const maxJournal = 16 << 20

// Entry is one of the journal.
type Entry struct {
	At   int64         `json:"at"` // by the wall
	Kept *engine.Saved `json:"kept"`
}

// OpenJournal uses the journal in a directory that is locked (see Open), and gives what is in it.
// What was cut or damaged is left out.
func OpenJournal(dir string) (j *Journal, entries []Entry) {
	j = &Journal{dir: dir}
	for _, name := range []string{"findings.old", "findings.log"} {
		data, err := read(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(data) {
			if e, ok := decodeEntry(line); ok {
				entries = append(entries, e)
			}
		}
	}
	return j, entries
}

func decodeEntry(line []byte) (e Entry, ok bool) {
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) {
		return e, false
	}
	return e, json.Unmarshal(text, &e) == nil && e.Kept != nil
}

// Add appends an entry.
func (j *Journal) Add(kept *engine.Saved) {
	text, err := json.Marshal(Entry{time.Now().UnixNano(), kept})
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

// Cut begins a new file: a checkpoint that is made from now on holds all that is in the old one.
// While the last one could not be saved all goes on in the same file.
func (j *Journal) Cut() {
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

// Saved forgets what came before Cut: the checkpoint is saved. skipped is how many entries there
// was no room for since the last one.
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

// Replay takes over into a checkpoint what the journal has beyond it.
func (c *Checkpoint) Replay(entries []Entry) (taken int) {
	for _, e := range entries {
		if c.Engine.Replay(e.Kept, e.At >= c.Written) {
			taken++
		}
	}
	return taken
}
