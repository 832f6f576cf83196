package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/event"
	"spamsensor/sensor/status"
	"spamsensor/sensor/timeline"
)

// controlConfig says where a running sensor answers.
type controlConfig struct {
	socket string // or noSocket
	group  string
	stated bool // the configuration names the socket
}

// noSocket is the value of control.socket for a sensor that does not answer.
const noSocket = "off"

// control resolves the keys of the socket.
func (r *resolver) control(c *config, f *fileConfig) {
	x := &f.Control
	c.control = controlConfig{socket: cmp.Or(x.Socket, status.DefaultSocket), group: x.Group,
		stated: x.Socket != ""}
	if c.control.socket != noSocket && !strings.HasPrefix(c.control.socket, "/") {
		r.reject("control.socket", "%q is no absolute path, and not off", x.Socket)
	}
}

// socketFlag adds the option --socket of a command that asks a sensor.
func socketFlag(c *cobra.Command, socket *string) {
	c.Flags().StringVar(socket, "socket", "", "the sensor's control socket, `PATH` (default: "+
		"control.socket of the configuration)")
}

// checkSocket refuses the socket of a sensor that has none.
func checkSocket(name string) error {
	if name == noSocket {
		return exit(exitUsage, errors.New("the sensor has no socket: control.socket is off"))
	}
	return nil
}

// socket is the control socket of a configuration that is wrong elsewhere; empty if nothing can be
// read of it.
func (o *options) socket() (name string) {
	texts, err := o.texts()
	if err != nil {
		return ""
	}
	name = status.DefaultSocket
	for _, t := range texts {
		var f struct {
			Control struct {
				Socket string `yaml:"socket"`
			} `yaml:"control"`
		}
		func() {
			defer func() { recover() }() // the library panics on some invalid texts
			if yaml.Unmarshal(t.text, &f) != nil {
				f.Control.Socket = ""
			}
		}()
		name = cmp.Or(f.Control.Socket, name)
	}
	return name
}

// questions answers what is asked of a pipeline; it is a status.Sensor.
type questions struct {
	p       *pipeline
	started time.Time
	file    string    // of the configuration
	reloads *reloader // of a live capture; nil for files
	methods func() []string
	// problems are those of the files; a running sensor has none.
	problems []error
}

// Status implements status.Sensor.
func (q *questions) Status() *status.Status {
	p := q.p
	st, c := p.engine.Stats(), p.sources()
	e := eventStats(&st, &c, p.queue)
	now := time.Now()
	s := &status.Status{Version: version, Revision: revision(), GoVersion: runtime.Version(),
		Libpcap: capture.LibpcapVersion(), Sensor: p.cfg.name, Run: p.run,
		Started: q.started, Now: now,
		Config: q.config(),
		Frames: st.Frames, Bytes: c.Bytes, Refused: st.Refused, SYN: st.SYN,
		Decode: countsByName(e.Decode),
		TCP:    countsByName(e.Counters), SMTP: countsByName(e.SMTP),
		Loss: e.Loss, Panics: st.Panics,
		Attempts: st.Attempts, Sessions: st.Sessions,
		SeenBoth: st.SeenBoth, SeenClient: st.SeenClient, SeenServer: st.SeenServer,
		Flows: status.Table{Active: st.FlowsActive, Total: st.FlowsTotal,
			Evicted: st.FlowsEvicted},
		Hosts:   status.Table{Active: st.HostsActive, Evicted: st.HostsEvicted},
		Sources: status.Table{Active: st.SourcesActive, Evicted: st.SourcesEvicted},
		Memory:  st.Memory, MemCap: st.MemoryCap, Resident: residentBytes()}
	if p.health.live {
		s.PID = os.Getpid()
	}
	if st.Last != 0 {
		s.LastPacket = time.Unix(0, st.Last).UTC()
	}
	q.addInputs(s)
	q.addOutput(s, &e)
	p.engine.Between(func() {
		for _, key := range slices.Sorted(maps.Keys(p.health.raised)) {
			h := p.health.raised[key]
			s.Health = append(s.Health, status.Health{Check: h.Check, Interface: h.Interface,
				Value: h.Value, Threshold: h.Threshold, Since: time.Unix(0, h.Since).UTC(),
				Text: h.Text, Hint: h.Hint})
		}
	})
	return s
}

// config says which configuration is in force.
func (q *questions) config() status.Config {
	if q.reloads != nil {
		return q.reloads.status()
	}
	return status.Config{File: q.file, Loaded: q.started, Good: true}
}

// addInputs adds the interfaces of a live capture.
func (q *questions) addInputs(s *status.Status) {
	if q.p.inputs == nil {
		return
	}
	var methods []string
	if q.methods != nil {
		methods = q.methods()
	}
	for i, in := range q.p.inputs() {
		n := &in.stats
		x := status.Interface{Name: in.name, Problem: in.problem, Frames: n.Frames, Bytes: n.Bytes,
			KernelDrops: n.KernelDrops, InterfaceDrops: n.InterfaceDrops, Errors: n.Errors,
			Arrived: n.Arrived}
		if i < len(methods) {
			x.Method = methods[i]
		}
		s.Interfaces = append(s.Interfaces, x)
	}
}

