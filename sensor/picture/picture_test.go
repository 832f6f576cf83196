package picture

import (
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/lang"
)

var (
	start = time.Date(2026, 11, 21, 20, 32, 0, 0, time.UTC)
	paris = time.FixedZone("CET", 3600)
	// hostile are texts as a bot may send them.
	hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "'\x00\x1b[31m\xff", strings.Repeat("a", 253),
		"שלום.example", "\u202etxt.exe", "2001:db8:1111:2222:3333:4444:5555:6666", "郵件伺服器郵件伺服器郵件伺服器郵件伺服器", "{{.}} ]]> &amp; -->"}
)

// pictures draws every picture of a set of data.
func pictures(p *lang.Printer, c *data) map[string]template.HTML {
	return map[string]template.HTML{"attempts": Attempts(p, c.attempts), "hosts": Hosts(p, c.hosts), "server": Server(p, c.server),
		"replies": Replies(p, c.replies), "hours": Hours(p, c.hours), "life": Life(p, c.life)}
}

type data struct {
	attempts AttemptsData
	hosts    HostsData
	server   ServerData
	replies  RepliesData
	hours    HoursData
	life     LifeData
}

// small is a bot of a minute beside a mail server.
func small() *data {
	d := &data{
		attempts: AttemptsData{ID: "attempts", Zone: paris, Start: start, Width: time.Minute, Servers: []uint32{3, 2}, Others: []uint32{0, 1},
			Flagged: []uint32{30, 36}, Outside: []uint32{0, 4}, Rest: []uint32{1, 0},
			Marks: []Mark{{start.Add(51 * time.Second), "192.168.77.66 spambot"}, {start.Add(54 * time.Second), "192.168.77.67 spambot"}}},
		hosts: HostsData{ID: "hosts", Note: "Not drawn: 10 networks in an hour.", Hosts: []HostPoint{{"192.168.77.66", 64, 66, Flagged},
			{"192.168.77.10", 3, 30, Declared}, {"192.168.77.20", 1, 2, Other}}},
		replies: RepliesData{ID: "replies", Groups: []ReplyGroup{{Declared, 1, 41, 2, 1, 0}, {Flagged, 1, 8, 9, 37, 3}, {Other, 2, 1, 0, 0, 2}}, Causes: []Cause{{"Spamhaus ZEN", 21}}},
		hours:   HoursData{ID: "hours", Zone: paris, Name: "192.168.77.66", Hours: []HourCount{{start, 66}, {start.Add(26 * time.Hour), 3}}},
		life: LifeData{ID: "life", Zone: paris, Name: "192.168.77.66 spambot", Steps: []Step{{start, "opened", "likely"},
			{start.Add(time.Minute), "updated", "confirmed"}, {start.Add(time.Hour), "closed", "confirmed"}},
			Signs:    []Interval{{start, start.Add(2 * time.Minute)}},
			Sessions: []Evidence{{start.Add(time.Second), true, "198.51.100.7:25 550 5.7.1"}, {start.Add(time.Minute), false, "198.51.100.8:25"}}},
	}
	d.server = ServerData{ID: "server", Zone: paris, Name: "192.0.2.25"}
	for i := range 30 {
		h := ServerHour{start.Add(time.Duration(i) * time.Hour), float64(40 + i%5), i > 5, 41, 0.2 * float64(i%5-1)}
		if i == 20 {
			h.N, h.Z = 190, 10
		}
		d.server.Hours = append(d.server.Hours, h)
	}
	return d
}

