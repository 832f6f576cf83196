package serve

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"spamsensor/sensor/event"
)

const rulesDir = "../dist"

// TestRules: each alert says what to do, uses metrics that exist, and has a case in which it fires.
func TestRules(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(rulesDir, "spamsensor.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile(filepath.Join(rulesDir, "spamsensor.rules.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Labels      struct{ Severity string }
				Annotations struct{ Summary, Description string }
			}
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, m := range sensorMetrics() {
		have[prefix+m.name] = true
	}
	name := regexp.MustCompile(prefix + `[a-z_]+`)
	check := regexp.MustCompile(`check=~?"([a-z_|]+)"`)
	n := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			n++
			metrics := name.FindAllString(r.Expr, -1)
			if len(metrics) == 0 && !strings.HasPrefix(r.Expr, "up{") {
				t.Errorf("%s uses no metric", r.Alert)
			}
			// The descriptions name metrics, too.
			for _, m := range append(metrics, name.FindAllString(r.Annotations.Description, -1)...) {
				if !have[m] {
					t.Errorf("%s: there is no metric %s", r.Alert, m)
				}
			}
			for _, m := range check.FindAllStringSubmatch(r.Expr, -1) {
				for c := range strings.SplitSeq(m[1], "|") {
					if !slices.Contains(event.Checks(), c) {
						t.Errorf("%s: there is no check %s", r.Alert, c)
					}
				}
			}
			a := r.Annotations
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels.Severity) ||
				!strings.Contains(a.Summary, "instance") || len(a.Description) < 60 {
				t.Errorf("%s: %+v", r.Alert, r)
			}
			if !strings.Contains(string(cases), `ALERTS{alertname="`+r.Alert+`", alertstate="firing"}`) {
				t.Errorf("%s never fires in a case", r.Alert)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d alerts", n)
	}
}

// TestPromtool checks the rules, and plays their cases.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (apt-get install prometheus)")
	}
	for _, args := range [][]string{{"check", "rules", "spamsensor.rules.yml"},
		{"test", "rules", "spamsensor.rules.test.yml"}} {
		c := exec.Command(promtool, args...)
		c.Dir = rulesDir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
