package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/doctor"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/frame"
)

// Exit codes of doctor.
const (
	exitUsable = 11 // the sensor works with limits
	exitBlind  = 12 // the sensor cannot work
)

// doctorOptions are the options of `doctor`.
type doctorOptions struct {
	iface, file string
	duration    time.Duration
	frames      int
	format      string
	system      string
}

const (
	// doctorTime and doctorFrames bound what doctor looks at, live. maxDoctorTime bounds --for.
	doctorTime    = 10 * time.Second
	doctorFrames  = 5_000
	maxDoctorTime = time.Hour
	// doctorLeast is the time that doctor listens at least, see doctor.Config.
	doctorLeast = time.Second
	// anyInterface is libpcap's name for all interfaces.
	anyInterface = "any"
	// doctorFileFrames bounds the frames of a file: they take about a second.
	doctorFileFrames = 200_000
	// doctorBuffer is the kernel's buffer: the sample is small.
	doctorBuffer = 16 << 20
)

func (a *app) doctorCommand() *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor -i IF|- | -r FILE",
		Short: "Say whether a mirror port is good, and what to do",
		Long: "doctor looks at all frames of an interface for ten seconds, or at 5,000 of them, " +
			"and says what keeps\nthe sensor from seeing mail, how that was measured, and what " +
			"to do. It ends with a verdict:\n" +
			"good (exit code 0), usable with limits (11), or blind (12). With -i - it reads a " +
			"capture stream\nfrom standard input, with -r a capture file.",
		Example: "  sudo spamsensor doctor -i eth1\n" +
			"  ssh root@gw tcpdump -i lan -U -s0 -w - | spamsensor doctor -i -\n" +
			"  spamsensor doctor -r monday.pcap.gz -o json | jq .verdict",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), o) },
	}
	f := c.Flags()
	f.StringVarP(&o.iface, "interface", "i", "", "listen on `IF`; - is a stream on standard input")
	f.StringVarP(&o.file, "read", "r", "", "look at the capture `FILE`")
	f.DurationVar(&o.duration, "for", doctorTime, "how long to listen")
	f.IntVar(&o.frames, "frames", 0, "how many frames to look at "+
		"(default 5000, of a file 200000)")
	f.StringVar(&o.system, "switch", "", fmt.Sprintf("print the lines for a switch with this "+
		"`SYSTEM`: %s (default: what it says about itself)",
		strings.Join(doctor.Systems(), ", ")))
	formatFlag(c, &o.format, textFormats)
	return c
}

// check reports what is wrong with the options.
func (o *doctorOptions) check() error {
	switch {
	case o.iface != "" && o.file != "":
		return errors.New("doctor of what? either -i or -r")
	case o.duration <= 0 || o.duration > maxDoctorTime:
		return fmt.Errorf("--for %v: want a time up to %v", o.duration, maxDoctorTime)
	case o.frames < 0:
		return fmt.Errorf("--frames %d: want a number of frames", o.frames)
	case o.system != "" && !slices.Contains(doctor.Systems(), o.system):
		return fmt.Errorf("--switch %s: want one of %s", printable(o.system),
			strings.Join(doctor.Systems(), ", "))
	}
	return checkFormat(o.format, textFormats)
}

func (a *app) doctor(ctx context.Context, o doctorOptions) error {
	if err := o.check(); err != nil {
		return exit(exitUsage, err)
	}
	a.opt.fromFiles = o.file != "" || o.iface == "-"
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return exit(exitUsage, err)
	}
	a.warn(cfg.warnings)
	if o.iface == "" && o.file == "" {
		if len(cfg.interfaces) != 1 {
			return exit(exitUsage, errors.New("doctor of what? name an interface (-i eth1), "+
				"a stream (-i -) or a capture file (-r FILE)"))
		}
		o.iface = cfg.interfaces[0]
	}
	d := doctorConfig(cfg)
	d.Switch = o.system
	if o.file != "" {
		d.Frames = doctorFileFrames
	}
	if o.frames == 0 && o.file == "" {
		d.AtLeast = doctorLeast
	}
	d.Frames = cmp.Or(o.frames, d.Frames)
	var r *doctor.Report
	switch {
	case o.iface != "" && o.iface != "-":
		d.For = o.duration
		r, err = a.doctorLive(ctx, cfg, d, o.iface)
	case o.file != "":
		d.Input, d.Kind = printable(o.file), doctor.File
		r, err = a.doctorFile(ctx, d, o.file)
	default:
		d.For = o.duration
		r, err = a.doctorStream(ctx, d)
	}
	if err != nil {
		return err
	}
	return a.printDoctor(r, o.format)
}

// doctorConfig is what an examination takes from the configuration.
func doctorConfig(cfg *config) doctor.Config {
	d := doctor.Config{Frames: doctorFrames, For: doctorTime,
		Home:       engine.HomeNetworks(cfg.engine.Home),
		HomeStated: cfg.engine.HomeStated, Ports: cfg.engine.Ports}
	if d.Ports == nil {
		d.Ports = engine.DefaultPorts
	}
	return d
}