// wellFormed checks that a picture is XML, that its ids are its own, and that it has what a reader
// needs who does not see it.
func wellFormed(t *testing.T, html template.HTML) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(string(html)))
	ids, used := map[string]bool{}, []string{}
	elements := map[string]int{}
	first := ""
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %.500s", err, html)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if elements[e.Name.Local]++; e.Name.Local == "script" || e.Name.Local == "img" {
			t.Errorf("an element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			switch {
			case a.Name.Local == "id" && first == "":
				first = a.Value
				ids[a.Value] = true
			case a.Name.Local == "id":
				if ids[a.Value] || !strings.HasPrefix(a.Value, first+"-") {
					t.Errorf("the id %s is twice there, or not this picture's", a.Value)
				}
				ids[a.Value] = true
			case a.Name.Local == "aria-labelledby":
				used = append(used, strings.Fields(a.Value)...)
			case strings.HasPrefix(a.Value, "url(#"):
				used = append(used, strings.TrimSuffix(a.Value[5:], ")"))
			case a.Name.Local == "href":
				used = append(used, strings.TrimPrefix(a.Value, "#"))
			case strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "style":
				t.Errorf("an attribute %s", a.Name.Local)
			}
			if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
				t.Errorf("%s=%q", a.Name.Local, a.Value)
			}
		}
	}
	for _, id := range used {
		if !ids[id] {
			t.Errorf("nothing has the id %s", id)
		}
	}
	if elements["svg"] > 0 && (elements["title"] == 0 || elements["desc"] != 1 || elements["table"] != 1) {
		t.Errorf("no title, description or table: %v", elements)
	}
}

func TestEmpty(t *testing.T) {
	for name, html := range pictures(nil, &data{}) {
		wellFormed(t, html)
		if strings.Contains(string(html), "<svg") || !strings.Contains(string(html), ".</figcaption>") {
			t.Errorf("%s without data: %s", name, html)
		}
	}
}

func TestWellFormed(t *testing.T) {
	for _, l := range []string{lang.English, lang.French} {
		for name, html := range pictures(lang.New(l), small()) {
			t.Run(l+"/"+name, func(t *testing.T) {
				wellFormed(t, html)
				if !strings.Contains(string(html), "<svg") {
					t.Error("no image")
				}
			})
		}
	}
}

