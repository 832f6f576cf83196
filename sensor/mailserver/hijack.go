package mailserver

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// Hijack looks for an account of a mail server that somebody else uses: the password was
// stolen, and many strangers submit with it, or one submits very much.
//
// What makes one suspicious: clients from many more networks than usual submit within an hour. What makes it
// likely: within half an hour of it the server also sends more than usual, or is refused more
// than usual, or in the name of more domains. Sending more than usual alone is a volume anomaly and no more.
// This works where sessions are encrypted; where they are not, [Accounts] says more.
//
// The fields are the format of the checkpoint.
type Hijack struct {
	Spread     int64         `json:"Spread"` // when the alarm was given last
	Volume     int64         `json:"Volume"`
	Refused    int64         `json:"Refused"`
	Level      verdict.Level `json:"Told"`
	ReportedAt int64         `json:"ToldAt"`
}

const together = 30 * minute

// alarm is given every alarm of the server's traffic.
func (h *Hijack) alarm(a *volumeAlarm, out *verdicts) {
	switch {
	case a.Kind == "stopped":
		return
	case a.Metric == SubmitNetworks:
		h.Spread = a.Time
	case a.Metric == OutRefusals:
		h.Refused = a.Time
	case a.Metric == OutMessages || a.Metric == OutRecipients || a.Metric == OutDomains || a.Metric == OutSenders || a.Metric == OutSessions:
		h.Volume = a.Time
	default:
		return
	}
	if h.Spread == 0 || a.Time-h.Spread > together {
		return
	}
	volume, refused := h.Volume != 0 && a.Time-h.Volume <= together, h.Refused != 0 && a.Time-h.Refused <= together
	v := verdict.Verdict{Class: verdict.HijackedAccount, Level: verdict.Suspect, Code: "submission_spread", Time: a.Time, Value: a.Value, Threshold: burstZ,
		Text: fmt.Sprintf("Clients from %.0f networks submitted mail within an hour, where %.1f are usual.", a.Value, a.Expected)}
	switch {
	case volume && refused:
		v.Level, v.Code = verdict.Confirmed, "submission_spread_volume_refused"
	case volume || refused:
		v.Level, v.Code = verdict.Likely, "submission_spread_volume"
	}
	if a.Metric != SubmitNetworks {
		v.Text = "Soon after clients from many more networks than usual had submitted mail: " + a.sentence()
	}
	if v.Level <= h.Level && a.Time-h.ReportedAt < day {
		return
	}
	h.Level, h.ReportedAt = v.Level, a.Time
	out.add(v)
}
