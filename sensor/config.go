package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/state"
)

// fileConfig is the configuration file. Every key is optional; durations, sizes and
// addresses are read as text, so that a wrong one can be shown where it stands.
type fileConfig struct {
	Sensor struct {
		Name string `yaml:"name"`
	} `yaml:"sensor"`
	Capture struct {
		Interfaces      []string `yaml:"interfaces"`
		Snaplen         int      `yaml:"snaplen"`
		Buffer          string   `yaml:"buffer"`
		Ports           []string `yaml:"ports"`
		SeparateVLANs   bool     `yaml:"separate_vlans"`
		SeparateTunnels bool     `yaml:"separate_tunnels"`
		Workers         int      `yaml:"workers"`
	} `yaml:"capture"`
	HomeNet     []string `yaml:"home_net"`
	SMTPServers []struct {
		IP   string `yaml:"ip"`
		Name string `yaml:"name"`
		Role string `yaml:"role"`
	} `yaml:"smtp_servers"`
	AllowedRelays []string `yaml:"allowed_relays"`
	LocalDomains  []string `yaml:"local_domains"`
	Ignore        []struct {
		IP    string `yaml:"ip"`
		Why   string `yaml:"why"`
		Until string `yaml:"until"`
	} `yaml:"ignore"`
	Detect struct {
		Alpha                float64 `yaml:"alpha"`
		NewNetworksThreshold float64 `yaml:"new_networks_threshold"`
		ManyNetworks         int     `yaml:"many_networks"`
		MassNetworks         int     `yaml:"mass_networks"`
		FastAttempts         int     `yaml:"fast_attempts"`
		FastTime             string  `yaml:"fast_time"`
		Concurrent           int     `yaml:"concurrent"`
		MassConcurrent       int     `yaml:"mass_concurrent"`
		SubmitNetworks       int     `yaml:"submit_networks"`
		RefusalLow           float64 `yaml:"refusal_low"`
		RefusalHigh          float64 `yaml:"refusal_high"`
		HeloNames            int     `yaml:"helo_names"`
		UnknownShare         float64 `yaml:"unknown_share"`
		UnknownRecipients    int     `yaml:"unknown_recipients"`
		SenderDomains        int     `yaml:"sender_domains"`
		MassSenderDomains    int     `yaml:"mass_sender_domains"`
		RecipientDomains     int     `yaml:"recipient_domains"`
		MXDomains            int     `yaml:"mx_domains"`
		MailNames            int     `yaml:"mail_names"`
	} `yaml:"detect"`
	Evidence struct {
		SessionsPerFinding int    `yaml:"sessions_per_finding"`
		MailFrom           string `yaml:"mail_from"`
		HashKeyFile        string `yaml:"hash_key_file"`
	} `yaml:"evidence"`
	Limits struct {
		Memory   string `yaml:"memory"`
		Attempts int    `yaml:"attempts"`
		Flows    int    `yaml:"flows"`
		Sources  int    `yaml:"sources"`
		Sessions int    `yaml:"sessions"`
		Hosts    int    `yaml:"hosts"`
	} `yaml:"limits"`
	Output struct {
		File           string `yaml:"file"`
		Sessions       string `yaml:"sessions"`
		SourceInterval string `yaml:"source_interval"`
	} `yaml:"output"`
	State struct {
		Dir         string `yaml:"dir"`
		Every       string `yaml:"every"`
		HistoryDays int    `yaml:"history_days"`
	} `yaml:"state"`
	Log struct {
		Level string `yaml:"level"`
	} `yaml:"log"`
}

// config is what is in force: the file, then the options of the command line.
type config struct {
	name        string
	interfaces  []string
	snaplen     int
	buffer      int
	fromFiles   bool // there is no capture
	memory      int  // of the whole process, bytes
	workers     int
	engine      engine.Config
	evidence    event.Evidence
	output      string // of run alone: read writes events where --events says
	hashKeyFile string
	sessions    string // all, evidence, or empty for the command's default
	logLevel    string
	state       stateConfig
	journal     *state.Journal // of run with a state directory
}

