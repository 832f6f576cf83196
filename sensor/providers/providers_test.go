package providers

import (
	"testing"
)

const start, threshold = 1_700_000_000 * second, 11.5

// contacts makes contacts with new networks of one name, and returns how many of them count.
func contacts(l *Ledger, from, n, name uint32) (units int) {
	for net := from; net < from+n; net++ {
		if _, isNew := l.Contacted(net, name, true, start); isNew {
			units++
		}
	}
	return units
}

func TestNamesJoinNetworks(t *testing.T) {
	for _, c := range []struct {
		name        string
		nets, asked uint32
		want        int
	}{
		{"without a name each network counts", 20, 0, 20},
		{"of one provider the first counts", 20, 7, 1},
		{"as many as the DNS may join", 33, 7, 1},
		{"beyond that they count again", 43, 7, 11},
	} {
		var l Ledger
		if got := contacts(&l, 1000, c.nets, c.asked); got != c.want || l.Units() != c.want {
			t.Errorf("%s: %d and %d of %d, want %d", c.name, got, l.Units(), c.nets, c.want)
		}
	}
	var l Ledger
	contacts(&l, 1000, 40, 7)
	if _, isNew := l.Contacted(1000, 7, false, start); isNew || l.Unit(1001) != 7 || l.Unit(1039) != 1039 {
		t.Error("a known network counts again, or has another unit")
	}
	// A day later the provider may have other networks.
	if _, isNew := l.Contacted(2000, 7, true, start+day*second); isNew {
		t.Error("the bound is not one of a day")
	}
}

// A name that comes after the SYN takes a network back, and an origin has its bound.
func TestNamedLater(t *testing.T) {
	for _, c := range []struct {
		by   Origin
		want int
	}{{Asked, 100 - 16}, {Resolved, 100 - 32}, {Greeted, 100 - 96}} {
		var l Ledger
		contacts(&l, 1, 101, 0)
		lost := 0
		for net := range uint32(101) {
			if change, ok := l.Named(net+1, 7777, c.by, start); ok && change.Lost {
				lost++
			}
		}
		if l.Units() != 1+c.want || lost != 100-c.want {
			t.Errorf("origin %d: %d units, %d lost", c.by, l.Units(), lost)
		}
	}
}

// Greetings outrank what the client chose: a bot's own domain does not hide the servers of others.
func TestGreetingsExposeNames(t *testing.T) {
	var l Ledger
	contacts(&l, 1, 30, 7)
	split := 0
	for net := range uint32(30) {
		if change, ok := l.Named(net+1, 100+net, Greeted, start); ok && change.Split {
			split++
		}
	}
	if split != 27 || l.Units() != 28 { // three names are aliases
		t.Errorf("%d count for themselves, %d units", split, l.Units())
	}
	// Two names of the DNS whose servers greet alike are one provider.
	var m Ledger
	m.Contacted(1, 7, true, start)
	m.Contacted(2, 8, true, start)
	if _, ok := m.Named(1, 9, Greeted, start); ok {
		t.Error("a first greeting changes the units")
	}
	if change, ok := m.Named(2, 9, Greeted, start); !ok || !change.Lost || m.Units() != 1 || m.Unit(2) != m.Unit(1) {
		t.Errorf("%+v, %v, %d units", change, ok, m.Units())
	}
	// What the client asks for says nothing where the DNS has said it.
	if _, ok := m.Named(1, 55, Asked, start); ok {
		t.Error("the name in TLS counts more than the DNS")
	}
	if _, ok := m.Named(3, 0, Greeted, start); ok {
		t.Error("no name is a name")
	}
}

// Whatever names come, a network counts at most once, and memory does not grow.
func TestNamesNeverAdd(t *testing.T) {
	var l Ledger
	for i := range uint32(10_000) {
		net, name := i*2654435761%500, i*40503%97
		l.Contacted(net, name, i < 500, start+int64(i)*second)
		l.Named(net, name+1, Origin(i%4), start+int64(i)*second)
		if l.Units() > 500+int(i) {
			t.Fatalf("%d units of 500 networks", l.Units())
		}
	}
}

