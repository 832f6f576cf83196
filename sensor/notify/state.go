package notify

import "time"

// state is what the rules remember. It is saved together with the position in the file.
type state struct {
	File     *position                 `json:"file"`
	Findings map[string]*known         `json:"findings"`
	Health   map[string]*condition     `json:"health"`
	Channels map[string]*channelMemory `json:"channels"`
	Run      string                    `json:"run"` // of the sensor, from its event ids
	Sensor   string                    `json:"sensor"`
	PublicIP string                    `json:"public_ip,omitempty"`
	Asked    time.Time                 `json:"asked,omitzero"` // when blocklists were asked
	Week     week                      `json:"week"`
}

// known is a finding that was seen.
type known struct {
	Host  string    `json:"host"`
	Class string    `json:"class"`
	Level string    `json:"level"` // highest so far
	Seen  time.Time `json:"seen"`  // the last event about it, by the clock of this machine
	// Told has the latest notice of each channel.
	Told map[string]mark `json:"told,omitempty"`
	// Closed is when it was closed; zero while it is open.
	Closed time.Time `json:"closed,omitzero"`
}

// mark is the latest notice of a finding through a channel.
type mark struct {
	Level string `json:"level"` // the highest level
	// Silent is set if nothing was said because the same was said a short time ago; it ends then.
	Silent time.Time `json:"silent,omitzero"`
}

// condition is a check of the sensor that was raised.
type condition struct {
	Item   Item `json:"item"`
	Raised bool `json:"raised"`
	// ClearAt is when a condition that was cleared counts as over; zero while it is raised.
	ClearAt time.Time `json:"clear_at,omitzero"`
	Told    bool      `json:"told"`             // people believe that it is raised
	ToldAt  time.Time `json:"told_at,omitzero"` // when they were told so
	Flaps   int       `json:"flaps,omitempty"`  // raised since then, and not told
}

// channelMemory is what the rules remember of a channel.
type channelMemory struct {
	Last    time.Time   `json:"last,omitzero"`     // of the last message
	Hour    []time.Time `json:"hour,omitempty"`    // messages of the last hour
	Pending []Item      `json:"pending,omitempty"` // items that wait for the next message
	LeftOut int         `json:"left_out,omitempty"`
	// Firing are the alerts that Alertmanager has from us.
	Firing    map[string]Item `json:"firing,omitempty"`
	Refreshed time.Time       `json:"refreshed,omitzero"`
}

// week counts what the weekly message says.
type week struct {
	Since     time.Time     `json:"since"`
	Next      time.Time     `json:"next"`
	Hosts     hostCount     `json:"hosts"`
	Findings  int           `json:"findings"`
	Confirmed int           `json:"confirmed"`
	Health    int           `json:"health"`
	Blind     time.Duration `json:"blind"`
	LeftOut   int           `json:"left_out"`
	GivenUp   int           `json:"given_up"`
}

const (
	// maxKnown, maxConditions and maxFiring bound the tables.
	maxKnown, maxConditions, maxFiring = 4096, 256, 1000
	// maxState is more than a state can have, in bytes.
	maxState = 64 << 20
	// forgetAfter is the time without an event after which a finding is forgotten: its sensor is
	// gone, because an open finding has an event every half an hour.
	forgetAfter = 48 * time.Hour
)

// complete makes what a saved state lacks.
func (s *state) complete(now time.Time, l *Limits) {
	if s.Findings == nil {
		s.Findings = map[string]*known{}
	}
	if s.Health == nil {
		s.Health = map[string]*condition{}
	}
	if s.Channels == nil {
		s.Channels = map[string]*channelMemory{}
	}
	if s.Week.Since.IsZero() || s.Week.Since.After(now) {
		s.Week = week{Since: now}
	}
	if latest := l.Weekly.next(now); s.Week.Next.IsZero() || s.Week.Next.After(latest) {
		s.Week.Next = latest // the setting or the clock has changed
	}
}

// channel returns the memory of a channel.
func (s *state) channel(name string) *channelMemory {
	m := s.Channels[name]
	if m == nil {
		m = &channelMemory{}
		s.Channels[name] = m
	}
	return m
}

// finding returns what is known of a finding, and makes room in a full table.
func (s *state) finding(id string) *known {
	k := s.Findings[id]
	if k != nil {
		return k
	}
	if len(s.Findings) >= maxKnown {
		oldest := ""
		for i, x := range s.Findings {
			if oldest == "" || x.Seen.Before(s.Findings[oldest].Seen) {
				oldest = i
			}
		}
		delete(s.Findings, oldest)
	}
	k = &known{Told: map[string]mark{}}
	s.Findings[id] = k
	return k
}
