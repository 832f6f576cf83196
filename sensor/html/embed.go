package html

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"

	"spamsensor/sensor/report"
)

// maxData bounds the model inside a report, in bytes, so that a report stays small enough to send.
const maxData = 64 << 10

// Bounds of the lists of this model.
const (
	maxDataFindings = 50
	maxDataHosts    = 200
	maxDataServers  = 20
	maxDataOthers   = 20 // findings that are ignored, or were withdrawn
	maxDataFiles    = 100
)

// embedded is the model as JSON. If it is too big, it lacks times, then a part of all lists, of
// which it keeps the beginning: the worst.
func embedded(m *report.Model) (data []byte, left *report.LeftOut, err error) {
	share := 1.0
	for _, times := range []bool{true, false} {
		for {
			p := part(m, times, share)
			data, err = json.Marshal(p)
			if err != nil || len(data) <= maxData || share < 1e-4 {
				return data, p.LeftOut, err
			}
			if times {
				break
			}
			share *= min(0.9, 0.95*maxData/float64(len(data)))
		}
	}
	return data, left, err
}

// part is a share of a model.
func part(m *report.Model, times bool, share float64) *report.Model {
	whole := *m
	p := &whole
	p.LeftOut = &report.LeftOut{}
	p.Findings, p.LeftOut.Findings = begin(m.Findings, maxDataFindings, share)
	p.Hosts, p.LeftOut.Hosts = begin(m.Hosts, maxDataHosts, share)
	p.Servers, p.LeftOut.Servers = begin(m.Servers, maxDataServers, share)
	p.Ignored, p.LeftOut.Others = begin(m.Ignored, maxDataOthers, share)
	var more int
	p.Withdrawn, more = begin(m.Withdrawn, maxDataOthers, share)
	p.LeftOut.Others += more
	p.Input.Names, p.LeftOut.Files = begin(m.Input.Names, maxDataFiles, share)
	p.Input.Sums, _ = begin(m.Input.Sums, maxDataFiles, share)
	p.MoreFindings += p.LeftOut.Findings
	p.Sessions, p.MoreSessions = nil, m.MoreSessions+uint64(len(m.Sessions))
	if times {
		return p
	}
	p.LeftOut.Times = true
	p.Activity.Minutes = report.Stack{}
	p.Servers = slices.Clone(p.Servers)
	for i := range p.Servers {
		p.Servers[i].Hours = nil
	}
	return p
}

// begin is a share of the first elements of a list, and how many there are beyond them.
func begin[T any](list []T, most int, share float64) (first []T, beyond int) {
	n := int(math.Ceil(float64(min(len(list), most)) * share))
	return list[:n], len(list) - n
}

// The model stands between these texts. The JSON before its end has no <, which json.Marshal
// escapes; nor has any text before its beginning, which html/template escapes.
var dataBegin, dataEnd = []byte(`<script type="application/json" id="model">`), []byte(`</script>`)

// Data is the model inside a report that Report wrote, as JSON; ok is false if there is none.
func Data(text []byte) (data []byte, ok bool) {
	_, data, ok = bytes.Cut(text, dataBegin)
	if !ok {
		return nil, false
	}
	data, _, ok = bytes.Cut(data, dataEnd)
	return data, ok
}
