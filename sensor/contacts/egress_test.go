package contacts

import "testing"

// TestEgress has a row for each state, and rows that are not enough for one.
func TestEgress(t *testing.T) {
	many := Attempts{Networks: 10}
	waits := Attempts{Networks: 10, Retransmitted: 10}
	for _, c := range []struct {
		what string
		port Port
		a    Attempts
		want Egress
	}{
		{"one answer", Port{Attempts: 100, Answered: 1, Refused: 99}, many, Open},
		{"too few attempts", Port{Attempts: blockedAfter - 1, Refused: blockedAfter - 1}, many, Unknown},
		{"too few networks", Port{Attempts: 20, Refused: 20}, Attempts{Networks: 3}, Unknown},
		{"refused", Port{Attempts: 20, Refused: 11}, many, Reset},
		{"prohibited", Port{Attempts: 20, Unreachable: 11}, many, ICMP},
		{"half of both", Port{Attempts: 20, Refused: 10, Unreachable: 10}, waits, Drop},
		{"SYNs that are sent again", Port{Attempts: 20}, waits, Drop},
		{"single SYNs", Port{Attempts: 20}, many, Unknown},
		{"single SYNs, and answers on another port", Port{Attempts: 20}, Attempts{Networks: 10, Answered: 1}, Drop},
	} {
		c.port.Port = 25
		p := Ports{{Port: 587, Attempts: 2, Answered: 2}, c.port}
		if got := p.Egress(c.a); got != c.want || got.Blocked() != (c.want.Cause() != "") {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// TestPorts: four ports have a place, and a fifth has none.
func TestPorts(t *testing.T) {
	var p, q Ports
	for i := range uint16(5) {
		if at := p.Of(i + 1); (at == nil) != (i == 4) {
			t.Errorf("port %d: %v", i+1, at)
		}
	}
	p.Of(2).Attempts, p.Of(3).Attempts = 5, 4
	q.Of(3).Attempts, q.Of(9).Attempts = 2, 100
	p.Merge(&q)
	if at := p.Busiest(); at.Port != 3 || at.Attempts != 6 {
		t.Errorf("the busiest: %+v", at)
	}
}
