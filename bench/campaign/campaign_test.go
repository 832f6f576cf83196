package campaign

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// digest runs all sites and returns a hash of all frames. Packets must be in the order of time.
func digest(t *testing.T, cfg Config) (sum uint64, packets int) {
	t.Helper()
	h := fnv.New64a()
	for _, s := range Sites(cfg) {
		last := int64(0)
		var f Framer
		s.Run(func(p *Packet) {
			if p.Time < last {
				t.Fatalf("site %d: a packet at %d after one at %d", s.Number, p.Time, last)
			}
			last = p.Time
			h.Write(f.Frame(p))
			packets++
		})
	}
	return h.Sum64(), packets
}

var smallConfig = Config{Seed: 5, Hosts: 1, Days: 0.5,
	Scenarios: []*Scenario{scenarioNamed("plaintext-bot"), scenarioNamed("blocked-drop"),
		scenarioNamed("burst-mixed"),
		scenarioNamed("mobile"), scenarioNamed("undeclared-server")}}

func scenarioNamed(name string) *Scenario {
	i := slices.IndexFunc(All, func(sc *Scenario) bool { return sc.Name == name })
	return All[i]
}

func TestSeedDeterminesFrames(t *testing.T) {
	a, n := digest(t, smallConfig)
	b, _ := digest(t, smallConfig)
	if a != b || n == 0 {
		t.Errorf("two runs of one seed give %x and %x, %d packets", a, b, n)
	}
	other := smallConfig
	other.Seed++
	if c, _ := digest(t, other); c == a {
		t.Error("another seed gives the same frames")
	}
}

// TestHostsAreIndependent checks that the behaviour of a host does not depend on the other hosts,
// so that a scenario behaves the same when it runs alone.
func TestHostsAreIndependent(t *testing.T) {
	life := func(cfg Config) (times []int64) {
		for _, s := range Sites(cfg) {
			s.Run(func(p *Packet) {
				if p.Host.Scenario.Name == "plaintext-bot" && p.Proto == TCP && p.Flags == SYN {
					times = append(times, p.Time)
				}
			})
		}
		return times
	}
	alone := smallConfig
	alone.Scenarios = smallConfig.Scenarios[:1]
	if a, b := life(smallConfig), life(alone); !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("%d SYNs among others, %d alone", len(a), len(b))
	}
}

// TestScenarios checks that the hosts of each scenario send packets, and have a first bad act if
// and only if a finding is expected.
func TestScenarios(t *testing.T) {
	names, ten := map[string]bool{}, ""
	for _, sc := range All {
		if names[sc.Name] {
			t.Errorf("two scenarios are called %s", sc.Name)
		}
		names[sc.Name] = true
		ten += sc.Ten
	}
	if ten != "ABCDEFGHIJ" {
		t.Errorf("the ten scenarios are %s", ten)
	}
	for _, s := range Sites(Config{Seed: 3, Hosts: 1, Days: 1}) {
		s.Run(func(*Packet) {})
		for _, h := range s.Hosts {
			if h.Infected() != (h.Bad != 0) {
				t.Errorf("%s: expects %q, first bad moment %d", h.Scenario.Name,
					h.Scenario.Expect.Class, h.Bad)
			}
			if h.Frames == 0 && h.Scenario.Name != "workstation" {
				t.Errorf("%s sent nothing", h.Scenario.Name)
			}
			if h.Bad != 0 && h.Bad < h.From {
				t.Errorf("%s was bad before it was there", h.Scenario.Name)
			}
		}
	}
}

// write makes a capture file of a site's frames, and returns its hosts.
func write(t *testing.T, cfg Config) (string, []*Host) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "site.pcap")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	s := Sites(cfg)[0]
	file := NewFile(out, 1)
	var f Framer
	s.Run(func(p *Packet) {
		b := f.Frame(p)
		file.Write(p.Time, b, len(b))
	})
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	return name, s.Hosts
}

