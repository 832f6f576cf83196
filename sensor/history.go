package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"spamsensor/sensor/engine"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/state"
)

// historyOptions are the options of `history`.
type historyOptions struct {
	host, since, until, by, format string
	servers                        bool
}

func (a *app) historyCommand() *cobra.Command {
	var o historyOptions
	c := &cobra.Command{
		Use:   "history",
		Short: "Print what hosts did, by day or hour, from the history that run keeps",
		Long: "history prints how many attempts, sessions and messages your hosts and mail " +
			"servers had, by day or by hour, as\nfar back as state.history_days says. Days and " +
			"hours are UTC. It reads the directory state.dir, also while the sensor runs.\nThe " +
			"host :: stands for all hosts beyond the limit of a day.",
		Example: "  spamsensor history -c /etc/spamsensor/spamsensor.yaml --servers\n" +
			"  spamsensor history --set state.dir=/var/lib/spamsensor --host 10.20.4.37 " +
			"--by hour --since 2026-11-01 -o csv",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.history(&o) },
	}
	f := c.Flags()
	f.StringVar(&o.host, "host", "", "only this `IP`")
	f.BoolVar(&o.servers, "servers", false, "only mail servers")
	f.StringVar(&o.since, "since", "", "from this `day` on, UTC, like 2026-11-21")
	f.StringVar(&o.until, "until", "", "up to and with this `day`")
	f.StringVar(&o.by, "by", "day", "one line a `day or hour`")
	formatFlag(c, &o.format, tableFormats)
	return c
}

// historyLine is one line of the output: the counts of a host on a day or in an hour.
type historyLine struct {
	time   time.Time
	host   netip.Addr
	server bool
	counts engine.Counts
}

func (a *app) history(o *historyOptions) error {
	a.opt.fromFiles = true
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	q, err := o.query()
	if err != nil {
		return exit(exitUsage, err)
	}
	if cfg.state.dir == "" {
		return exit(exitUsage, errors.New("where is the history? "+
			"name it with -c FILE or --set state.dir=DIR"))
	}
	if _, err := os.Stat(filepath.Join(cfg.state.dir, "history.db")); err != nil {
		return exit(exitFailed, fmt.Errorf("there is no history: %w "+
			"(spamsensor run writes one where state.dir is set)", err))
	}
	out := o.writer(a.stdout, a.printer())
	line := func(l historyLine) error { return out.line(&l) }
	n, damaged, err := eachDay(cfg.state.dir, q, line, o.by == "hour")
	if err == nil {
		err = out.end()
	}
	if err != nil {
		return exit(exitFailed, err)
	}
	if damaged != nil {
		return exit(exitPartial, fmt.Errorf("%w; spamsensor run keeps the file aside "+
			"at its start, and goes on with the good rows", damaged))
	}
	if n == 0 && !a.opt.quiet {
		a.tell(a.stderr, "nothing is in the history for this: "+
			"no such host, or no such days\n")
	}
	return nil
}

// daysPerRead bounds the days in memory. The file is open only while some days are read, and never
// while they are printed: a running sensor waits for the file, and the reader of the output may be
// slow.
const daysPerRead = 8

// eachDay calls emit with the lines of a query, day by day, and returns their number. damaged
// describes the rows that are lost.
func eachDay(dir string, q state.Query, emit func(historyLine) error,
	byHour bool) (n int, damaged, err error) {
	fail := func(err error) (int, error, error) {
		return n, nil, fmt.Errorf("%w (if it is damaged: spamsensor run keeps it aside "+
			"at its start and begins a new one)", err)
	}
	days, damaged, err := state.HistoryDays(dir)
	if err != nil {
		return fail(err)
	}
	days = slices.DeleteFunc(days, func(day int64) bool {
		return day < q.FromDay || q.ToDay != 0 && day > q.ToDay
	})
	for part := range slices.Chunk(days, daysPerRead) { // days can be far apart
		some := q
		some.FromDay, some.ToDay = part[0], part[len(part)-1]
		var lines []historyLine
		add := func(day int64, host netip.Addr, server bool, hours *[24]engine.Counts) {
			lines = append(lines, split(day, host, server, hours, byHour)...)
		}
		err := state.ReadHistory(dir, some, add)
		if err != nil {
			return fail(err)
		}
		for _, l := range lines {
			if err := emit(l); err != nil {
				return n, damaged, err
			}
			n++
		}
	}
	return n, damaged, nil
}