// source is a text that settings were read from.
type settings struct {
	name string // of the file, or "--set"
	text []byte
}

// options are the global options of the command line that are settings too.
type options struct {
	file         string
	set          []string
	home         []string
	mailServers  []string
	localDomains []string
	interfaces   []string
	verbose      int
	quiet        bool
	color        string
	fromFiles    bool // the command listens nowhere
}

// loadConfig reads the configuration. Its error lists all that is wrong.
func loadConfig(o *options) (*config, error) {
	var f fileConfig
	var texts []settings
	if o.file != "" {
		b, err := os.ReadFile(o.file)
		if err != nil {
			return nil, fmt.Errorf("cannot read the configuration: %w", err)
		}
		texts = append(texts, settings{o.file, b})
	}
	for _, s := range o.set {
		text, err := nested(s)
		if err != nil {
			return nil, err
		}
		texts = append(texts, settings{"--set " + s, text})
	}
	for _, t := range texts {
		if err := decode(t, &f); err != nil {
			return nil, err
		}
	}
	r := resolver{texts: texts}
	c := r.resolve(&f)
	for _, h := range o.home {
		c.engine.Home = append(c.engine.Home, r.prefix("--home", h))
	}
	for _, d := range o.localDomains {
		c.engine.LocalDomains = append(c.engine.LocalDomains, r.domain("--local-domain", d))
	}
	for _, a := range o.mailServers {
		c.engine.MailServers = append(c.engine.MailServers, r.addr("--mail-server", a))
	}
	if len(o.interfaces) > 0 {
		c.interfaces = o.interfaces
	}
	c.fromFiles = o.fromFiles
	c.engine.Limits.Memory = r.share(c)
	return c, errors.Join(r.errs...)
}

// nested makes YAML of key.key=value.
func nested(s string) ([]byte, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return nil, fmt.Errorf("--set %s: want key=value, for example evidence.mail_from=full", s)
	}
	var b strings.Builder
	for i, k := range strings.Split(key, ".") {
		b.WriteString(strings.Repeat("  ", i) + k + ":")
		if i < strings.Count(key, ".") {
			b.WriteByte('\n')
		}
	}
	return []byte(b.String() + " " + value + "\n"), nil
}

const (
	// maxConfig is far beyond any configuration.
	maxConfig = 1 << 20
	// maxAliases bounds what a small text can grow to: eight lists of nine aliases each to the one
	// before took two minutes to unfold.
	maxAliases = 16
)

// decode reads one text strictly: a key that nobody knows is an error with its place.
func decode(t settings, into *fileConfig) (err error) {
	defer func() { // the library panics on some texts that are no YAML, such as a tag before a broken list
		if r := recover(); r != nil {
			err = fmt.Errorf("%s is not valid YAML", t.name)
		}
	}()
	if len(bytes.TrimSpace(t.text)) == 0 {
		return nil
	}
	if len(t.text) > maxConfig {
		return fmt.Errorf("%s: a configuration of %d bytes (at most %d)", t.name, len(t.text), maxConfig)
	}
	aliases := 0
	for _, k := range lexer.Tokenize(string(t.text)) {
		if k.Type == token.AliasType {
			if aliases++; aliases > maxAliases {
				return fmt.Errorf("%s:%d:%d: more than %d aliases", t.name, k.Position.Line, k.Position.Column, maxAliases)
			}
		}
	}
	err = yaml.UnmarshalWithOptions(t.text, into, yaml.Strict())
	var at yaml.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &at) || at.GetToken() == nil:
		return fmt.Errorf("%s: %w", t.name, err)
	}
	message := at.GetMessage()
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		key := at.GetToken().Value
		message = fmt.Sprintf("there is no setting %q here", key)
		if near := nearest(key, settingNames(reflect.TypeFor[fileConfig]())); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
	}
	p := at.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s\n%s", t.name, p.Line, p.Column, message, excerpt(at))
}

