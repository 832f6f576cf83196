package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"spamsensor/sensor/notify"
	"spamsensor/sensor/status"
)

// noticesLate is the age at which the counters of notify say that it does not run; it writes them
// every ten seconds.
const noticesLate = time.Minute

// notices says whether the notices of this machine get through, nil if none are configured, or if
// the question is about another sensor.
func (a *app) notices(o *askOptions) *status.Notices {
	if len(o.files) > 0 || o.socket != "" && a.opt.file == "" {
		return nil
	}
	a.opt.asks = true
	cfg, err := loadConfig(&a.opt)
	if err != nil || len(cfg.notify) == 0 { // a wrong configuration was named before
		return nil
	}
	if cfg.state.dir == "" {
		return &status.Notices{Channels: []status.NoticeChannel{},
			Problem: "whether notices get through is not known",
			Hint:    "notify writes its counters in state.dir, which is not set"}
	}
	return readNotices(filepath.Join(cfg.state.dir, notify.CountersFile), time.Now())
}

// readNotices reads the counters of notify.
func readNotices(file string, now time.Time) *status.Notices {
	n := &status.Notices{Channels: []status.NoticeChannel{}}
	c, ok, err := notify.ReadCounters(file)
	const look = "systemctl status spamsensor-notify; journalctl -u spamsensor-notify"
	switch {
	case err != nil:
		n.Problem, n.Hint = "whether notices get through is not known: "+err.Error(),
			"ask as the user of the service, or with sudo"
		return n
	case !ok:
		n.Problem, n.Hint = "notify has not run yet: nobody is told of findings", look
		return n
	}
	n.Updated, n.Running = c.Time, now.Sub(c.Time) < noticesLate
	if !n.Running {
		n.Problem = fmt.Sprintf("notify does not run: nobody is told of findings since %s",
			c.Time.Local().Format(time.DateTime))
		n.Hint = look
	} else if c.Dropped > 0 {
		n.Problem = fmt.Sprintf("%d notices were dropped: too many waited", c.Dropped)
		n.Hint = "spamsensor findings lists what is open"
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sent)) {
		x := status.NoticeChannel{Name: name, Sent: c.Sent[name], LastSent: c.LastSent[name],
			Waiting: c.Queue[name], GivenUp: c.GivenUp[name], FailingSince: c.FailingSince[name],
			Error: printable(c.LastError[name].Text)}
		for _, count := range c.Failed[name] {
			x.Failed += count
		}
		n.Channels = append(n.Channels, x)
	}
	return n
}

// printStatus prints the state of the sensor, and whether notices get through.
func (a *app) printStatus(ctx context.Context, g status.Getter, o *askOptions, _ []string) error {
	if err := noCSV(o); err != nil {
		return err
	}
	if o.report {
		return exit(exitUsage, errors.New("a report does not say how the sensor is; ask the "+
			"sensor, or the capture"))
	}
	var raw json.RawMessage
	if err := g.Get(ctx, "status", &raw); err != nil {
		return err
	}
	notices := a.notices(o)
	if o.format == "json" {
		return a.printStatusJSON(raw, notices)
	}
	var s status.Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	text := a.text()
	text.PrintStatus(&s)
	if notices != nil {
		text.PrintNotices(notices)
	}
	return nil
}

// printStatusJSON prints the answer of the sensor, with the notices in it as the last field. Fields
// of a newer sensor stay.
func (a *app) printStatusJSON(raw json.RawMessage, notices *status.Notices) error {
	if body, ok := bytes.CutSuffix(bytes.TrimSpace(raw), []byte{'}'}); ok && notices != nil {
		text, err := json.Marshal(notices)
		if err != nil {
			return err
		}
		raw = fmt.Appendf(nil, `%s,"notices":%s}`, body, text)
	}
	_, err := fmt.Fprintf(a.stdout, "%s\n", raw)
	return err
}
