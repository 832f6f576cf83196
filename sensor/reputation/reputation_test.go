package reputation

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/dns/dnstest"

	"golang.org/x/net/dns/dnsmessage"
)

// good is a list that has its test entries, and entries of its own.
func good(entries map[string]string) dnstest.Answer {
	return func(name string) ([]string, string, dnsmessage.RCode, bool) {
		if strings.HasPrefix(name, "2.0.0.127.") {
			return []string{"127.0.0.2"}, "test", dnsmessage.RCodeSuccess, true
		}
		for entry, code := range entries {
			if strings.HasPrefix(name, entry) {
				return strings.Fields(code), "because \x1b[2J\r\nof that", dnsmessage.RCodeSuccess, true
			}
		}
		return nil, "", dnsmessage.RCodeNameError, true
	}
}

// always gives all queries the same answer.
func always(rcode dnsmessage.RCode, codes ...string) dnstest.Answer {
	return func(string) ([]string, string, dnsmessage.RCode, bool) { return codes, "", rcode, true }
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer dnstest.Answer
		state  State
		want   string // code, or the beginning of why
	}{
		"listed":             {good(map[string]string{"1.113.0.203.": "127.0.0.4 127.0.0.2"}), Listed, "127.0.0.2 127.0.0.4"},
		"not listed":         {good(nil), NotListed, ""},
		"another is listed":  {good(map[string]string{"2.113.0.203.": "127.0.0.2"}), NotListed, ""},
		"public resolver":    {good(map[string]string{"1.113.": "127.255.255.254"}), Unknown, "the list does not answer public resolvers"},
		"misspelt":           {always(0, "127.255.255.252"), Unknown, "the name of the list is misspelt"},
		"too often":          {always(0, "127.255.255.255"), Unknown, "you have asked the list too often"},
		"another error":      {always(0, "127.255.255.7"), Unknown, "the list answers 127.255.255.7, which is an error"},
		"refused by a code":  {good(map[string]string{"1.113.": "127.0.0.1"}), Unknown, "the list answers 127.0.0.1, by which"},
		"REFUSED":            {always(dnsmessage.RCodeRefused), Unknown, "REFUSED: "},
		"SERVFAIL":           {always(dnsmessage.RCodeServerFailure), Unknown, "SERVFAIL: "},
		"NOTIMP":             {always(dnsmessage.RCodeNotImplemented), Unknown, "the resolver answers with the error 4"},
		"silent":             {func(string) ([]string, string, dnsmessage.RCode, bool) { return nil, "", 0, false }, Unknown, "timeout: "},
		"rewrites":           {always(0, "198.51.100.80"), Unknown, "the answer 198.51.100.80 is none of a list: your resolver rewrites"},
		"rewrites NXDOMAIN":  {good(map[string]string{"1.0.0.127.": "198.51.100.80"}), Unknown, "the answer 198.51.100.80 is none"},
		"lists everything":   {always(0, "127.0.0.2"), Unknown, "it lists the test address 127.0.0.1, so it lists everything"},
		"is gone":            {always(dnsmessage.RCodeNameError), Unknown, "it lacks the test entry 127.0.0.2: it is gone"},
		"has no address":     {always(dnsmessage.RCodeSuccess), Unknown, "it lacks the test entry 127.0.0.2"},
		"fails after a test": {failsFor("1.113."), Unknown, "SERVFAIL: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Check(t.Context(), &Config{Lists: []string{"list.example"}, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
				Resolver: dnstest.Listen(t, c.answer), Timeout: 300 * time.Millisecond})
			a := got[0]
			if a.State != c.state || !strings.HasPrefix(a.Code+a.Why, c.want) || a.State != NotListed && a.Code+a.Why == "" {
				t.Errorf("%+v, want %s %s", a, c.state, c.want)
			}
			if a.State == Listed && a.Text != `because \x1b[2J\x0d\x0aof that` {
				t.Errorf("the text is %q", a.Text)
			}
		})
	}
}

// failsFor is a good list that cannot answer some names.
func failsFor(begin string) dnstest.Answer {
	list := good(nil)
	return func(name string) ([]string, string, dnsmessage.RCode, bool) {
		if strings.HasPrefix(name, begin) {
			return nil, "", dnsmessage.RCodeServerFailure, true
		}
		return list(name)
	}
}

// A list of IPv4 addresses says nothing about IPv6.
func TestFamilies(t *testing.T) {
	got := Check(t.Context(), &Config{Lists: []string{"list.example"}, Resolver: dnstest.Listen(t, good(nil)), Timeout: time.Second,
		Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("203.0.113.1")}})
	if got[0].State != Unknown || !strings.Contains(got[0].Why, "it does not list IPv6 addresses") || got[1].State != NotListed {
		t.Errorf("%+v", got)
	}
}

