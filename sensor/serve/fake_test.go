package serve

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"spamsensor/sensor/report"
	"spamsensor/sensor/status"
)

// fake is a sensor that answers on a socket.
type fake struct {
	*status.Store
	state   *status.Status
	servers []json.RawMessage
	asked   atomic.Int64 // for its status
	delay   time.Duration
	text    string // of a host
	model   atomic.Pointer[report.Model]
	later   atomic.Pointer[status.Status]
	models  atomic.Int64 // asked for
}

func (f *fake) Status() *status.Status {
	f.asked.Add(1)
	time.Sleep(f.delay)
	if s := f.later.Load(); s != nil {
		return s
	}
	return f.state
}
func (f *fake) Model() any { f.models.Add(1); return f.model.Load() }
func (f *fake) Settings() *status.Settings {
	return &status.Settings{Config: f.state.Config, YAML: "home_net: [10.0.0.0/8] # default\n"}
}
func (f *fake) Servers() *status.Servers { return &status.Servers{Servers: f.servers} }
func (f *fake) Sources(most int) *status.Sources {
	s := &status.Sources{Total: most}
	for range most {
		s.Sources = append(s.Sources, json.RawMessage(`{"src_ip":"`+f.text+`"}`))
	}
	return s
}
func (*fake) Explain(ip string) (*status.Explanation, error) {
	return &status.Explanation{IP: ip}, nil
}

// newFake is a sensor that captures.
func newFake() *fake {
	f := &fake{Store: new(status.Store), text: "10.0.0.7", state: &status.Status{Version: "9.9",
		Sensor: "mirror-1", Config: status.Config{Good: true, Loaded: time.Unix(1e9, 0)},
		Interfaces: []status.Interface{{Name: "eth1", Frames: 12}},
		Decode:     map[string]uint64{"mail": 7}}}
	f.model.Store(newModel(1, 3))
	return f
}

// listenFake has a sensor answer on a socket of the test until stop is called.
func listenFake(t *testing.T, f *fake) (socket string, stop func()) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "control.sock")
	s, err := status.Listen(socket, "", f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return socket, run(t, s.Serve)
}

// run runs a server until stop is called, or the test ends.
func run(t *testing.T, serve func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	var once atomic.Bool
	stop = func() {
		if once.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// start starts a server for a sensor, on a free port unless cfg has an address. It returns its URL.
func start(t *testing.T, cfg Config) (url string, s *Server) {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Serve)
	return "http://" + s.listener.Addr().String(), s
}

// get asks for a URL, and returns the answer and its body.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}