// hosts are many quiet hosts, servers and flagged ones.
func manyHosts(n, flagged int) (list []HostPoint) {
	for i := range n {
		h := HostPoint{fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x", i), uint64(1 + i%7*i%400), uint64(1 + i*i%9000), Other}
		if i < flagged {
			h.Kind = Flagged
		} else if i < flagged+40 {
			h.Kind = Declared
		}
		list = append(list, h)
	}
	return list
}

// TestBounds checks that pictures stay small, whatever there is to show.
func TestBounds(t *testing.T) {
	p := lang.New(lang.French)
	day := AttemptsData{ID: "a", Zone: paris, Start: start, Width: time.Minute}
	for i := range 1440 {
		day.Servers, day.Others, day.Flagged = append(day.Servers, uint32(i*7%90)), append(day.Others, uint32(i*13%50)), append(day.Flagged, uint32(i*i%1000))
	}
	for i := range 500 {
		day.Marks = append(day.Marks, Mark{start.Add(time.Duration(i) * 3 * time.Minute), fmt.Sprintf("10.0.0.%d spambot", i)})
	}
	life := LifeData{ID: "l", Name: "10.0.0.1"}
	hours := HoursData{ID: "h", Name: "10.0.0.1"}
	server := ServerData{ID: "s", Name: "10.0.0.1"}
	for i := range 1000 {
		at := start.Add(time.Duration(i) * time.Hour)
		life.Steps = append(life.Steps, Step{at, "updated", []string{"likely", "confirmed"}[i%2]})
		life.Signs = append(life.Signs, Interval{at, at.Add(time.Minute)})
		life.Sessions = append(life.Sessions, Evidence{at, i%2 > 0, hostile[i%len(hostile)]})
		hours.Hours = append(hours.Hours, HourCount{at, uint64(i * i)})
		server.Hours = append(server.Hours, ServerHour{at, float64(i * 7 % 1000), true, 300, float64(i%9) - 4})
	}
	for _, c := range []struct {
		name  string
		html  template.HTML
		bound int
	}{
		{"a day of minutes", Attempts(p, day), 12_000},
		{"5,000 hosts", Hosts(p, HostsData{ID: "h", Hosts: manyHosts(5000, 10)}), 25_000},
		{"900 flagged hosts", Hosts(p, HostsData{ID: "h", Hosts: manyHosts(5000, 900)}), 25_000},
		{"1,000 steps", Life(p, life), 45_000},
		{"1,000 hours", Hours(p, hours), 45_000},
		{"1,000 hours of a server", Server(p, server), 45_000},
	} {
		wellFormed(t, c.html)
		if t.Logf("%s: %d bytes", c.name, len(c.html)); len(c.html) > c.bound {
			t.Errorf("%s: %d bytes, more than %d", c.name, len(c.html), c.bound)
		}
	}
}

// TestHostile checks that texts from the wire are inert, and cut.
func TestHostile(t *testing.T) {
	for _, text := range hostile {
		d := small()
		d.attempts.Marks[0].Label, d.hosts.Hosts[0].Label, d.hosts.Note, d.server.Name = text, text, text, text
		d.replies.Causes[0].Name, d.hours.Name, d.life.Name, d.life.Sessions[0].Label = text, text, text, text
		for name, html := range pictures(nil, d) {
			wellFormed(t, html)
			for _, x := range regexp.MustCompile(`<text[^>]*>([^<]*)`).FindAllStringSubmatch(string(html), -1) {
				if wide(x[1]) > 60 {
					t.Errorf("%s: a text of %d letters in the image", name, wide(x[1]))
				}
			}
		}
	}
}

// TestExtremes checks numbers at their limits.
func TestExtremes(t *testing.T) {
	far := time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, d := range map[string]*data{
		"one": {attempts: AttemptsData{Start: start, Width: time.Minute, Flagged: []uint32{1}}, hosts: HostsData{Hosts: []HostPoint{{"10.0.0.1", 1, 1, Flagged}}},
			server:  ServerData{Hours: []ServerHour{{At: start}}},
			replies: RepliesData{Groups: []ReplyGroup{{Kind: Flagged, Rejected: 1}}}, hours: HoursData{Hours: []HourCount{{start, 1}}},
			life: LifeData{Steps: []Step{{start, "opened", "suspect"}}}},
		"large": {attempts: AttemptsData{Start: far, Width: time.Hour, Flagged: []uint32{math.MaxUint32, 1}, Marks: []Mark{{start, ""}, {far.Add(1e15), ""}}},
			hosts:   HostsData{Hosts: []HostPoint{{"a", math.MaxUint64, math.MaxUint64, Flagged}, {"b", 1, 1, Other}, {"c", 0, 0, Flagged}}},
			server:  ServerData{Hours: []ServerHour{{start, 1e15, true, 1, 1e9}, {far, 1, true, math.MaxFloat32, -1e9}}},
			replies: RepliesData{Groups: []ReplyGroup{{Flagged, 1, math.MaxUint32, 1, math.MaxInt64, 0}}, Causes: []Cause{{"a", math.MaxUint64}, {"b", 0}}},
			hours:   HoursData{Hours: []HourCount{{start, math.MaxUint64 - 1}, {far, 1}, {start, 1}}},
			life:    LifeData{Steps: []Step{{far, "?", "?"}, {start, "closed", "suspect"}}, From: far, To: start}},
	} {
		for picture, html := range pictures(nil, d) {
			t.Run(name+"/"+picture, func(t *testing.T) { wellFormed(t, html) })
		}
	}
}

// TestColumns checks how intervals are merged, and that nothing is lost or said twice.
func TestColumns(t *testing.T) {
	for _, c := range []struct {
		n     int
		width time.Duration
		each  int
	}{{1, time.Minute, 1}, {179, time.Minute, 1}, {180, time.Minute, 2}, {1440, time.Minute, 10}, {25, time.Hour, 1}, {744, time.Hour, 6}, {5000, time.Hour, 48}} {
		d := AttemptsData{Start: start.Add(17 * time.Minute), Width: c.width, Rest: make([]uint32, c.n)}
		for i := range d.Rest {
			d.Rest[i] = uint32(i)
		}
		each := d.each(c.n, maxColumns)
		lead := d.lead(paris, each)
		columns := d.merge(lead, c.n, each)
		sum := 0.0
		for _, x := range columns {
			sum += x.sum()
		}
		if each != c.each || len(columns) > maxColumns || sum != float64(c.n*(c.n-1)/2) {
			t.Errorf("%d of %s: %d each, %d columns, a sum of %g", c.n, c.width, each, len(columns), sum)
		}
		if at := d.Start.Add(-time.Duration(lead) * c.width).In(paris); each > 1 && (at.Hour()*60+at.Minute())%(each*int(c.width/time.Minute))%1440 > int(c.width/time.Minute) {
			t.Errorf("%d of %s: the first column begins at %s", c.n, c.width, at)
		}
	}
}

// TestDays checks that each hour is in its row, also where the clock is changed.
func TestDays(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Skip(err)
	}
	var hours []HourCount
	for i := range 72 { // around the 25th of October, which has 25 hours
		hours = append(hours, HourCount{time.Date(2026, 10, 23, 22+i, 0, 0, 0, time.UTC), 1})
	}
	hours[0], hours[71] = hours[71], hours[0]
	days, left := byDay(hours, zone)
	if len(days) != 3 || left != 0 || days[0].at.Day() != 24 || days[1].counts[2] != 2 || days[1].counts[3] != 1 || days[2].counts[22] != 1 ||
		days[2].counts[23] != 0 {
		t.Errorf("%d left of %v", left, days)
	}
	days, left = byDay([]HourCount{{start, 1}, {start.AddDate(0, 0, 35), 2}, {start.AddDate(1, 0, 0), 3}}, zone)
	if len(days) != 1 || left == 0 || days[0].counts[21] != 3 {
		t.Errorf("%d left of %v", left, days)
	}
}