func TestName(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.99":       "99.2.0.192.list.example.",
		"2001:db8::567:89": "9.8.0.0.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.example.",
		"::ffff:127.0.0.2": "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.list.example.",
	} {
		if got := Name(netip.MustParseAddr(addr), "list.example"); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for addr, want := range map[string]bool{"203.0.113.1": true, "2001:db8::1": true, "10.0.0.1": false, "127.0.0.2": false,
		"::1": false, "fe80::1": false, "fd00::1": false, "0.0.0.0": false, "224.0.0.1": false, "::ffff:10.0.0.1": false} {
		c := Config{Lists: []string{"list.example"}, Addresses: []netip.Addr{netip.MustParseAddr(addr)}}
		if got := c.Validate() == nil; got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if (&Config{Lists: make([]string, MaxLists+1)}).Validate() == nil {
		t.Error("too many lists are accepted")
	}
}

// TestRbldnsd asks a real rbldnsd for IPv4 and IPv6.
func TestRbldnsd(t *testing.T) {
	rbldnsd, err := exec.LookPath("rbldnsd")
	if err != nil {
		t.Skip("rbldnsd is not installed")
	}
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode()&0o005 != 0o005 {
			os.Chmod(d, info.Mode()|0o055) // rbldnsd gives up root before it reads
		}
	}
	for name, text := range map[string]string{
		"v4": ":127.0.0.2:Listed, see https://list.example/$\n127.0.0.2\n203.0.113.0/28\n!203.0.113.5\n203.0.113.7 :127.0.0.4:other\n",
		"v6": ":127.0.0.2:Listed six\n::ffff:7f00:2\n2001:db8::/64\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.LocalAddr().(*net.UDPAddr).Port
	l.Close()
	args := []string{"-n", "-b", fmt.Sprintf("127.0.0.1/%d", port), "-w", dir, "l4.example:ip4trie:v4", "l6.example:ip6trie:v6"}
	if os.Geteuid() == 0 {
		if _, err := user.Lookup("nobody"); err != nil {
			t.Skip("there is no user nobody")
		}
		args = append([]string{"-u", "nobody"}, args...)
	}
	c := exec.Command(rbldnsd, args...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	}()
	cfg := &Config{Lists: []string{"l4.example", "l6.example", "l7.example"}, Resolver: fmt.Sprintf("127.0.0.1:%d", port), Timeout: time.Second}
	for _, a := range []string{"203.0.113.4", "203.0.113.5", "203.0.113.7", "198.51.100.1", "2001:db8::9", "2001:db8:1::9"} {
		cfg.Addresses = append(cfg.Addresses, netip.MustParseAddr(a))
	}
	want := map[string]string{
		"203.0.113.4 l4.example": "listed 127.0.0.2 Listed, see https://list.example/203.0.113.4", "203.0.113.5 l4.example": "not_listed",
		"203.0.113.7 l4.example": "listed 127.0.0.4 other", "198.51.100.1 l4.example": "not_listed",
		"2001:db8::9 l6.example": "listed 127.0.0.2 Listed six", "2001:db8:1::9 l6.example": "not_listed",
		"203.0.113.4 l6.example": "unknown it lacks the test entry 127.0.0.2",
		// rbldnsd finds ::ffff:127.0.0.2 in a list of IPv4 addresses, so that it is one of IPv6, too.
		"2001:db8::9 l4.example": "not_listed",
		"203.0.113.4 l7.example": "unknown REFUSED",
	}
	var got []Answer
	for range 50 { // until it listens
		if got = Check(t.Context(), cfg); got[0].State == Listed {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	seen := 0
	for _, a := range got {
		text := strings.TrimSpace(string(a.State) + " " + a.Code + a.Why + " " + a.Text)
		if w, ok := want[a.Address.String()+" "+a.List]; ok {
			seen++
			if !strings.HasPrefix(text, w) {
				t.Errorf("%s %s: %s, want %s", a.Address, a.List, text, w)
			}
		}
	}
	if seen != len(want) || len(got) != len(cfg.Addresses)*len(cfg.Lists) {
		t.Errorf("%d answers, %d of %d expected", len(got), seen, len(want))
	}
}

// An interrupted question ends at once, with answers that say so.
func TestInterrupted(t *testing.T) {
	silent := func(string) ([]string, string, dnsmessage.RCode, bool) { return nil, "", 0, false }
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	got := Check(ctx, &Config{Lists: []string{"a.example", "b.example"}, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
		Resolver: dnstest.Listen(t, silent)})
	if took := time.Since(start); took > time.Second || got[1].State != Unknown {
		t.Errorf("%v %+v", took, got)
	}
	if b, err := json.Marshal(got[0]); err != nil || !strings.Contains(string(b), `"state":"unknown","why":"timeout`) {
		t.Errorf("%s %v", b, err)
	}
}
