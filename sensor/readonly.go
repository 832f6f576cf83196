package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/report"
)

// onlyOptions restrict what read judges, by time, and what it shows, by host.
type onlyOptions struct {
	since, until string
	hosts, nets  []string
	sessions     bool
	sessionsCSV  string
	chosen       restriction // set by resolve
}

// flags adds the options to read's.
func (o *onlyOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.since, "since", "", "judge only frames from this `TIME` on (2026-11-30 14:00, "+
		"RFC 3339, or 2h: back from the end of the files)")
	f.StringVar(&o.until, "until", "", "judge only frames before this `TIME`")
	f.StringArrayVar(&o.hosts, "host", nil, "show only this host, `IP`; repeatable; all are judged")
	f.StringArrayVar(&o.nets, "net", nil, "show only the hosts of this network, `CIDR`; repeatable")
	f.BoolVar(&o.sessions, "sessions", false, "list the mail sessions of the shown hosts")
	f.StringVar(&o.sessionsCSV, "sessions-csv", "", "write these sessions as CSV to `FILE`")
}

// restriction is what the options amount to.
type restriction struct {
	since, until int64 // as capture.TimeSpan has them
	networks     []netip.Prefix
}

// networks are the hosts and networks that are shown.
func (o *onlyOptions) networks() (list []netip.Prefix, err error) {
	for _, text := range splitLists(o.hosts) {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("--host %s is no IP address", printable(text))
		}
		a = a.Unmap()
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, text := range splitLists(o.nets) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--net %s is no network (try 10.20.4.0/24)", printable(text))
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// onlyLayouts are the forms of a time in the local time zone.
var onlyLayouts = []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05",
	"2006-01-02T15:04"}

// when reads a time: RFC 3339, a local time, a day, or a duration back from the end of the input,
// which is asked for only then. A day as the end of a span is the whole day.
func when(text string, isEnd bool, end func() (int64, error)) (int64, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return frame.ReadTime(t.UnixNano()), nil
	}
	for _, layout := range onlyLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return frame.ReadTime(t.UnixNano()), nil
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		if isEnd {
			t = t.AddDate(0, 0, 1)
		}
		return frame.ReadTime(t.UnixNano()), nil
	}
	d, err := duration(text)
	if err != nil || d < 0 {
		return 0, errors.New("is no time (try 2026-11-30 14:00, 2026-11-30T14:00:00Z, or 2h " +
			"for two hours before the end)")
	}
	last, err := end()
	if err != nil || last == 0 {
		return 0, err
	}
	return max(1, last-int64(d)), nil
}

// duration is time.ParseDuration, and days.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// resolve reads the options. The end of the input, for times that are relative to it, takes a
// reading of all files: a stream has none.
func (o *onlyOptions) resolve(ctx context.Context, names []string) (err error) {
	r := &o.chosen
	if r.networks, err = o.networks(); err != nil {
		return exit(exitUsage, err)
	}
	last, known := int64(0), false
	end := func() (int64, error) {
		if slices.Contains(names, "-") {
			return 0, errors.New("counts from the end, which standard input has not: name a time")
		}
		if !known {
			if last, err = endOf(ctx, names); err != nil {
				return 0, err
			}
			known = true
		}
		return last, nil
	}
	for _, x := range []struct {
		name, text string
		to         *int64
	}{{"--since", o.since, &r.since}, {"--until", o.until, &r.until}} {
		if x.text == "" {
			continue
		}
		if *x.to, err = when(x.text, x.to == &r.until, end); err != nil {
			return exit(exitUsage, fmt.Errorf("%s %s %w", x.name, printable(x.text), err))
		}
	}
	if r.since != 0 && r.until != 0 && r.until <= r.since {
		return exit(exitUsage, fmt.Errorf("--until %s is not after --since %s",
			printable(o.until), printable(o.since)))
	}
	return nil
}

// endOf is the time of the last frame of files; zero if they have none that can be read.
func endOf(ctx context.Context, names []string) (last int64, err error) {
	files, err := capture.OpenFiles(names, capture.FilesConfig{KnownLink: engine.KnownLink,
		Untimed: engine.Untimed, Prefilter: engine.Prefilter(nil)})
	if err != nil {
		return 0, nil //nolint:nilerr // whoever reads the files next says so
	}
	defer files.Close()
	for ctx.Err() == nil {
		b, err := files.Next()
		if err == io.EOF {
			return last, nil
		}
		last = max(last, b.Last)
	}
	return 0, errors.New("is not known yet: interrupted")
}

// span is the time of the frames that are judged.
func (o *onlyOptions) span() capture.TimeSpan {
	return capture.TimeSpan{Since: o.chosen.since, Until: o.chosen.until,
		Class: engine.OutsidePeriod}
}

// apply has a report show what the options say.
func (o *onlyOptions) apply(to *report.Report) {
	if len(o.chosen.networks) > 0 {
		to.Only(o.chosen.networks)
	}
	if o.table() {
		to.CollectSessions()
	}
}

// table reports whether the table of sessions is wanted.
func (o *onlyOptions) table() bool { return o.sessions || o.sessionsCSV != "" }

// about is the chosen time for a report; nil if it is all of the input's.
func (o *onlyOptions) about(p *pipeline) *report.Restriction {
	r := &o.chosen
	if r.since == 0 && r.until == 0 {
		return nil
	}
	x := &report.Restriction{Since: report.Time(r.since), Until: report.Time(r.until)}
	for _, n := range p.engine.Stats().Outcomes {
		if n.Name == "outside_period" {
			x.Frames = n.N
		}
	}
	return x
}

// settings are the options, for the report's own description.
func (o *onlyOptions) settings() (list []string) {
	for _, x := range []struct{ name, value string }{{"--since", o.since}, {"--until", o.until},
		{"--host", strings.Join(o.hosts, ",")}, {"--net", strings.Join(o.nets, ",")}} {
		if x.value != "" {
			list = append(list, x.name+" "+printable(x.value))
		}
	}
	return list
}

// hints says what the table of sessions does not have.
func (o *onlyOptions) hints(p *pipeline, m *report.Model) {
	if o.table() && !p.cfg.engine.AllSessions {
		m.Hints = append(m.Hints, "The table has only sessions that are evidence for a finding. "+
			"All of them: --set output.sessions=all")
	}
	if m.MoreSessions > 0 {
		m.Hints = append(m.Hints, fmt.Sprintf("The table has the first %d sessions; %d more are "+
			"left out. Choose hosts or a time: --host, --net, --since, --until",
			report.MaxSessions, m.MoreSessions))
	}
}
