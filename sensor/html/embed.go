package html

import (
	"encoding/json"

	"spamsensor/sensor/report"
)

// maxData bounds the model inside a report, in bytes, so that a report stays small enough to send.
const maxData = 64 << 10

// LeftOut is what the model inside a report does not have.
type LeftOut struct{ Findings, Hosts int }

// embedded is the model as JSON. If it is too big, it has fewer hosts and findings, the worst of
// both; what is left out is counted in the fields that the model has for this.
func embedded(m *report.Model) (data []byte, left LeftOut, err error) {
	findings, hosts := len(m.Findings), min(len(m.Hosts), 200)
	for {
		small := *m
		small.Findings, small.Hosts = m.Findings[:findings], m.Hosts[:hosts]
		left = LeftOut{len(m.Findings) - findings, len(m.Hosts) - hosts}
		small.MoreFindings += left.Findings
		if left.Hosts > 0 {
			small.Activity.Minutes = report.Stack{}
		}
		data, err = json.Marshal(&small)
		if err != nil || len(data) <= maxData || findings+hosts == 0 {
			return data, left, err
		}
		findings, hosts = findings*3/4, hosts*3/4
	}
}
