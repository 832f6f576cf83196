package notify

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/verdict"
)

// Kinds are the kinds of channels.
var Kinds = []string{"mail", "webhook", "alertmanager", "syslog", "journald"}

// Levels are the levels of findings, in rising order.
var Levels = []string{"suspect", "likely", "confirmed"}

// Channel is one way to people. Name is unique; texts that may be missing are empty.
type Channel struct {
	Name string
	Kind string // one of Kinds
	// To are the recipients of mail, and the topic of ntfy.
	To   []string
	From string // sender of mail; empty means spamsensor at the name of the machine
	// Server is the address of the server: HOST[:PORT] for mail, a URL for the others.
	Server string
	// Credential is the secret itself: USER:PASSWORD, a token, or the URL of a webhook.
	Credential string
	Template   string   // of a webhook: a name of Templates, or a text in the form of text/template
	MinLevel   string   // least level of findings; empty means likely
	Classes    []string // classes of findings; empty means all

	tls *tls.Config // of tests; nil means the certificates of the system
}

// Limits bound how often people are told. Zero values mean the default.
type Limits struct {
	Group   time.Duration // between two messages of a channel; default 5 minutes
	PerHour int           // messages of a channel; default 12
	Quiet   QuietHours
	Weekly  Weekly
}

// Config configures a Service.
type Config struct {
	Events   string // file of the events of run
	Outbox   string // directory of messages and of the position in the file; it is made
	Counters string // file of the counters; empty means none
	Journal  string // file of the notify events; empty means one in the outbox
	Host     string // name of this sensor, until an event says it
	Channels []Channel
	Limits   Limits
	Watch    *Watch           // nil: no blocklist is asked
	Lang     *lang.Printer    // of the notices; nil is English
	Now      func() time.Time // nil means time.Now
	// Log gets a line about what an administrator should know. Nil means none.
	Log func(text string)
}

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Events == "" {
		errs = append(errs, errors.New("where are the events? Set output.file in the "+
			"configuration"))
	}
	if c.Outbox == "" {
		errs = append(errs, errors.New("where may messages wait? Set state.dir in the "+
			"configuration, or give --outbox DIR"))
	}
	if len(c.Channels) == 0 {
		errs = append(errs, errors.New("there is nobody to tell: add a channel to notify in the "+
			"configuration"))
	}
	for i := range c.Channels {
		if err := c.Channels[i].Validate(); err != nil {
			errs = append(errs, fmt.Errorf("notify[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// Validate reports what is wrong with a channel.
func (c *Channel) Validate() error {
	_, err := newSender(c)
	return err
}

// QuietHours is a part of the day in which only confirmed findings are told, in minutes since
// midnight, local time. The zero value is no quiet hours. End may be before Start: over midnight.
type QuietHours struct{ Start, End int }

// ParseQuietHours parses a text such as 22:00-07:00.
func ParseQuietHours(s string) (q QuietHours, err error) {
	from, to, ok := strings.Cut(s, "-")
	a, errA := time.Parse("15:04", strings.TrimSpace(from))
	b, errB := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || errA != nil || errB != nil || a.Equal(b) {
		return q, fmt.Errorf("%q are no quiet hours (try 22:00-07:00)", s)
	}
	return QuietHours{minutes(a), minutes(b)}, nil
}

func minutes(t time.Time) int { return t.Hour()*60 + t.Minute() }

// Holds reports whether a time is in the quiet hours.
func (q QuietHours) Holds(t time.Time) bool {
	m := minutes(t)
	if q.Start <= q.End {
		return m >= q.Start && m < q.End
	}
	return m >= q.Start || m < q.End
}

// Weekly is the time of the weekly message, local time. The zero value means Monday 08:00.
type Weekly struct {
	Off    bool
	Day    time.Weekday
	Minute int // since midnight
	set    bool
}

// ParseWeekly parses a text such as "Monday 08:00", or off.
func ParseWeekly(s string) (w Weekly, err error) {
	if s == "off" {
		return Weekly{Off: true}, nil
	}
	name, clock, _ := strings.Cut(s, " ")
	t, err := time.Parse("15:04", strings.TrimSpace(clock))
	day := slices.IndexFunc(weekdays, func(d time.Weekday) bool {
		return strings.EqualFold(d.String(), name)
	})
	if err != nil || day < 0 {
		return w, fmt.Errorf("%q is no time of the week (try Monday 08:00, or off)", s)
	}
	return Weekly{Day: weekdays[day], Minute: minutes(t), set: true}, nil
}

var weekdays = []time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday,
	time.Thursday, time.Friday, time.Saturday}

// next returns the first time of the weekly message after t, in the location of t.
func (w Weekly) next(t time.Time) time.Time {
	day, minute := time.Monday, 8*60
	if w.set {
		day, minute = w.Day, w.Minute
	}
	for days := 0; ; days++ {
		at := time.Date(t.Year(), t.Month(), t.Day()+days, 0, minute, 0, 0, t.Location())
		if at.Weekday() == day && at.After(t) {
			return at
		}
	}
}

// levelOf returns the level with a name, NoLevel if there is none.
func levelOf(name string) verdict.Level {
	l, _ := verdict.ParseLevel(name)
	return l
}

// wants reports whether a finding is for this channel.
func (c *Channel) wants(class, level string) bool {
	return levelOf(level) >= cmp.Or(levelOf(c.MinLevel), verdict.Likely) &&
		(len(c.Classes) == 0 || slices.Contains(c.Classes, class))
}