// tshark returns the fields of the frames that match a filter, one line for each.
func tshark(t *testing.T, file, filter string, fields ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	args := []string{"-n", "-r", file, "-o", "tcp.check_checksum:TRUE", "-o",
		"ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", filter, "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// TestTruthAgainstTshark checks that the truth agrees with the counts of tshark, and that no frame
// is malformed.
func TestTruthAgainstTshark(t *testing.T) {
	cfg := Config{Seed: 9, Hosts: 1, Days: 0.12,
		Scenarios: []*Scenario{scenarioNamed("plaintext-bot"), scenarioNamed("burst-mixed"),
			scenarioNamed("starttls-bot"),
			scenarioNamed("mobile")}}
	file, hosts := write(t, cfg)
	type count struct{ attempts, sessions, hellos int }
	counted := map[string]*count{}
	of := func(a string) *count {
		if counted[a] == nil {
			counted[a] = &count{}
		}
		return counted[a]
	}
	seen := map[string]bool{}
	const payload = 9
	for _, line := range tshark(t, file, "frame", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport",
		"tcp.seq_raw", "tcp.flags", "_ws.malformed", "tcp.checksum.status", "ip.checksum.status",
		"tcp.payload") {
		f := strings.Split(line, "\t")
		if f[6] != "" || f[7] == "0" || f[8] == "0" {
			t.Fatalf("malformed, or a wrong checksum: %s", line)
		}
		flags, _ := strconv.ParseUint(strings.TrimPrefix(f[5], "0x"), 16, 16)
		switch id := strings.Join(f[:5], " "); {
		case flags&(SYN|ACK) == SYN && !seen[id]: // a retransmission is the same attempt
			seen[id] = true
			of(f[0]).attempts++
		case flags&(SYN|ACK) == SYN|ACK:
			of(f[1]).sessions++
		case strings.HasPrefix(f[payload], "45484c4f20"),
			strings.HasPrefix(f[payload], "48454c4f20"): // EHLO, HELO
			of(f[0]).hellos++
		}
	}
	for _, h := range hosts {
		if !h.Infected() {
			continue
		}
		c := of(h.Addr.String())
		if c.attempts != len(h.Marks.Attempts) || c.sessions != len(h.Marks.Sessions) ||
			c.attempts == 0 {
			t.Errorf("%s %s: the truth says %d attempts and %d sessions, tshark counts %d and %d",
				h.Scenario.Name, h.Addr, len(h.Marks.Attempts), len(h.Marks.Sessions), c.attempts,
				c.sessions)
		}
		// A client that is refused in the banner sends no command.
		if c.hellos > c.sessions || c.hellos != len(h.Marks.Readable) {
			t.Errorf("%s %s: the truth says %d sessions that can be read, tshark counts %d",
				h.Scenario.Name, h.Addr, len(h.Marks.Readable), c.hellos)
		}
	}
}

// TestEncapsulations checks that tshark finds the same SYNs in every encapsulation. Encapsulations
// of one link type are in one file, one after the other.
func TestEncapsulations(t *testing.T) {
	site := Sites(Config{Seed: 9, Hosts: 1, Days: 0.1,
		Scenarios: []*Scenario{scenarioNamed("burst-2009")}})[0]
	var packets []Packet
	site.Run(func(p *Packet) {
		if p.Payload = slices.Clone(p.Payload); len(packets) < 60 {
			packets = append(packets, *p)
		}
	})
	want := 0
	for _, p := range packets {
		if p.Proto == TCP && p.Flags&SYN != 0 && p.Dst.Port() == 25 {
			want++
		}
	}
	byLink := map[uint16][]*Encapsulation{}
	for _, e := range Encapsulations {
		switch e.Name {
		case "mpls-ethernet", "vxlan-linux", "qinq-9100":
			continue // tshark needs options for them; a test of the sensor reads them
		}
		byLink[e.Link] = append(byLink[e.Link], e)
	}
	for link, list := range byLink {
		name := filepath.Join(t.TempDir(), "frames.pcap")
		out, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		file := NewFile(out, link)
		for _, e := range list {
			f := Framer{Wrap: e}
			for _, p := range packets {
				b := f.Frame(&p)
				file.Write(p.Time, b, len(b))
			}
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		out.Close()
		got := make([]int, len(list))
		for _, line := range tshark(t, name, "tcp.dstport == 25 and tcp.flags.syn == 1",
			"frame.number") {
			n, _ := strconv.Atoi(line)
			got[(n-1)/len(packets)]++
		}
		for i, e := range list {
			if got[i] != want || want == 0 {
				t.Errorf("%s: %d SYNs, want %d", e.Name, got[i], want)
			}
		}
	}
}

func TestVariants(t *testing.T) {
	p := &Packet{Proto: TCP, Flags: ACK, Inside: true, Src: netip.MustParseAddrPort("10.0.0.1:1"),
		Dst: netip.MustParseAddrPort("192.0.2.1:25"), Payload: bytes.Repeat([]byte("x"), 100)}
	through := func(v *Variant, n int, p *Packet) (passed int) {
		next := v.Filter(1, func(*Packet) { passed++ })
		for range n {
			next(p)
		}
		return passed
	}
	syn := *p
	syn.Flags = SYN
	back := *p
	back.Inside = false
	for _, c := range []struct {
		v      Variant
		p      *Packet
		lo, hi int
	}{
		{Variant{}, p, 10000, 10000},
		{Variant{Loss: 0.1}, p, 8850, 9150},
		{Variant{Double: true}, p, 20000, 20000},
		{Variant{Outbound: true}, p, 10000, 10000}, {Variant{Outbound: true}, &back, 0, 0},
		{Variant{Inbound: true}, p, 0, 0}, {Variant{Inbound: true}, &back, 10000, 10000},
		{Variant{SYN: true}, p, 0, 0}, {Variant{SYN: true}, &syn, 10000, 10000},
	} {
		if got := through(&c.v, 10000, c.p); got < c.lo || got > c.hi {
			t.Errorf("%+v: %d of 10000 packets pass", c.v, got)
		}
	}
	v := Variant{Snap: 96}
	var f Framer
	if got := string(v.Truncate(f.Frame(p))[54:]); got != string(v.CapturedPayload(p)) ||
		len(got) != 42 {
		t.Errorf("of the payload %q is kept, and %q is said to be", got, v.CapturedPayload(p))
	}
	six := *p
	h := &Host{}
	six.Src, six.Dst = h.mappedPort(netip.MustParseAddrPort("10.0.0.1:1")), h.mappedPort(p.Dst)
	if got := string(v.Truncate(f.Frame(&six))[74:]); got != string(v.CapturedPayload(&six)) ||
		len(got) != 22 {
		t.Errorf("of the payload in IPv6 %q is kept, and %q is said to be", got,
			v.CapturedPayload(&six))
	}
}

func TestDistributions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	low := 0
	for range 10000 {
		switch x := logUniform(r, 1, 10000); {
		case x < 1 || x > 10000:
			t.Fatal(x)
		case x < 100:
			low++
		}
	}
	if low < 4800 || low > 5200 {
		t.Errorf("%d of 10000 are in the lower half of the orders of magnitude", low)
	}
	n := map[string]int{}
	for range 10000 {
		n[draw(r, share[string]{3, "a"}, share[string]{1, "b"})]++
	}
	if n["a"] < 7300 || n["a"] > 7700 {
		t.Errorf("weights 3 and 1 give %v", n)
	}
	// In Emotet's trace 1,560 attempts reached 679 hosts in 495 networks.
	w := newWorld(&Config{Seed: 1})
	hosts, nets := map[netip.Addr]bool{}, map[netip.Prefix]bool{}
	for range 1560 {
		a := w.randomServer(r).addr
		hosts[a] = true
		net, _ := a.Prefix(24)
		nets[net] = true
	}
	if len(hosts) < 600 || len(hosts) > 760 || len(nets) < 350 || len(nets) > 550 {
		t.Errorf("1560 attempts reach %d hosts in %d networks", len(hosts), len(nets))
	}
}

func TestTimesOfMarks(t *testing.T) {
	list := []int64{1, 3, 3, 7}
	for at, want := range map[int64]int{0: 0, 1: 1, 3: 3, 6: 3, 9: 4} {
		if got := Before(list, at); got != want {
			t.Errorf("%d are before %d, want %d", got, at, want)
		}
	}
	var m Marks
	for i := range maxMarks + 10 {
		mark(&m.Attempts, int64(i))
	}
	if len(m.Attempts) != maxMarks {
		t.Errorf("%d marks are kept", len(m.Attempts))
	}
	if _, err := json.Marshal(m); err != nil {
		t.Error(err)
	}
}
