package serve

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"spamsensor/sensor/event"
	"spamsensor/sensor/status"
)

// notExported are the fields of a status that no metric shows, and why.
var notExported = map[string]string{
	"Version": "label of build_info", "Revision": "label of build_info",
	"GoVersion": "label of build_info", "Libpcap": "label of build_info",
	"Sensor": "the name of the target says it", "Run": "a new value for each start",
	"PID":                  "a new value for each start",
	"Now":                  "Prometheus has the time of the scrape",
	"Frames":               "sum of decode_packets_total",
	"Bytes":                "sum of capture_bytes_total",
	"Hosts.Total":          "the sensor does not count it",
	"Sources.Total":        "the sensor does not count it",
	"Config.File":          "a text",
	"Config.Error":         "a text; /api/v1/status has it",
	"Interfaces[].Name":    "a label",
	"Interfaces[].Method":  "a text",
	"Output.File":          "a text",
	"Health[].Check":       "a label",
	"Health[].Interface":   "the check is raised on any interface",
	"Health[].Value":       "its unit is another one for each check",
	"Health[].Threshold":   "its unit is another one for each check",
	"Health[].Since":       "the time of the change of health_raised",
	"Health[].Text":        "a text; /api/v1/health has it",
	"Health[].Hint":        "a text; /api/v1/health has it",
	"Interfaces[].Problem": "capture_interface_up",
	"Output.Failing":       "output_failing",
	"Config.Good":          "config_last_reload_successful",
}

// filler gives each number of a value another number, and remembers which.
type filler struct {
	next  int
	paths map[string]float64
}

func (f *filler) fill(v reflect.Value, path string) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	f.next += 1000
	n := f.next
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		*t = time.Unix(int64(n), 0)
		f.paths[path] = float64(n)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), join(v.Type().Field(i).Name))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), path+"[]")
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		f.fill(value, path)
		key := map[string]string{"Findings.Open": "suspect", "Findings.Total": "info"}[path]
		if v.Type().Elem().Kind() == reflect.Map || key == "" {
			key = "scanner"
		}
		v.SetMapIndex(reflect.ValueOf(key), value)
	case reflect.Uint64:
		v.SetUint(uint64(n))
		f.paths[path] = float64(n)
	case reflect.Int:
		v.SetInt(int64(n))
		f.paths[path] = float64(n)
	case reflect.Float64:
		v.SetFloat(float64(n))
		f.paths[path] = float64(n)
	case reflect.Bool:
		v.SetBool(true)
		f.paths[path] = -1
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", n))
		f.paths[path] = -1
	default:
		panic("a field of a kind that the test does not know: " + path)
	}
}

// gathered are the values of the metrics of a snapshot, by name and labels.
func gathered(t *testing.T, s *snapshot) map[string]float64 {
	t.Helper()
	s.at = time.Now()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(&asker{latest: s, now: func() time.Time { return s.at }}))
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			key := f.GetName()
			for _, l := range m.Label {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			values[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return values
}

// TestEveryFieldIsExported: each field of the status is a metric, or left out for a reason.
func TestEveryFieldIsExported(t *testing.T) {
	var st status.Status
	f := filler{paths: map[string]float64{}}
	f.fill(reflect.ValueOf(&st).Elem(), "")
	values := map[float64]bool{}
	for _, v := range gathered(t, &snapshot{status: &st}) {
		values[v] = true
	}
	if len(f.paths) < 50 {
		t.Errorf("only %d fields: the test does not see them", len(f.paths))
	}
	for path, n := range f.paths {
		_, leftOut := notExported[path]
		if exported := n > 0 && values[n]; exported == leftOut {
			t.Errorf("%s: exported %v, left out %v", path, exported, leftOut)
		}
	}
	for path := range notExported {
		if _, ok := f.paths[path]; !ok {
			t.Errorf("the status has no field %s", path)
		}
	}
}

// full is a snapshot of which every metric has a series.
func full() *snapshot {
	var st status.Status
	f := filler{paths: map[string]float64{}}
	f.fill(reflect.ValueOf(&st).Elem(), "")
	n := 3.0
	return &snapshot{status: &st, servers: decodeServers([]json.RawMessage{
		json.RawMessage(`{"src_ip":"192.0.2.25","mail_server":{"declared":true,"messages_out":5}}`),
		json.RawMessage(`{"src_ip":"192.0.2.26","mail_server":{"declared":false}}`)}),
		notices: notices{at: time.Unix(9, 0), sent: map[string]float64{"mail": 1},
			failed:  map[string]map[string]float64{"mail": {"timeout": 2}},
			givenUp: map[string]float64{"mail": 1}, queue: map[string]float64{"mail": 1},
			dropped: &n, lastSent: map[string]time.Time{"mail": time.Unix(8, 0)},
			failingSince: map[string]time.Time{"webhook": time.Unix(7, 0)}}}
}

// TestManualListsMetrics: the table of the manual has each metric with its type and its labels.
func TestManualListsMetrics(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "\n## Metrics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("the manual has no section Metrics")
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)`((?:, `[a-z_]+`)*) \\| (gauge|counter) \\| ([^|]*)\\|")
	var listed []string
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(m[1]+m[2], ", ") {
			labels := strings.ReplaceAll(strings.TrimSpace(m[4]), "`", "")
			listed = append(listed, strings.Trim(name, "`")+" "+m[3]+" "+labels)
		}
	}
	have := []string{omittedName + " gauge "}
	for _, m := range sensorMetrics() {
		kind := "gauge"
		if m.kind == counter {
			kind = "counter"
		}
		have = append(have, m.name+" "+kind+" "+strings.Join(m.labels, ", "))
	}
	for _, x := range have {
		if !slices.Contains(listed, x) {
			t.Errorf("the manual lacks %q", x)
		}
	}
	for _, x := range listed {
		if !slices.Contains(have, x) {
			t.Errorf("the manual lists %q, which does not exist", x)
		}
	}
}

