package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"spamsensor/sensor/notify"
	"spamsensor/sensor/verdict"
)

// channelConfig is an entry of notify.
type channelConfig struct {
	Kind       string   `yaml:"kind"`
	To         textList `yaml:"to"`
	From       string   `yaml:"from"`
	Server     string   `yaml:"server"`
	Credential string   `yaml:"credential"`
	Template   string   `yaml:"template"`
	MinLevel   string   `yaml:"min_level"`
	Classes    textList `yaml:"classes"`
}

// notifyLimitsConfig is the group notify_limits.
type notifyLimitsConfig struct {
	Group      string `yaml:"group"`
	PerHour    int    `yaml:"per_hour"`
	QuietHours string `yaml:"quiet_hours"`
	Weekly     string `yaml:"weekly"`
}

// channelKeys lists the keys that each kind of channel has beside kind, credential, min_level and
// classes.
var channelKeys = map[string][]string{
	"mail":         {"to", "from", "server", "credential"},
	"webhook":      {"to", "server", "credential", "template"},
	"alertmanager": {"server", "credential"},
	"syslog":       {"server"},
	"journald":     {},
}

// maxPerHour bounds notify_limits.per_hour.
const maxPerHour = 3600

// notify resolves the channels and their limits. Credentials are read where the command needs them
// only: run and read must not depend on the secrets of another process.
func (r *resolver) notify(c *config, f *fileConfig) {
	for i := range f.Notify {
		if ch, ok := r.channel(fmt.Sprintf("notify[%d]", i), &f.Notify[i]); ok {
			c.notify = append(c.notify, ch)
		}
	}
	nameChannels(c.notify)
	l := &f.NotifyLimits
	c.notifyLimits.Group = r.duration("notify_limits.group", l.Group, 0)
	if c.notifyLimits.PerHour = l.PerHour; l.PerHour < 0 || l.PerHour > maxPerHour {
		r.reject("notify_limits.per_hour",
			"%d is no number of messages (1 to %d, or nothing for 12)", l.PerHour, maxPerHour)
	}
	var err error
	if l.QuietHours != "" {
		if c.notifyLimits.Quiet, err = notify.ParseQuietHours(l.QuietHours); err != nil {
			r.reject("notify_limits.quiet_hours", "%v", err)
		}
	}
	if l.Weekly != "" {
		if c.notifyLimits.Weekly, err = notify.ParseWeekly(l.Weekly); err != nil {
			r.reject("notify_limits.weekly", "%v", err)
		}
	}
}

// nameChannels names channels by their kinds, and numbers those of the same kind.
func nameChannels(list []notify.Channel) {
	for i := range list {
		n := 1
		for _, former := range list[:i] {
			if former.Kind == list[i].Kind {
				n++
			}
		}
		if list[i].Name = list[i].Kind; n > 1 {
			list[i].Name = fmt.Sprintf("%s-%d", list[i].Kind, n)
		}
	}
}

// channel resolves one channel. It reports false if the channel is wrong.
func (r *resolver) channel(at string, x *channelConfig) (notify.Channel, bool) {
	before := len(r.errs)
	keys, known := channelKeys[x.Kind]
	if r.oneOf(at+".kind", cmp.Or(x.Kind, "none"), notify.Kinds...); !known {
		return notify.Channel{}, false
	}
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"to", len(x.To) > 0}, {"from", x.From != ""}, {"server", x.Server != ""},
		{"credential", x.Credential != ""}, {"template", x.Template != ""},
	} {
		if k.set && !slices.Contains(keys, k.name) {
			r.reject(at+"."+k.name, "a channel of the kind %s has no %s", x.Kind, k.name)
		}
	}
	c := notify.Channel{Kind: x.Kind, To: x.To, From: x.From, Server: x.Server}
	c.MinLevel = r.oneOf(at+".min_level", x.MinLevel, notify.Levels...)
	for i, class := range x.Classes {
		c.Classes = append(c.Classes,
			r.oneOf(fmt.Sprintf("%s.classes[%d]", at, i), class, classNames()...))
	}
	r.channelTexts(at, x, &c)
	if r.credentials && x.Credential != "" {
		c.Credential = r.credential(at+".credential", x.Credential)
	} else if x.Credential != "" {
		r.credentialFile(at+".credential", x.Credential)
	}
	if len(r.errs) == before && r.credentials {
		if err := c.Validate(); err != nil {
			r.reject(at, "%v", err)
		}
	}
	return c, len(r.errs) == before
}

