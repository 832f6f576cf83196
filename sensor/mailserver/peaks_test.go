package mailserver

import (
	"math/rand/v2"
	"testing"
)

// TestInvitations checks that messages to ten to sixty people at once, every other day at any
// working hour, become usual for a server. Fifty times as much is still found within ten minutes,
// and ten times within the hour.
func TestInvitations(t *testing.T) {
	begin := monday + 210*24*hour + 10*hour
	for _, row := range []struct {
		factor float64
		within int64
	}{{10, hour}, {50, 10 * minute}} {
		rnd := rand.New(rand.NewPCG(4, 4))
		var v Traffic
		invitations, alarms, found := 0, 0, int64(0)
		alarm := func(a volumeAlarm) {
			switch {
			case a.Time < begin && a.Time > monday+60*24*hour:
				alarms++
			case a.Time >= begin && found == 0:
				found = a.Time - begin
			}
		}
		for now := monday; now < begin+hour; now += minute {
			each(v.tick(now), alarm)
			rate := 2.0
			if slot := (now - monday) / hour % 168; slot < 120 && slot%24 >= 8 && slot%24 < 18 {
				if rate = 60; rnd.IntN(1200) == 0 {
					invitations++
					rate = 60 * float64(10+rnd.IntN(50))
				}
			}
			if now >= begin {
				rate = 60 * row.factor
			}
			for range poisson(rnd, rate/60) {
				if a, ok := v.add(OutMessages, 1, now); ok {
					alarm(a)
				}
			}
		}
		if invitations < 50 {
			t.Fatalf("nothing is tested: %d invitations", invitations)
		}
		if alarms > 1 {
			t.Errorf("%d false alarms in five months with %d invitations", alarms, invitations)
		}
		if found == 0 || found > row.within {
			t.Errorf("%.0f times the usual was found after %d minutes", row.factor, found/minute)
		}
	}
}

// TestTopsLast checks that a peak of two days only, or one older than two months, is not usual.
func TestTopsLast(t *testing.T) {
	var d Tops
	at := monday
	note := func(five, above uint32) { d.note(at, five, above); at += 24 * hour }
	for range 30 {
		note(10, 20)
	}
	note(500, 900)
	note(500, 900)
	if in5, in60 := d.limits(at, 100, 100); in5 != 15 || in60 != 130 {
		t.Errorf("after two days: %.0f and %.0f", in5, in60)
	}
	note(500, 900)
	if in5, in60 := d.limits(at, 100, 100); in5 <= 15 || in60 != 500 {
		t.Errorf("after three days: %.0f and %.0f", in5, in60)
	}
	for range topDays {
		note(10, 20)
	}
	if in5, in60 := d.limits(at, 100, 100); in5 != 15 || in60 != 130 {
		t.Errorf("two months later: %.0f and %.0f", in5, in60)
	}
}
