package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// writeFile writes a file of a test and returns its name.
func writeFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestNotifyConfig checks that wrong channels are refused with the place of the fault.
func TestNotifyConfig(t *testing.T) {
	dir := t.TempDir()
	open := writeFile(t, filepath.Join(dir, "open"), "user:secret\n", 0o644)
	good := writeFile(t, filepath.Join(dir, "good"), "user:secret\n", 0o600)
	two := writeFile(t, filepath.Join(dir, "two"), "user\nsecret\n", 0o600)
	wrong := writeFile(t, filepath.Join(dir, "wrong"), `{"text": {{.Text}} }`, 0o600)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	const mail = "{kind: mail, to: a@example.org, server: 'mail.example.org:587', credential: %s}"
	for _, c := range []struct{ channel, want string }{
		{"{kind: mail, to: a@example.org}", ""},
		{fmt.Sprintf(mail, good), ""},
		{fmt.Sprintf(mail, "good"), ""},
		{fmt.Sprintf(mail, "open"), ""}, // the modes of systemd's files are its own
		{fmt.Sprintf(mail, open), ":4:79: other users can read the secret in " + open + ": its mode is 0644 (chmod 600"},
		{fmt.Sprintf(mail, "none"), "the credential cannot be read"},
		{fmt.Sprintf(mail, two), "must have the secret in one line"},
		{fmt.Sprintf(mail, "'user:secret'"), "the secret itself does not belong here"},
		{fmt.Sprintf(mail, "'../good'"), "the secret itself does not belong here"},
		{"{kind: mail}", "mail needs to: an address"},
		{"{kind: mail, to: [a@example.org, nobody]}", `:4:36: "nobody" is no mail address`},
		{"{kind: mail, to: a@example.org, server: 'x:y'}", `"x:y" is no mail server`},
		{"{kind: mail, to: a@example.org, from: x}", `"x" is no mail address`},
		{"{kind: mail, to: a@example.org, template: slack}", "a channel of the kind mail has no template"},
		{"{kind: pigeon}", `:4:10: "pigeon" is none of mail, webhook, alertmanager, syslog, journald`},
		{"{kind: webhook}", "a webhook needs server: URL"},
		{"{kind: webhook, server: 'ftp://x'}", "this is no address of a web server"},
		{"{kind: webhook, server: 'http://x', template: none}", `"none" is no template`},
		{"{kind: webhook, server: 'http://x', template: " + wrong + "}", "makes no valid JSON"},
		{"{kind: alertmanager}", "alertmanager needs server"},
		{"{kind: syslog, server: 'udp://192.0.2.1'}", ""},
		{"{kind: syslog, server: 'http://192.0.2.1'}", "is no syslog server"},
		{"{kind: journald, server: x}", "a channel of the kind journald has no server"},
		{"{kind: journald, min_level: high}", `"high" is none of suspect, likely, confirmed`},
		{"{kind: journald, classes: [spambot, spam]}", `"spam" is none of spambot, `},
		{"{kind: journald, clases: []}", `did you mean "classes"?`},
		{"{kind: journald}\nnotify_limits: {group: 5}", `"5" is not a duration`},
		{"{kind: journald}\nnotify_limits: {per_hour: -1}", "-1 is no number of messages"},
		{"{kind: journald}\nnotify_limits: {quiet_hours: 22-7}", `"22-7" are no quiet hours (try 22:00-07:00)`},
		{"{kind: journald}\nnotify_limits: {weekly: daily}", `"daily" is no time of the week (try Monday 08:00, or off)`},
		{"{kind: journald}\nnotify_limits: {weekly: off, quiet_hours: '22:00-07:00', group: 1s}", ""},
	} {
		file := writeFile(t, filepath.Join(dir, "c.yaml"), "output: {file: /dev/none}\n\nnotify:\n- "+c.channel+"\n", 0o600)
		cfg, err := loadConfig(&options{file: file, credentials: true, fromFiles: true})
		switch {
		case c.want == "" && (err != nil || len(cfg.notify) != 1):
			t.Errorf("%s: %v", c.channel, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.channel, err, c.want)
		}
	}
}

