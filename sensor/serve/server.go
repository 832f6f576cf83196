package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"

	"spamsensor/sensor/status"
)

// Bounds of a Server: connections at a time, bytes of the header of a request, and times. A client
// that sends slowly is cut off after headerTime, one that reads slowly after answerTime.
const (
	maxConnections = 250
	maxHeader      = 8 << 10
	headerTime     = 2 * time.Second
	requestTime    = 5 * time.Second
	answerTime     = 15 * time.Second
	idleTime       = 60 * time.Second
	// endTime bounds the wait for requests at the end.
	endTime = 2 * time.Second
)

// DefaultListen is the address of a Server unless another one is set.
const DefaultListen = "127.0.0.1:9725"

// Config configures a Server.
type Config struct {
	// Listen is the address, HOST:PORT, or unix:PATH for a unix socket.
	Listen string
	// WebConfig is a file in the format of exporter-toolkit with TLS and users. It is required
	// where other machines can connect.
	WebConfig string
	// Hosts are further names by which clients may call the server; see checkHost.
	Hosts []string
	// Socket is the control socket of the sensor.
	Socket string
	// Notices is the file of the counters of notify; empty is none.
	Notices string
	// Version is the version of this program.
	Version string
	Log     *slog.Logger
}

// Server answers over HTTP.
type Server struct {
	cfg      Config
	listener net.Listener
	http     http.Server
}

// New makes a server that listens; Serve has it answer. Errors are about the configuration, or say
// that the address cannot be used.
func New(cfg Config) (*Server, error) {
	if err := CheckWebConfig(cfg.Listen, cfg.WebConfig); err != nil {
		return nil, fmt.Errorf("serve.web_config: %w", err)
	}
	l, err := listen(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("serve.listen: %w", err)
	}
	s := &Server{cfg: cfg, listener: netutil.LimitListener(l, maxConnections)}
	h, end := newHandler(&cfg, status.NewClient(cfg.Socket))
	s.http = http.Server{Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: requestTime,
		WriteTimeout: answerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug)}
	s.http.RegisterOnShutdown(end)
	return s, nil
}

// Serve answers until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), endTime)
		defer cancel()
		if s.http.Shutdown(end) != nil {
			s.http.Close()
		}
	})
	defer stop()
	flags := &web.FlagConfig{WebConfigFile: &s.cfg.WebConfig}
	err := web.Serve(s.listener, &s.http, flags, s.cfg.Log)
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listen opens the address.
func listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return status.ListenUnix(path)
	}
	return net.Listen("tcp", address)
}
