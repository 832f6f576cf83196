package status

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"spamsensor/sensor/event"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// Bounds of a Store: open findings, closed findings, mail servers.
const (
	maxOpen    = 10_000
	maxClosed  = 2_000
	maxServers = 1_000
)

// Store keeps the latest event of each finding and of each mail server, and counts events. The zero
// value is empty. Several goroutines may use it.
type Store struct {
	mu        sync.Mutex
	findings  map[string]*kept
	closed    []string // ids, the first closed first
	servers   map[string]json.RawMessage
	total     map[string]map[string]uint64 // by class and severity
	events    [event.Types]uint64
	forgotten uint64
}

// kept is the latest event of a finding.
type kept struct {
	line  json.RawMessage
	brief brief
	open  bool
}

// brief is what a Store reads of an event.
type brief struct {
	SrcIP   string `json:"src_ip"`
	Finding struct {
		ID, Action, Class, Level, Severity string
		FirstSeen                          string `json:"first_seen"`
		Since                              string
		CloseReason                        string `json:"close_reason"`
	}
}

// Add takes in an event; it copies the line. It is an event.Config.Tap.
func (s *Store) Add(kind event.Type, line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[kind]++
	if kind != event.FindingEvent && kind != event.ServerEvent {
		return
	}
	var b brief
	if json.Unmarshal(line, &b) != nil {
		return
	}
	line = slices.Clone(line[:len(line)-1]) // without the newline
	if kind == event.ServerEvent {
		if s.servers == nil {
			s.servers = map[string]json.RawMessage{}
		}
		if _, known := s.servers[b.SrcIP]; known || len(s.servers) < maxServers {
			s.servers[b.SrcIP] = line
		}
		return
	}
	s.addFinding(&b, line)
}

func (s *Store) addFinding(b *brief, line []byte) {
	if s.findings == nil {
		s.findings, s.total = map[string]*kept{}, map[string]map[string]uint64{}
	}
	f := &b.Finding
	open := !finding.Over(f.Action, f.CloseReason)
	was := s.findings[f.ID]
	if was == nil {
		// A finding may be known that had to make room: it was counted before. After a crash the
		// first event of one may be an update.
		first := f.Action == finding.Opened || f.Action == finding.Resumed || s.forgotten == 0
		room := len(s.findings)-len(s.closed) < maxOpen || !open
		s.count(f.Class, f.Severity, first, room)
		if !room {
			return
		}
	}
	s.findings[f.ID] = &kept{line, *b, open}
	wasClosed := was != nil && !was.open
	switch {
	case open && wasClosed:
		s.closed = slices.DeleteFunc(s.closed, func(id string) bool { return id == f.ID })
	case !open && !wasClosed:
		if s.closed = append(s.closed, f.ID); len(s.closed) > maxClosed {
			delete(s.findings, s.closed[0])
			s.closed = s.closed[1:]
			s.forgotten++
		}
	}
}

// count counts a finding that is not kept so far. first says that it was not counted before, room
// that it is kept from now on.
func (s *Store) count(class, severity string, first, room bool) {
	if first {
		if s.total[class] == nil {
			s.total[class] = map[string]uint64{}
		}
		s.total[class][severity]++
	}
	switch {
	case first && !room:
		s.forgotten++
	case !first && room:
		s.forgotten--
	}
}

// worse orders findings: open ones first, then by severity, level, and the time of their beginning.
func worse(a, b *kept) int {
	if a.open != b.open {
		if a.open {
			return -1
		}
		return 1
	}
	x, y := &a.brief.Finding, &b.brief.Finding
	severityX, _ := verdict.ParseSeverity(x.Severity)
	severityY, _ := verdict.ParseSeverity(y.Severity)
	levelX, _ := verdict.ParseLevel(x.Level)
	levelY, _ := verdict.ParseLevel(y.Level)
	return cmp.Or(cmp.Compare(severityY, severityX), cmp.Compare(levelY, levelX),
		cmp.Compare(cmp.Or(x.Since, x.FirstSeen), cmp.Or(y.Since, y.FirstSeen)),
		cmp.Compare(x.ID, y.ID))
}

// Findings returns the latest event of each finding, the worst open ones first. The caller must not
// change them.
func (s *Store) Findings() *FindingList {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(func(*kept) bool { return true })
}

// Of returns the findings about a host.
func (s *Store) Of(ip string) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(func(k *kept) bool { return k.brief.SrcIP == ip }).Findings
}

func (s *Store) list(filter func(*kept) bool) *FindingList {
	l := &FindingList{Findings: []json.RawMessage{}, Forgotten: s.forgotten}
	for _, k := range slices.SortedFunc(maps.Values(s.findings), worse) {
		if filter(k) {
			l.Findings = append(l.Findings, k.line)
		}
	}
	l.Total = len(l.Findings)
	return l
}

// Finding returns the latest event of a finding, nil if there is none.
func (s *Store) Finding(id string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.findings[id]; k != nil {
		return k.line
	}
	return nil
}

// Servers returns the latest event of each mail server, by address.
func (s *Store) Servers() *Servers {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &Servers{Servers: []json.RawMessage{}}
	for _, ip := range slices.Sorted(maps.Keys(s.servers)) {
		l.Servers = append(l.Servers, s.servers[ip])
	}
	return l
}

// Counts returns the counts of findings, and of events by type.
func (s *Store) Counts() (f Findings, events map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f = Findings{Open: map[string]map[string]int{}, Total: map[string]map[string]uint64{}}
	for _, k := range s.findings {
		if !k.open {
			continue
		}
		x := &k.brief.Finding
		if f.Open[x.Class] == nil {
			f.Open[x.Class] = map[string]int{}
		}
		f.Open[x.Class][x.Level]++
	}
	for class, by := range s.total {
		f.Total[class] = maps.Clone(by)
	}
	events = map[string]uint64{}
	for t, n := range s.events {
		events[event.Type(t).String()] = n
	}
	return f, events
}