// Commands that tell nobody do not need the secrets of notify.
func TestNotifySecretsOfOthers(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	file := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"),
		"notify: [{kind: mail, to: a@example.org, credential: mail}]\n", 0o600)
	if _, err := loadConfig(&options{file: file}); err != nil {
		t.Error(err)
	}
	if _, err := loadConfig(&options{file: file, credentials: true}); err == nil ||
		!strings.Contains(err.Error(), "LoadCredential=mail:FILE") {
		t.Error(err)
	}
}

// TestNotifyCommand tells a webhook of the findings of a capture, and tries a test.
func TestNotifyCommand(t *testing.T) {
	bodies := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- string(b)
	}))
	defer hook.Close()
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "c.yaml"), fmt.Sprintf("output: {file: %s/events.json}\n"+
		"state: {dir: %s}\nnotify: [{kind: webhook, server: '%s'}]\n", dir, dir, hook.URL), 0o600)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"notify", "test", "-c", file}, nil, &out, &errs); code != exitOK ||
		!strings.HasPrefix(out.String(), "webhook        delivered to http://127.0.0.1:") || errs.Len() > 0 {
		t.Errorf("%d %s%s", code, out.String(), errs.String())
	}
	if b := <-bodies; !strings.Contains(b, "TEST, nothing happened") {
		t.Error(b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() { done <- run(ctx, []string{"notify", "-c", file}, nil, io.Discard, &errs) }()
	for range 100 {
		if _, err := os.Stat(filepath.Join(dir, "notify.json")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if code := run(t.Context(), []string{"read", "-q", "--events", filepath.Join(dir, "events.json"), "testdata/bot.pcap"},
		nil, io.Discard, &out); code != exitOK {
		t.Error(code, out.String())
	}
	select {
	case b := <-bodies:
		if !strings.Contains(b, `confirmed spambot 192.168.77.66`) || !strings.Contains(b, `"events":[{"level":"error"`) {
			t.Error(b)
		}
	case <-time.After(5 * time.Second):
		t.Error("nobody was told")
	}
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	hook.Close()
	out.Reset()
	if code := run(t.Context(), []string{"notify", "test", "-c", file}, nil, &out, &errs); code != exitFailed ||
		!strings.Contains(out.String(), "connection refused; nothing listens there") {
		t.Errorf("%d %s", code, out.String())
	}
	// What happened is in events that the schema knows.
	s, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(readText(t, filepath.Join(dir, "notify-events.json"))) {
		var v any
		if err := yaml.Unmarshal([]byte(l), &v); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); err != nil {
			t.Errorf("%v: %s", err, l)
		}
	}
}

// notify without a place for its messages, or without channels, says what is missing.
func TestNotifyUsage(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"", "there is nobody to tell: add a channel to notify"},
		{"notify=[{kind: journald}]", "where are the events? Set output.file"},
		{"notify=[{kind: journald}]", "or give --outbox DIR"},
	} {
		var errs bytes.Buffer
		args := []string{"notify"}
		if c.set != "" {
			args = append(args, "--set", c.set)
		}
		if code := run(t.Context(), args, nil, io.Discard, &errs); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: %d %s", c.set, code, errs.String())
		}
	}
}

// The language of notices is that of the configuration, unless --lang says another one; without both it is
// that of the locale.
func TestNotifyLanguage(t *testing.T) {
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	defer server.Close()
	for _, c := range []struct {
		lang, locale, want string
		args               []string
	}{
		{"fr", "C", "il ne s'est rien passé", nil}, {"fr", "C", "nothing happened", []string{"--lang", "en"}}, {"en", "fr_FR.UTF-8", "nothing happened", nil},
		{"auto", "fr_FR.UTF-8", "il ne s'est rien passé", nil}, {"auto", "C", "nothing happened", nil}, {"en", "C", "il ne s'est rien passé", []string{"--lang", "fr"}},
	} {
		t.Setenv("LC_ALL", c.locale)
		file := writeFile(t, filepath.Join(t.TempDir(), "c.yaml"), "sensor: {lang: "+c.lang+"}\nnotify:\n- {kind: webhook, server: '"+server.URL+"'}\n", 0o600)
		var errs strings.Builder
		code := run(t.Context(), append([]string{"notify", "test", "-c", file}, c.args...), nil, io.Discard, &errs)
		if code != exitOK || !strings.Contains(string(got), c.want) {
			t.Errorf("%v: %d %s %s", c, code, errs.String(), got)
		}
	}
}
