package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// comparison is the result of compare.
type comparison struct {
	Machine  machine      `json:"machine"`
	Date     string       `json:"date"`
	Rounds   int          `json:"rounds"`
	Filter   string       `json:"filter"`
	Versions []string     `json:"versions"` // "tool 1.2.3"
	Commands [][2]string  `json:"commands"` // row, command line
	Missing  []string     `json:"not_installed,omitempty"`
	Files    []*fileTimes `json:"files"`
	// Baselines is the number of rows at the top that are the sensor. All rows are compared with
	// each of them.
	Baselines int `json:"baselines"`
}

// fileTimes holds the times on one file.
type fileTimes struct {
	Name    string `json:"name"`
	Bytes   uint64 `json:"bytes"`
	Packets uint64 `json:"packets"`
	Rows    []row  `json:"rows"`
}

// row is one tool on one file.
type row struct {
	Name      string    `json:"name"`
	Runs      []*sample `json:"runs"` // by round; nil if it did not run
	Failed    string    `json:"failed,omitempty"`
	ErrorLine string    `json:"said,omitempty"`
	rounds    int       // the number of rounds that it runs
}

// describe adds the versions and the command lines of the tools. sensor is the path of the sensor,
// which is shown by its name.
func (c *comparison) describe(list []tool, sensor string) {
	for i := range list {
		tool := list[i].program()
		name := filepath.Base(tool)
		if v := name + " " + version(tool, name); !slices.Contains(c.Versions, v) {
			c.Versions = append(c.Versions, v)
		}
		line := strings.ReplaceAll(list[i].line, sensor, name)
		c.Commands = append(c.Commands, [2]string{list[i].name, line})
	}
}

// figures returns a figure of each run.
func (r *row) figures(f func(*sample) float64) (list []float64) {
	for _, s := range r.Runs {
		if s != nil {
			list = append(list, f(s))
		}
	}
	return list
}

func seconds(s *sample) float64 { return s.Seconds }

// ratio is this tool's time divided by another's: the median over the rounds in which both ran,
// because a disturbance of a round disturbs both. It is 0 if there is no such round.
func (r *row) ratio(other *row) float64 {
	var list []float64
	for i, s := range r.Runs {
		if o := other.Runs[i]; s != nil && o != nil && o.Seconds > 0 {
			list = append(list, s.Seconds/o.Seconds)
		}
	}
	return median(list)
}

// median is the middle of a list, or the mean of the two in the middle; 0 for an empty list.
func median(list []float64) float64 {
	n := len(list)
	if n == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return (list[(n-1)/2] + list[n/2]) / 2
}

// cells returns the columns of a row.
func (t *fileTimes) cells(r *row, baselines int) []string {
	took := r.figures(seconds)
	if len(took) == 0 {
		return slices.Concat([]string{r.Name}, make([]string, 4+baselines), []string{r.Failed})
	}
	cells := []string{r.Name, threeDigits(median(took)), threeDigits(slices.Min(took)) + " to " +
		threeDigits(slices.Max(took))}
	for i := range baselines {
		cells = append(cells, threeDigits(r.ratio(&t.Rows[i]))+"x")
	}
	rss := "-"
	if n := median(r.figures(func(s *sample) float64 { return float64(s.RSS) })); n > 0 {
		rss = fmt.Sprintf("%.0f", n/1e6)
	}
	cells = append(cells, threeDigits(median(r.figures(func(s *sample) float64 { return s.CPU }))),
		rss)
	var remarks []string
	if len(took) < len(r.Runs) {
		remarks = append(remarks, quantity(fmt.Sprint(len(took)), "run"))
	}
	for _, s := range []string{r.Failed, r.ErrorLine} {
		if s != "" {
			remarks = append(remarks, s)
		}
	}
	return append(cells, strings.Join(remarks, "; "))
}

// grid returns the table of a file.
func (c *comparison) grid(t *fileTimes) *grid {
	g := &grid{head: []string{"", "seconds", "range"}}
	for _, r := range t.Rows[:c.Baselines] {
		g.head = append(g.head, "vs "+r.Name)
	}
	g.head = append(g.head, "CPU s", "peak MB", "")
	for i := range t.Rows {
		g.rows = append(g.rows, t.cells(&t.Rows[i], c.Baselines))
	}
	return g
}

// threeDigits formats a number with three significant digits.
func threeDigits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// conditions is the line above the tables: date, machine and method.
func (c *comparison) conditions() string {
	return fmt.Sprintf("%s: %s. Medians of %s in turns, file in the page cache; 2x is twice as "+
		"long as the sensor takes.", c.Date, c.Machine, quantity(fmt.Sprint(c.Rounds), "round"))
}

func (t *fileTimes) title() string {
	return fmt.Sprintf("%s: %.1f MB, %d packets", t.Name, float64(t.Bytes)/1e6, t.Packets)
}

// footer names the versions and the tools that are not installed.
func (c *comparison) footer() string {
	s := "Versions: " + strings.Join(c.Versions, ", ") + "."
	if len(c.Missing) > 0 {
		s += " Not installed: " + strings.Join(c.Missing, ", ") + "."
	}
	return s
}

// json prints all, with each run.
func (c *comparison) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(c)
}

// text prints tables with aligned columns, and the command lines.
func (c *comparison) text(w io.Writer) error {
	fmt.Fprintln(w, c.conditions())
	for _, t := range c.Files {
		fmt.Fprintf(w, "\n%s\n", t.title())
		if err := c.grid(t).text(w); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%s\nFILTER is '%s'. Command lines:\n", c.footer(), c.Filter)
	for _, l := range c.Commands {
		fmt.Fprintf(w, "  %s\n", l[1])
	}
	return nil
}

// markdown prints the same in Markdown.
func (c *comparison) markdown(w io.Writer) error {
	fmt.Fprintln(w, c.conditions())
	for _, t := range c.Files {
		fmt.Fprintf(w, "\n**%s**\n\n", t.title())
		if err := c.grid(t).markdown(w); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%s `FILTER` is `%s`.\n\n```\n", c.footer(), c.Filter)
	for _, l := range c.Commands {
		fmt.Fprintln(w, l[1])
	}
	_, err := fmt.Fprintln(w, "```")
	return err
}
