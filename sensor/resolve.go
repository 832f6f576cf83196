package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/detect"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/lang"
	"spamsensor/sensor/peer"
	"spamsensor/sensor/state"
)

// resolve makes the configuration in force of the file and the --set options. Defaults take the
// place of values that were refused; r.errs then has the errors.
func (r *resolver) resolve(f *fileConfig) *config {
	c := &config{name: f.Sensor.Name, output: f.Output.File}
	if c.name == "" {
		c.name, _ = os.Hostname()
	}
	r.capture(c, f)
	r.network(&c.engine, f)
	r.limits(c, f)
	c.engine.SessionsPerFinding = f.Evidence.SessionsPerFinding
	if c.engine.SessionsPerFinding < 0 {
		r.reject("evidence.sessions_per_finding", "%d is no number of sessions (1 or more, or "+
			"nothing for the default)", f.Evidence.SessionsPerFinding)
	}
	c.sessions = r.oneOf("output.sessions", f.Output.Sessions, "all", "evidence")
	c.logLevel = r.oneOf("log.level", f.Log.Level, "debug", "info", "warn", "error")
	c.sandbox = r.oneOf("sensor.sandbox", f.Sensor.Sandbox, "auto", "off")
	c.lang = r.oneOf("sensor.lang", f.Sensor.Lang, "auto", lang.English, lang.French)
	if c.lang == "auto" {
		c.lang = ""
	}
	r.state(c, f)
	r.control(c, f)
	r.serve(c, f)
	interval := r.duration("output.source_interval", f.Output.SourceInterval, 0)
	c.engine.SourceInterval = int64(interval)
	c.engine.Detect = r.detect(f)
	r.evidence(c, f)
	r.names(c, f)
	r.notify(c, f)
	r.reputation(c, f)
	return c
}

const (
	// maxWorkers bounds the goroutines that share the work.
	maxWorkers = 64
	// maxSnaplen is the most that is captured of a frame, in bytes, and the default.
	maxSnaplen = 262144
	// defaultHistory is the number of days that the history keeps, see state.HistoryConfig.
	defaultHistory = 400
	// defaultSessions is how many sessions of a finding are events, see engine.Config.
	defaultSessions = 50
	// defaultSaving is the interval of the checkpoints.
	defaultSaving = 10 * time.Second
)

func (r *resolver) capture(c *config, f *fileConfig) {
	c.interfaces, c.snaplen, c.workers = f.Capture.Interfaces, f.Capture.Snaplen, f.Capture.Workers
	c.buffer = r.bytes("capture.buffer", f.Capture.Buffer)
	if c.snaplen < 0 || c.snaplen > maxSnaplen {
		r.reject("capture.snaplen", "%d is no snapshot length (up to %d)", c.snaplen, maxSnaplen)
	}
	if c.workers < 0 || c.workers > maxWorkers {
		r.reject("capture.workers", "%d workers are not possible (1 to %d)", c.workers, maxWorkers)
	}
	c.method = capture.Method(r.oneOf("capture.method", f.Capture.Method, capture.Methods...))
	if c.fanout = f.Capture.Fanout; c.fanout < 0 || c.fanout > maxWorkers {
		r.reject("capture.fanout", "%d sockets are not possible (1 to %d)", c.fanout, maxWorkers)
	}
	if c.fanout > 1 && c.method == capture.MethodPcap {
		r.reject("capture.fanout", "libpcap cannot share an interface among %d sockets: "+
			"set capture.method to afpacket", c.fanout)
	}
	e := &c.engine
	for i, p := range f.Capture.Ports {
		e.Ports = append(e.Ports, r.port(fmt.Sprintf("capture.ports[%d]", i), p)...)
	}
	e.SeparateVLANs, e.SeparateTunnels = f.Capture.SeparateVLANs, f.Capture.SeparateTunnels
}

