package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// alertmanager posts alerts to the API v2 of Prometheus' Alertmanager.
type alertmanager struct{ *poster }

const (
	// alertLifetime is when an alert that is not sent again is over for Alertmanager: notify is
	// gone. refreshEvery is the time between two posts of all alerts that fire.
	alertLifetime, refreshEvery = 30 * time.Minute, 5 * time.Minute
)

func newAlertmanager(c *Channel) (sender, error) {
	if c.Server == "" {
		return nil, errors.New("alertmanager needs server: URL (try http://127.0.0.1:9093)")
	}
	u, err := webURL(c.Server)
	if err != nil {
		return nil, errors.New("this is no address of an Alertmanager (try http://127.0.0.1:9093)")
	}
	return &alertmanager{newPoster(u.JoinPath("api", "v2", "alerts"), c.Credential, c.tls)}, nil
}

func (a *alertmanager) where() string { return a.url.Scheme + "://" + a.url.Host }

// alert is an alert as the API has it.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// newAlert makes an alert. The labels identify it: they must be the same when it is over.
func newAlert(m *Message, it *Item, now time.Time) alert {
	labels := map[string]string{"alertname": "SpamsensorFinding", "sensor": m.Sensor,
		"severity": it.Severity}
	ends := now.Add(alertLifetime)
	switch it.Kind {
	case itemHealth, itemCleared:
		labels["alertname"] = "SpamsensorHealth"
		labels["check"] = it.Class
		_, labels["interface"], _ = strings.Cut(it.ID, " ")
	case itemListed, itemDelisted:
		labels["alertname"] = "SpamsensorListed"
		labels["host"], labels["list"] = it.Host, it.Class
	case itemFinding, itemResolved:
		labels["host"], labels["class"] = it.Host, it.Class
	case itemTest:
		labels["alertname"] = "SpamsensorTest"
		ends = now.Add(time.Minute)
	default:
		labels["alertname"] = "SpamsensorNotice"
	}
	if !it.Until.IsZero() {
		ends = it.Until
	}
	if it.Kind == itemResolved || it.Kind == itemCleared || it.Kind == itemDelisted {
		ends = now // the time of the packets may lie behind the start
	}
	starts := it.Since
	if starts.IsZero() || starts.After(ends) {
		starts = ends
	}
	for name, text := range labels {
		if text == "" { // an empty label is none
			delete(labels, name)
		}
	}
	return alert{labels, map[string]string{"summary": it.title(m.words),
		"description": strings.Join(append([]string{it.Headline}, it.Reasons...), "\n"),
		"advice":      it.Advice}, starts, ends}
}

func (a *alertmanager) send(ctx context.Context, m *Message, now time.Time) error {
	list := []alert{}
	for i := range m.Items {
		list = append(list, newAlert(m, &m.Items[i], now))
	}
	for i, note := range m.Notes {
		list = append(list, alert{map[string]string{"alertname": "SpamsensorNotify",
			"sensor": m.Sensor, "severity": "high", "channel": m.Refused[min(i, len(m.Refused)-1)]},
			map[string]string{"summary": note}, m.Created, now.Add(alertLifetime)})
	}
	body, err := json.Marshal(list)
	if err != nil {
		return failed("cannot write the alerts", err)
	}
	return a.post(ctx, body)
}
