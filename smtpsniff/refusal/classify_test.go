package refusal

import "testing"

func TestClassifyRefusal(t *testing.T) {
	for _, c := range []struct {
		code     uint16
		enhanced [3]uint16
		text     string
		want     Reason
	}{
		{554, [3]uint16{5, 7, 1}, "Service unavailable; Client host [77.234.40.37] blocked using zen.spamhaus.org", Blocklisted},
		{554, [3]uint16{5, 7, 1}, "Client host blocked using pbl.spamhaus.org", DynamicRange},
		{550, [3]uint16{5, 1, 1}, "<a@b.example>: Recipient address rejected: User unknown in virtual mailbox table", UserUnknown},
		{550, [3]uint16{5, 7, 1}, "Relaying denied", NoRelaying},
		{553, [3]uint16{}, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", NoRelaying},
		{530, [3]uint16{}, "authentication required", WantsLogin},
		{550, [3]uint16{}, "Authentication is required for relay", WantsLogin},
		{530, [3]uint16{5, 7, 0}, "Must issue a STARTTLS command first", WantsTLS},
		{535, [3]uint16{5, 7, 8}, "", LoginFailed},
		{450, [3]uint16{4, 7, 1}, "Recipient address rejected: Greylisted, see http://postgrey.example", Greylisted},
		{450, [3]uint16{4, 7, 1}, "Client host rejected: cannot find your reverse hostname", NoReverse},
		{550, [3]uint16{5, 7, 23}, "SPF validation failed", SPF},
		{421, [3]uint16{4, 7, 0}, "Too many connections", TooManyConnections},
		{451, [3]uint16{4, 3, 0}, "Temporary local problem, try again later", ReceiverTrouble},
		{451, [3]uint16{4, 3, 0}, "Queue file write error", ReceiverTrouble},
		{451, [3]uint16{}, "Requested action aborted: local error in processing", ReceiverTrouble},
		{553, [3]uint16{5, 3, 0}, "Blocked, see our policy", Policy},
		{552, [3]uint16{5, 2, 2}, "", MailboxFull},
		{421, [3]uint16{4, 7, 0}, "[TS01] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1", Reputation},
		{421, [3]uint16{4, 7, 28}, "an unusual rate of unsolicited mail originating from your IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate limited", Reputation},
		{451, [3]uint16{4, 7, 650}, "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation", Reputation},
		{550, [3]uint16{5, 7, 606}, "Access denied, banned sending IP [192.0.2.1]", Reputation},
		{450, [3]uint16{4, 2, 1}, "The user you are trying to contact is receiving mail too quickly", RateLimited},
		{554, [3]uint16{}, "delivery error: dd This user doesn't have a yahoo.com account", UserUnknown},
		{550, [3]uint16{}, "Administrative prohibition", Policy},
		{554, [3]uint16{5, 7, 1}, "Message rejected as spam by content filtering", SpamSeen},
	} {
		if got := Classify(c.code, c.enhanced, c.text); got != c.want {
			t.Errorf("%d %v %q: %s, want %s", c.code, c.enhanced, c.text, got, c.want)
		}
	}
}
