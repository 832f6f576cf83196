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
	return notices{at: part[time.Time](parts, "time"),
		sent:    part[map[string]float64](parts, "sent"),
		failed:  part[map[string]map[string]float64](parts, "failed"),
		givenUp: part[map[string]float64](parts, "given_up"),
		queue:   part[map[string]float64](parts, "queue"),
		dropped: part[*float64](parts, "dropped"),

		lastSent:     part[map[string]time.Time](parts, "last_sent"),
		failingSince: part[map[string]time.Time](parts, "failing_since")}
}

// part decodes a part of the file. One of which only a piece can be decoded is zero.
func part[T any](parts map[string]json.RawMessage, name string) (value T) {
	if json.Unmarshal(parts[name], &value) != nil {
		var none T
		return none
	}
	return value
}
