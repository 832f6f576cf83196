package picture

import (
	"html/template"
	"slices"
	"time"

	"spamsensor/sensor/lang"
)

// LifeData is what became of a finding. The report has it in Model.Findings: Steps are Story
// without a closing that is only the end of the input, Signs are Periods, Sessions are Proof.
type LifeData struct {
	ID   string         // prefix of the ids
	Zone *time.Location // nil is UTC
	Name string         // address and class
	// From and To bound the time of the picture. It ends soon after the last thing that it shows,
	// so that what happened within minutes is not one point of a day.
	From, To time.Time
	Steps    []Step // in order
	Signs    []Interval
	Sessions []Evidence
}

// Step is an event of a finding. Level is suspect, likely or confirmed.
type Step struct {
	At            time.Time
	Action, Level string // opened, updated, acknowledged, suspended, resumed, closed
}

// watched reports whether the finding is open and the sensor runs after a step.
func (s *Step) watched() bool { return s.Action != "closed" && s.Action != "suspended" }

// Interval is a time in which signs came.
type Interval struct{ From, To time.Time }

// Evidence is a session. Refused says that the server refused something in it.
type Evidence struct {
	At      time.Time
	Refused bool
	Label   string
}

const (
	maxSteps    = 40
	maxSigns    = 60
	maxEvidence = 60
)

// Life draws what became of a finding: its level, its steps, when signs of it came, and the
// sessions that are evidence.
func Life(p *lang.Printer, d LifeData) template.HTML {
	zone, id := location(d.Zone), prefix(d.ID)
	title := p.Sprintf("What became of the finding: %s", cut(clean(d.Name), 60))
	if len(d.Steps) == 0 {
		return empty(id, title, p.Text("Nothing happened yet."))
	}
	d.bounds()
	v := &lifeView{ID: id, Top: 14, zone: zone, from: d.From,
		width: d.To.Sub(d.From).Seconds()}
	v.Columns = timeline(p, zone, d.From, d.To)
	for i, text := range []string{"Confirmed", "Likely", "Suspect"} {
		v.Rows = append(v.Rows, tick{Y: v.Top + 8 + 28*i, Label: p.Text(text)})
	}
	f := &figure{ID: id, Title: title,
		Class: "labels",
		Unit:  p.Sprintf("level of the finding; times are %s", zoneName(d.From, d.To, zone))}
	f.Table.Heads = []head{{p.Text("Time"), true}, {p.Text("Event"), true},
		{p.Text("Details"), true}}
	v.steps(p, f, &d)
	v.evidence(p, f, &d)
	slices.SortStableFunc(v.rows, func(a, b timedRow) int { return a.at.Compare(b.at) })
	for _, r := range v.rows {
		f.Table.Rows = append(f.Table.Rows, r.cells)
	}
	f.Height = v.Foot + 18
	f.Body = execute("life", v)
	f.Says = d.says(p, zone)
	return draw(p, f)
}

type lifeView struct {
	ID                string
	Top, Bottom, Foot int
	Rows, Columns     []tick
	Levels            []bar // horizontal parts of the level line
	Risers            []riser
	Open              bool // the line goes on
	EndY              int
	Steps             []stepView
	Signs             []bar
	Sessions          []stepView
	zone              *time.Location
	from              time.Time
	width             float64
	rows              []timedRow
}

// timedRow is a row of the table.
type timedRow struct {
	at    time.Time
	cells []string
}

type bar struct {
	X, Width, X2 string
	Y            int
}

type riser struct {
	X      string
	Y1, Y2 int
}

type stepView struct {
	X, Shape, Title string
	Y               int
}

