package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// sender delivers messages through one channel. send returns nil when the other side has taken the
// message, and a *failure otherwise; it obeys the deadline of ctx.
type sender interface {
	send(ctx context.Context, m *Message, now time.Time) error
	// where names the receiver of the channel, in a few words without a secret.
	where() string
}

// sendTimeout bounds one attempt.
const sendTimeout = 30 * time.Second

// newSender makes the sender of a channel. Its error is about the configuration.
func newSender(c *Channel) (sender, error) {
	switch c.Kind {
	case "mail":
		return newMail(c)
	case "webhook":
		return newWebhook(c)
	case "alertmanager":
		return newAlertmanager(c)
	case "syslog":
		return newSyslog(c)
	case "journald":
		return journald{}, nil
	}
	return nil, fmt.Errorf("%q is none of %s", c.Kind, strings.Join(Kinds, ", "))
}

// CheckServer reports whether the server of a channel has the form that its kind wants.
func CheckServer(kind, server string) error {
	c := Channel{Kind: kind, Server: server, To: []string{"a@b.example"}, Template: "slack"}
	_, err := newSender(&c)
	return err
}

// webURL parses the address of a server that speaks HTTP.
func webURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("this is no address of a web server " +
			"(try https://hooks.example.org/x)")
	}
	return u, nil
}
