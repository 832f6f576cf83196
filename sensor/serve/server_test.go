package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"spamsensor/sensor/status"
)

// TestEndpoints asks for each path, with a sensor that works.
func TestEndpoints(t *testing.T) {
	f := newFake()
	f.servers = append(f.servers, []byte(`{"src_ip":"192.0.2.25","mail_server":{"declared":true,`+
		`"messages_out":5,"messages_in":4,"queue_estimate":3}}`))
	f.state.Health = []status.Health{{Check: "drops", Text: "<b>&", Hint: "more buffer"}}
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket, Version: "1.2"})
	for _, x := range []struct {
		path string
		code int
		want string
	}{
		{"/", 200, "<bdi>mirror-1</bdi>"}, {"/", 200, "1 host sends spam: 10.1.0.0"},
		{"/", 200, "&lt;b&gt;&amp;. More buffer"}, {"/style.css", 200, "font"}, {"/app.js", 200, "'use strict'"},
		{"/icon.svg", 200, "<svg"}, {"/?lang=fr", 200, "1 machine envoie du\u00a0spam"},
		{"/finding/run/10.1.0.0", 200, "zen.spamhaus.org"}, {"/finding/none", 404, "There is no finding with this id"},
		{"/metrics", 200, "\nspamsensor_up_sensor 1\n"},
		{"/metrics", 200, `spamsensor_capture_packets_total{interface="eth1"} 12`},
		{"/metrics", 200, `spamsensor_mail_server_messages_total{direction="out",server="192.0.2.25"} 5`},
		{"/metrics", 200, `spamsensor_mail_server_queue_messages{server="192.0.2.25"} 3`},
		{"/metrics", 200, `spamsensor_health_raised{check="drops"} 1`},
		{"/metrics", 200, `spamsensor_health_raised{check="link"} 0`},
		{"/metrics", 200, `spamsensor_findings_open{class="spambot",level="confirmed"} 0`},
		{"/-/healthy", 200, "answers"}, {"/-/ready", 200, "captures"},
		{"/api/v1/status", 200, `"version":"9.9"`}, {"/api/v1/health", 200, `"check":"drops"`},
		{"/api/v1/sources?limit=2", 200, `"total":2`}, {"/api/v1/findings", 200, `"total":0`},
		{"/api/v1/sources?limit=x", 400, "limit: want 1 to"},
		{"/api/v1/sources?limit=10001", 400, "limit: want 1 to 10000"},
		{"/api/v1/findings/no%2Fid", 404, "no finding with this id"},
		{"/api/v1/servers", 200, "192.0.2.25"}, {"/api/v1/explain/10.0.0.1", 200, `"ip":"10.0.0.1"`}, {"/api/v1/findings/x", 404, "no finding"},
		{"/api/v1/evidence/x", 404, "there are /api/v1/status"}, {"/api/v1/", 404, "there are"},
		{"/api/v1/explain/" + strings.Repeat("1", 300), 414, "too long"},
		{"/api/v1/sources?" + strings.Repeat("1", 300), 414, "too long"},
		{"/api/v1/../../metrics", 200, "up_sensor"}, {"/none", 404, "there is no such page"},
	} {
		r, body := get(t, url+x.path)
		if r.StatusCode != x.code || !strings.Contains(body, x.want) {
			t.Errorf("%s: %d, want %d; no %q in %.200s", x.path, r.StatusCode, x.code, x.want, body)
		}
		h := r.Header
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" ||
			h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", x.path, h)
		}
	}
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/reload", "/-/ready"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
			q, _ := http.NewRequest(method, url+path, strings.NewReader("{}"))
			r, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d %v", method, path, r.StatusCode, r.Header)
			}
		}
	}
}

