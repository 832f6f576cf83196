package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"spamsensor/bench/fuzztime"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/sketch"
	"spamsensor/sensor/sources"
	"spamsensor/sensor/verdict"
)

// sample is a checkpoint in which nothing is zero that can be something.
func sample(n int64) *Checkpoint {
	c := &Checkpoint{Written: n}
	c.Engine.Seed = []byte("0123456789abcdef")
	for i := range 20 {
		c.Engine.Sources = append(c.Engine.Sources,
			sources.SavedSource{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), MAC: [6]byte{2},
				VLAN:     []uint16{7},
				Counters: detect.Counters{First: 1e18, Last: 1e18 + n, Attempts: uint32(n)},
				Host: &sources.SavedHost{Memory: detect.Saved{Verdict: detect.SavedVerdict{Level: verdict.Likely, Score: 5}, Reasons: map[string]detect.SavedReason{"new_networks": {Reason: verdict.Reason{First: 1, Weight: 6.9}, Text: "many"}},
					Nets:  sketch.Saved{Hashes: []uint32{1, 2, 3}},
					Addrs: sketch.Saved{Bits: make([]byte, 1024)},
					Lists: detect.SavedLists{Names: []string{"list.example"}}},
					Findings: []sources.SavedFinding{{ID: fmt.Sprint("spambot-", i), Seq: 3,
						Level: verdict.Likely, Open: true}}}})
	}
	return c
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestGenerations(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var c Checkpoint
	if l, err := s.Load(&c); err != nil || l.Generation != 0 || l.Refused != nil {
		t.Fatalf("empty directory: %+v, %v", l, err)
	}
	for n := range int64(3) {
		if err := s.Save(sample(n + 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir); err == nil {
		t.Error("a second sensor could use the directory")
	}
	s.Close()
	s = open(t, dir)
	if l, err := s.Load(&c); err != nil || l.Generation != 3 || !reflect.DeepEqual(&c, sample(3)) {
		t.Fatalf("generation %d, %v, the same: %v", l.Generation, err,
			reflect.DeepEqual(&c, sample(3)))
	}
	for _, name := range []string{"checkpoint.0", "checkpoint.1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, mode %v", name, err, info.Mode())
		}
	}
}

// TestDamage cuts a checkpoint and turns bits in it, 1,000 times each: it is refused every
// time, and the generation before it is used.
func TestDamage(t *testing.T) {
	old, _ := encode(6, sample(6))
	good, _ := encode(7, sample(7))
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 2000 {
		bad := good[:rnd.IntN(len(good))]
		if i%2 == 1 {
			bad = bytes.Clone(good)
			for range 1 + rnd.IntN(3) {
				bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
			}
			if bytes.Equal(bad, good) {
				continue
			}
		}
		os.WriteFile(s.name(0), old, 0o600)
		os.WriteFile(s.name(1), bad, 0o600)
		var c Checkpoint
		l, err := s.Load(&c)
		if err != nil || l.Generation != 6 || c.Written != 6 || len(l.Refused) != 1 ||
			!errors.Is(l.Refused[0].Err, ErrDamaged) {
			t.Fatalf("%d: %+v, %v, written %d", i, l, err, c.Written)
		}
		if kept, err := os.ReadFile(l.Refused[0].Aside); err != nil || !bytes.Equal(kept, bad) {
			t.Fatalf("%d: it was not kept aside: %v", i, err)
		}
		if err := s.Save(sample(8)); err != nil || s.gen != 7 {
			t.Fatalf("%d: saved as generation %d: %v", i, s.gen, err)
		}
		if kept, err := os.ReadFile(s.name(0)); err != nil || !bytes.Equal(kept, old) {
			t.Fatalf("%d: the only good generation was overwritten", i)
		}
	}
}

func TestNewer(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	payload, _ := json.Marshal(sample(1))
	os.WriteFile(s.name(0), seal(Version+1, 9, payload), 0o600)
	var c Checkpoint
	l, err := s.Load(&c)
	if err != nil || l.Generation != 0 || c.Written != 0 || len(l.Refused) != 1 ||
		!errors.Is(l.Refused[0].Err, ErrNewer) {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err := os.Stat(l.Refused[0].Aside); err != nil {
		t.Error("it was not kept aside:", err)
	}
}

// TestCrashWhileWriting leaves what a crash can leave: a part of the temporary file.
func TestCrashWhileWriting(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Save(sample(1)); err != nil {
		t.Fatal(err)
	}
	next, _ := encode(2, sample(2))
	os.WriteFile(s.name(0)+".tmp", next[:len(next)/2], 0o600)
	var c Checkpoint
	if l, err := s.Load(&c); err != nil || l.Generation != 1 || c.Written != 1 || l.Refused != nil {
		t.Fatalf("%+v, %v", l, err)
	}
	if err := s.Save(sample(2)); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Load(&c); err != nil || l.Generation != 2 || c.Written != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestLoadIsBounded(t *testing.T) {
	s := open(t, t.TempDir())
	f, _ := os.Create(s.name(0))
	f.Truncate(maxFile + 1) // takes no room on the disk
	f.Close()
	var c Checkpoint
	if l, err := s.Load(&c); err != nil || len(l.Refused) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
}

// FuzzLoad gives the loader any file, and the engine any payload that it would believe.
func FuzzLoad(f *testing.F) {
	good, _ := encode(7, sample(7))
	f.Add(good)
	f.Add(good[bytes.IndexByte(good, '\n')+1:])
	f.Add([]byte(`{"engine":{"Sources":[{"Addr":"10.0.0.1","VLAN":[1,2,3,4],"Facts":{"Attempts":1},"Host":{"Memory":{"Verdict":{"Level":255},"Nets":{"Bits":"AAAA"},"Contacts":{"Ports":[{},{},{},{},{}]},"Reasons":{"list_lookups":{"First":1,"Last":1}}},"Findings":[{"Class":"spambot","Level":9}]}}]}}`))
	cfg := engine.Config{Limits: engine.Limits{Attempts: 64, Flows: 64, Sources: 64, Sessions: 8,
		Hosts: 8}}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztime.Check(t, func() int {
			var c Checkpoint
			if gen, err := decode(data, &c); err == nil {
				payload := data[bytes.IndexByte(data, '\n')+1:]
				if !bytes.Equal(seal(Version, gen, payload), data) {
					t.Fatal("a file was read that we do not write")
				}
			}
			c = Checkpoint{}
			if json.Unmarshal(data, &c) != nil {
				return len(data)
			}
			e := engine.New(cfg, engine.Output{})
			e.Restore(&c.Engine)
			e.Worker().Idle(1e18)
			if _, err := encode(1, &Checkpoint{Engine: *e.Save()}); err != nil {
				t.Fatal(err)
			}
			e.Finish("shutdown")
			return len(data)
		})
	})
}
