package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secretHash is bcrypt of "secret".
const secretHash = "$2a$04$YMtDAbJdWrVIIbj3aScY0.10diCvQYi92zAJKHXKOtVibT97NiOFy"

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWebConfig: where other machines can connect there are TLS and users, or no server.
func TestWebConfig(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	const pair = "tls_server_config: {cert_file: cert.pem, key_file: key.pem"
	users := "basic_auth_users: {prometheus: '" + secretHash + "'}\n"
	file := filepath.Join(dir, "web.yaml")
	for _, x := range []struct {
		text          string
		local, remote string // what is wrong, empty if nothing is
	}{
		{"", "", "other machines can connect"},
		{pair + "}\n" + users, "", ""},
		{pair + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: cert.pem}\n", "", ""},
		{pair + "}\n", "", "other machines can connect"},
		{pair + ", client_auth_type: RequestClientCert}\n", "", "other machines can connect"},
		{users, "", "other machines can connect"},
		{"basic_auth_users: {a: plain}\n", "bcrypt", "bcrypt"},
		{"tls_server_config: {cert_file: none.pem, key_file: key.pem}\n" + users, "none.pem", "none.pem"},
		{"unknown: 1\n", "unknown", "unknown"}, {"[", "web.yaml", "web.yaml"},
	} {
		if err := os.WriteFile(file, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for address, want := range map[string]string{"127.0.0.1:9725": x.local, "[::1]:1": x.local,
			"localhost:1": x.local, "unix:/run/x": x.local, "0.0.0.0:9725": x.remote,
			":9725": x.remote, "192.0.2.1:9725": x.remote, "[::]:9725": x.remote,
			"localhost.example:9725": x.remote} {
			err := CheckWebConfig(address, file)
			if good := err == nil; good != (want == "") || !good && !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %q: %v, want %q", address, x.text, err, want)
			}
		}
	}
	for _, address := range []string{"0.0.0.0:0", ":0"} {
		if _, err := New(Config{Listen: address}); !errors.Is(err, ErrOpen) {
			t.Errorf("%s without a file: %v", address, err)
		}
	}
}

// TestTLS: the server asks for a password over TLS, and the host is checked there, too.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	file := filepath.Join(dir, "web.yaml")
	text := "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n" +
		"basic_auth_users: {prometheus: '" + secretHash + "'}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, _ := listenFake(t, newFake())
	url, _ := start(t, Config{Socket: socket, WebConfig: file})
	url = strings.Replace(url, "http:", "https:", 1)
	pool := x509.NewCertPool()
	cert, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil || !pool.AppendCertsFromPEM(cert) {
		t.Fatal("no certificate", err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: true}}
	for _, x := range []struct {
		password, host string
		code           int
	}{{"", "", 401}, {"wrong", "", 401}, {"secret", "", 200}, {"secret", "evil.example", 421}} {
		q, _ := http.NewRequest("GET", url+"/metrics", nil)
		q.Host = x.host
		if x.password != "" {
			q.SetBasicAuth("prometheus", x.password)
		}
		r, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != x.code || x.code != 200 && strings.Contains(string(b), "up_sensor") {
			t.Errorf("password %q, host %q: %d", x.password, x.host, r.StatusCode)
		}
	}
}

// TestPassedOn: what a client sends beside its question does not reach the sensor, at most
// maxQuestions reach it at a time, and a client that does not read is cut off.
func TestPassedOn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	now := make(chan int, 100)
	sensor := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- fmt.Sprint(r.Method, " ", r.URL, " ", r.Header)
		now <- 1
		time.Sleep(50 * time.Millisecond)
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Type", "application/json")
		if r.URL.RawQuery == "limit=5" {
			io.CopyN(w, zeros{}, 30<<20)
		}
		<-now
	})}
	go sensor.Serve(l)
	defer sensor.Close()
	s, err := New(Config{Listen: "127.0.0.1:0", Socket: socket, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.http.WriteTimeout = time.Second
	run(t, s.Serve)
	url := "http://" + s.listener.Addr().String()
	q, _ := http.NewRequest("GET", url+"/api/v1/explain/10.0.0.1?x=1", strings.NewReader("body"))
	q.SetBasicAuth("a", "secret")
	q.Header.Set("Cookie", "c=d")
	q.Header.Set("X-Forwarded-For", "192.0.2.1")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := <-seen; got != "GET /api/v1/explain/10.0.0.1?x=1 map[User-Agent:[spamsensor serve]]" ||
		r.Header.Get("Set-Cookie") != "" {
		t.Errorf("the sensor got %s, the client %v", got, r.Header)
	}
	done := make(chan bool)
	for range 30 {
		go func() {
			if r, err := http.Get(url + "/api/v1/status"); err == nil {
				r.Body.Close()
			}
			done <- true
		}()
	}
	most := 0
	for n := 0; n < 30; {
		select {
		case <-done:
			n++
		case <-time.After(time.Millisecond):
		}
		most = max(most, len(now))
	}
	if most > maxQuestions || most < 2 {
		t.Errorf("%d questions at a time", most)
	}
	c := dial(t, s)
	began := time.Now()
	fmt.Fprint(c, "GET /api/v1/sources?limit=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for range 100 { // the sensor gets rid of its answer when the client is cut off
		time.Sleep(50 * time.Millisecond)
		if len(now) == 0 && time.Since(began) > 500*time.Millisecond {
			break
		}
	}
	if took := time.Since(began); len(now) != 0 || took > 4*time.Second {
		t.Errorf("a client that does not read is cut off after %v", took)
	}
}

// zeros is an endless text.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestBounded: an answer that is too long breaks off, so that the client sees it.
func TestBounded(t *testing.T) {
	for n, want := range map[int]bool{9: true, 10: true, 11: false} {
		b := &bounded{io.NopCloser(strings.NewReader(strings.Repeat("a", n))), 10}
		got, err := io.ReadAll(b)
		if (err == nil) != want || len(got) != min(n, 10) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
}
