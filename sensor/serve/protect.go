package serve

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/exporter-toolkit/web"
)

// CheckListen checks the form of an address to listen on, HOST:PORT or unix:PATH.
func CheckListen(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return errors.New("want an absolute path, unix:/PATH")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return fmt.Errorf("want HOST:PORT, such as %s, or unix:PATH", DefaultListen)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return errors.New("there is no such port")
	}
	return nil
}

// isLocal reports whether only processes of this machine can connect to an address.
func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, _ := net.SplitHostPort(address)
	return isLoopback(host)
}

// isLoopback reports whether a host is this machine under a name that no other machine has.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// ErrOpen says why a server does not listen where other machines can connect.
var ErrOpen = errors.New("other machines can connect to serve.listen, and what the sensor " +
	"knows is about people: set serve.web_config (--web-config) to a file with a certificate " +
	"(tls_server_config) and with basic_auth_users or client certificates (client_auth_type: " +
	"RequireAndVerifyClientCert); or listen on 127.0.0.1 or a unix socket, behind a proxy")

// CheckWebConfig checks the file with TLS and users. Where other machines can connect it must have
// both, else the error is ErrOpen: neither data nor passwords go over the network in clear.
func CheckWebConfig(address, file string) error {
	if file == "" {
		if isLocal(address) {
			return nil
		}
		return ErrOpen
	}
	if err := web.Validate(file); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if isLocal(address) {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c struct {
		TLS struct {
			Cert       string `yaml:"cert"`
			CertFile   string `yaml:"cert_file"`
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if err := yaml.Unmarshal(b, &c); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	encrypted := c.TLS.Cert+c.TLS.CertFile != ""
	if !encrypted || len(c.Users) == 0 && c.TLS.ClientAuth != "RequireAndVerifyClientCert" {
		return fmt.Errorf("%s does not have both: %w", file, ErrOpen)
	}
	return nil
}

// protect refuses requests for another host and sets the headers that bound what a browser does
// with an answer.
func protect(cfg *Config, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; "+
			"script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "+
			"form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !checkHost(cfg, r):
			fail(w, r, http.StatusMisdirectedRequest, "This server is not known by this name: use "+
				"the address that it listens on, or name it with --host.")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			fail(w, r, http.StatusMethodNotAllowed, "This server changes nothing: it takes GET "+
				"and HEAD. What changes the sensor is asked on its control socket.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// checkHost reports whether a request is for this server: a page of another site whose name leads
// to this address (DNS rebinding) sends its own name. Good are names of the loopback, the address
// that the client has connected to, the host of the address to listen on, and cfg.Hosts. On a unix
// socket any name is good unless cfg.Hosts has names: no browser connects there.
func checkHost(cfg *Config, r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	for _, name := range cfg.Hosts {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	if strings.HasPrefix(cfg.Listen, "unix:") {
		return len(cfg.Hosts) == 0
	}
	own, _, _ := net.SplitHostPort(cfg.Listen)
	if isLoopback(host) || host != "" && strings.EqualFold(host, own) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return err == nil && ok && local.AddrPort().Addr().Unmap() == ip.Unmap()
}
