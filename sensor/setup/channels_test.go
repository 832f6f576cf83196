package setup

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestChannels: what answers is proposed, and what is silent, or something else, is not.
func TestChannels(t *testing.T) {
	mail := listener(t, "220 mail.example.org ESMTP\x1b[1m\r\n")
	ssh := listener(t, "SSH-2.0-OpenSSH\r\n")
	am := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"versionInfo":{"version":"0.25"}}`)
	}))
	defer am.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	dev := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dev, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	none := filepath.Join(t.TempDir(), "none")
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	full := Machine{SMTP: mail, Alertmanager: host(am), Syslog: dev, Journal: none}
	list := full.Channels(t.Context())
	text := Write(&Facts{}, Places{}, list, time.Unix(0, 0), nil)
	for _, want := range []string{"- kind: mail\n    to: [root@localhost]\n", "- kind: alertmanager",
		"- kind: syslog\n", "# The mail server of this machine answers: 220 mail.example.org"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if strings.ContainsRune(text, '\x1b') {
		t.Error("a greeting put a control character into the configuration")
	}
	full.Journal = dev
	if list := full.Channels(t.Context()); len(list) != 3 || list[2].Lines[0] != "- kind: journald" {
		t.Errorf("with a journal: %v", list)
	}
	empty := Machine{SMTP: ssh, Alertmanager: host(other), Syslog: none, Journal: none}
	if list := empty.Channels(t.Context()); len(list) != 0 {
		t.Errorf("other services: %v", list)
	}
}

// listener greets each client.
func listener(t *testing.T, greeting string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, greeting)
			bufio.NewReader(c).ReadString('\n')
			c.Close()
		}
	}()
	return l.Addr().String()
}
