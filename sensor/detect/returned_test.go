package detect

import (
	"testing"

	"spamsensor/sensor/verdict"
)

// returns is n mails with the null sender, or with one, to as many domains in clear: half of the
// recipients do not exist.
func (s *scene) returns(n int, null bool) *scene {
	for i := range n {
		s.tries(1, 25, 0, true).helo("mail.corp.example")
		unknown := i%2 != 0
		s.see(Observation{Kind: KindRecipient, Hash: mix(s.dest), External: true, Returned: null})
		s.see(Observation{Kind: KindRecipientReply, Unknown: unknown, Returned: null})
		s.see(Observation{Kind: KindDecided, Net: mix(s.dest), Refused: unknown, About: AboutRecipient, Returned: null})
		s.judge()
		s.wait(20)
	}
	return s
}

// serves is n external hosts that bring mail.
func (s *scene) serves(n uint32) *scene {
	for i := range n {
		s.see(Observation{Kind: KindServed, Hash: mix(1000 + i)})
	}
	return s
}

// TestReturnedMail: the null sender speaks for a host that others bring mail to, and for no other.
func TestReturnedMail(t *testing.T) {
	for _, row := range []struct {
		name  string
		s     *scene
		class verdict.Class
		most  verdict.Level
	}{
		{"a server that returns mail", newScene().serves(2).returns(60, true), verdict.UndeclaredServer, verdict.Suspect},
		{"the same, and the first mails were seen before others brought some", newScene().returns(3, true).serves(2).returns(60, true), verdict.UndeclaredServer, verdict.Suspect},
		{"a bot with the null sender", newScene().returns(60, true), verdict.Spambot, verdict.Confirmed},
		{"one host brings mail: somebody who tries", newScene().serves(1).returns(60, true), verdict.Spambot, verdict.Confirmed},
		{"a server that returns mail, and sends spam of its own", newScene().serves(2).returns(60, true).returns(60, false), verdict.Spambot, verdict.Likely},
	} {
		v := row.s.p.Judge(&row.s.n, row.s.now)
		if v.Class != row.class || v.Level != row.most {
			t.Errorf("%s: %s %s, score %v", row.name, v.Level, v.Class, v.Score)
		}
	}
}

// TestReturnedRecipients checks what a checkpoint keeps of the two tests, and that one of an older
// version stands for both.
func TestReturnedRecipients(t *testing.T) {
	s := newScene().serves(2).returns(20, true).returns(4, false)
	d := s.p.Save(&s.n)
	var p Profile
	p.Restore(&d, true)
	if p.unknownOfOwn != s.p.unknownOfOwn || p.unknownOfOwn.Recipients != 4 || p.unknownUsers.Recipients != 24 {
		t.Errorf("%+v, %+v", p.unknownOfOwn, p.unknownUsers)
	}
	d.Replies.Own = nil
	if p.Restore(&d, true); p.unknownOfOwn != p.unknownUsers {
		t.Errorf("%+v", p.unknownOfOwn)
	}
}