// query makes the query of the options.
func (o *historyOptions) query() (q state.Query, err error) {
	q.Servers = o.servers
	if o.host != "" {
		if q.Host, err = netip.ParseAddr(o.host); err != nil {
			return q, fmt.Errorf("--host %s is no address", o.host)
		}
	}
	for _, d := range []struct {
		name, text string
		to         *int64
	}{{"--since", o.since, &q.FromDay}, {"--until", o.until, &q.ToDay}} {
		if d.text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, d.text)
		if err != nil || t.Unix() < 0 {
			return q, fmt.Errorf("%s %s is no day (try 2026-11-21)", d.name, d.text)
		}
		*d.to = t.Unix() / 86400
	}
	if q.ToDay != 0 && q.ToDay < q.FromDay {
		return q, fmt.Errorf("--until %s is before --since %s", o.until, o.since)
	}
	if o.by != "day" && o.by != "hour" {
		return q, fmt.Errorf("--by %s: want day or hour", o.by)
	}
	if err := checkFormat(o.format, tableFormats); err != nil {
		return q, err
	}
	return q, nil
}

// split makes lines of a row of the history: one for the day, or one for each hour with counts.
func split(day int64, host netip.Addr, server bool, hours *[24]engine.Counts,
	byHour bool) (lines []historyLine) {
	sum := historyLine{time: time.Unix(day*86400, 0).UTC(), host: host, server: server}
	for h, c := range hours {
		if byHour && c != (engine.Counts{}) {
			at := sum.time.Add(time.Duration(h) * time.Hour)
			lines = append(lines, historyLine{at, host, server, c})
		}
		for i, n := range c {
			sum.counts[i] += n
		}
	}
	if !byHour {
		lines = append(lines, sum)
	}
	return lines
}

// historyWriter prints lines in one of the formats. Times are UTC; the host :: stands for all hosts
// beyond the number that the history keeps for a day. A table is printed at its end, because its
// columns are as wide as their widest cell.
type historyWriter struct {
	format, layout string
	out            *bufio.Writer
	csv            *csv.Writer
	json           *json.Encoder
	table          table.Writer
	words          *lang.Printer // of the table
}

func (o *historyOptions) writer(to io.Writer, p *lang.Printer) *historyWriter {
	w := &historyWriter{format: o.format, layout: time.DateOnly, out: bufio.NewWriter(to)}
	if o.by == "hour" {
		w.layout = "2006-01-02T15:04Z"
	}
	names := append([]string{"time", "host", "server"}, engine.CountNames[:]...)
	switch o.format {
	case "json":
		w.json = json.NewEncoder(w.out)
	case "csv":
		w.csv = csv.NewWriter(w.out)
		w.csv.Write(names)
	default:
		w.table = table.NewWriter()
		w.table.SetStyle(table.StyleLight)
		w.words = p
		w.table.AppendHeader(columns(p, names...))
	}
	return w
}

func (w *historyWriter) line(l *historyLine) error {
	if w.json != nil {
		m := map[string]any{
			"time": l.time.Format(time.RFC3339), "host": l.host, "server": l.server,
		}
		for i, n := range l.counts {
			m[engine.CountNames[i]] = n
		}
		return w.json.Encode(m)
	}
	cells := []string{l.time.Format(w.layout), l.host.String(), strconv.FormatBool(l.server)}
	for _, n := range l.counts {
		cells = append(cells, strconv.FormatUint(n, 10))
	}
	if w.csv != nil {
		return w.csv.Write(cells)
	}
	server := "no"
	if l.server {
		server = "yes"
	}
	row := table.Row{cells[0], cells[1], w.words.Text(server)}
	for _, n := range l.counts {
		row = append(row, n) // numbers are aligned to the right
	}
	w.table.AppendRow(row)
	return nil
}

func (w *historyWriter) end() error {
	switch {
	case w.csv != nil:
		w.csv.Flush()
		if err := w.csv.Error(); err != nil {
			return err
		}
	case w.table != nil:
		fmt.Fprintln(w.out, w.table.Render())
	}
	return w.out.Flush()
}
