package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// webhook posts JSON that a template makes.
type webhook struct {
	*poster
	to       []string
	template *template.Template // nil for the events themselves
}

func newWebhook(c *Channel) (sender, error) {
	address, credential := c.Server, c.Credential
	if address == "" { // the address itself is the secret
		address, credential = credential, ""
	}
	if address == "" {
		return nil, errors.New("a webhook needs server: URL, or a credential that has the URL")
	}
	u, err := webURL(strings.TrimSpace(address))
	if err != nil {
		return nil, err
	}
	w := &webhook{poster: newPoster(u, credential, c.tls), to: c.To}
	if c.Template == "" || c.Template == "json" {
		return w, nil
	}
	text, builtIn := Templates[c.Template]
	if !builtIn {
		text = c.Template
	}
	if w.template, err = ParseTemplate(text); err != nil {
		return nil, fmt.Errorf("the template is wrong: %w", err)
	}
	return w, nil
}

func (w *webhook) where() string { return w.url.Scheme + "://" + w.url.Host }

func (w *webhook) send(ctx context.Context, m *Message, _ time.Time) error {
	body, err := renderEvents(m)
	if w.template != nil {
		body, err = render(w.template, m, w.to)
	}
	if err != nil {
		return &failure{reason: reasonTemplate, permanent: true, text: clean(err.Error(), maxText),
			hint: "mend the template"}
	}
	return w.post(ctx, body)
}