// network resolves the keys that describe the network: addresses, roles, domains, and the hosts
// whose findings are ignored.
func (r *resolver) network(e *engine.Config, f *fileConfig) {
	e.HomeStated = len(f.HomeNet) > 0
	for i, h := range f.HomeNet {
		e.Home = append(e.Home, r.prefix(fmt.Sprintf("home_net[%d]", i), h))
	}
	for i, s := range f.SMTPServers {
		at := fmt.Sprintf("smtp_servers[%d]", i)
		kind := r.oneOf(at+".role", s.Role, peer.RoleKinds...)
		role := peer.Role{Addr: r.addr(at+".ip", s.IP), Kind: cmp.Or(kind, "mailserver")}
		e.Roles = append(e.Roles, role)
	}
	for i, a := range f.AllowedRelays {
		e.AllowedRelays = append(e.AllowedRelays, r.prefix(fmt.Sprintf("allowed_relays[%d]", i), a))
	}
	for i, p := range f.NAT64Prefixes {
		at := fmt.Sprintf("nat64_prefixes[%d]", i)
		prefix := r.prefix(at, p)
		if prefix.IsValid() && !peer.IsNAT64(prefix) {
			r.reject(at, "%q is no prefix of NAT64: it is IPv6, of 32, 40, 48, 56, 64 or 96 bits "+
				"(RFC 6052)", p)
		}
		e.NAT64 = append(e.NAT64, prefix)
	}
	for i, d := range f.LocalDomains {
		e.LocalDomains = append(e.LocalDomains, r.domain(fmt.Sprintf("local_domains[%d]", i), d))
	}
	for i, x := range f.Ignore {
		at := fmt.Sprintf("ignore[%d]", i)
		if strings.TrimSpace(x.Why) == "" {
			r.reject(at, "why is missing: state the reason")
		}
		ignore := peer.Ignore{Net: r.prefix(at+".ip", x.IP), Why: x.Why}
		ignore.Until = r.date(at+".until", x.Until)
		if ignore.Until != 0 && ignore.Until <= time.Now().UnixNano() {
			r.warn(at+".until", "the exception for %s ended with %s; it holds for earlier packets "+
				"only", x.IP, x.Until)
		}
		e.Ignore = append(e.Ignore, ignore)
	}
}

// maxEntries bounds the tables that the limits.* keys size.
const maxEntries = 1 << 26

func (r *resolver) limits(c *config, f *fileConfig) {
	c.memory = cmp.Or(r.bytes("limits.memory", f.Limits.Memory), defaultMemory)
	l := &f.Limits
	c.engine.Limits = engine.Limits{Attempts: l.Attempts, Flows: l.Flows, Sources: l.Sources,
		Sessions: l.Sessions, Hosts: l.Hosts}
	for _, x := range []struct {
		name string
		n    int
	}{
		{"attempts", l.Attempts}, {"flows", l.Flows}, {"sources", l.Sources},
		{"sessions", l.Sessions}, {"hosts", l.Hosts},
	} {
		if x.n < 0 || x.n > maxEntries {
			r.reject("limits."+x.name,
				"%d is no number of %s (1 to %d, or nothing for the default)",
				x.n, x.name, maxEntries)
		}
	}
}

func (r *resolver) state(c *config, f *fileConfig) {
	days := f.State.HistoryDays
	c.state = stateConfig{dir: f.State.Dir, history: state.HistoryConfig{Days: days}}
	c.state.every = r.duration("state.every", f.State.Every, defaultSaving)
	if days < 0 || days > 36500 {
		r.reject("state.history_days",
			"%d is no number of days (1 to 36500, or nothing for 400)", days)
	}
}

