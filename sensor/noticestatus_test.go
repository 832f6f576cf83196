package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/status"
)

// TestStatusNotices checks that status says whether notices get through, and who does not get them.
func TestStatusNotices(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().UTC()
	at := func(before time.Duration) string { return now.Add(-before).Format(time.RFC3339) }
	working := fmt.Sprintf(`{"time":%q,"sent":{"mail":3,"webhook":0},"failed":{"mail":{},"webhook":{"timeout":4,"temporary":1}},"given_up":{"webhook":1},`+
		`"queue":{"mail":0,"webhook":2},"last_error":{"webhook":{"text":"x answers 500"}},"last_sent":{"mail":%q},"failing_since":{"webhook":%q}`, at(time.Second), at(time.Hour), at(2*time.Hour))
	for _, c := range []struct {
		name, file string
		running    bool
		want       []string // of the text; "" is the end
	}{
		{"never", "-", false, []string{"notify has not run yet: nobody is told", "systemctl status spamsensor-notify"}},
		{"damaged", "{", false, []string{"whether notices get through is not known"}},
		{"works", working + "}", true, []string{"mail: 3 sent, the last one ", "; 0 wait, 0 attempts failed, 0 given up", "webhook: 0 sent; 2 wait, 5 attempts failed, 1 given up",
			"Problem webhook fails since ", ": x answers 500. spamsensor notify test"}},
		{"full", working + `,"dropped":7}`, true, []string{"7 notices were dropped"}},
		{"stopped", strings.Replace(working, at(time.Second), at(5*time.Minute), 1) + "}", false, []string{"mail: 3 sent", "notify does not run: nobody is told of findings since "}},
	} {
		name := dir + "/notify.json"
		os.Remove(name)
		if c.file != "-" {
			written(t, name, c.file)
		}
		n := readNotices(name, now)
		var out strings.Builder
		(&status.Text{Out: &out, Width: 200, Zone: time.UTC}).PrintNotices(n)
		rest := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range c.want {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Errorf("%s: no %q in %s", c.name, want, out.String())
			}
			rest = after
		}
		if n.Running != c.running {
			t.Errorf("%s: running %v", c.name, n.Running)
		}
	}
}

// TestStatusNoticesLive checks that status adds the notices to the answer of the running sensor, in
// both formats, and leaves them out where nobody is to be told.
func TestStatusNoticesLive(t *testing.T) {
	r := newReloaded(t, "")
	r.until("in the sandbox") // the socket is there then
	config := written(t, r.dir+"/b.yaml", fmt.Sprintf("state: {dir: %s}\ncontrol: {socket: %s/socket}\nnotify: [{kind: journald}]\n", r.dir, r.dir))
	code, out, errs := checked(t, "status", "-c", config)
	if code != exitOK || !strings.Contains(out, "notify has not run yet") || !strings.Contains(out, "Interface     v1") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	var s struct {
		Version string          `json:"version"`
		Notices *status.Notices `json:"notices"`
	}
	if _, out, _ = checked(t, "status", "-c", config, "-o", "json"); json.Unmarshal([]byte(out), &s) != nil || s.Version == "" ||
		s.Notices == nil || s.Notices.Running || s.Notices.Problem == "" {
		t.Errorf("%+v: %s", s, out)
	}
	written(t, config, fmt.Sprintf("control: {socket: %s/socket}\nnotify: [{kind: journald}]\n", r.dir))
	if _, out, _ = checked(t, "status", "-c", config); !strings.Contains(out, "whether notices get through is not known") {
		t.Error(out)
	}
	written(t, config, fmt.Sprintf("control: {socket: %s/socket}\n", r.dir))
	if _, out, _ = checked(t, "status", "-c", config); strings.Contains(out, "notices get through") || strings.Contains(out, "nobody is told") {
		t.Error(out)
	}
	r.end()
}