// excerpt is the part of the text that an error is about, without the message.
func excerpt(e yaml.Error) string {
	_, source, _ := strings.Cut(e.FormatError(false, true), "\n")
	return strings.TrimRight(source, "\n")
}

func settingNames(t reflect.Type) (names []string) {
	switch t.Kind() {
	case reflect.Slice:
		return settingNames(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			names = append(append(names, f.Tag.Get("yaml")), settingNames(f.Type)...)
		}
	}
	return names
}

// nearest is the name with the fewest changes from s, if they are few.
func nearest(s string, names []string) (best string) {
	limit := max(1, len(s)/3) + 1
	for _, n := range names {
		if d := distance(s, n); d < limit {
			best, limit = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// resolver turns texts to values and collects what is wrong.
type resolver struct {
	texts []settings
	errs  []error
}

// bad notes a fault in the value at a path such as detect.fast_time, and shows it where
// it was given last.
func (r *resolver) bad(path, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	for _, t := range slices.Backward(r.texts) {
		p, err := yaml.PathString("$." + path)
		if err != nil {
			continue
		}
		file, err := parser.ParseBytes(t.text, 0)
		if err != nil {
			continue
		}
		node, err := p.FilterFile(file)
		if err != nil || node == nil {
			continue
		}
		at := node.GetToken().Position
		source, err := p.AnnotateSource(t.text, false)
		if err != nil {
			continue
		}
		r.errs = append(r.errs, fmt.Errorf("%s:%d:%d: %s\n%s", t.name, at.Line, at.Column, message, strings.TrimRight(string(source), "\n")))
		return
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %s", path, message))
}

func (r *resolver) duration(path, s string, otherwise time.Duration) time.Duration {
	if s == "" {
		return otherwise
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		r.bad(path, "%q is not a duration (try 30s, 5m, 1h)", s)
		return otherwise
	}
	return d
}

func (r *resolver) bytes(path, s string) int {
	if s == "" {
		return 0
	}
	number := strings.TrimRight(s, "KMGiB")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	shift, ok := map[string]int{"": 0, "B": 0, "K": 10, "KiB": 10, "M": 20, "MiB": 20, "G": 30, "GiB": 30}[s[len(number):]]
	if err != nil || !ok || n <= 0 || n > 1<<(40-shift) {
		r.bad(path, "%q is not a size (try 64MiB)", s)
		return 0
	}
	return n << shift
}

// defaultMemory is what the process takes at most, if nothing else is said.
const defaultMemory = 256 << 20

// ownMemory is what the program takes beside tables and capture buffers.
const ownMemory = 40 << 20

// leastShare is what the tables need.
const leastShare = 16 << 20

// kernelBuffers are the capture's, which `read` does not have.
func (c *config) kernelBuffers() int {
	if c.fromFiles {
		return 0
	}
	return max(1, len(c.interfaces)) * cmp.Or(c.buffer, capture.DefaultBuffer)
}

// share is what is left of the memory for the engine. `read` has no buffers in the kernel, but
// windows of the files, longer rows of packets, and a report that grows: a quarter, as the buffers
// take by default.
func (r *resolver) share(c *config) int {
	left := c.memory - c.kernelBuffers() - ownMemory
	if c.fromFiles && left > leastShare {
		left = max(leastShare, left/27*19)
	}
	switch {
	case left >= leastShare:
		return left
	case c.fromFiles:
		r.bad("limits.memory", "%d MiB are too little: the program takes %d MiB, and the tables need %d MiB", c.memory>>20, ownMemory>>20, leastShare>>20)
	default:
		r.bad("limits.memory", "%d MiB are too little: capture buffers take %d MiB, the program %d MiB, and the tables need %d MiB",
			c.memory>>20, c.kernelBuffers()>>20, ownMemory>>20, leastShare>>20)
	}
	return 0
}

func (r *resolver) prefix(path, s string) netip.Prefix {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, errA := netip.ParseAddr(s)
		if errA != nil {
			r.bad(path, "%q is not a network (try 192.0.2.0/24)", s)
			return netip.Prefix{}
		}
		return netip.PrefixFrom(a, a.BitLen())
	}
	return p
}

func (r *resolver) addr(path, s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		r.bad(path, "%q is not an address (try 192.0.2.25)", s)
	}
	return a
}

func (r *resolver) domain(path, s string) string {
	d := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "."), "."))
	if d == "" || strings.ContainsAny(d, " @/") {
		r.bad(path, "%q is not a domain (try example.org; those below it are included)", s)
	}
	return d
}

