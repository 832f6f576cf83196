package handover

import (
	"fmt"
	"testing"
)

// clients are hosts that hand mail to a server of ours, by what their mail number i is.
var clients = []struct {
	name string
	mail func(i uint32) Mail
	want int // mails after which the rest is judged, 0 for never
}{
	{"a bot", func(i uint32) Mail { return mail(i, 100+i, relays) }, ManyUnsure},
	{"a bot, with our domains configured", func(i uint32) Mail { return mail(i, 100+i, relays, foreign) }, ManyRecipients},
	{"a bot with nine senders", func(i uint32) Mail { return mail(i%9+1, 100+i, relays) }, 0},
	{"a bot with ten senders", func(i uint32) Mail { return mail(i%10+1, 100+i, relays) }, ManyUnsure},
	{"people who forward to 19 domains", func(i uint32) Mail { return mail(i, 100+i%19, relays) }, 0},
	{"people who forward to nine domains that are not ours", func(i uint32) Mail { return mail(i, 100+i%9, relays, foreign) }, 0},
	{"a newsletter", func(i uint32) Mail { return mail(1, 100+i, relays) }, 0},
	{"mail of ours", func(i uint32) Mail { return mail(i, 100+i, relays, sentByUs) }, 0},
	{"a gateway", func(i uint32) Mail { return mail(i, 100+i, relays, local) }, 0},
	{"bounces", func(i uint32) Mail { return mail(0, 100+i, relays) }, 0},
	{"a server that sends nothing on", func(i uint32) Mail { return mail(i, 100+i) }, 0},
	{"a bot that is refused", func(i uint32) Mail { return mail(i, 100+i, unknown, full) }, fewMails},
	{"the same with mail for us as well", func(i uint32) Mail {
		if i%2 == 0 {
			return mail(i, 100+i, unknown, full)
		}
		return mail(i, 1, local, full)
	}, 2 * fewMails},
	{"relay tests that come through a gateway", func(i uint32) Mail {
		if i%3 == 0 {
			return mail(i, 100+i, unknown, full)
		}
		return mail(i, 1, local, full)
	}, 0},
	{"a bot that guesses mailboxes of ours", func(i uint32) Mail { return mail(i, 1, local, unknown) }, fewMails},
	{"a gateway that guesses are brought through", func(i uint32) Mail { return mail(i, 1, local, unknown, full) }, 0},
	{"a connector with dead mailboxes", func(i uint32) Mail {
		if i%5 < 2 {
			return mail(i, 1, local, unknown)
		}
		return mail(i, 1, local)
	}, 0},
}

func relays(m *Mail)   { m.Relays = true }
func sentByUs(m *Mail) { m.Local = true }
func full(m *Mail)     { m.Full = true }
func foreign(m *Mail)  { m.Rcpts[0].Foreign = true }
func local(m *Mail)    { m.Rcpts[0].Local = true }
func unknown(m *Mail) {
	m.Accepted, m.Rcpts[0].Accepted, m.Rcpts[0].Unknown = false, false, true
}

// mail is a mail that is accepted, from one domain to another.
func mail(from, to uint32, with ...func(*Mail)) Mail {
	m := Mail{Sender: from, Helo: "pc", Accepted: true, Rcpts: []Recipient{{Domain: to, Accepted: true}}}
	for _, f := range with {
		f(&m)
	}
	return m
}

// TestAdd checks at which mail each client is judged, one mail a minute, and that all of its mails
// are judged that were kept.
func TestAdd(t *testing.T) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			var l Log
			at, judged := 0, 0
			for i := range 200 {
				m := c.mail(uint32(i + 1))
				m.Time = int64(1.7e18) + int64(i)*60e9
				due := l.Add(&m)
				if judged += len(due); len(due) > 0 && at == 0 {
					at = i + 1
					if len(due) < min(at, maxHeld)/2 {
						t.Errorf("%d of %d mails are judged", len(due), at)
					}
				}
			}
			if at != c.want {
				t.Errorf("judged at mail %d, want %d", at, c.want)
			}
			if at == 0 && judged > 0 || at > 0 && judged < 80 {
				t.Errorf("%d mails were judged", judged)
			}
		})
	}
}

// TestWindow: what a host hands over within a day counts together, and not what it does in a week. A
// host whose mail was judged yesterday begins again.
func TestWindow(t *testing.T) {
	for _, c := range []struct {
		pause int64 // hours between mails
		want  bool
	}{{1, true}, {2, false}} {
		var l Log
		found := false
		for i := range 200 {
			m := mail(uint32(i+1), uint32(i+1), relays)
			m.Time = int64(1.7e18) + int64(i)*c.pause*3600e9
			found = found || len(l.Add(&m)) > 0
		}
		if found != c.want {
			t.Errorf("a mail every %d h: %v", c.pause, found)
		}
	}
}

// TestReach: what the host reaches counts when it is enough, up to the limit.
func TestReach(t *testing.T) {
	var l Log
	got := ""
	for i := range 40 {
		m := mail(uint32(i+1), uint32(i+1), relays)
		m.Time = 1.7e18
		l.Add(&m)
		if n, certain := l.Reach(m.Time); i == 18 || i == 19 || i == 39 {
			got += fmt.Sprint(n, certain, ";")
		}
	}
	if want := "0 false;20 false;32 false;"; got != want {
		t.Errorf("reach is %s, want %s", got, want)
	}
}

// TestBounds: a mail with a hundred recipients takes no more memory than one with a few, and a host
// without a verdict keeps a few mails.
func TestBounds(t *testing.T) {
	var l Log
	for i := range 1000 {
		m := mail(uint32(i%9+1), 1)
		for range 99 {
			m.Rcpts = append(m.Rcpts, m.Rcpts[0])
		}
		l.Add(&m)
	}
	if len(l.held) != maxHeld || len(l.held[0].Rcpts) != maxRcpts {
		t.Errorf("%d mails with %d recipients are kept", len(l.held), len(l.held[0].Rcpts))
	}
}
