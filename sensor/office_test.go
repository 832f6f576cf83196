//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The desktops of an office.
const (
	firstDesktop  = "192.168.88.11"
	secondDesktop = "192.168.88.12"
)

// newOffice is a span with a real mail server, two desktops and a bot, each a machine of its own at
// the bridge. A second Postfix is all servers of the Internet. The mirror has what enters each port,
// so that each frame comes once.
func newOffice(t *testing.T, tools ...string) *span {
	t.Helper()
	s := newSpan(t, append(tools, "postfix", "postconf")...)
	sw := s.ns("sw")
	s.must("ip", "-n", s.ns("a"), "addr", "flush", "dev", "up0")
	s.join("a", mailAddr)
	s.must("tc", "-n", sw, "filter", "del", "dev", "c0", "egress")
	s.mirror("s0", "ingress")
	for name, addr := range map[string]string{"pc1": firstDesktop, "pc2": secondDesktop, "bot": botAddr} {
		s.namespace(name)
		ns := s.ns(name)
		s.must("ip", "-n", ns, "link", "add", "up0", "type", "veth", "peer", "name", name, "netns", sw)
		s.must("ip", "-n", sw, "link", "set", name, "master", "br0", "up")
		s.must("ip", "-n", ns, "link", "set", "up0", "up")
		s.join(name, addr)
		s.mirror(name, "ingress")
	}
	s.postfix()
	s.startPostfix("a", filepath.Join(s.dir, "mail"), fmt.Sprintf(relayMain, "127.0.0.1 192.168.88.0/24"))
	return s
}

// join gives a machine of the office its address and its route.
func (s *span) join(name, addr string) {
	s.must("ip", "-n", s.ns(name), "addr", "add", addr+"/24", "dev", "up0")
	s.must("ip", "-n", s.ns(name), "route", "add", "default", "via", "192.168.88.1")
}

// work has desktops and strangers send mail through the mail server, and the bot its spam, until the
// test ends.
func (s *span) work() {
	var pipes []io.Writer
	for _, ns := range []string{"pc1", "pc2", "b", "bot"} {
		in, _ := s.stranger(ns)
		pipes = append(pipes, in)
	}
	over := make(chan struct{})
	s.done = append(s.done, func() { close(over) })
	go func() {
		for i := 0; ; i++ {
			// A pipe that is broken shows as a server or a bot that is not found.
			fmt.Fprintln(pipes[i%2], []string{firstDesktop, secondDesktop}[i%2], mailAddr,
				"anna@corp.example", "info@elsewhere.example")
			fmt.Fprintf(pipes[2], "198.18.%d.7 %s carl@far%d.example bob@corp.example\n", i%40, mailAddr, i%40)
			fmt.Fprintf(pipes[3], "%s 198.18.%d.25 u%d@forged%d.example nobody@example.net\n", botAddr, 50+i%100, i, i%8)
			select {
			case <-over:
				return
			case <-time.After(250 * time.Millisecond):
			}
		}
	}()
}

// officeConfig checks a configuration that setup has written in an office: it declares the mail
// server and the network, and neither the bot nor anything outside.
func officeConfig(t *testing.T, name string) (text string) {
	t.Helper()
	text = readText(t, name)
	cfg, err := loadConfig(&options{file: name, fromFiles: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	servers := 0
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "  - ip: ") {
			servers++
		}
	}
	for _, want := range []string{"  - ip: \"" + mailAddr + "\"\n    name: \"mail.corp.example\"\n",
		"  - \"192.168.0.0/16\" # 4 hosts with mail seen\n"} {
		if !strings.Contains(text, want) || servers != 1 {
			t.Errorf("%d servers; want 1, and %q in\n%s", servers, want, text)
		}
	}
	if len(cfg.notify) != 3 {
		t.Errorf("%d channels, want 3:\n%s", len(cfg.notify), text)
	}
	return text
}

// eventuallyHas waits until a file has a text, for a time in which mail is delivered.
func (s *span) eventuallyHas(name, text string) {
	s.t.Helper()
	var b []byte
	for range 300 {
		if b, _ = os.ReadFile(name); strings.Contains(string(b), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("%s lacks %q:\n%s", name, text, b)
}
