package serve

import (
	"encoding/json"
	"io"
	"os"
	"time"
)

// maxNotices bounds the file of the counters of notify, in bytes.
const maxNotices = 1 << 20

// notices are the counters of the notices that `spamsensor notify` sends, by channel. A counter
// that the file does not have is nil, and has no metric.
type notices struct {
	at      time.Time
	sent    map[string]float64
	failed  map[string]map[string]float64 // by reason
	givenUp map[string]float64
	queue   map[string]float64
	dropped *float64

	lastSent, failingSince map[string]time.Time
}

// readNotices reads the file of the counters. It is of another process, whose version may be
// another one: each part that has the expected form is taken, and nothing is an error.
func readNotices(file string) (n notices) {
	if file == "" {
		return n
	}
	f, err := os.Open(file)
	if err != nil {
		return n
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return n
	}
	b, err := io.ReadAll(io.LimitReader(f, maxNotices+1))
	var parts map[string]json.RawMessage
	if err != nil || len(b) > maxNotices || json.Unmarshal(b, &parts) != nil {
		return n
	}
	for name, into := range map[string]any{"time": &n.at, "sent": &n.sent, "failed": &n.failed,
		"given_up": &n.givenUp, "queue": &n.queue, "dropped": &n.dropped,
		"last_sent": &n.lastSent, "failing_since": &n.failingSince} {
		if part, ok := parts[name]; ok && json.Unmarshal(part, into) != nil {
			n.forget(name)
		}
	}
	return n
}

// forget drops a part of which only a piece could be decoded.
func (n *notices) forget(name string) {
	switch name {
	case "time":
		n.at = time.Time{}
	case "sent":
		n.sent = nil
	case "failed":
		n.failed = nil
	case "given_up":
		n.givenUp = nil
	case "queue":
		n.queue = nil
	case "dropped":
		n.dropped = nil
	case "last_sent":
		n.lastSent = nil
	case "failing_since":
		n.failingSince = nil
	}
}
