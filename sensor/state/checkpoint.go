// Package state keeps the data that must survive a restart and a crash: checkpoints, the journal of
// findings, and the history.
//
// # Checkpoints
//
// A checkpoint is the knowledge of the sensor that it could not learn again at once: baselines,
// open findings, counts of the day, learned facts. A file begins with a line that identifies it;
// JSON follows, so that a person can read it (tail -n +2 checkpoint.0 | jq):
//
//	spamsensor checkpoint 1 gen 42 len 5120 crc 0a1b2c3d
//	{"written":...}
//
// The sum is CRC-32C over the line up to the sum, and the JSON. It detects every change of up to 32
// bits in a row, and any other with a probability of 1 - 2^-32. Generations alternate between two
// files, checkpoint.0 and checkpoint.1, so that one whole generation exists at every moment at
// which the machine may stop (package durable). A file that is damaged, or that a newer version
// wrote, is refused and kept aside as checkpoint.N.refused.M, and the other generation is used; see
// Loaded.
//
// A checkpoint holds addresses of hosts and the secret of the hashes, so its mode is 0600.
//
// A crash loses the counts since the last checkpoint. No count is added twice: the content of a
// checkpoint replaces the state in memory and is never added to it, see Restore in package engine;
// for the history see History.Add.
//
// # What it does not do
//
// It does not decide when a checkpoint is due, and does not know what the saved values mean;
// package engine repairs values that are out of range.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"spamsensor/sensor/durable"
	"spamsensor/sensor/engine"
)

// Version is the version of the checkpoint. It is raised by a change that an older sensor would
// misread.
const Version = 1

// Checkpoint is the content of a checkpoint file.
type Checkpoint struct {
	// Written is when the checkpoint was begun, see Journal.Stamp.
	Written int64 `json:"written"`
	// Engine is the state of the engine.
	Engine engine.Saved `json:"engine"`
}

// maxFile bounds the size of a file that is read, in bytes: 256 servers at 100 KB and 64 Ki sources
// at 2 KB fit.
const maxFile = 1 << 28

// Errors of a file that is refused.
var (
	ErrDamaged = errors.New("the checkpoint is damaged")
	ErrNewer   = errors.New("a newer version of the sensor wrote the checkpoint")
)

// Store is a directory with checkpoints. One goroutine calls its methods.
type Store struct {
	dir  string
	lock *os.File
	gen  uint64 // of the latest checkpoint
}

// Open makes the directory if it does not exist, and locks it: two sensors with one directory would
// overwrite each other's state.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot use the state directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another sensor uses the state directory %s "+
			"(give each its own state.dir)", dir)
	}
	return &Store{dir: dir, lock: lock}, nil
}

// Close unlocks the directory.
func (s *Store) Close() error { return s.lock.Close() }

// Loaded is the result of Load.
type Loaded struct {
	Generation uint64 // zero if there was no checkpoint
	Refused    []Refusal
}

// Refusal is a file that was not used, the name under which it is kept, and the reason.
type Refusal struct {
	File, Aside string
	Err         error
}

// Load reads the latest good checkpoint into c. An error means that the directory cannot be read; a
// refused file is no error.
func (s *Store) Load(c *Checkpoint) (l Loaded, err error) {
	for i := range 2 {
		name := s.name(i)
		data, err := read(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return l, fmt.Errorf("cannot read the checkpoint: %w", err)
		}
		var found Checkpoint
		gen, err := decode(data, &found)
		// A refused file may have held a later generation than the good one: the next generation is
		// written in its place, never over the only good one.
		if err != nil {
			aside, errAside := setAside(name)
			if errAside != nil {
				return l, fmt.Errorf("%s: %w, and cannot be kept aside: %w", name, err, errAside)
			}
			l.Refused = append(l.Refused, Refusal{name, aside, err})
			continue
		}
		if gen >= l.Generation {
			l.Generation, *c = gen, found
		}
	}
	s.gen = l.Generation
	return l, nil
}

// Save writes a checkpoint. The previous one stays.
func (s *Store) Save(c *Checkpoint) error {
	data, err := encode(s.gen+1, c)
	if err != nil {
		return fmt.Errorf("cannot write the checkpoint: %w", err)
	}
	if err := durable.Replace(s.name(int((s.gen+1)%2)), data, 0o600); err != nil {
		return fmt.Errorf("cannot write the checkpoint: %w", err)
	}
	s.gen++
	return nil
}

func (s *Store) name(i int) string { return filepath.Join(s.dir, fmt.Sprintf("checkpoint.%d", i)) }

// read reads a file of bounded size.
func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		// The sensor never writes such a file. An open of a named pipe would wait for a writer.
		return nil, nil
	}
	return os.ReadFile(name)
}

// maxAside is the number of refused files that are kept; a further one replaces the last.
const maxAside = 9

// setAside renames a refused file.
func setAside(name string) (aside string, err error) {
	for i := 1; i <= maxAside; i++ {
		aside = fmt.Sprintf("%s.refused.%d", name, i)
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return aside, os.Rename(name, aside)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the first line up to the sum.
func header(version, gen, length uint64) []byte {
	return fmt.Appendf(nil, "spamsensor checkpoint %d gen %d len %d crc ", version, gen, length)
}

func encode(gen uint64, c *Checkpoint) ([]byte, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return seal(Version, gen, payload), nil
}

// seal prepends the first line to the payload.
func seal(version, gen uint64, payload []byte) []byte {
	head := header(version, gen, uint64(len(payload)))
	sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
	return append(fmt.Appendf(head, "%08x\n", sum), payload...)
}

// decode reads exactly the files that encode writes.
func decode(data []byte, c *Checkpoint) (gen uint64, err error) {
	line, payload, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || len(line) > 128 {
		return 0, ErrDamaged
	}
	var version, length uint64
	var sum uint32
	n, err := fmt.Sscanf(string(line), "spamsensor checkpoint %d gen %d len %d crc %x",
		&version, &gen, &length, &sum)
	if n != 4 || err != nil {
		return 0, ErrDamaged
	}
	// Sscanf accepts several forms of a number; only the form of seal is valid.
	if length != uint64(len(payload)) || gen == 0 ||
		!bytes.Equal(data[:len(line)+1], seal(version, gen, payload)[:len(line)+1]) {
		return 0, ErrDamaged
	}
	switch {
	case version > Version:
		return 0, ErrNewer
	case version != Version:
		return 0, ErrDamaged
	}
	if err := json.Unmarshal(payload, c); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return gen, nil
}

// Owns reports whether a file is part of the state of a sensor: it has the name of such a file and
// lies in a directory with a lock, or it is one of the state files in dir under another name. dir
// may be empty.
func Owns(dir, name string, info os.FileInfo) bool {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if isState(filepath.Base(name)) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), lockFile)); err == nil {
			return true
		}
	}
	if dir == "" {
		return false
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if at, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && isState(e.Name()) &&
			os.SameFile(at, info) {
			return true
		}
	}
	return false
}

// lockFile is the file that Open locks.
const lockFile = "lock"

// isState reports whether a state directory has files of this name, refused ones included.
func isState(base string) bool {
	return base == lockFile || strings.HasPrefix(base, "checkpoint.") ||
		strings.HasPrefix(base, "history.db") || strings.HasPrefix(base, "findings.")
}
