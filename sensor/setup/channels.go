package setup

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// probeTime bounds the time for each channel.
const probeTime = 2 * time.Second

// The places that notify uses unless its channel names a server.
const usualSMTP, usualSyslog = "127.0.0.1:25", "/dev/log"

// Machine is where Channels looks; the zero value looks at this machine.
type Machine struct {
	SMTP, Alertmanager, Syslog, Journal string
}

// standard fills in the usual places.
func (m *Machine) standard() {
	m.SMTP, m.Syslog = cmp.Or(m.SMTP, usualSMTP), cmp.Or(m.Syslog, usualSyslog)
	m.Alertmanager = cmp.Or(m.Alertmanager, "127.0.0.1:9093")
	m.Journal = cmp.Or(m.Journal, "/run/systemd/journal/socket")
}

// Channels returns the ways to tell people that answer on this machine: a mail server, an
// Alertmanager, the journal or else syslog. It sends nothing but a greeting and a question.
func (m Machine) Channels(ctx context.Context) (list []Channel) {
	m.standard()
	if greeting, ok := greets(ctx, m.SMTP); ok {
		lines := []string{"- kind: mail", "  to: [root@localhost]"}
		if m.SMTP != usualSMTP {
			lines = append(lines, "  server: "+strconv.Quote(m.SMTP))
		}
		list = append(list, Channel{lines, "The mail server of this machine answers: " + greeting})
	}
	if isAlertmanager(ctx, m.Alertmanager) {
		list = append(list, Channel{[]string{"- kind: alertmanager", "  server: " +
			strconv.Quote("http://"+m.Alertmanager)}, "An Alertmanager answers there."})
	}
	switch {
	case isSocket(m.Journal):
		list = append(list, Channel{[]string{"- kind: journald"}, "The journal of systemd runs."})
	case isSocket(m.Syslog):
		lines := []string{"- kind: syslog"}
		if m.Syslog != usualSyslog {
			lines = append(lines, "  server: "+strconv.Quote("unix://"+m.Syslog))
		}
		list = append(list, Channel{lines,
			fmt.Sprintf("A syslog daemon listens on %s.", m.Syslog)})
	}
	return list
}

// greets reports whether an SMTP server answers with 220, and what it says.
func greets(ctx context.Context, addr string) (greeting string, ok bool) {
	d := net.Dialer{Timeout: probeTime}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(probeTime))
	line, err := bufio.NewReader(io.LimitReader(c, 512)).ReadString('\n')
	io.WriteString(c, "QUIT\r\n")
	return strings.ToValidUTF8(strings.TrimSpace(line), "?"), err == nil &&
		strings.HasPrefix(line, "220")
}

// isAlertmanager asks for the status of an Alertmanager (API v2).
func isAlertmanager(ctx context.Context, addr string) bool {
	ctx, stop := context.WithTimeout(ctx, probeTime)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/v2/status",
		http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer.StatusCode == http.StatusOK && strings.Contains(string(b), `"versionInfo"`)
}

// isSocket reports whether there is a unix socket.
func isSocket(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().Type() == os.ModeSocket
}
