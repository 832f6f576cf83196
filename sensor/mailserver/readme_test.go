package mailserver

import (
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"spamsensor/bench/golden"
	"strconv"
	"strings"
	"testing"
)

// reasonDoc is a row of the manual: a reason, the finding that it belongs to, and what it rests on.
type reasonDoc struct{ code, class, level, sees, threshold, source string }

// reasonDocs are all reasons of the package, in the order of the manual.
func reasonDocs() []reasonDoc {
	const relay, account, volume = "open_relay", "hijacked_account", "volume_anomaly"
	f := fmt.Sprintf
	return []reasonDoc{
		{"relay_possible", relay, "suspect", "accepts an external domain from an external client that then sends no message", "1", "RFC 5321, section 3.6.2"},
		{"relay_proved", relay, "likely", "accepts a message of an external client, without authentication, for a domain that is not in `local_domains`", "1 message", "RFC 5321, section 3.6.2"},
		{"relay_onward", relay, "confirmed", "accepts a recipient that names another one (`user%there@here`, a route, a literal), and the message leaves for that one", f("within %d minutes", transitTime/minute), "RFC 5321, appendix C"},
		{"relay_passed_on", relay, "confirmed", "a message of `relay_proved` leaves for the same recipient", f("within %d minutes", transitTime/minute), "the same message seen twice"},
		{"relay_suspected", relay, "suspect, likely", "without `local_domains`: messages for domains that appeared today leave for the Internet at once", f("1 domain; likely from 3, on a server watched for %d days, or 10", relayLearn/day), "domains that three external networks mail to are learned as local"},
		{"relay_new_domains", relay, "likely", "without `local_domains`: accepts mail for many domains that are new within a day, each from one network alone", f("%d domains, and %d times as many as were known, on a server watched for a day", minNewDomains, newToOld), "the local domains are known by then"},
		{"relay_in_tls", relay, "suspect", "encrypted sessions of an external network are followed by sessions of the same size to the Internet", f("%d sessions, %d destinations, within %d s each", encryptedLeast, encryptedDests, encryptedTime/second), "sizes and times; the rest of the traffic for comparison"},
		{"relay_by_volume", relay, "suspect", "a volume alarm while one external network brings most of the incoming bytes", "half of the bytes of the hour", "no session can be read"},
		{"account_", account, "suspect to confirmed", "one account (by the keyed hash of its name), within a day: networks of its clients, recipients in an hour, unknown recipients, new domains of senders", f("%d networks; %d recipients and %d times the busiest hour; a quarter unknown; %d domains: one sign is suspect, two likely, three confirmed", accountNets, accountVolume, accountTimes, accountSenders), "a person has home, office, telephone and hotel"},
		{"submission_spread", account, "suspect", "clients of many more networks than usual submit mail within an hour", f("z >= %g", burstZ), "works where sessions are encrypted"},
		{"submission_spread_volume", account, "likely", "the same, and more mail than usual, or more refusals", f("within %d minutes", together/minute), ""},
		{"submission_spread_volume_refused", account, "confirmed", "the same, and both", f("within %d minutes", together/minute), ""},
		{"volume_burst", volume, "likely", "a metric far above the same hour of past weeks", f("z >= %g in five minutes, or z >= %g in sixty", burstZ, burstHourZ), "Anscombe 1948"},
		{"volume_rise", volume, "likely", "a metric above the usual for hours", f("CUSUM of z - %g reaches %g", cusumSlack, cusumLimit), "Page 1954"},
		{"volume_stopped", volume, "likely", f("nothing is sent while %g messages an hour are usual", stoppedMean), "2 hours", ""},
		{"queue_grew", volume, "suspect", "the queue, as estimated from outside", f("%d and five times the usual, or growing while the oldest waits for 4 hours; on the first day as many as were sent in the busiest hour", minQueue), "RFC 5321, section 4.5.4.1"},
		{"queue_blocklisted", volume, "likely", "the same, most of it deferred because of a blocklist", "half of the queue", ""},
		{"bounces", "backscatter", "suspect", "mails with the null sender within a day, taken or refused, of a server that strangers bring mail to", f("one in %d of at least %d; from %d on if one in %d of them, and 3, is refused", backscatterShare, backscatterLeast, backscatterFew, backscatterRefused), "RFC 5321, section 6.1; RFC 3834"},
	}
}

// TestReasonDocs: the manual has exactly the reasons that the source has.
func TestReasonDocs(t *testing.T) {
	documented := map[string]bool{}
	for _, d := range reasonDocs() {
		documented[d.code] = true
	}
	kinds := map[string]bool{"burst": true, "rise": true, "stopped": true}
	code := regexp.MustCompile(`^(relay|queue|submission|volume|account)_[a-z_]*|^bounces$`)
	found := map[string]bool{}
	for _, s := range stringLiterals(t) {
		if kinds[s] {
			s = "volume_" + s
		}
		if s = code.FindString(s); s == "" || s == "volume_" {
			continue
		}
		found[s] = true
		if !documented[s] {
			t.Errorf("the reason %s has no row in reasonDocs", s)
		}
	}
	for s := range documented {
		if !found[s] {
			t.Errorf("the source has no reason %s", s)
		}
	}
}

// stringLiterals returns the string literals of the package, without tests and struct tags.
func stringLiterals(t *testing.T) (list []string) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var s scanner.Scanner
		set := token.NewFileSet()
		s.Init(set.AddFile(name, set.Base(), len(text)), text, nil, 0)
		for {
			_, kind, literal := s.Scan()
			if kind == token.EOF {
				break
			}
			if kind == token.STRING && literal[0] == '"' {
				if v, err := strconv.Unquote(literal); err == nil {
					list = append(list, v)
				}
			}
		}
	}
	return list
}

// The table of the manual is made of the code: go test ./sensor/mailserver -run TestREADME -update
func TestREADME(t *testing.T) {
	var b strings.Builder
	b.WriteString("| finding | reason | level | what it sees | threshold | source or reason |\n|---|---|---|---|---|---|\n")
	for _, d := range reasonDocs() {
		code := d.code
		if strings.HasSuffix(code, "_") {
			code += "..."
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s | %s |\n", d.class, code, d.level, d.sees, d.threshold, d.source)
	}
	b.WriteString("\n| metric |\n|---|\n")
	for m := range Metrics {
		fmt.Fprintf(&b, "| %s |\n", m)
	}
	golden.Table(t, "README.md", b.String())
}
