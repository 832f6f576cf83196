package mailserver

import "testing"

// TestBackscatter has servers that return mail, and others at the edge of that.
func TestBackscatter(t *testing.T) {
	type mails struct {
		n    int
		from string // empty: the null sender
		code uint16 // of the reply to the recipient
		sent bool   // the message was sent and accepted
	}
	own, back, dead := mails{from: "a@corp.example", code: 250, sent: true}, mails{code: 250, sent: true}, mails{code: 550}
	callout, later := mails{code: 250}, mails{code: 450}
	times := func(m mails, n int) mails { m.n = n; return m }
	for _, row := range []struct {
		name    string
		brought uint64
		list    []mails
		want    bool
	}{
		{"eleven of fifty", 9, []mails{times(own, 39), times(back, 11)}, true},
		{"ten of fifty", 9, []mails{times(own, 40), times(back, 10)}, false},
		{"too few, and all are wanted: an automatic answer", 9, []mails{times(back, 30)}, false},
		{"few, and three are refused", 9, []mails{times(dead, 3), times(back, 7)}, true},
		{"few, and two are refused", 9, []mails{times(dead, 2), times(back, 10)}, false},
		{"nine", 9, []mails{times(dead, 5), times(back, 4)}, false},
		{"nobody brought mail", 1, []mails{times(dead, 50), times(back, 50)}, false},
		{"verifies senders", 9, []mails{times(callout, 30), times(dead, 30), times(own, 40), times(back, 5)}, false},
		{"is greylisted", 9, []mails{times(own, 60), times(later, 60)}, false},
	} {
		s := Server{Brought: row.brought}
		at, got := int64(1.7e18), 0
		for _, m := range row.list {
			for range m.n {
				at += minute
				for _, v := range s.Observe(&Observation{Kind: OutboundMail, Outside: true, Mail: &Mail{Time: at, FromText: m.from, Accepted: m.sent, Over: !m.sent, Rcpts: []Recipient{{Code: m.code}}}}) {
					if v.Code == "bounces" {
						got++
					}
				}
			}
		}
		if got != map[bool]int{true: 1}[row.want] {
			t.Errorf("%s: %d verdicts, want one %v; %+v", row.name, got, row.want, s.Backscatter)
		}
	}
}

// TestBackscatterWindow checks that mails count for a day, and that a server is named once a day.
func TestBackscatterWindow(t *testing.T) {
	b := Backscatter{}
	var out verdicts
	send := func(at int64, n int) {
		for range n {
			b.outbound(&Mail{Time: at, Over: true, Rcpts: []Recipient{{Code: 550}}}, 2, &out)
			b.outbound(&Mail{Time: at, Accepted: true, Rcpts: []Recipient{{Code: 250}}}, 2, &out)
		}
	}
	const start = int64(1.7e18)
	if send(start, 4); len(out) != 0 {
		t.Fatal("eight mails")
	}
	if send(start+day, 4); len(out) != 0 { // the first ones have left the window
		t.Fatal("eight mails a day")
	}
	if send(start+day+hour, 4); len(out) != 1 {
		t.Fatalf("sixteen mails a day: %d", len(out))
	}
	if send(start+day+2*hour, 40); len(out) != 1 {
		t.Fatal("again within the day")
	}
	if send(start+2*day+2*hour, 40); len(out) != 2 {
		t.Fatal("not again after a day")
	}
	if send(start, 40); b.Window > start {
		t.Error("a clock that was put back")
	}
}
