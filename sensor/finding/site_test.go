package finding

import (
	"testing"

	"spamsensor/smtpsniff/refusal"
)

// TestOneNameOfAList: the domain of an operator, which a link has, is no second list. A better name
// of a known list is news.
func TestOneNameOfAList(t *testing.T) {
	var s SiteFacts
	for i, c := range []struct {
		name string
		news bool
	}{
		{"spamhaus.org", true}, {"zen.spamhaus.org", true}, {"spamhaus.org", false},
		{"zen.spamhaus.org", false}, {"bl.spamcop.net", true}, {"spamcop.net", false},
	} {
		if news := s.Learn(&refusal.Citation{List: c.name}, [16]byte{byte(i)}, "see "+c.name, int64(i)); news != c.news {
			t.Errorf("%d. %s: news %v", i, c.name, news)
		}
	}
	lists := s.Event(9).Lists
	if len(lists) != 2 || lists[0].Name != "zen.spamhaus.org" || lists[0].Count != 4 || lists[0].First != 0 ||
		lists[0].Sample != "see zen.spamhaus.org" || lists[1].Name != "bl.spamcop.net" || lists[1].Count != 2 {
		t.Errorf("%+v", lists)
	}
}
