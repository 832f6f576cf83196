package serve

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"spamsensor/sensor/status"
)

const (
	// askTime bounds the time for an answer of the sensor: a scrape is answered within a second
	// even if the sensor is silent.
	askTime = 900 * time.Millisecond
	// keepTime is how long an answer is used again, a failure as well.
	keepTime = time.Second
)

// snapshot is what was known of the sensor at a time.
type snapshot struct {
	status  *status.Status // nil if the sensor does not answer
	servers []server
	err     error // why it does not answer
	notices notices
	at      time.Time
	took    time.Duration
}

// asker asks the sensor, once for all who want to know within keepTime. Those who come while it
// asks wait for the answer.
type asker struct {
	sensor status.Getter
	file   string // of the counters of notify; may be empty
	now    func() time.Time

	mu     sync.Mutex
	latest *snapshot
}

// ask returns what is known of the sensor, at most keepTime old. The caller must not change it.
func (a *asker) ask() *snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.latest != nil && now.Sub(a.latest.at) < keepTime {
		return a.latest
	}
	s := &snapshot{}
	// The question is for all who wait: it does not end with the request of one of them.
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	var st status.Status
	if s.err = a.sensor.Get(ctx, "status", &st); s.err == nil {
		var l status.Servers
		if s.err = a.sensor.Get(ctx, "servers", &l); s.err == nil {
			s.status, s.servers = &st, decodeServers(l.Servers)
		}
	}
	s.notices = readNotices(a.file)
	s.at = a.now()
	s.took = s.at.Sub(now)
	a.latest = s
	return s
}

// server is a mail server, as its latest event describes it.
type server struct {
	SrcIP  string `json:"src_ip"`
	Server struct {
		Declared    bool    `json:"declared"`
		MessagesOut float64 `json:"messages_out"`
		MessagesIn  float64 `json:"messages_in"`
		Queue       float64 `json:"queue_estimate"`
	} `json:"mail_server"`
}

// decodeServers returns the declared mail servers. The others are not bounded by the configuration.
func decodeServers(lines []json.RawMessage) (list []server) {
	for _, l := range lines {
		var s server
		if json.Unmarshal(l, &s) == nil && s.Server.Declared {
			list = append(list, s)
		}
	}
	return list
}