// TestBand checks that the band is that of the detector: its edge has three deviations.
func TestBand(t *testing.T) {
	for _, c := range []struct{ n, usual, f float64 }{{60, 40, 1}, {10, 40, 3}, {150, 100, 7}} {
		z := func(x float64) float64 { return 2 * (math.Sqrt(x+0.375) - math.Sqrt(c.usual+0.375)) / math.Sqrt(c.f) }
		h := ServerHour{N: c.n, Known: true, Usual: c.usual, Z: z(c.n)}
		f := 0.0
		low, high := h.band(&f)
		if math.Abs(f-c.f) > 1e-6 || math.Abs(z(high)-bandWidth) > 1e-6 || low > 0 && math.Abs(z(low)+bandWidth) > 1e-6 {
			t.Errorf("%v: f %g, from %g to %g: z %g to %g", c, f, low, high, z(low), z(high))
		}
		batch := ServerHour{N: 1000, Known: true, Usual: c.usual}
		if _, high := batch.band(&f); high != 1000 || math.Abs(f-c.f) > 1e-6 {
			t.Errorf("a batch as usual: up to %g, f %g", high, f)
		}
	}
}

// TestMarks checks that the labels of marks do not touch each other at any width, stay within the
// picture, and that each mark has a label of its own while there is room.
func TestMarks(t *testing.T) {
	for name, at := range map[string]func(i int) time.Duration{"together": func(int) time.Duration { return time.Hour / 2 },
		"at the end": func(int) time.Duration { return time.Hour }, "at the beginning": func(int) time.Duration { return 0 },
		"near": func(i int) time.Duration { return 20*time.Minute + time.Duration(i)*time.Second }, "apart": func(i int) time.Duration { return time.Duration(i) * 5 * time.Minute }} {
		for _, n := range []int{0, 1, 2, 3, 12, 13, 40, 700} {
			var marks []Mark
			for i := range n {
				marks = append(marks, Mark{start.Add(at(i)), fmt.Sprint("host ", i)})
			}
			v, f := &attemptsView{Top: 26, Bottom: 186}, new(figure)
			v.marks(nil, f, marks, start, start.Add(time.Hour), time.UTC)
			if n <= maxMarks && len(v.Marks) != n || len(v.Marks) > n || n > 0 && len(v.Marks) == 0 {
				t.Errorf("%s: %d marks have %d labels", name, n, len(v.Marks))
			}
			next := 1
			for i := range v.Marks {
				m := &v.Marks[i]
				if m.first != next || m.last < m.first {
					t.Errorf("%s: label %s after mark %d", name, m.Label, next-1)
				}
				next = m.last + 1
				for _, width := range []float64{narrow, 500, broad} {
					x := m.at/narrow*width + float64(m.Left)
					if x < -14 || x+float64(m.Width) > width+14 {
						t.Errorf("%s: of %d marks %s goes from %g to %g of %g", name, n, m.Label, x, x+float64(m.Width), width)
					}
					if i == 0 {
						continue
					}
					if o := &v.Marks[i-1]; o.at/narrow*width+float64(o.Left+o.Width) > x {
						t.Errorf("%s: of %d marks %s and %s touch each other at %g", name, n, o.Label, m.Label, width)
					}
				}
			}
			if next != n+1 {
				t.Errorf("%s: %d of %d marks have a label", name, next-1, n)
			}
		}
	}
}