// addOutput adds the counts of findings and events, and the state of the output.
func (q *questions) addOutput(s *status.Status, e *event.Stats) {
	s.Findings, s.Output.Events = q.p.cfg.store.Counts()
	if q.p.queue == nil {
		return
	}
	q.p.engine.Between(func() { s.Output.File = cmp.Or(q.p.cfg.output, "-") })
	s.Output.Written = e.Output.Written
	s.Output.Dropped = map[string]uint64{}
	for t, n := range e.Output.Dropped {
		s.Output.Dropped[event.Type(t).String()] = n
	}
	if err := q.p.queue.Failing(); err != nil {
		s.Output.Failing = err.Error()
	}
}

// countsByName is a list of counters as an object.
func countsByName(list []event.Count) map[string]uint64 {
	m := make(map[string]uint64, len(list))
	for _, c := range list {
		m[c.Name] = c.N
	}
	return m
}

// residentBytes is the memory of the process; zero if it is not known.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// render returns the events that f writes, without their newlines. They are no part of the run's
// events: they go to the one who asks.
func (q *questions) render(f func(w *event.Writer)) (lines []json.RawMessage) {
	var c event.Config
	q.p.engine.Between(func() { c = q.p.eventConfig })
	c.Tap = func(_ event.Type, line []byte) {
		lines = append(lines, append(json.RawMessage(nil), line[:len(line)-1]...))
	}
	f(event.NewWriter(c, nil))
	return lines
}

// Sources implements status.Sensor.
func (q *questions) Sources(most int) *status.Sources {
	s := &status.Sources{Sources: []json.RawMessage{}}
	s.Sources = append(s.Sources, q.render(func(w *event.Writer) {
		s.Total = q.p.engine.Sources(most, w.Source)
	})...)
	return s
}

// Findings implements status.Sensor.
func (q *questions) Findings() *status.FindingList { return q.p.cfg.store.Findings() }

// Servers implements status.Sensor.
func (q *questions) Servers() *status.Servers { return q.p.cfg.store.Servers() }

// Finding implements status.Sensor.
func (q *questions) Finding(id string) json.RawMessage { return q.p.cfg.store.Finding(id) }

// Explain implements status.Sensor.
func (q *questions) Explain(ip string) (*status.Explanation, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("%s is no IP address", printable(strconv.Quote(ip)))
	}
	addr = addr.Unmap()
	known := q.p.engine.Explain(func(a netip.Addr) bool { return a == addr.Unmap() })
	st := q.p.engine.Stats()
	x := &status.Explanation{IP: addr.String(), Findings: q.p.cfg.store.Of(addr.String()),
		Declared: q.declared(addr), Home: q.p.engine.IsHome(addr), Evicted: st.SourcesEvicted,
		Since: q.started.UTC(), Until: time.Now().UTC()}
	if !q.p.health.live { // its times are those of the capture
		x.Since, x.Until = time.Time{}, time.Time{}
		if st.First != 0 {
			x.Since, x.Until = time.Unix(0, st.First).UTC(), time.Unix(0, st.Last).UTC()
		}
	}
	x.Hosts = append([]json.RawMessage{}, q.render(func(w *event.Writer) {
		for _, f := range known {
			w.Finding(f)
		}
	})...)
	times := q.attemptsOf(addr)
	x.Minutes = bins(times.Minutes, timeline.Minute)
	x.Hours = bins(times.Hours, timeline.Hour)
	return x, nil
}

// declared is what the configuration in force says of a host.
func (q *questions) declared(addr netip.Addr) []status.Declaration {
	if r := q.reloads; r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.cfg.declared(addr)
	}
	return q.p.cfg.declared(addr)
}

// startControl has a sensor answer on its socket until the context ends. A socket that the
// configuration does not name may be missing: the sensor listens without it, and says so.
func startControl(ctx context.Context, cfg *config, q *questions, log zerolog.Logger) error {
	if cfg.control.socket == noSocket {
		return nil
	}
	server, err := status.Listen(cfg.control.socket, cfg.control.group, q,
		map[string]status.Action{"ack": q.ack, "reload": q.reloads.act})
	switch {
	case err != nil && (cfg.control.stated || !errors.Is(err, status.ErrInUse) &&
		!errors.Is(err, os.ErrPermission)):
		return exit(exitFailed, err)
	case err != nil:
		level := zerolog.InfoLevel
		if cfg.control.group != "" {
			level = zerolog.WarnLevel // somebody wants to ask
		}
		log.WithLevel(level).Err(err).Msg("nobody can ask this sensor for its status " +
			"(control.socket names another place)")
		return nil
	}
	go func() {
		if err := server.Serve(ctx); err != nil {
			log.Error().Err(err).Msg("the control socket has failed")
		}
	}()
	return nil
}