// date reads a day, to its end; nothing is never.
func (r *resolver) date(path, s string) int64 {
	if s == "" {
		return 0
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		r.bad(path, "%q is not a day (try 2027-01-31)", s)
	}
	return d.AddDate(0, 0, 1).UnixNano()
}

func (r *resolver) oneOf(path, s string, values ...string) string {
	if s != "" && !slices.Contains(values, s) {
		r.bad(path, "%q is none of %s", s, strings.Join(values, ", "))
	}
	return s
}

// port reads a port or a range of ports.
func (r *resolver) port(path, s string) (ports []uint16) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil || a == 0 || b < a {
		r.bad(path, "%q is not a port (try 25 or 1-1024)", s)
		return nil
	}
	for p := a; p <= b; p++ {
		ports = append(ports, uint16(p))
	}
	return ports
}

func (r *resolver) resolve(f *fileConfig) *config {
	c := &config{name: f.Sensor.Name, interfaces: f.Capture.Interfaces, snaplen: f.Capture.Snaplen, workers: f.Capture.Workers,
		output: f.Output.File}
	if c.name == "" {
		c.name, _ = os.Hostname()
	}
	c.buffer = r.bytes("capture.buffer", f.Capture.Buffer)
	if f.Capture.Snaplen < 0 || f.Capture.Snaplen > 262144 {
		r.bad("capture.snaplen", "%d is no snapshot length (up to 262144)", f.Capture.Snaplen)
	}
	if f.Capture.Workers < 0 || f.Capture.Workers > 64 {
		r.bad("capture.workers", "%d workers are not possible (1 to 64)", f.Capture.Workers)
	}
	e := &c.engine
	for i, p := range f.Capture.Ports {
		e.Ports = append(e.Ports, r.port(fmt.Sprintf("capture.ports[%d]", i), p)...)
	}
	e.SeparateVLANs, e.SeparateTunnels = f.Capture.SeparateVLANs, f.Capture.SeparateTunnels
	for i, h := range f.HomeNet {
		e.Home = append(e.Home, r.prefix(fmt.Sprintf("home_net[%d]", i), h))
	}
	for i, s := range f.SMTPServers {
		kind := r.oneOf(fmt.Sprintf("smtp_servers[%d].role", i), s.Role, engine.RoleKinds...)
		e.Roles = append(e.Roles, engine.Role{Addr: r.addr(fmt.Sprintf("smtp_servers[%d].ip", i), s.IP), Kind: cmp.Or(kind, "mailserver")})
	}
	for i, a := range f.AllowedRelays {
		e.AllowedRelays = append(e.AllowedRelays, r.prefix(fmt.Sprintf("allowed_relays[%d]", i), a))
	}
	for i, d := range f.LocalDomains {
		e.LocalDomains = append(e.LocalDomains, r.domain(fmt.Sprintf("local_domains[%d]", i), d))
	}
	for i, x := range f.Ignore {
		at := fmt.Sprintf("ignore[%d]", i)
		if strings.TrimSpace(x.Why) == "" {
			r.bad(at, "why is missing: somebody will ask")
		}
		e.Ignore = append(e.Ignore, engine.Ignore{Net: r.prefix(at+".ip", x.IP), Why: x.Why, Until: r.date(at+".until", x.Until)})
	}
	c.memory = r.bytes("limits.memory", f.Limits.Memory)
	if c.memory == 0 {
		c.memory = defaultMemory
	}
	e.Limits = engine.Limits{Attempts: f.Limits.Attempts, Flows: f.Limits.Flows, Sources: f.Limits.Sources, Sessions: f.Limits.Sessions, Hosts: f.Limits.Hosts}
	for name, n := range map[string]int{"attempts": f.Limits.Attempts, "flows": f.Limits.Flows, "sources": f.Limits.Sources, "sessions": f.Limits.Sessions, "hosts": f.Limits.Hosts} {
		if n < 0 || n > 1<<26 {
			r.bad("limits."+name, "%d is no number of %s (1 to %d, or nothing for the default)", n, name, 1<<26)
		}
	}
	e.SessionsPerFinding = f.Evidence.SessionsPerFinding
	c.sessions = r.oneOf("output.sessions", f.Output.Sessions, "all", "evidence")
	c.logLevel = r.oneOf("log.level", f.Log.Level, "debug", "info", "warn", "error")
	c.state = stateConfig{dir: f.State.Dir, every: r.duration("state.every", f.State.Every, 10*time.Second), history: state.HistoryConfig{Days: f.State.HistoryDays}}
	if n := f.State.HistoryDays; n < 0 || n > 36500 {
		r.bad("state.history_days", "%d is no number of days (1 to 36500, or nothing for 400)", n)
	}
	e.SourceInterval = int64(r.duration("output.source_interval", f.Output.SourceInterval, 0))

	d := detect.DefaultConfig()
	set(&d.Alpha, f.Detect.Alpha)
	set(&d.NewNetworksThreshold, f.Detect.NewNetworksThreshold)
	set(&d.ManyNetworks, f.Detect.ManyNetworks)
	set(&d.MassNetworks, f.Detect.MassNetworks)
	set(&d.FastAttempts, f.Detect.FastAttempts)
	set(&d.Concurrent, f.Detect.Concurrent)
	set(&d.MassConcurrent, f.Detect.MassConcurrent)
	set(&d.SubmitNetworks, f.Detect.SubmitNetworks)
	set(&d.RefusalLow, f.Detect.RefusalLow)
	set(&d.RefusalHigh, f.Detect.RefusalHigh)
	set(&d.HeloNames, f.Detect.HeloNames)
	set(&d.UnknownShare, f.Detect.UnknownShare)
	set(&d.UnknownRecipients, f.Detect.UnknownRecipients)
	set(&d.SenderDomains, f.Detect.SenderDomains)
	set(&d.MassSenderDomains, f.Detect.MassSenderDomains)
	set(&d.RecipientDomains, f.Detect.RecipientDomains)
	set(&d.MXDomains, f.Detect.MXDomains)
	set(&d.MailNames, f.Detect.MailNames)
	d.FastTime = r.duration("detect.fast_time", f.Detect.FastTime, d.FastTime)
	if err := d.Validate(); err != nil {
		r.errs = append(r.errs, fmt.Errorf("detect: %w", err))
	}
	e.Detect = d

	if f.Evidence.MailFrom != "" {
		m, err := event.ParseMode(f.Evidence.MailFrom)
		if err != nil {
			r.bad("evidence.mail_from", "%v", err)
		}
		c.evidence.Mode = m
		c.engine.ShowSenders = m == event.Full
	}
	if name := f.Evidence.HashKeyFile; name != "" {
		c.hashKeyFile = name
		key, err := os.ReadFile(name)
		if err != nil || len(bytes.TrimSpace(key)) < 16 {
			r.bad("evidence.hash_key_file", "%s must be a readable file with at least 16 bytes", name)
		}
		c.evidence.Key = bytes.TrimSpace(key)
	} else if c.evidence.Mode == event.Hash {
		r.bad("evidence.mail_from", "hash needs a key, so that the hashes stay the same: set evidence.hash_key_file")
	}
	return c
}

func set[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}