// TestLint: the metrics follow the rules of Prometheus, those of the server itself as well.
func TestLint(t *testing.T) {
	s := full()
	s.at = time.Now()
	f := newFake()
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	_, live := get(t, url+"/metrics")
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(&asker{latest: s, now: func() time.Time { return s.at }}))
	families, err := r.Gather()
	if err != nil || len(families) != len(sensorMetrics())+1 {
		t.Fatalf("%d metrics, want %d; %v", len(families), len(sensorMetrics())+1, err)
	}
	var all strings.Builder
	for _, f := range families {
		expfmt.MetricFamilyToText(&all, f)
	}
	if live, all := strings.Contains(live, "spamsensor_serve_go_goroutines"), all.Len(); !live ||
		all == 0 {
		t.Error("metrics are missing")
	}
	for name, text := range map[string]string{"all metrics": all.String(), "of a server": live} {
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
		if promtool, err := exec.LookPath("promtool"); err == nil {
			c := exec.Command(promtool, "check", "metrics")
			c.Stdin = strings.NewReader(text)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		}
	}
}

// TestChecks: every check of the schema of the events has a series.
func TestChecks(t *testing.T) {
	got := gathered(t, &snapshot{status: &status.Status{Health: []status.Health{{Check: "link"}}}})
	for _, name := range event.Checks() {
		v, ok := got[prefix+"health_raised check="+name]
		if !ok || v != truth(name == "link") {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
	if !slices.Contains(event.Checks(), "no_packets") || len(event.Checks()) < 15 {
		t.Errorf("the schema has the checks %q", event.Checks())
	}
}

// TestBounds: whatever the sensor says, the answer has bounds, and no series comes twice.
func TestBounds(t *testing.T) {
	s := full()
	s.servers = nil
	var lines []json.RawMessage
	for i := range 60 {
		lines = append(lines, json.RawMessage(fmt.Sprintf(
			`{"src_ip":"192.0.2.%d","mail_server":{"declared":true,"messages_out":5}}`, i)))
	}
	s.servers = decodeServers(append(lines, json.RawMessage(`null`), json.RawMessage(`[`)))
	s.status.Interfaces = append(s.status.Interfaces, s.status.Interfaces[0])
	s.status.Output.Events = map[string]uint64{strings.Repeat("x", 1000) + "\xff": 1, "a\xff": 2}
	for i := range 1000 {
		s.status.Decode[fmt.Sprint(i)] = 1
	}
	s.status.Health[0].Check = "new"
	got := gathered(t, s)
	servers, outcomes := 0, 0
	for name := range got {
		if strings.HasPrefix(name, prefix+"mail_server_queue_messages") {
			servers++
		}
		if strings.HasPrefix(name, prefix+"decode_packets_total") {
			outcomes++
		}
		if len(name) > 400 {
			t.Errorf("a label of %d bytes", len(name))
		}
	}
	// Of the two interfaces of one name six series and the two kinds of drops are left out.
	if servers != 50 || outcomes != maxSeries ||
		got[prefix+omittedName] != 10+1001-maxSeries+7 ||
		got[prefix+"health_raised check=new"] != 1 ||
		got[prefix+"health_raised check=link"] != 0 || got[prefix+"events_total type=a?"] != 2 {
		t.Errorf("%d servers, %d outcomes, %v left out", servers, outcomes, got[prefix+omittedName])
	}
}

// TestNotices: of the file of notify each part that has the expected form is taken.
func TestNotices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notify.json")
	for _, x := range []struct {
		text string
		want string
	}{
		{"", ""}, {"[]", ""}, {"{", ""}, {strings.Repeat(" ", maxNotices+1) + `{"sent":{"a":1}}`, ""},
		{`{"sent":{"mail":3},"queue":{"mail":2},"new":[]}`, "notify_queue channel=mail=2 " +
			"notify_sent_total channel=mail=3"},
		{`{"sent":7,"failed":{"mail":{"timeout":4}},"dropped":5,"queue":{"a":1,"b":"x"}}`,
			"notify_dropped_total=5 notify_failed_total channel=mail reason=timeout=4"},
		{`{"time":"2001-09-09T01:46:40Z","given_up":{"mail":1}}`, "notify_given_up_total " +
			"channel=mail=1 notify_last_update_timestamp_seconds=1e+09"},
		{`{"last_sent":{"a":"2001-09-09T01:46:40Z"},"failing_since":{"a":7}}`, "notify_last_sent_timestamp_seconds channel=a=1e+09"},
		{`{"last_sent":[],"failing_since":{"a":"2001-09-09T01:46:40Z"}}`, "notify_failing_since_timestamp_seconds channel=a=1e+09"},
	} {
		if err := os.WriteFile(file, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got []string
		for name, v := range gathered(t, &snapshot{notices: readNotices(file)}) {
			if name, ok := strings.CutPrefix(name, prefix+"notify"); ok {
				got = append(got, fmt.Sprintf("notify%s=%v", name, v))
			}
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != x.want {
			t.Errorf("%.60s: %q, want %q", x.text, s, x.want)
		}
	}
	for _, name := range []string{"", file + ".none", filepath.Dir(file)} {
		if n := readNotices(name); !reflect.ValueOf(n).IsZero() {
			t.Errorf("%s: %+v", name, n)
		}
	}
}
