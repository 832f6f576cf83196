package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/event"
	"spamsensor/sensor/notify"
	"spamsensor/sensor/reputation"
	"spamsensor/sensor/state"
	"spamsensor/sensor/status"
)

// fileConfig is the configuration file. Every key is optional. Durations, sizes and addresses are
// texts here, so that an error can quote the place of a wrong one. spamsensor.example.yaml explains
// each key.
type fileConfig struct {
	Sensor struct {
		Name    string `yaml:"name"`
		Sandbox string `yaml:"sandbox"`
		Lang    string `yaml:"lang"`
	} `yaml:"sensor"`
	Capture struct {
		Interfaces      textList `yaml:"interfaces"`
		Snaplen         int      `yaml:"snaplen"`
		Buffer          string   `yaml:"buffer"`
		Ports           textList `yaml:"ports"`
		SeparateVLANs   bool     `yaml:"separate_vlans"`
		SeparateTunnels bool     `yaml:"separate_tunnels"`
		Workers         int      `yaml:"workers"`
		Method          string   `yaml:"method"`
		Fanout          int      `yaml:"fanout"`
	} `yaml:"capture"`
	HomeNet       textList       `yaml:"home_net"`
	SMTPServers   []serverConfig `yaml:"smtp_servers"`
	AllowedRelays textList       `yaml:"allowed_relays"`
	NAT64Prefixes textList       `yaml:"nat64_prefixes"`
	LocalDomains  textList       `yaml:"local_domains"`
	Ignore        []ignoreConfig `yaml:"ignore"`
	Names         string         `yaml:"names"`
	Detect        struct {
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
	Control struct {
		Socket string `yaml:"socket"`
		Group  string `yaml:"group"`
	} `yaml:"control"`
	Serve struct {
		Listen    string `yaml:"listen"`
		WebConfig string `yaml:"web_config"`
	} `yaml:"serve"`
	Log struct {
		Level string `yaml:"level"`
	} `yaml:"log"`
	Notify       []channelConfig    `yaml:"notify"`
	NotifyLimits notifyLimitsConfig `yaml:"notify_limits"`
	Reputation   reputationConfig   `yaml:"reputation"`
}

// textList is a list of texts; a text alone is a list of one.
type textList []string

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (l *textList) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*l = textList{one}
		return nil
	}
	return unmarshal((*[]string)(l))
}

// serverConfig is an entry of smtp_servers; an address alone is one, too.
type serverConfig struct {
	IP   string `yaml:"ip"`
	Name string `yaml:"name"`
	Role string `yaml:"role"`
}

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (s *serverConfig) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&s.IP) == nil {
		return nil
	}
	type fields serverConfig // without this method
	return unmarshal((*fields)(s))
}

// ignoreConfig is an entry of ignore.
type ignoreConfig struct {
	IP    string `yaml:"ip"`
	Why   string `yaml:"why"`
	Until string `yaml:"until"`
}

// config is the configuration in force: the file, then the options of the command line.
type config struct {
	name        string
	interfaces  []string
	snaplen     int
	buffer      int
	fromFiles   bool // the command reads files: no capture buffers
	memory      int  // limit of the whole process, in bytes
	workers     int
	method      capture.Method
	fanout      int // sockets for each interface
	engine      engine.Config
	evidence    event.Evidence
	output      string // file of the events of run; read has --events
	hashKeyFile string
	namesFile   string
	names       map[netip.Addr]string // of hosts, for people
	// sessionTable says that the report lists sessions.
	sessionTable bool
	sessions     string // all, evidence, or empty for the command's default
	logLevel     string
	sandbox      string // auto, off, or empty for auto
	lang         string // of notices, empty for that of the locale
	control      controlConfig
	serve        serveConfig
	state        stateConfig
	journal      *state.Journal // nil without a state directory, and for read
	store        *status.Store  // the latest findings, for questions; nil if nobody can ask
	warnings     []*fault       // what is allowed, and surely not meant
	file         fileConfig     // what the files and options say
	layers       *layers        // where they say it

	notify       []notify.Channel
	notifyLimits notify.Limits
	reputation   reputation.Config

	reputationEvery time.Duration // between two questions of notify; zero for none
}

// options are the global options of the command line that are settings too.
type options struct {
	file         string      // or a directory
	found        configFiles // of file, when it was read last
	draft        *settings   // a file of the configuration that is not written yet
	reloads      bool        // the configuration is read again
	set          []string
	home         []string
	mailServers  []string
	localDomains []string
	interfaces   []string
	verbose      int
	quiet        bool
	color        string
	lang         string // --lang, empty for that of the locale
	fromFiles    bool   // the command reads files and captures nothing
	credentials  bool   // the command needs the secrets of notify
	asks         bool   // the command shows answers of a sensor, perhaps as another user
}

// loadConfig reads the configuration. Its error lists all faults, each with its place.
func loadConfig(o *options) (*config, error) {
	texts, err := o.texts()
	if err != nil {
		return nil, err
	}
	l := &layers{texts: texts}
	f, errs := l.merge()
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	l.append("home_net", "--home", &f.HomeNet, splitLists(o.home))
	l.append("local_domains", "--local-domain", &f.LocalDomains, splitLists(o.localDomains))
	if len(o.interfaces) > 0 {
		f.Capture.Interfaces, l.items["capture.interfaces"] = nil, nil
		l.append("capture.interfaces", "-i", &f.Capture.Interfaces, splitLists(o.interfaces))
	}
	r := resolver{layers: l, credentials: o.credentials, asks: o.asks}
	for _, name := range o.found.misnamed {
		r.warnings = append(r.warnings, &fault{Severity: "warning", File: name,
			Text: "this file is left out: its name does not end in .yaml"})
	}
	c := r.resolve(&f)
	for _, a := range splitLists(o.mailServers) {
		c.engine.MailServers = append(c.engine.MailServers, r.addr("--mail-server", a))
		f.SMTPServers = append(f.SMTPServers, serverConfig{IP: a})
		l.items["smtp_servers"] = append(l.items["smtp_servers"],
			origin{text: &settings{name: "--mail-server"}})
	}
	for i, name := range c.interfaces {
		if slices.Contains(c.interfaces[:i], name) {
			r.reject(fmt.Sprintf("capture.interfaces[%d]", i),
				"%s is named twice: its frames would count twice", name)
		}
	}
	c.fromFiles = o.fromFiles
	c.engine.Limits.Memory = r.tableMemory(c)
	c.warnings, c.file, c.layers = r.warnings, f, l
	return c, errors.Join(r.errs...)
}

// texts are the files and the --set options, the last of which takes precedence.
func (o *options) texts() (list []*settings, err error) {
	if o.file != "" {
		if o.found, err = findConfig(o.file); err != nil {
			return nil, err
		}
		for i, name := range o.found.names {
			// The file of -c may be a pipe, such as <(command) of a shell; drop-ins may not.
			t, err := readConfig(name, i > 0 || o.reloads)
			if err != nil {
				return nil, err
			}
			list = append(list, t)
		}
	}
	if d := o.draft; d != nil {
		same := func(t *settings) bool { return t.name == d.name }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i] = d
		} else {
			list = append(list, d)
		}
	}
	for _, s := range o.set {
		text, err := settingYAML(s)
		if err != nil {
			return nil, err
		}
		list = append(list, &settings{name: "--set " + s, text: text, replaces: true})
	}
	return list, nil
}

// splitLists splits values of options at commas: --home A,B is --home A --home B.
func splitLists(values []string) (list []string) {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(one))
		}
	}
	return list
}
