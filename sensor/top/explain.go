package top

import (
	"bytes"
	"context"
	"net/url"
	"strings"

	"spamsensor/sensor/status"
)

// explained is what a sensor says of a host when it is asked for an explanation.
type explained struct {
	name   string
	answer *status.Explanation // nil as long as there is none
	err    error
}

// explain asks the sensor what speaks for and against a host, and shows it.
func (v *view) explain(r *row) {
	x := &explained{name: r.IP.String()}
	v.explained, v.mode, v.scroll = x, explaining, 0
	v.apart(func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		var answer status.Explanation
		err := v.o.Sensor.Get(ctx, "explain/"+url.PathEscape(x.name), &answer)
		v.queue(func() { x.answer, x.err = &answer, err })
	})
}

// lines are the explanation in lines of a width.
func (x *explained) lines(o *Options, w int) (lines []line) {
	switch {
	case x.answer == nil:
		return []line{{{o.Lang.Sprintf("The sensor is asked about %s.", x.name), plain}}}
	case x.err != nil:
		return wrap(span{}, 0, o.Lang.Sentence(x.err.Error()), w)
	}
	var b bytes.Buffer
	t := status.Text{Out: &b, Width: min(w, 120), Zone: o.Zone, Lang: o.Lang}
	if err := t.PrintExplanation(x.answer); err != nil {
		return wrap(span{}, 0, o.Lang.Sentence(err.Error()), w)
	}
	for l := range strings.Lines(b.String()) {
		lines = append(lines, line{{strings.TrimRight(l, "\n"), plain}})
	}
	return lines
}