// bounds finds the time of the picture.
func (d *LifeData) bounds() {
	first, last := d.Steps[0].At, d.Steps[0].At
	add := func(t time.Time) {
		if t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	for _, s := range d.Steps {
		add(s.At)
	}
	for _, s := range d.Signs {
		add(s.From)
		add(s.To)
	}
	for _, s := range d.Sessions {
		add(s.At)
	}
	if d.From.IsZero() || d.From.After(first) {
		d.From = first
	}
	if d.To.IsZero() || d.To.Before(last) {
		d.To = last
	}
	if end := last.Add(max(last.Sub(first)/4, 10*time.Second)); end.Before(d.To) {
		d.To = end
	}
	if d.To.Sub(d.From) < time.Second {
		d.To = d.From.Add(time.Second)
	}
}

func (v *lifeView) share(t time.Time) float64 {
	return min(1, max(0, t.Sub(v.from).Seconds()/v.width))
}

// y is the height of a level.
func (v *lifeView) y(level string) int {
	switch level {
	case "confirmed":
		return v.Rows[0].Y
	case "likely":
		return v.Rows[1].Y
	}
	return v.Rows[2].Y
}

// shapes are the marks of the actions.
var shapes = map[string]string{"opened": "triangle", "updated": "circle", "closed": "square",
	"acknowledged": "diamond"}

// steps draws the line of the level, and a mark for each step.
func (v *lifeView) steps(p *lang.Printer, f *figure, d *LifeData) {
	if more := len(d.Steps) - maxSteps; more > 0 { // the first and the last ones are told
		d.Steps = slices.Concat(d.Steps[:maxSteps/2], d.Steps[maxSteps/2+more:])
		f.Notes = append(f.Notes, p.Sprintf("Not shown: %s.",
			p.Plural(uint64(more), "more update", "more updates")))
	}
	used := map[string]bool{}
	for i, s := range d.Steps {
		shape := shapes[s.Action]
		if shape == "" {
			shape = "circle"
		}
		text, level := p.Text(cut(clean(s.Action), 20)), p.Text(cut(clean(s.Level), 20))
		x, y := v.share(s.At), v.y(s.Level)
		if i > 0 && d.Steps[i-1].watched() {
			if before := v.y(d.Steps[i-1].Level); before != y {
				v.Risers = append(v.Risers, riser{percent(x), before, y})
			}
		}
		end := 1.0
		if i+1 < len(d.Steps) {
			end = v.share(d.Steps[i+1].At)
		}
		v.Open, v.EndY = s.watched(), y
		if v.Open {
			v.Levels = append(v.Levels, bar{X: percent(x), X2: percent(end), Y: y})
		}
		v.Steps = append(v.Steps, stepView{percent(x), shape,
			colon(p, exact(p, s.At.In(v.zone)), text+", "+level), y})
		v.rows = append(v.rows, timedRow{s.At, []string{exact(p, s.At.In(v.zone)), text,
			level}})
		if !used[s.Action] {
			used[s.Action] = true
			f.Keys = append(f.Keys, key{fill{Class: "flagged"}, shape, text})
		}
	}
}

// evidence draws the signs and the sessions.
func (v *lifeView) evidence(p *lang.Printer, f *figure, d *LifeData) {
	y := v.Top + 88
	if len(d.Signs) > 0 {
		v.Rows = append(v.Rows, tick{Y: y, Label: p.Text("Signs")})
		y += 24
	}
	for i, s := range d.Signs {
		if i >= maxSigns {
			f.Notes = append(f.Notes, p.Sprintf("Not shown: %s.",
				p.Plural(uint64(len(d.Signs)-i), "more period of signs", "more periods of signs")))
			break
		}
		x := v.share(s.From)
		v.Signs = append(v.Signs, bar{X: percent(x), Width: percent(max(0.004, v.share(s.To)-x)),
			Y: v.Top + 83})
	}
	if len(d.Sessions) > 0 {
		v.Rows = append(v.Rows, tick{Y: y, Label: p.Text("Sessions")})
		y += 24
	}
	v.Bottom = y - 6
	v.Foot = v.Bottom + 4
	var accepted, refused bool
	for i, s := range d.Sessions {
		if i >= maxEvidence {
			f.Notes = append(f.Notes, p.Sprintf("Not shown: %s.",
				p.Plural(uint64(len(d.Sessions)-i), "more session", "more sessions")))
			break
		}
		accepted, refused = accepted || !s.Refused, refused || s.Refused
		x := stepView{X: percent(v.share(s.At)), Y: y - 24, Title: exact(p, s.At.In(v.zone)) + " " +
			cut(clean(s.Label), 80)}
		text := p.Text("Session")
		if s.Refused {
			x.Shape, text = "refused", p.Text("Session with a refusal")
		}
		v.Sessions = append(v.Sessions, x)
		v.rows = append(v.rows, timedRow{s.At, []string{exact(p, s.At.In(v.zone)), text,
			clean(s.Label)}})
	}
	if accepted {
		f.Keys = append(f.Keys, key{fill{Class: "session"}, "tick", p.Text("Session")})
	}
	if refused {
		f.Keys = append(f.Keys, key{fill{Class: "session"}, "cross",
			p.Text("Session with a refusal")})
	}
}

// says is the sentence.
func (d *LifeData) says(p *lang.Printer, zone *time.Location) string {
	first, last := d.Steps[0], d.Steps[len(d.Steps)-1]
	s := p.Sprintf("Opened on %s at level %s.", moment(p, first.At.In(zone)),
		p.Text(cut(clean(first.Level), 20)))
	if last.Level != first.Level {
		s += " " + p.Sprintf("Its latest level is %s.", p.Text(cut(clean(last.Level), 20)))
	}
	if last.Action == "closed" {
		s += " " + p.Sprintf("It was closed on %s.", moment(p, last.At.In(zone)))
	} else {
		s += " " + p.Text("It is open.")
	}
	if n := len(d.Sessions); n > 0 {
		refused := uint64(0)
		for _, e := range d.Sessions {
			if e.Refused {
				refused++
			}
		}
		s += " " + p.Sprintf("Evidence: %s, %s of them with a refusal.",
			p.Plural(uint64(n), "session", "sessions"), p.Number(refused))
	}
	return s
}