// TestFewReplies checks that a few replies have no bar, and are said in words.
func TestFewReplies(t *testing.T) {
	html := string(Replies(nil, RepliesData{Groups: []ReplyGroup{{Declared, 1, 1, 0, 0, 0}}}))
	if strings.Contains(html, `class="accepted"`) || !strings.Contains(html, "1 reply (1 accepted), too few for a share.") {
		t.Error(html)
	}
	html = string(Replies(nil, RepliesData{Groups: []ReplyGroup{{Declared, 1, 10, 0, 0, 0}}}))
	if !strings.Contains(html, `class="accepted"`) || !strings.Contains(html, "100 % accepted of 10 replies.") {
		t.Error(html)
	}
}

// TestOutsideApart checks that hosts of other networks are drawn apart from the others.
func TestOutsideApart(t *testing.T) {
	for want, d := range map[string]AttemptsData{"Hosts of other networks": {Outside: []uint32{5}}, "Hosts that are not counted one by one": {Rest: []uint32{5}},
		"Hosts of other networks, or not counted one by one": {Rest: []uint32{5}, Outside: []uint32{5}}} {
		d.Start, d.Width = start, time.Minute
		html := string(Attempts(nil, d))
		if !strings.Contains(html, "</svg>"+want+"</li>") || !strings.Contains(html, `<th scope="col">`+want+"</th>") || strings.Contains(html, "</svg>Other hosts</li>") {
			t.Errorf("no %q in %s", want, html)
		}
	}
}

// TestLifeEnds checks that the picture of a finding does not end long after the last thing in it.
func TestLifeEnds(t *testing.T) {
	for _, c := range []struct{ last, to, want time.Duration }{{time.Minute, 10 * time.Hour, 75 * time.Second}, {0, time.Hour, 10 * time.Second},
		{time.Hour, time.Hour + time.Minute, time.Hour + time.Minute}, {time.Hour, 0, time.Hour}} {
		d := LifeData{To: start.Add(c.to), Steps: []Step{{start, "opened", "likely"}}, Signs: []Interval{{start, start.Add(c.last)}}}
		if d.bounds(); d.To.Sub(start) != c.want {
			t.Errorf("the last sign after %v, the end after %v: the picture ends after %v, want %v", c.last, c.to, d.To.Sub(start), c.want)
		}
	}
}

// TestTicksFit checks that the labels of an axis of time have room beside each other: those at every width on a telephone, and all of them where
// the dense ones are shown.
func TestTicksFit(t *testing.T) {
	for span := time.Second; span < 1000*24*time.Hour; span += span/20 + time.Second/3 {
		var few, all float64
		for _, x := range timeline(nil, time.UTC, start, start.Add(span)) {
			width := float64(len(x.Label))*6.5 + 6
			if all += width; !x.Dense {
				few += width
			}
		}
		if few > narrow+60 || all > 640 || all == 0 {
			t.Errorf("%v: the labels are %g wide on a telephone, and %g", span, few, all)
		}
	}
}
