package notify

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"spamsensor/sensor/event"
)

// States of a notify event.
const (
	stateSent     = "sent"
	stateGivenUp  = "given_up"
	statePassedOn = "passed_on"
)

// journal writes notify events to a file of its own. The file is opened for each line, so that
// whoever rotates it need not say so. Any goroutine may call its methods.
type journal struct {
	file, run string

	mu  sync.Mutex
	seq int
}

// notifyEvent is an event of the type notify; event/schema.json has it.
type notifyEvent struct {
	Level     string     `json:"level"`
	Timestamp string     `json:"timestamp"`
	EventType string     `json:"event_type"`
	Version   int        `json:"v"`
	EventID   string     `json:"event_id"`
	Host      string     `json:"host"`
	Notify    notifyPart `json:"notify"`
	Message   string     `json:"message"`
}

type notifyPart struct {
	Channel    string   `json:"channel"`
	FindingIDs []string `json:"finding_ids"`
	Attempts   int      `json:"attempts"`
	State      string   `json:"state"`
	AfterS     float64  `json:"after_s"`
	Error      string   `json:"error,omitempty"`
}

func newJournal(file string, now time.Time) *journal {
	return &journal{file: file, run: fmt.Sprintf("%012x", now.UnixMicro())}
}

// write appends an event about a message. f is nil if it was delivered.
func (j *journal) write(m *Message, state string, f *failure, now time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e := notifyEvent{Level: "info", Timestamp: event.Timestamp(now.UnixNano()),
		EventType: "notify", Version: event.Version, EventID: fmt.Sprintf("%s/%d", j.run, j.seq),
		Host: m.Sensor, Notify: notifyPart{Channel: m.Channel, FindingIDs: m.findingIDs(),
			Attempts: m.Attempts, State: state, AfterS: max(0, now.Sub(m.Created).Seconds())}}
	e.Message = fmt.Sprintf("%s was told by %s", m.Subject(), m.Channel)
	if f != nil {
		e.Level, e.Notify.Error = "warn", f.text
		e.Message = fmt.Sprintf("%s could not be told by %s: %s", m.Subject(), m.Channel, f.text)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(j.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	if errClose := out.Close(); err == nil {
		err = errClose
	}
	return err
}
