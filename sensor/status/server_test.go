package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fixed is a sensor with one host.
type fixed struct{ *Store }

func (fixed) Settings() *Settings { return &Settings{YAML: "a: 1"} }
func (fixed) Model() any          { return map[string]string{"spamsensor": "1"} }
func (fixed) Status() *Status     { return &Status{Version: "1", Health: []Health{{Check: "link"}}} }
func (fixed) Sources(most int) *Sources {
	return &Sources{Sources: []json.RawMessage{json.RawMessage(`{"src_ip":"10.0.0.7"}`)}, Total: most}
}
func (fixed) Explain(ip string) (*Explanation, error) {
	if ip == "x" {
		return nil, errors.New("no address")
	}
	return &Explanation{IP: ip}, nil
}

// serve starts a server on a socket of the test.
func serve(t *testing.T, actions map[string]Action) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "control.sock")
	s, err := Listen(socket, "", fixed{new(Store)}, actions)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// TestAnswers asks over the socket and in the same process.
func TestAnswers(t *testing.T) {
	echo := func(body []byte) (any, error) {
		if string(body) == `"bad"` {
			return nil, errors.New("this is wrong")
		}
		return string(body), nil
	}
	socket := serve(t, map[string]Action{"echo": echo})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v, %v; want 0660", info.Mode(), err)
	}
	client := NewClient(socket)
	for _, x := range []struct{ path, want string }{
		{"status", `"version":"1"`}, {"health", `"check":"link"`},
		{"sources", `"total":1000`}, {"sources?limit=5", `"total":5`},
		{"sources?limit=-1", "limit: want 1 to"}, {"sources?limit=x", "limit: want 1 to"},
		{"findings", `"findings":[]`}, {"findings/x", "no finding with this id"},
		{"servers", `"servers":[]`},
		{"explain/10.0.0.7", `"ip":"10.0.0.7"`}, {"hosts/10.0.0.8", `"ip":"10.0.0.8"`},
		{"explain/x", "no address"}, {"nothing", `there is no GET "/api/v1/nothing"`},
	} {
		for name, g := range map[string]Getter{"socket": client, "local": Local(fixed{new(Store)})} {
			var raw json.RawMessage
			got := ""
			if err := g.Get(t.Context(), x.path, &raw); err != nil {
				got = err.Error()
			} else {
				got = string(raw)
			}
			if !strings.Contains(got, x.want) {
				t.Errorf("%s, %s: %q, want %q in it", name, x.path, got, x.want)
			}
		}
	}
	var said string
	if err := client.Post(t.Context(), "echo", 7, &said); err != nil || said != "7" {
		t.Errorf("an action returned %q, %v", said, err)
	}
	if err := client.Post(t.Context(), "echo", "bad", &said); err == nil || err.Error() != "this is wrong" {
		t.Errorf("an action that fails: %v", err)
	}
}

// TestHostileClients: clients that send too much, or nothing, or hold connections open, cost the
// server neither memory nor its answers to others.
func TestHostileClients(t *testing.T) {
	socket := serve(t, map[string]Action{"x": func([]byte) (any, error) { return 1, nil }})
	dial := func() net.Conn {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	big := dial()
	fmt.Fprintf(big, "POST /api/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<30)
	go io.Copy(big, io.LimitReader(zeros{}, 1<<30))
	head := make([]byte, 64)
	big.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _ := io.ReadAtLeast(big, head, 12)
	if !strings.HasPrefix(string(head[:n]), "HTTP/1.1 413") {
		t.Errorf("a request of 1 GiB is answered with %q", head[:n])
	}
	long := dial()
	fmt.Fprintf(long, "GET /%s HTTP/1.1\r\n\r\n", strings.Repeat("a", 64<<10))
	n, _ = io.ReadAtLeast(long, head, 12)
	if !strings.HasPrefix(string(head[:n]), "HTTP/1.1 431") {
		t.Errorf("a request with a long line is answered with %q", head[:n])
	}
	for range maxConnections - 4 {
		fmt.Fprint(dial(), "GET /api/v1/status")
	}
	began := time.Now()
	var s Status
	if err := NewClient(socket).Get(t.Context(), "status", &s); err != nil || s.Version != "1" {
		t.Errorf("beside clients that hold connections: %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the answer took %v", took)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestSocket: a socket that is in use, one that is left over, a file, and a missing group.
func TestSocket(t *testing.T) {
	socket := serve(t, nil)
	if _, err := Listen(socket, "", fixed{}, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("a socket in use: %v", err)
	}
	left := filepath.Join(t.TempDir(), "left.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := NewClient(left).Get(t.Context(), "status", nil); err == nil ||
		!strings.Contains(err.Error(), "has ended without removing its socket") {
		t.Errorf("asking a socket that is left over: %v", err)
	}
	s, err := Listen(left, "", fixed{}, nil)
	if err != nil {
		t.Fatalf("a socket that is left over: %v", err)
	}
	s.listener.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file, "", fixed{}, nil); err == nil {
		t.Error("a file was replaced by a socket")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "kept" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if _, err := Listen(left, "no-such-group", fixed{}, nil); err == nil ||
		!strings.Contains(err.Error(), "control.group") {
		t.Errorf("a missing group: %v", err)
	}
	if err := NewClient(filepath.Join(t.TempDir(), "none")).Get(t.Context(), "status", nil); err == nil ||
		!strings.Contains(err.Error(), "no sensor runs there") {
		t.Errorf("asking where nobody answers: %v", err)
	}
}

var _ http.ResponseWriter = (*recorder)(nil)
