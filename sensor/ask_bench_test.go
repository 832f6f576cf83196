package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/status"
)

// manyHosts are the questions of a sensor that knows n hosts, each with mail to two servers.
func manyHosts(t testing.TB, n int) *questions {
	cfg, err := loadConfig(&options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.store = new(status.Store)
	cfg.engine.Live = true
	p := newPipeline(cfg, "bench", false, nil, func(uint16) string { return "eth1" },
		func() (s capture.Stats) { return s })
	w := p.engine.Worker()
	start := time.Now().Add(-time.Hour).UnixNano()
	for i := range 2 * n {
		k := newMailConn(i)
		k.client = fmt.Sprintf("10.0.%d.%d", i%n/250, 1+i%n%250)
		k.at = start + int64(i)*20e6
		k.greet().lines(mail...).lines(quit...).close()
		frames := make([]frame.Frame, 0, len(k.sent))
		for _, f := range k.sent {
			frames = append(frames, frame.Frame{Data: f.data, Time: f.at, Len: len(f.data), Link: 1})
		}
		w.Take(frames)
		w.EmitDue()
	}
	return &questions{p: p, started: time.Now()}
}

// BenchmarkSources asks for 5,000 hosts: in the process, over the socket, and over the socket with
// `serve` in between. The goal is 20 ms.
func BenchmarkSources(b *testing.B) {
	const hosts = 5000
	q := manyHosts(b, hosts)
	b.Run("records", func(b *testing.B) {
		for b.Loop() {
			if s := q.Sources(hosts); len(s.Sources) != hosts {
				b.Fatal(len(s.Sources), "hosts")
			}
		}
	})
	socket := filepath.Join(b.TempDir(), "control.sock")
	server, err := status.Listen(socket, "", q, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go server.Serve(ctx)
	web := filepath.Join(b.TempDir(), "web.sock")
	go run(ctx, []string{"serve", "-q", "--socket", socket, "--listen", "unix:" + web}, nil,
		io.Discard, io.Discard)
	for _, x := range []struct{ name, socket string }{{"socket", socket}, {"serve", web}} {
		client := http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (c net.Conn, err error) {
				for range 100 { // it may not listen yet
					if c, err = net.Dial("unix", x.socket); err == nil {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				return c, err
			}}}
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				r, err := client.Get(fmt.Sprint("http://localhost/api/v1/sources?limit=", hosts))
				if err != nil {
					b.Fatal(err)
				}
				body, err := io.ReadAll(r.Body)
				r.Body.Close()
				if n := strings.Count(string(body), `"src_ip"`); err != nil || n != hosts {
					b.Fatal(n, "hosts", err)
				}
				b.SetBytes(int64(len(body)))
			}
		})
	}
	b.Run("status", func(b *testing.B) {
		c := status.NewClient(socket)
		for b.Loop() {
			var s status.Status
			if err := c.Get(ctx, "status", &s); err != nil || s.Sources.Active < hosts {
				b.Fatal(s.Sources.Active, "hosts", err)
			}
		}
	})
}