// doctorLive examines an interface. One that is down is a result, too.
func (a *app) doctorLive(ctx context.Context, cfg *config, d doctor.Config, name string) (
	*doctor.Report, error) {
	d.Input, d.Kind = printable(name), doctor.Interface
	if name != anyInterface {
		d.Link = func() doctor.Link { return doctor.InterfaceLink(name) }
	}
	if !cfg.engine.HomeStated {
		d.Home = append(slices.Clone(d.Home), localNetworks()...)
	}
	if a.opt.file != "" {
		d.Machine = doctor.ReadMachine(cfg.directories(), uint64(cfg.memory))
	} else {
		d.Machine = doctor.ReadMachine(nil, 0)
	}
	l, err := capture.OpenLive(capture.LiveConfig{Interface: name, NoFilter: true,
		Buffer: doctorBuffer, Method: cfg.method, Snaplen: cfg.snaplen})
	if errors.Is(err, capture.ErrDown) {
		return doctor.Examine(ctx, d, func() ([]frame.Frame, error) { return nil, io.EOF }), nil
	}
	if err != nil {
		code := exitFailed
		if errors.Is(err, capture.ErrNoInterface) {
			code = exitUsage
		}
		return nil, exit(code, err)
	}
	defer l.Close()
	d.Drops = func() (uint64, uint64) {
		s := l.Stats()
		return s.KernelDrops, s.InterfaceDrops
	}
	return doctor.Examine(ctx, d, func() ([]frame.Frame, error) {
		b, err := l.Next()
		return b.Frames, err
	}), nil
}

// directories are those that run writes to.
func (c *config) directories() (list []doctor.Disk) {
	if c.output != "" && c.output != "-" {
		list = append(list, doctor.Disk{Path: filepath.Dir(c.output), Purpose: "events"})
	}
	if c.state.dir != "" {
		list = append(list, doctor.Disk{Path: c.state.dir, Purpose: "state"})
	}
	return list
}

// doctorFile examines a capture file. A file that is no capture is an error.
func (a *app) doctorFile(ctx context.Context, d doctor.Config, name string) (*doctor.Report,
	error) {
	files, err := capture.OpenFiles([]string{name}, capture.FilesConfig{
		KnownLink: engine.KnownLink, Untimed: engine.Untimed, Stdin: a.stdin})
	if err != nil {
		return nil, exit(exitUsage, errors.New(printable(err.Error())))
	}
	defer files.Close()
	r := doctor.Examine(ctx, d, func() ([]frame.Frame, error) {
		b, err := files.Next()
		return b.Frames, err
	})
	return examined(r)
}

// doctorStream examines a capture that another program writes to standard input.
func (a *app) doctorStream(ctx context.Context, d doctor.Config) (*doctor.Report, error) {
	if isTerminal(a.stdin) {
		return nil, exit(exitUsage, errors.New("-i -: standard input is a terminal; pipe a "+
			"capture into it: tcpdump -i IF -U -s0 -w - | spamsensor doctor -i -"))
	}
	d.Input, d.Kind = "standard input", doctor.Stream
	s := capture.OpenStream(capture.StreamConfig{Name: d.Input, Reader: onlyReader{a.stdin},
		KnownLink: engine.KnownLink, Untimed: engine.Untimed})
	defer s.Close()
	r := doctor.Examine(ctx, d, func() ([]frame.Frame, error) {
		b, err := s.Next()
		var end *capture.StreamError
		if errors.As(err, &end) && end.Fault == nil {
			err = io.EOF
		}
		return b.Frames, err
	})
	return examined(r)
}

// examined returns the report of an input that held frames, or could be read to its end. Else the
// reason is the result.
func examined(r *doctor.Report) (*doctor.Report, error) {
	if err := r.InputError(); err != nil && r.Frames == 0 {
		return nil, exit(exitPartial, errors.New(printable(err.Error())))
	}
	return r, nil
}

// printDoctor prints the report. The verdict is the exit code.
func (a *app) printDoctor(r *doctor.Report, format string) error {
	var err error
	if a.opt.quiet {
		format = ""
	}
	switch format {
	case "json":
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(r)
	case "human":
		err = r.Text(a.stdout, doctor.TextOptions{Width: terminalWidth(a.stdout),
			Color: a.useColor(a.stdout), Lang: a.printer()})
	}
	switch {
	case err != nil:
		return exit(exitLost, fmt.Errorf("the report is not whole: %w", err))
	case r.Verdict == doctor.VerdictBlind:
		return exit(exitBlind, nil)
	case r.Verdict == doctor.VerdictUsable:
		return exit(exitUsable, nil)
	}
	return nil
}
