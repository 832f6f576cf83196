package html

import (
	"encoding/json"

	"spamsensor/sensor/report"
)

// maxData bounds the model inside a report, in bytes, so that a report stays small enough to send;
// maxDataHosts and maxDataFindings bound its hosts and findings.
const (
	maxData         = 64 << 10
	maxDataHosts    = 200
	maxDataFindings = 50
)

// LeftOut is what the model inside a report does not have.
type LeftOut struct {
	Findings, Hosts int
	Minutes         bool // the attempts by minute
}

// Any reports whether anything is left out.
func (l LeftOut) Any() bool { return l.Findings > 0 || l.Hosts > 0 || l.Minutes }

// embedded is the model as JSON. If it is too big, it lacks the attempts by minute, then hosts and
// findings, of which it keeps the worst; the model has fields that count them.
func embedded(m *report.Model) (data []byte, left LeftOut, err error) {
	findings := min(len(m.Findings), maxDataFindings)
	hosts := min(len(m.Hosts), maxDataHosts)
	for {
		small := *m
		small.Findings, small.Hosts = m.Findings[:findings], m.Hosts[:hosts]
		left.Findings, left.Hosts = len(m.Findings)-findings, len(m.Hosts)-hosts
		small.MoreFindings += left.Findings
		if left.Minutes {
			small.Activity.Minutes = report.Stack{}
		}
		data, err = json.Marshal(&small)
		switch {
		case err != nil || len(data) <= maxData || findings+hosts == 0:
			return data, left, err
		case !left.Minutes:
			left.Minutes = true
		default:
			share := 0.95 * float64(maxData) / float64(len(data))
			findings, hosts = int(float64(findings)*share), int(float64(hosts)*share)
		}
	}
}
