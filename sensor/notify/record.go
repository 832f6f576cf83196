package notify

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/event"
)

// record is what a line of the events file says, as far as notices need it. Its texts are clean.
type record struct {
	Timestamp time.Time `json:"timestamp"`
	EventType string    `json:"event_type"`
	EventID   string    `json:"event_id"`
	Host      string    `json:"host"`
	Message   string    `json:"message"`
	SrcIP     string    `json:"src_ip"`
	SrcName   string    `json:"src_name"`
	MAC       string    `json:"mac"`
	Finding   *struct {
		ID          string    `json:"id"`
		Action      string    `json:"action"`
		Class       string    `json:"class"`
		Level       string    `json:"level"`
		Severity    string    `json:"severity"`
		FirstSeen   time.Time `json:"first_seen"`
		LastSeen    time.Time `json:"last_seen"`
		Since       time.Time `json:"since"` // zero in events of earlier versions
		Advice      string    `json:"advice"`
		CloseReason string    `json:"close_reason"`
		Reasons     []struct {
			Text string `json:"text"`
		} `json:"reasons"`
		Ignored *struct{} `json:"ignored"`
	} `json:"finding"`
	Health *struct {
		Check     string    `json:"check"`
		State     string    `json:"state"`
		Interface string    `json:"interface"`
		Since     time.Time `json:"since"`
		Text      string    `json:"text"`
		Hint      string    `json:"hint"`
	} `json:"health"`
	Site *struct {
		PublicIP string `json:"public_ip"`
	} `json:"site"`
	raw []byte
}

const (
	// maxText bounds a text of an item, maxName a name in it, in bytes after escaping.
	maxText, maxName = 1000, 256
	// maxRaw bounds the event that an item keeps.
	maxRaw = 16 << 10
	// maxReasons bounds the reasons of an item.
	maxReasons = 3
)

// told are the types of events that the rules look at; of the others only the time counts.
var told = [][]byte{[]byte(`"event_type":"finding"`), []byte(`"event_type":"health"`),
	[]byte(`"event_type":"source"`), []byte(`"event_type":"site"`)}

// parse reads a line. It reports false if the line is no event; rec is nil if the event is of a
// type that nobody is told about.
func parse(line []byte) (rec *record, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	if !bytes.HasPrefix(line, []byte("{")) || !json.Valid(line) {
		return nil, false
	}
	if !slices.ContainsFunc(told, func(t []byte) bool { return bytes.Contains(line, t) }) {
		return nil, bytes.Contains(line, []byte(`"event_type"`))
	}
	rec = &record{}
	if json.Unmarshal(line, rec) != nil {
		return nil, false
	}
	for _, s := range []*string{&rec.Host, &rec.SrcIP, &rec.SrcName, &rec.MAC, &rec.EventID} {
		*s = clean(*s, maxName)
	}
	rec.Message = clean(rec.Message, maxText)
	if f := rec.Finding; f != nil {
		for _, s := range []*string{&f.ID, &f.Action, &f.Class, &f.Level, &f.Severity} {
			*s = clean(*s, maxName)
		}
		f.Advice, f.CloseReason = clean(f.Advice, maxText), clean(f.CloseReason, maxName)
		f.Reasons = f.Reasons[:min(len(f.Reasons), maxReasons)]
		for i := range f.Reasons {
			f.Reasons[i].Text = clean(f.Reasons[i].Text, maxText)
		}
	}
	if h := rec.Health; h != nil {
		h.Check, h.Interface = clean(h.Check, maxName), clean(h.Interface, maxName)
		h.Text, h.Hint = clean(h.Text, maxText), clean(h.Hint, maxText)
	}
	if len(line) <= maxRaw {
		rec.raw = bytes.Clone(line)
	}
	valid := rec.Finding != nil && rec.Finding.ID != "" && rec.EventType == "finding" ||
		rec.Health != nil && rec.Health.Check != "" && rec.EventType == "health" ||
		rec.EventType == "source" || rec.Site != nil && rec.EventType == "site"
	return rec, valid
}

// clean makes a text inert: control characters, bytes that are no UTF-8 and runes that change the
// direction of writing are escaped, and the result has at most limit bytes. A text that the sensor
// has escaped already stays as it is.
func clean(s string, limit int) string {
	s = s[:min(len(s), limit)]
	parts := strings.Split(s, `\`) // Escape would escape the backslash of \x0a
	for i := range parts {
		parts[i] = event.Escape(parts[i], limit)
	}
	s = strings.Join(parts, `\`)
	if len(s) > limit { // cut between runes
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
