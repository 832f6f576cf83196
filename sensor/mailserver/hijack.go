package mailserver

import (
	"fmt"

	"spamsensor/sensor/verdict"
)

// Hijack finds an account of a mail server that somebody else uses: the password was stolen, and
// many clients submit mail with it, or one submits very much.
//
// A verdict is suspect if clients from many more networks than usual submit within an hour. The
// verdict is likely if within half an hour of that the server also sends more than usual, is
// refused more than usual, or sends for more domains than usual. A higher volume alone is a volume
// anomaly and no more. The test works on encrypted sessions; where sessions can be read, [Accounts]
// knows more.
//
// The fields are the format of the checkpoint.
type Hijack struct {
	Spread     int64         `json:"Spread"` // time of the latest alarm
	Volume     int64         `json:"Volume"`
	Refused    int64         `json:"Refused"`
	Level      verdict.Level `json:"Told"`
	ReportedAt int64         `json:"ToldAt"`
}

const together = 30 * minute

// alarm takes in an alarm of the traffic baseline.
func (h *Hijack) alarm(a *volumeAlarm, out *verdicts) {
	switch {
	case a.Kind == "stopped":
		return
	case a.Metric == SubmitNetworks:
		h.Spread = a.Time
	case a.Metric == OutRefusals:
		h.Refused = a.Time
	case a.Metric == OutMessages || a.Metric == OutRecipients || a.Metric == OutDomains ||
		a.Metric == OutSenders || a.Metric == OutSessions:
		h.Volume = a.Time
	default:
		return
	}
	if h.Spread == 0 || a.Time-h.Spread > together {
		return
	}
	volume, refused := h.Volume != 0 && a.Time-h.Volume <= together, h.Refused != 0 &&
		a.Time-h.Refused <= together
	v := verdict.Verdict{Class: verdict.HijackedAccount, Level: verdict.Suspect,
		Code: "submission_spread", Time: a.Time, Value: a.Value, Threshold: burstZ,
		Text: fmt.Sprintf("Clients from %.0f networks submitted mail within an hour, where %.1f "+
			"are usual.", a.Value, a.Expected)}
	switch {
	case volume && refused:
		v.Level, v.Code = verdict.Confirmed, "submission_spread_volume_refused"
	case volume || refused:
		v.Level, v.Code = verdict.Likely, "submission_spread_volume"
	}
	if a.Metric != SubmitNetworks {
		v.Text = fmt.Sprintf("Soon after clients from many more networks than usual had "+
			"submitted mail: %s", a.sentence())
	}
	if v.Level <= h.Level && a.Time-h.ReportedAt < day {
		return
	}
	h.Level, h.ReportedAt = v.Level, a.Time
	out.add(v)
}
