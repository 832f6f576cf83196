package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"spamsensor/bench/golden"
	"strings"
	"testing"
)

// eventExample selects the event that is an example in event/README.md: the first one of a type
// that has all the texts.
type eventExample struct {
	args  string
	kind  string
	texts []string
}

var eventExamples = []eventExample{ // in the order of the README
	{"testdata/refusals.pcap", "session", []string{`"src_port":42001`}},
	{"testdata/bot.pcap", "finding", []string{`"action":"updated"`, `"level":"confirmed"`}},
	{"testdata/bot.pcap", "source", []string{`"src_ip":"192.168.77.66"`}},
	{"--mail-server 192.168.77.25 --local-domain example.org testdata/deliveries.pcap",
		"mail_server", nil},
	{"testdata/refusals.pcap", "site", []string{"spamcop", "spamhaus"}},
	{"testdata/bot.pcap", "stats", nil},
	{"--set limits.flows=16 --set limits.attempts=16 --set limits.sources=16 testdata/bot.pcap",
		"health", []string{"table_full"}},
}

// line runs the sensor and returns the event.
func (x *eventExample) line(t *testing.T) string {
	var out, errs bytes.Buffer
	args := append([]string{"read", "-q", "--events", "-", "--set", "sensor.name=sensor1"},
		strings.Fields(x.args)...)
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errs); code != exitOK {
		t.Fatalf("%s: exit code %d: %s", x.args, code, errs.String())
	}
lines:
	for line := range strings.Lines(out.String()) {
		for _, text := range append(x.texts, `"event_type":"`+x.kind+`"`) {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		return strings.TrimSpace(line)
	}
	t.Fatalf("%s: there is no event %s with %q", x.args, x.kind, x.texts)
	return ""
}

// TestGoldenExamples compares the examples in event/README.md with the events that the sensor
// writes. `go test ./sensor -run Golden -update` rewrites them.
func TestGoldenExamples(t *testing.T) {
	const name = "event/README.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	block := regexp.MustCompile("(?s)```json\n.*?\n```")
	got := block.ReplaceAllFunc(text, func(old []byte) []byte {
		if n++; n > len(eventExamples) {
			return old
		}
		return []byte("```json\n" + wrapJSON([]byte(eventExamples[n-1].line(t)), 0) + "\n```")
	})
	if n != len(eventExamples) {
		t.Errorf("%s has %d examples, want %d", name, n, len(eventExamples))
	}
	if bytes.Equal(got, text) {
		return
	}
	if !golden.Update() {
		t.Fatalf("%s differs from the events of the captures: see the comment of this test", name)
	}
	if err := os.WriteFile(name, got, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wrapJSON breaks JSON into lines of at most 118 columns, with as many members in a line as fit.
func wrapJSON(raw []byte, indent int) string {
	const width = 118
	keys, values := membersJSON(raw)
	flat := flatJSON(raw)
	if len(values) == 0 || indent+len(flat) <= width {
		return flat
	}
	pad := "\n" + strings.Repeat(" ", indent+1)
	var b strings.Builder
	b.WriteByte(raw[0])
	column := indent + 1
	for i, v := range values {
		item := keys[i] + flatJSON(v)
		nested := indent+1+len(item)+1 > width
		if i > 0 && (nested || column+1+len(item)+1 > width) {
			b.WriteString(pad)
			column = indent + 1
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		if nested {
			item = keys[i] + wrapJSON(v, indent+1)
			column = width // the next member begins a line
		}
		b.WriteString(item)
		if column += len(item); i < len(values)-1 {
			b.WriteByte(',')
			column++
		}
	}
	b.WriteByte(raw[0] + 2) // ] follows [ by two in ASCII, and } follows {
	return b.String()
}

// flatJSON is JSON in one line, with a space behind each comma and colon.
func flatJSON(raw []byte) string {
	keys, values := membersJSON(raw)
	if len(values) == 0 {
		return string(raw)
	}
	items := make([]string, len(values))
	for i, v := range values {
		items[i] = keys[i] + flatJSON(v)
	}
	return string(raw[0]) + strings.Join(items, ", ") + string(raw[0]+2)
}

// membersJSON lists the values of an object or an array, and of an object the keys, quoted and with
// a colon. Other JSON has none.
func membersJSON(raw []byte) (keys []string, values []json.RawMessage) {
	if raw[0] != '{' && raw[0] != '[' {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.Token()
	for d.More() {
		key := ""
		if raw[0] == '{' {
			k, _ := d.Token()
			quoted, _ := json.Marshal(k)
			key = string(quoted) + ": "
		}
		var v json.RawMessage
		d.Decode(&v)
		keys, values = append(keys, key), append(values, v)
	}
	return keys, values
}
