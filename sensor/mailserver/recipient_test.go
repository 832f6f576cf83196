package mailserver

import "testing"

func TestPercentHack(t *testing.T) {
	for local, want := range map[string]string{
		"user%victim.org": "user@victim.org", "victim.org!user": "user@victim.org", `"user@victim.org"`: "user@victim.org", "a%b.example%victim.org": "a%b.example@victim.org",
		"bob": "", "50%": "", "%there": "", "bob%nowhere": "", "!": "", `""`: "", "srs0=hhh=tt=victim.org=user": "", "list-bounces+user=victim.org": "",
	} {
		if got := string(PercentHack([]byte(local))); got != want {
			t.Errorf("%s: %q, want %q", local, got, want)
		}
	}
}