// detect takes the defaults, and the thresholds of the file where it has any.
func (r *resolver) detect(f *fileConfig) detect.Config {
	d, x := detect.DefaultConfig(), &f.Detect
	set(&d.Alpha, x.Alpha)
	set(&d.NewNetworksThreshold, x.NewNetworksThreshold)
	set(&d.ManyNetworks, x.ManyNetworks)
	set(&d.MassNetworks, x.MassNetworks)
	set(&d.FastAttempts, x.FastAttempts)
	set(&d.Concurrent, x.Concurrent)
	set(&d.MassConcurrent, x.MassConcurrent)
	set(&d.SubmitNetworks, x.SubmitNetworks)
	set(&d.RefusalLow, x.RefusalLow)
	set(&d.RefusalHigh, x.RefusalHigh)
	set(&d.HeloNames, x.HeloNames)
	set(&d.UnknownShare, x.UnknownShare)
	set(&d.UnknownRecipients, x.UnknownRecipients)
	set(&d.SenderDomains, x.SenderDomains)
	set(&d.MassSenderDomains, x.MassSenderDomains)
	set(&d.RecipientDomains, x.RecipientDomains)
	set(&d.MXDomains, x.MXDomains)
	set(&d.MailNames, x.MailNames)
	d.FastTime = r.duration("detect.fast_time", x.FastTime, d.FastTime)
	if err := d.Validate(); err != nil {
		r.detectFaults(err)
	}
	return d
}

// detectFaults gives the errors of detect.Config.Validate their places. Their texts begin with the
// names of one or two keys; the place is that of the first one that is set.
func (r *resolver) detectFaults(err error) {
	for _, one := range faultsOf(err) {
		words := strings.SplitN(one.Text, " ", 4)
		key := "detect." + strings.TrimSuffix(words[0], ",")
		if t, _ := r.find(key); t == nil && len(words) > 2 && words[1] == "and" {
			key = "detect." + words[2]
		}
		r.reject(key, "%s", one.Text)
	}
}

func (r *resolver) evidence(c *config, f *fileConfig) {
	mode := r.oneOf("evidence.mail_from", f.Evidence.MailFrom, "full", "domain", "hash", "none")
	if m, err := event.ParseMode(mode); err == nil {
		c.evidence.Mode = m
		c.engine.ShowSenders = m == event.Full
	}
	if name := f.Evidence.HashKeyFile; name != "" {
		c.hashKeyFile = name
		key, err := os.ReadFile(name)
		if r.asks && errors.Is(err, fs.ErrPermission) {
			return
		}
		if err != nil || len(bytes.TrimSpace(key)) < 16 {
			r.reject("evidence.hash_key_file",
				"%s must be a readable file with at least 16 bytes", name)
		}
		c.evidence.Key = bytes.TrimSpace(key)
	} else if c.evidence.Mode == event.Hash {
		r.reject("evidence.mail_from",
			"hash needs a key, so that the hashes stay the same: set evidence.hash_key_file")
	}
}

// set overwrites a default with a value of the file; the zero value means that the key is absent.
func set[T comparable](to *T, v T) {
	var zero T
	if v != zero {
		*to = v
	}
}

const (
	// defaultMemory limits the process unless limits.memory is set.
	defaultMemory = 256 << 20
	// processMemory is reserved for the process beside tables and capture buffers.
	processMemory = 44 << 20
	// minTableMemory is the least that the engine's tables need.
	minTableMemory = 14 << 20
)

// captureBuffers returns the bytes of the capture buffers in the kernel; read and a
// stream have none.
func (c *config) captureBuffers() int {
	if c.fromFiles || c.streamName() != "" {
		return 0
	}
	return max(1, len(c.interfaces)) * cmp.Or(c.buffer, capture.DefaultBuffer)
}

// tableMemory returns the bytes of limits.memory that are left for the engine's tables. read has no
// capture buffers, but longer batches of packets, and a report that grows: it leaves as much for
// these, a quarter, as the capture buffers take by default.
func (r *resolver) tableMemory(c *config) int {
	left := c.memory - c.captureBuffers() - processMemory
	if c.fromFiles && left > minTableMemory {
		left = max(minTableMemory, left/27*19)
	}
	switch {
	case left >= minTableMemory:
		return left
	case c.fromFiles:
		r.reject("limits.memory",
			"%d MiB are too little: the program takes %d MiB, and the tables need %d MiB",
			c.memory>>20, processMemory>>20, minTableMemory>>20)
	default:
		r.reject("limits.memory", "%d MiB are too little: capture buffers take %d MiB, "+
			"the program %d MiB, and the tables need %d MiB",
			c.memory>>20, c.captureBuffers()>>20, processMemory>>20, minTableMemory>>20)
	}
	return 0
}
