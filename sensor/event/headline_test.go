package event

import (
	"net/netip"
	"strings"
	"testing"

	"spamsensor/sensor/detect"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// TestHeadlineSaysWhatWasSeen checks that the headline does not mention mail of a host that sent
// none.
func TestHeadlineSaysWhatWasSeen(t *testing.T) {
	for want, counters := range map[string]detect.Counters{
		"sends mail directly to the Internet": {Attempts: 2, Sessions: 1,
			Messages: 1},
		"connects directly to mail servers on the Internet": {Attempts: 2, Sessions: 2},
		"tries to reach mail servers on the Internet":       {Attempts: 2},
	} {
		f := finding.Finding{Action: "opened", Class: verdict.DirectSMTP,
			Source: finding.SourceRecord{Addr: netip.MustParseAddr("10.0.0.5"), Counters: counters}}
		if got := Headline(&f); !strings.Contains(got,
			want+" and is no declared mail server (2 attempts)") {
			t.Errorf("%+v: %s", counters, got)
		}
	}
}
