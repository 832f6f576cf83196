package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of a Server: connections at a time, the size of a request, and the time for one.
const (
	maxConnections = 32
	maxHeader      = 8 << 10
	maxBody        = 64 << 10
	requestTime    = 5 * time.Second
	idleTime       = 30 * time.Second
)

// The number of hosts in an answer, and the most that may be asked for.
const (
	defaultSources = 1_000
	maxSources     = 100_000
)

// Action changes a running sensor: it gets the body of a POST request, and returns what it did. An
// error is told to the client.
type Action func(body []byte) (result any, err error)

// Server answers on a unix socket.
type Server struct {
	listener net.Listener
	http     http.Server
}

// ErrInUse says that another process answers on the socket.
var ErrInUse = errors.New("another process answers there")

// Listen makes a server on a socket, for the owner and, if it is not empty, a group. A socket that
// nobody listens on any more is replaced.
func Listen(socket, group string, sensor Sensor, actions map[string]Action) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, fmt.Errorf("control.socket: %w", err)
	}
	l, err := ListenUnix(socket)
	if err != nil {
		return nil, fmt.Errorf("control.socket: %w", err)
	}
	if err := share(socket, group); err != nil {
		l.Close()
		return nil, err
	}
	return &Server{netutil.LimitListener(l, maxConnections), http.Server{
		Handler: Handler(sensor, actions), ReadTimeout: requestTime,
		WriteTimeout: 2 * requestTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader}}, nil
}

// ListenUnix listens on a unix socket, for the owner and its group. A socket that nobody listens on
// any more is replaced; an error with [ErrInUse] says that somebody does.
func ListenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s exists and is no socket", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: %w", path, ErrInUse)
		}
		os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// share gives the socket to a group. A service whose own group it is may not change owners: there
// the socket has the group from the start.
func share(socket, group string) error {
	if group == "" {
		return nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return fmt.Errorf("control.group: %w", err)
	}
	gid, _ := strconv.Atoi(g.Gid)
	info, err := os.Lstat(socket)
	if err != nil {
		return fmt.Errorf("control.socket: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Gid) == gid {
		return nil
	}
	if err := os.Chown(socket, -1, gid); err != nil {
		return fmt.Errorf("control.group: %w", err)
	}
	return nil
}

// Serve answers until the context ends, and removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler answers requests about a sensor under /api/v1/.
func Handler(sensor Sensor, actions map[string]Action) http.Handler {
	mux := http.NewServeMux()
	get := func(path string, answer func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET /api/v1/"+path, func(w http.ResponseWriter, r *http.Request) {
			result, err := answer(r)
			reply(w, result, err)
		})
	}
	get("status", func(*http.Request) (any, error) { return sensor.Status(), nil })
	get("health", func(*http.Request) (any, error) { return sensor.Status().Health, nil })
	get("findings", func(*http.Request) (any, error) { return sensor.Findings(), nil })
	get("model", func(*http.Request) (any, error) { return sensor.Model(), nil })
	get("settings", func(*http.Request) (any, error) { return sensor.Settings(), nil })
	get("servers", func(*http.Request) (any, error) { return sensor.Servers(), nil })
	get("findings/{id}", func(r *http.Request) (any, error) {
		if line := sensor.Finding(r.PathValue("id")); line != nil {
			return line, nil
		}
		return nil, &Error{http.StatusNotFound, "there is no finding with this id"}
	})
	get("sources", func(r *http.Request) (any, error) {
		most, err := limit(r.FormValue("limit"))
		if err != nil {
			return nil, err
		}
		return sensor.Sources(most), nil
	})
	explain := func(r *http.Request) (any, error) {
		x, err := sensor.Explain(r.PathValue("ip"))
		if err != nil {
			return nil, &Error{http.StatusBadRequest, err.Error()}
		}
		return x, nil
	}
	get("explain/{ip}", explain)
	get("hosts/{ip}", explain)
	for name, act := range actions {
		mux.HandleFunc("POST /api/v1/"+name, func(w http.ResponseWriter, r *http.Request) {
			body, err := readBody(w, r)
			if err != nil {
				reply(w, nil, err)
				return
			}
			result, err := act(body)
			if err != nil {
				err = &Error{http.StatusUnprocessableEntity, err.Error()}
			}
			reply(w, result, err)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		reply(w, nil, &Error{http.StatusNotFound, "there is no " + r.Method + " " +
			strconv.QuoteToASCII(r.URL.Path)})
	})
	return mux
}

// limit is the number of hosts that a request asks for.
func limit(text string) (int, error) {
	if text == "" {
		return defaultSources, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxSources {
		return 0, &Error{http.StatusBadRequest, fmt.Sprintf("limit: want 1 to %d", maxSources)}
	}
	return n, nil
}

// Error is an answer that says what is wrong.
type Error struct {
	Code int    `json:"-"` // status code of HTTP
	Text string `json:"error"`
}

func (e *Error) Error() string { return e.Text }

// reply writes an answer as JSON.
func reply(w http.ResponseWriter, result any, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		e := &Error{http.StatusInternalServerError, err.Error()}
		errors.As(err, &e)
		w.WriteHeader(e.Code)
		result = e
	}
	if list, ok := result.(lister); ok {
		list.writeJSON(w)
		return
	}
	json.NewEncoder(w).Encode(result)
}

// readBody reads the body of a request.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &Error{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("a request has at most %d bytes", maxBody)}
	}
	return b, nil
}