// TestReady: the answer says why the sensor does not do its work.
func TestReady(t *testing.T) {
	for _, x := range []struct {
		change func(*status.Status)
		want   string
	}{
		{func(*status.Status) {}, ""},
		{func(s *status.Status) { s.Interfaces[0].Problem = "is down" },
			"no interface delivers frames: eth1 is down"},
		{func(s *status.Status) {
			s.Interfaces[0].Problem = "is down"
			s.Interfaces = append(s.Interfaces, status.Interface{Name: "eth2"})
		}, ""},
		{func(s *status.Status) { s.Interfaces = nil }, "the sensor has no interface"},
		{func(s *status.Status) { s.Config = status.Config{Error: "line 3"} },
			"the configuration is wrong, the former one is in force: line 3"},
	} {
		s := newFake().state
		x.change(s)
		got := ""
		if err := (&snapshot{status: s}).ready(); err != nil {
			got = err.Error()
		}
		if got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
}

// TestSilentSensor: while the sensor is silent, or takes too long, the server answers within a
// second and says so. It recovers by itself.
func TestSilentSensor(t *testing.T) {
	f := newFake()
	socket, stop := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	clock := func(path string, code int, want string) {
		t.Helper()
		began := time.Now()
		r, body := get(t, url+path)
		if took := time.Since(began); r.StatusCode != code || !strings.Contains(body, want) ||
			took > time.Second {
			t.Errorf("%s: %d after %v, want %d; %.200s", path, r.StatusCode, took, code, body)
		}
	}
	clock("/-/ready", 200, "")
	clock("/metrics", 200, "spamsensor_up_sensor 1")
	stop()
	time.Sleep(keepTime)
	clock("/-/ready", 503, "no sensor runs there")
	clock("/metrics", 200, "spamsensor_up_sensor 0")
	clock("/-/healthy", 200, "")
	clock("/", 200, "The sensor has not answered since")
	clock("/api/v1/status", 502, "does not answer")
	stalled, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(keepTime)
	clock("/-/ready", 503, "does not answer")
	clock("/metrics", 200, "spamsensor_up_sensor 0")
	stalled.Close()
	again, err := status.Listen(socket, "", f, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, again.Serve)
	time.Sleep(keepTime)
	clock("/metrics", 200, "spamsensor_up_sensor 1")
}

// TestManyScrapers: whoever scrapes how often, the sensor is asked once a second.
func TestManyScrapers(t *testing.T) {
	f := newFake()
	f.delay = 100 * time.Millisecond
	socket, _ := listenFake(t, f)
	url, _ := start(t, Config{Socket: socket})
	var wg sync.WaitGroup
	began := time.Now()
	for range 50 {
		wg.Go(func() {
			if _, body := get(t, url+"/metrics"); !strings.Contains(body, "spamsensor_up_sensor 1") {
				t.Errorf("%.300s", body)
			}
		})
	}
	wg.Wait()
	// A slow machine may need more than a second for 50 answers.
	if n, most := f.asked.Load(), 1+int64(time.Since(began)/keepTime); n < 1 || n > most {
		t.Errorf("%d questions in %v", n, time.Since(began))
	}
}

// TestHost: a request for another host is refused (DNS rebinding).
func TestHost(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	url, s := start(t, Config{Socket: socket, Hosts: []string{"sensor.example"}})
	port := s.listener.Addr().(*net.TCPAddr).Port
	for _, x := range []struct {
		host string
		good bool
	}{
		{"127.0.0.1", true}, {fmt.Sprintf("127.0.0.1:%d", port), true}, {"localhost", true},
		{"LOCALHOST:1", true}, {"[::1]:80", true}, {"127.1.2.3", true}, {"sensor.example", true},
		{"Sensor.Example.:443", true},
		{"evil.example", false}, {fmt.Sprintf("evil.example:%d", port), false}, {"192.0.2.1", false},
		{"localhost.evil.example", false}, {"127.0.0.1.evil.example", false}, {"0.0.0.0", false},
		{"sensor.example.evil.example", false}, {"[::]", false},
	} {
		q, _ := http.NewRequest("GET", url+"/api/v1/status", nil)
		q.Host = x.host
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if good := r.StatusCode == 200; good != x.good || !good && (r.StatusCode != 421 ||
			strings.Contains(string(b), "version")) {
			t.Errorf("Host %s: %d %s", x.host, r.StatusCode, b)
		}
	}
	c := dial(t, s)
	fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
	if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, " 421 ") {
		t.Errorf("a request without a host: %s", line)
	}
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// TestSlowClients: clients that send nothing, or a byte at a time, are cut off, and others are
// served meanwhile. A huge header is refused.
func TestSlowClients(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	url, s := start(t, Config{Socket: socket})
	began := time.Now()
	var slow []net.Conn
	for i := range maxConnections - 5 {
		c := dial(t, s)
		if i%2 == 0 {
			fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-A: ")
		}
		slow = append(slow, c)
	}
	go func() {
		for time.Since(began) < 4*time.Second {
			for _, c := range slow {
				c.Write([]byte("a"))
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	if r, _ := get(t, url+"/metrics"); r.StatusCode != 200 || time.Since(began) > time.Second {
		t.Errorf("beside slow clients: %d after %v", r.StatusCode, time.Since(began))
	}
	for _, c := range slow {
		io.Copy(io.Discard, c)
	}
	if took := time.Since(began); took < headerTime || took > headerTime+2*time.Second {
		t.Errorf("slow clients were cut off after %v, want %v", took, headerTime)
	}
	c := dial(t, s)
	go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: %s\r\n\r\n", strings.Repeat("a", 1<<20))
	if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, " 431 ") {
		t.Errorf("a header of 1 MiB: %q", line)
	}
}

// TestMostConnections: a client beyond the bound waits until another one goes.
func TestMostConnections(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	_, s := start(t, Config{Socket: socket})
	ask := func(c net.Conn) bool {
		fmt.Fprint(c, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, err := bufio.NewReader(c).ReadString('\n')
		return err == nil
	}
	var first net.Conn
	for range maxConnections {
		c := dial(t, s)
		if first = c; !ask(c) {
			t.Fatal("no answer")
		}
	}
	late := dial(t, s)
	if ask(late) {
		t.Error("an answer beyond the bound")
	}
	first.Close()
	late.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := bufio.NewReader(late).ReadString('\n'); err != nil {
		t.Errorf("no answer after another client went: %v", err)
	}
}

// TestUnixSocket: the server answers on a unix socket, takes over a socket that is left behind, and
// no other file.
func TestUnixSocket(t *testing.T) {
	socket, _ := listenFake(t, newFake())
	dir := t.TempDir()
	path := filepath.Join(dir, "web.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	start(t, Config{Socket: socket, Listen: "unix:" + path})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /-/ready HTTP/1.1\r\nHost: sensor.example\r\n\r\n")
	line, _ := bufio.NewReader(c).ReadString('\n')
	info, err := os.Stat(path)
	if !strings.Contains(line, " 200 ") || err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%q, %v, %v", line, info.Mode(), err)
	}
	file := filepath.Join(dir, "file")
	os.WriteFile(file, []byte("x"), 0o600)
	for _, p := range []string{path, file} {
		if _, err := New(Config{Listen: "unix:" + p}); err == nil {
			t.Errorf("it listens on %s", p)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the file is %q, %v", b, err)
	}
}