// channelTexts checks the addresses, the server and the template of a channel.
func (r *resolver) channelTexts(at string, x *channelConfig, c *notify.Channel) {
	if x.Kind == "mail" {
		if len(x.To) == 0 {
			r.reject(at, "mail needs to: an address")
		}
		for i, a := range x.To {
			if err := notify.CheckAddress(a); err != nil {
				r.reject(fmt.Sprintf("%s.to[%d]", at, i), "%v", err)
			}
		}
		if x.From != "" {
			if err := notify.CheckAddress(x.From); err != nil {
				r.reject(at+".from", "%v", err)
			}
		}
	}
	if x.Server != "" {
		if err := notify.CheckServer(x.Kind, x.Server); err != nil {
			r.reject(at+".server", "%v", err)
		}
	}
	if x.Template == "" {
		return
	}
	c.Template = x.Template
	if _, builtIn := notify.Templates[x.Template]; builtIn {
		return
	}
	text, err := readBounded(x.Template, maxConfig)
	if err != nil {
		r.reject(at+".template", "%q is no template (json, mattermost, ntfy, slack, teams) and no "+
			"file that can be read: %v", x.Template, err)
		return
	}
	if _, err := notify.ParseTemplate(string(text)); err != nil {
		r.reject(at+".template", "%v", err)
	}
	c.Template = string(text)
}

// classNames are the classes that a finding may have.
func classNames() (names []string) {
	for c := range verdict.Classes {
		names = append(names, c.String())
	}
	return names
}

// credentialName is the form of a name of systemd's LoadCredential.
var credentialName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// maxCredential bounds a secret, in bytes.
const maxCredential = 64 << 10

// credentialFile returns the file of a secret: a credential of systemd by its name, or a path. The
// secret itself must not be in the configuration, which is not protected. It is empty if the value
// is wrong, or if systemd gives this process no credentials.
func (r *resolver) credentialFile(path, value string) string {
	switch {
	case strings.HasPrefix(value, "/"):
		return value
	case credentialName.MatchString(value):
		if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
			return filepath.Join(dir, value)
		}
	default:
		r.reject(path, "this is neither the name of a credential of systemd (LoadCredential) nor "+
			"the path of a file, which begins with /; the secret itself does not belong here")
	}
	return ""
}

// credential reads a secret. Only its owner may be able to read a file that is not systemd's.
func (r *resolver) credential(path, value string) string {
	before := len(r.errs)
	name := r.credentialFile(path, value)
	if len(r.errs) > before {
		return ""
	}
	if name == "" {
		r.reject(path, "there is no credential %s: systemd gives credentials to a service that "+
			"has LoadCredential=%s:FILE; by hand, write the path of a file of mode 0600", value,
			value)
		return ""
	}
	if strings.HasPrefix(value, "/") {
		if err := checkSecret(name); err != nil {
			r.reject(path, "%v", err)
			return ""
		}
	}
	secret, err := readBounded(name, maxCredential)
	if err != nil {
		r.reject(path, "the credential cannot be read: %v", err)
		return ""
	}
	text := strings.TrimSpace(string(secret))
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		r.reject(path, "%s must have the secret in one line", printable(name))
	}
	return text
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", printable(name), limit)
	}
	return os.ReadFile(name)
}
