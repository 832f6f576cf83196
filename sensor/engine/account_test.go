package engine

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestHijackedAccount checks a stolen password that is used from many networks, with many external
// recipients that do not exist. Travelling users are no such case, and no event contains the
// account name.
func TestHijackedAccount(t *testing.T) {
	const name = "quizmaster.zyx@corp.example"
	p := newPlay(relayConfig())
	saved := ""
	submit := func(client, user string, rcpts ...string) {
		auth := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00hunter2"))
		text := "S: 220 mx ESMTP\nC: EHLO c\nS: 250 mx\nC: AUTH PLAIN " + auth + "\nS: 235 ok\nC: MAIL FROM:<" + user + ">\nS: 250 ok\n"
		for _, r := range rcpts {
			text += "C: RCPT TO:<" + r + ">\nS: 250 ok\n"
		}
		p.conn(client, ourServer, 587, text+"C: DATA\nS: 354 go\nC: hello\nC: .\nS: 250 queued\nC: QUIT\nS: 221 bye\n")
	}
	for i := range 40 { // two people who travel, and a telephone
		submit(fmt.Sprintf("198.51.%d.7", i%4), "alice@corp.example", "x@y.example")
		submit("10.0.0.80", "bob@corp.example", "x@y.example")
	}
	if p.said() != "" {
		t.Fatalf("before: %s", p.said())
	}
	for i := range 9 {
		submit(fmt.Sprintf("203.0.%d.7", i), name, "x@y.example")
	}
	if p.said() != "" {
		t.Fatalf("nine networks: %s", p.said())
	}
	submit("203.0.9.7", name, "x@y.example")
	if want := "10.0.0.25 opened hijacked_account likely"; p.said() != want {
		t.Fatalf("ten networks: %q", p.said())
	}
	for i := range 30 {
		reply := "250 ok"
		if i%3 == 0 {
			reply = "550 5.1.1 no such user"
		}
		p.conn(ourServer, fmt.Sprintf("192.0.%d.25", i), 25, message(name, fmt.Sprintf("v%d@victim.example", i), reply, "250 queued"))
	}
	if !strings.HasSuffix(p.said(), "10.0.0.25 updated hijacked_account confirmed") {
		t.Errorf("with recipients that do not exist: %q", p.said())
	}
	last := p.findings[len(p.findings)-1]
	text := fmt.Sprint(last.Reasons)
	if !strings.Contains(text, "203.0.9.7") || !strings.Contains(text, "do not exist") {
		t.Errorf("the reason does not say how to find the account: %s", text)
	}
	state, err := json.Marshal(p.e.Save())
	if err != nil {
		t.Fatal(err)
	}
	p.e.Finish("end_of_input")
	events, _ := json.Marshal(p.findings)
	saved = string(state) + string(events) + fmt.Sprint(p.servers)
	if i := strings.Index(saved, "quizmaster"); i >= 0 {
		t.Errorf("the name is told: %s", saved[max(0, i-100):i+40])
	}
	if c := p.servers[ourServer].Count; c.AbsentOut != 10 {
		t.Errorf("%d recipients do not exist, want 10", c.AbsentOut)
	}
	// One account with much more mail than ever is suspicious.
	q := newPlay(relayConfig())
	p = q
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf("m%d@list.example", i))
	}
	for range 8 {
		submit("198.51.100.7", "carol@corp.example", many...)
	}
	if p.said() != "" {
		t.Errorf("480 recipients: %s", p.said())
	}
	submit("198.51.100.7", "carol@corp.example", many...)
	if want := "10.0.0.25 opened hijacked_account suspect"; p.said() != want {
		t.Errorf("540 recipients: %q", p.said())
	}
}
