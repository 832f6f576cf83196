package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// Templates are the built-in templates of webhooks. The one named json is the events themselves,
// and is made without a text.
var Templates = map[string]string{
	"json": "",
	// https://api.slack.com/messaging/webhooks
	"slack": `{"text":"{{slack (cut 12000 .Full)}}"}`,
	// https://developers.mattermost.com/integrate/webhooks/incoming/
	"mattermost": `{"username":"spamsensor","text":"{{fence (cut 12000 .Full)}}"}`,
	// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/
	// connectors-using. A TextRun has no markup.
	"teams": `{"type":"message","attachments":[{` +
		`"contentType":"application/vnd.microsoft.card.adaptive","content":{` +
		`"$schema":"http://adaptivecards.io/schemas/adaptive-card.json",` +
		`"type":"AdaptiveCard","version":"1.4","body":[{"type":"RichTextBlock","inlines":[` +
		`{"type":"TextRun","weight":"Bolder","text":"{{cut 500 .Subject}}"}]}` +
		`{{range lines (cut 12000 .Text)}},{"type":"RichTextBlock","spacing":"None","inlines":[` +
		`{"type":"TextRun","text":"{{.}}"}]}{{end}}]}}]}`,
	// https://docs.ntfy.sh/publish/#publish-as-json
	"ntfy": `{"topic":"{{.To}}","title":"{{cut 200 .Subject}}","message":"{{cut 3500 .Text}}",` +
		`"priority":{{.Priority}}}`,
}

// value is a text that a template writes as JSON has it between quotes.
type value string

// String implements fmt.Stringer for text/template.
func (v value) String() string {
	b, _ := json.Marshal(string(v)) // a text always is valid
	return string(b[1 : len(b)-1])
}

// page is what a template may use.
type page struct {
	ID, Sensor, Subject, Text, Full, To, Time value
	// Of the worst item:
	Kind, Finding, Host, Name, MAC, Class, Level, Severity, Since, Headline, Advice value
	Priority, Items, More                                                           int
}

func newPage(m *Message, to []string) page {
	p := page{ID: value(m.ID), Sensor: value(m.Sensor), Subject: value(m.Subject()),
		Text: value(m.Text()), To: value(strings.Join(to, ",")), Priority: 3,
		Time: value(m.Created.UTC().Format(time.RFC3339)), Items: len(m.Items), More: m.More}
	p.Full = p.Subject + "\n\n" + p.Text
	if len(m.Items) == 0 {
		return p
	}
	it := &m.Items[0]
	p.Kind, p.Finding, p.Host, p.Name = value(it.Kind), value(it.ID), value(it.Host), value(it.Name)
	p.MAC = value(it.MAC)
	p.Class, p.Level, p.Severity = value(it.Class), value(it.Level), value(it.Severity)
	p.Since, p.Headline = value(it.Since.UTC().Format(time.RFC3339)), value(it.Headline)
	p.Advice = value(it.Advice)
	switch {
	case it.Level == "confirmed" && it.Kind == itemFinding:
		p.Priority = 5
	case it.Kind == itemHealth, it.Kind == itemListed:
		p.Priority = 4
	case it.Kind == itemWeekly, it.Kind == itemResolved, it.Kind == itemCleared,
		it.Kind == itemDelisted:
		p.Priority = 2
	}
	return p
}

var functions = template.FuncMap{
	"cut": func(limit int, v value) value { return value(cut(limit, string(v))) },
	// slack escapes what Slack reads as a link or as <!channel>.
	"slack": func(v value) value {
		return value(strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(string(v)))
	},
	// fence makes a block in which Markdown has no meaning, nor has @all.
	"fence": func(v value) value {
		return value("```\n" + strings.ReplaceAll(string(v), "`", "'") + "\n```")
	},
	"lines": func(v value) (list []value) {
		for l := range strings.Lines(string(v)) {
			if l = strings.TrimRight(l, "\n"); l != "" {
				list = append(list, value(l))
			}
		}
		return list
	},
}

// cut bounds a text, in bytes, and says so in any language.
func cut(limit int, s string) string {
	if len(s) <= limit {
		return s
	}
	const mark = " ..."
	return strings.ToValidUTF8(s[:max(0, limit-len(mark))], "") + mark
}

// maxBody bounds what a template writes, in bytes.
const maxBody = 4 << 20

// limitedBuffer is a buffer that does not grow beyond maxBody.
type limitedBuffer struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxBody {
		return 0, errors.New("the template writes too much")
	}
	return b.Buffer.Write(p)
}

// ParseTemplate parses a template and tries it with a message: it must make JSON.
func ParseTemplate(text string) (*template.Template, error) {
	t, err := template.New("template").Funcs(functions).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	now := time.Unix(0, 0)
	sample := &Message{ID: "0", Sensor: `a "sample"`, Created: now, Items: []Item{{
		Kind: itemFinding, Host: "192.0.2.1", Class: "spambot", Level: "likely", Severity: "high",
		Since: now, Headline: "a \\ sample"}}}
	_, err = render(t, sample, []string{"sample"})
	return t, err
}

// render makes the body of a webhook.
func render(t *template.Template, m *Message, to []string) ([]byte, error) {
	var b limitedBuffer
	if err := t.Execute(&b, newPage(m, to)); err != nil {
		return nil, err
	}
	if !json.Valid(b.Bytes()) {
		return nil, fmt.Errorf("the template makes no valid JSON: %s", clean(b.String(), maxReply))
	}
	return b.Bytes(), nil
}

// renderEvents makes the body of the template json.
func renderEvents(m *Message) ([]byte, error) {
	body := struct {
		ID      string            `json:"id"`
		Sensor  string            `json:"sensor"`
		Subject string            `json:"subject"`
		Text    string            `json:"text"`
		More    int               `json:"more"`
		Notes   []string          `json:"notes,omitempty"`
		Events  []json.RawMessage `json:"events"`
	}{m.ID, m.Sensor, m.Subject(), m.Text(), m.More, m.Notes, []json.RawMessage{}}
	for i := range m.Items {
		if e := m.Items[i].Event; len(e) > 0 {
			body.Events = append(body.Events, e)
		}
	}
	return json.Marshal(body)
}
