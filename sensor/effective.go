package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/notify"
	"spamsensor/sensor/status"
)

// whenEmpty says what is in force where a setting has no value, and none can be written for that.
var whenEmpty = map[string]string{
	"home_net": "the private networks, the networks of this machine, and those on the captured " +
		"link",
	"smtp_servers":           "none is declared",
	"allowed_relays":         "none",
	"nat64_prefixes":         "64:ff9b::/96, 64:ff9b:1::/48, and those that the DNS shows",
	"local_domains":          "they are learned",
	"ignore":                 "none",
	"capture.interfaces":     "none, -i names one",
	"capture.workers":        "one for each processor",
	"evidence.hash_key_file": "none",
	"names":                  "none",
	"limits.attempts":        "derived from limits.memory",
	"limits.flows":           "derived from limits.memory",
	"limits.sources":         "derived from limits.memory",
	"limits.sessions":        "derived from limits.memory",
	"limits.hosts":           "derived from limits.memory",
	"control.socket":         status.DefaultSocket,
	"control.group":          "none, the user of the sensor alone may ask",
	"serve.web_config":       "none",
	"state.dir":              "none, nothing survives a restart",
	"notify":                 "nobody is told",

	"notify_limits.quiet_hours": "none",

	"reputation.lists":     "none is asked",
	"reputation.addresses": "the one that receiving servers quote",
	"reputation.resolver":  "those of this machine",
	"reputation.every":     "notify does not ask",
}

// inForce returns the settings of run: those of the files and options, and the default of each
// other one, where it can be written as a value; see whenEmpty.
func (c *config) inForce() fileConfig {
	run := *c
	run.completeForLive()
	f := c.file
	set := func(s *string, value string) { *s = cmp.Or(*s, value) }
	set(&f.Sensor.Name, c.name)
	set(&f.Sensor.Sandbox, "auto")
	set(&f.Sensor.Lang, "auto")
	f.Capture.Snaplen = cmp.Or(f.Capture.Snaplen, maxSnaplen)
	set(&f.Capture.Buffer, sizeText(capture.DefaultBuffer))
	set(&f.Capture.Method, string(capture.MethodAuto))
	f.Capture.Fanout = cmp.Or(f.Capture.Fanout, 1)
	if len(f.Capture.Ports) == 0 {
		for _, p := range run.engine.Ports {
			f.Capture.Ports = append(f.Capture.Ports, strconv.Itoa(int(p)))
		}
	}
	f.SMTPServers = append([]serverConfig{}, f.SMTPServers...)
	for i := range f.SMTPServers {
		set(&f.SMTPServers[i].Role, "mailserver")
	}
	thresholds(reflect.ValueOf(&f.Detect).Elem(), reflect.ValueOf(run.engine.Detect))
	f.Evidence.SessionsPerFinding = cmp.Or(f.Evidence.SessionsPerFinding, defaultSessions)
	set(&f.Evidence.MailFrom, "domain")
	set(&f.Limits.Memory, sizeText(defaultMemory))
	set(&f.Output.File, "-")
	set(&f.Output.Sessions, "evidence")
	set(&f.Output.SourceInterval, durationText(time.Duration(run.engine.SourceInterval)))
	set(&f.State.Every, durationText(run.state.every))
	f.State.HistoryDays = cmp.Or(f.State.HistoryDays, defaultHistory)
	set(&f.Serve.Listen, c.serve.listen)
	set(&f.Log.Level, "info")
	set(&f.NotifyLimits.Group, durationText(notify.DefaultGroup))
	f.NotifyLimits.PerHour = cmp.Or(f.NotifyLimits.PerHour, notify.DefaultPerHour)
	set(&f.NotifyLimits.Weekly, notify.DefaultWeekly)
	return f
}

// thresholds copies the values of detect.Config to the fields of the same names.
func thresholds(to, from reflect.Value) {
	for i := range to.NumField() {
		field, value := to.Field(i), from.FieldByName(to.Type().Field(i).Name)
		if d, ok := value.Interface().(time.Duration); ok {
			value = reflect.ValueOf(durationText(d))
		}
		field.Set(value)
	}
}

// durationText writes a duration without the zero parts of Duration.String: 5m and not 5m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// sizeText writes a size that is a whole number of MiB.
func sizeText(n int) string { return fmt.Sprintf("%dMiB", n>>20) }

// printSettings writes the settings in force as YAML, each with its origin in a comment, in the
// language of words. Read as a configuration, the text gives the same settings.
func (c *config) printSettings(to io.Writer, words *lang.Printer) error {
	w := bufio.NewWriter(to)
	p := settingsPrinter{w: w, words: words, layers: c.layers}
	f := c.inForce()
	p.group(reflect.ValueOf(f), "", "", "")
	return w.Flush()
}

// settingsPrinter writes settings as YAML.
type settingsPrinter struct {
	w     io.Writer
	words *lang.Printer // of the comments; nil is English
	*layers
}

// group writes the settings of a struct. first comes before the first line, indent before the
// others.
func (p *settingsPrinter) group(v reflect.Value, key, first, indent string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		at, name, value := under(key, field), field.Tag.Get("yaml"), v.Field(i)
		switch {
		case value.Kind() == reflect.Struct:
			fmt.Fprintf(p.w, "%s%s:\n", first, name)
			p.group(value, at, indent+"  ", indent+"  ")
		case value.Kind() == reflect.Slice && value.Len() > 0:
			fmt.Fprintf(p.w, "%s%s:\n", first, name)
			p.list(value, at, indent+"  ")
		case strings.Contains(key, "[") && value.IsZero(): // not set in this entry of a list
			continue
		case value.Kind() == reflect.Slice:
			fmt.Fprintf(p.w, "%s%s: [] # %s\n", first, name, p.origin(at, true))
		default:
			fmt.Fprintf(p.w, "%s%s: %s # %s\n", first, name, scalar(value.Interface()),
				p.origin(at, value.IsZero()))
		}
		first = indent
	}
}

// list writes the entries of a list, each in a line or in several ones.
func (p *settingsPrinter) list(v reflect.Value, key, indent string) {
	for i := range v.Len() {
		at := fmt.Sprintf("%s[%d]", key, i)
		if v.Index(i).Kind() == reflect.Struct {
			p.group(v.Index(i), at, indent+"- ", indent+"  ")
			continue
		}
		fmt.Fprintf(p.w, "%s- %s # %s\n", indent, scalar(v.Index(i).Interface()),
			p.origin(at, false))
	}
}

// noBreak replaces the no-break spaces of French, which editors show as faults in a configuration.
var noBreak = strings.NewReplacer("\u00a0", " ", "\u202f", " ")

// origin says where the value of a setting is from: FILE:LINE, an option, or default.
func (p *settingsPrinter) origin(key string, empty bool) string {
	text := "default"
	if f := p.fault("warning", key, ""); f.File != "" {
		text, _, _ = strings.Cut(f.File, "=")
		switch {
		case strings.HasPrefix(text, "--set "):
			text = "--set"
		case f.Line > 0:
			text = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
	}
	if means := whenEmpty[key]; empty && means != "" {
		text += ": " + means
	}
	return noBreak.Replace(p.words.Sentence(printable(text)))
}

// scalar writes a single value as YAML in one line.
func scalar(v any) string {
	b, err := yaml.Marshal(v)
	text := strings.TrimSuffix(string(b), "\n")
	if s, ok := v.(string); ok && (err != nil || strings.Contains(text, "\n") ||
		printable(text) != text) {
		return strconv.Quote(s)
	}
	return text
}
