package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"spamsensor/sensor/durable"
	"spamsensor/sensor/finding"
)

// acks are the acknowledgements of open findings, by id. With a state directory they survive a
// restart. The engine's Output and Between call the methods.
type acks struct {
	file string // empty without a state directory
	acks map[string]*finding.Ack
}

// Bounds of the file and of a reason, in bytes.
const (
	maxAckFile  = 8 << 20
	maxAckBytes = 500
)

// openAcks loads the acknowledgements from a state directory; "" is none. Without them the findings
// are as good as new, and the log says so.
func openAcks(dir string, log zerolog.Logger) *acks {
	k := &acks{acks: map[string]*finding.Ack{}}
	if dir == "" {
		return k
	}
	k.file = filepath.Join(dir, "acks.json")
	if err := k.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.acks = map[string]*finding.Ack{}
		log.Error().Err(err).Msg("the acknowledgements of findings cannot be read")
	}
	return k
}

func (k *acks) load() error {
	info, err := os.Stat(k.file)
	if err != nil {
		return err
	}
	if info.Size() > maxAckFile {
		return fmt.Errorf("%s has %d bytes, more than acknowledgements have", k.file, info.Size())
	}
	b, err := os.ReadFile(k.file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, &k.acks)
}

// attach gives an event of a finding its acknowledgement, which ends with the finding.
func (k *acks) attach(f *finding.Finding) {
	if k == nil {
		return
	}
	f.Ack = k.acks[f.ID]
	if f.Ack != nil && f.Action == finding.Closed {
		delete(k.acks, f.ID) // if it is opened again, that is news
		k.save()
	}
}

// acknowledge acknowledges a finding, whose latest event is given. It returns the event of that.
func (k *acks) acknowledge(latest *finding.Finding, ack finding.Ack) (*finding.Finding, error) {
	was, had := k.acks[latest.ID]
	k.acks[latest.ID] = &ack
	if err := k.save(); err != nil {
		if delete(k.acks, latest.ID); had {
			k.acks[latest.ID] = was
		}
		return nil, err
	}
	f := *latest
	f.Action, f.Ack, f.Time = finding.Acknowledged, &ack, ack.At
	return &f, nil
}

// save replaces the file.
func (k *acks) save() error {
	if k.file == "" {
		return nil
	}
	b, err := json.Marshal(k.acks)
	if err == nil {
		err = durable.Replace(k.file, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("the acknowledgement cannot be kept: %w", err)
	}
	return nil
}

// ackRequest is the body of a POST to /api/v1/ack.
type ackRequest struct {
	ID  string `json:"id"`
	Why string `json:"why"`
	By  string `json:"by"`
}

// ack acknowledges a finding: a status.Action.
func (q *questions) ack(body []byte) (any, error) {
	var r ackRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, errors.New("want an object with id, why and by")
	}
	if r.Why = strings.TrimSpace(r.Why); r.Why == "" || len(r.Why)+len(r.By) > maxAckBytes {
		return nil, fmt.Errorf("state why, in at most %d bytes", maxAckBytes)
	}
	var err error
	q.p.engine.Between(func() {
		latest := q.p.open.latest[r.ID]
		if latest == nil {
			err = q.notKept(r.ID)
			return
		}
		var f *finding.Finding
		f, err = q.p.acks.acknowledge(latest, finding.Ack{By: r.By, Why: r.Why,
			At: wallTime()})
		if err == nil {
			q.p.events.Finding(f)
			q.p.report.Finding(f)
		}
	})
	return map[string]string{"acknowledged": r.ID}, err
}

// notKept is the error for an id that no kept finding has.
func (q *questions) notKept(id string) error {
	text := fmt.Sprintf("there is no open finding %s (spamsensor findings lists them)",
		printable(id))
	if n := q.p.open.beyond; n > 0 {
		text += fmt.Sprintf("; %d more are open than can be acknowledged", n)
	}
	return errors.New(text)
}