func TestRateTakesBack(t *testing.T) {
	var r Rate
	reached := 0
	for i := range uint32(4) {
		if r.Add(i, start+int64(i)*60*second, threshold) {
			reached = int(i) + 1
		}
	}
	if reached != 4 || !r.Fired() {
		t.Fatalf("reached at %d", reached)
	}
	var three Rate
	for i := range uint32(4) {
		if i != 2 {
			three.Add(i, start+int64(i)*60*second, threshold)
		}
	}
	r.Change(Change{From: 2, To: 1, Lost: true}, start, threshold)
	if r.Fired() || r.Sums != three.Sums || r.At != three.At {
		t.Errorf("sums are %v, want %v", r.Sums, three.Sums)
	}
	r.Change(Change{From: 3, To: 9}, start, threshold)
	r.Change(Change{From: 9, To: 10, Split: true}, start+240*second, threshold)
	if !r.Fired() {
		t.Error("a unit that counts for itself does not count")
	}
	// Accounts do not count, until there are too many.
	for _, id := range []uint32{0, 1, 9, 10, 9} {
		r.Excuse(id, threshold)
	}
	if r.Fired() || r.Sums != (sums{}) {
		t.Errorf("accounts count: %v", r.Sums)
	}
	if r.CountAccounts(threshold); !r.Fired() {
		t.Error("many accounts do not count")
	}
}

// What the ring forgets stays in the sums.
func TestRateForgets(t *testing.T) {
	var r, all Rate
	for i := range uint32(100) {
		r.Add(i, start+int64(i)*second, threshold)
		all.Add(i, start+int64(i)*second, threshold)
	}
	r.Change(Change{From: 1, To: 2, Lost: true}, start, threshold) // not kept
	if r.Sums != all.Sums || !r.Fired() {
		t.Errorf("%v, want %v", r.Sums, all.Sums)
	}
	r.replay(threshold)
	for i := range r.Sums {
		if d := r.Sums[i] - all.Sums[i]; d > 1e-6 || d < -1e-6 {
			t.Errorf("after a replay %v, want %v", r.Sums, all.Sums)
		}
	}
	saved := Rate{Sums: all.Sums, At: all.At} // as a checkpoint keeps it
	saved.Add(500, all.At+second, threshold)
	all.Add(500, all.At+second, threshold)
	saved.Excuse(500, threshold)
	if all.Excuse(500, threshold); saved.Sums[0] < 100 || all.Sums[0]-saved.Sums[0] > 1e-6 {
		t.Errorf("restored: %v, want %v", saved.Sums, all.Sums)
	}
}

func TestAccounts(t *testing.T) {
	for _, c := range []struct {
		name   string
		n      int
		apart  int64 // seconds
		isMany bool
	}{
		{"four on a telephone", 4, 70, false},
		{"eight on a laptop, and the firm's own", 9, 70, false},
		{"one more within the hour", 10, 70, true},
		{"three at once", 3, 0, false},
		{"four at once", 4, 1, true},
		{"faster than a person", 6, 30, true},
		{"a person", 6, 40, false},
		{"a consultant's fifteen customers in a day", 15, 1900, false},
		{"one more", 16, 1900, true},
		{"sixteen over three days", 16, 6 * 3600, false},
		{"a slow bot, four each day", 24, 6 * 3600, true},
		{"as many in three weeks", 60, 9 * 3600, false},
	} {
		var a Accounts
		for i := range c.n {
			a.Add(uint32(i+1), start+int64(i)*c.apart*second)
			a.Add(uint32(i+1), start+int64(i)*c.apart*second) // again is nothing new
		}
		if a.Many() != c.isMany {
			t.Errorf("%s: %v", c.name, a.Many())
		}
		if got := a.Excuses(uint32(c.n), start+int64(c.n)*c.apart*second); got == c.isMany || a.Excuses(99, start) {
			t.Errorf("%s: excused %v", c.name, got)
		}
	}
}
