package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// otherUser is a user without rights.
const otherUser = 65534

// openDirectory makes a directory for a sensor and for serve as another user: with the command, a
// configuration whose key only the sensor can read, and web, which belongs to the other user.
func openDirectory(t *testing.T, command string) (dir, config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "spamsensor-serve")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	key, config := filepath.Join(dir, "key"), filepath.Join(dir, "config.yaml")
	b, err := os.ReadFile(command)
	web := filepath.Join(dir, "web")
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.Mkdir(web, 0o755), os.Chown(web, otherUser, 0),
		os.WriteFile(filepath.Join(dir, "spamsensor"), b, 0o755),
		os.WriteFile(key, []byte("0123456789abcdef"), 0o600),
		os.WriteFile(config, []byte("evidence: {hash_key_file: "+key+"}\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir, config
}

// TestServeRunning: serve, as a user without rights beside a sensor, shows its frames and its finding, and within two seconds
// that it has ended.
func TestServeRunning(t *testing.T) {
	ns := veth(t)
	name, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir, file := openDirectory(t, name)
	control, web := filepath.Join(dir, "control.sock"), filepath.Join(dir, "web", "web.sock")
	p := launch(t, nil, exec.Command("ip", "netns", "exec", ns, name, "run", "-i", "v1", "-c", file,
		"--set", "control.socket="+control))
	asServer := exec.Command(filepath.Join(dir, "spamsensor"), "serve", "-c", file, "--socket", control,
		"--listen", "unix:"+web)
	asServer.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: 0}}
	server := launch(t, nil, asServer)
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", web)
		}}}
	get := func(path string) (code int, body string) {
		r, err := client.Get("http://localhost" + path)
		if err != nil {
			return 0, err.Error()
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(b)
	}
	// within asks until an answer has all texts.
	within := func(limit time.Duration, path string, code int, want ...string) {
		t.Helper()
		began := time.Now()
		for {
			got, body := get(path)
			missing := ""
			for _, w := range want {
				if !strings.Contains(body, w) {
					missing = w
				}
			}
			if got == code && missing == "" {
				t.Logf("%s: %d after %v", path, code, time.Since(began).Round(time.Millisecond))
				return
			}
			if time.Since(began) > limit {
				t.Fatalf("%s: %d, want %d, within %v; no %q in %.2000s", path, got, code, limit, missing, body)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	within(10*time.Second, "/-/ready", 200)
	replay(t, ns, "testdata/bot.pcap")
	within(5*time.Second, "/metrics", 200, "\nspamsensor_up_sensor 1\n",
		`spamsensor_findings_open{class="spambot",level="confirmed"} 1`,
		`spamsensor_capture_interface_up{interface="v1"} 1`, "\nspamsensor_attempts_total 70\n")
	within(time.Second, "/api/v1/findings", 200, `"src_ip":"192.168.77.66"`)
	within(2*time.Second, "/", 200, "1 host sends spam: 192.168.77.66")
	began := time.Now()
	for range 20 { // Prometheus asks again and again
		get("/metrics")
	}
	resident := 0
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(server.Process.Pid) + "/status"); err == nil {
		_, after, _ := strings.Cut(string(b), "VmRSS:")
		resident, _ = strconv.Atoi(strings.Fields(after)[0])
	}
	t.Logf("a scrape takes %v; serve has %d MiB", time.Since(began)/20, resident>>10)
	if resident > 64<<10 {
		t.Errorf("serve has %d KiB, want at most 64 MiB", resident)
	}
	p.Process.Signal(syscall.SIGTERM)
	within(2*time.Second, "/metrics", 200, "\nspamsensor_up_sensor 0\n")
	within(time.Second, "/-/ready", 503, "no sensor runs there")
	if code := p.code(); code != exitOK {
		t.Errorf("exit code %d: %s", code, p.stderr.String())
	}
	server.Process.Signal(syscall.SIGTERM)
	if code := server.code(); code != exitOK {
		t.Errorf("serve: exit code %d: %s", code, server.stderr.String())
	}
}

// TestServeUsage: serve refuses an address that others reach without TLS and users, and says what
// to do.
func TestServeUsage(t *testing.T) {
	for _, x := range []struct{ args, want string }{
		{"--listen 0.0.0.0:9725", "set serve.web_config"}, {"--listen :9725", "set serve.web_config"},
		{"--listen [::]:9725", "set serve.web_config"}, {"--listen example.org:1", "set serve.web_config"},
		{"--set serve.listen=192.0.2.1:9725", "set serve.web_config"},
		{"--listen 9725", "--listen 9725: want HOST:PORT"}, {"--listen unix:x", "absolute path"},
		{"--listen 127.0.0.1:none", "no such port"}, {"--set serve.listen=x", `"x": want HOST:PORT`},
		{"--set control.socket=off", "control.socket is off"},
	} {
		code, stdout, stderr := asked(t, append([]string{"serve"}, strings.Fields(x.args)...)...)
		if code != exitUsage || !strings.Contains(stderr, x.want) || stdout != "" {
			t.Errorf("%s: %d, %q, want %q", x.args, code, stderr, x.want)
		}
	}
	code, _, stderr := asked(t, "serve", "--listen", "127.0.0.1:0", "--web-config", t.TempDir())
	if code != exitFailed || !strings.Contains(stderr, "serve.web_config") {
		t.Errorf("a directory: %d, %q", code, stderr)
	}
}
