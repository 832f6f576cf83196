package main

import (
	"encoding/csv"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spamsensor/sensor/finding"
	"spamsensor/sensor/status"
	"spamsensor/sensor/top"
)

// TestNames checks that each surface shows the names that the configuration gives hosts.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	names := written(t, filepath.Join(dir, "names"), "# office\n::1 localhost\n::ffff:192.168.77.66\tPC-COMPTA # Anne\n192.168.77.66 second\n"+
		"192.168.77.25 wrong\n\n192.168.77.10 imprimante-étage2 more\n")
	conf := written(t, filepath.Join(dir, "a.yaml"), "names: "+names+"\nsmtp_servers: [{ip: 192.168.77.25, name: mx1, role: bulk}, {ip: 192.168.77.200, name: mx2}]\n")
	page, model, table := filepath.Join(dir, "a.html"), filepath.Join(dir, "a.json"), filepath.Join(dir, "a.csv")
	code, text, said := asked(t, "read", "-c", conf, "testdata/bot.pcap", "--html", page, "--json", model, "--csv", table, "--events", filepath.Join(dir, "events"))
	if code != exitOK || strings.Contains(said, "warning") {
		t.Fatal(code, said)
	}
	for _, want := range []string{"spam: 192.168.77.66 (PC-COMPTA)", "1. 192.168.77.66 (PC-COMPTA)  confirmed spambot", "192.168.77.10 (imprimante-étage2)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	for name, want := range map[string]string{page: `192.168.77.66 (<bdi>PC-COMPTA</bdi>) is a confirmed spambot`, model: `"name": "PC-COMPTA"`,
		filepath.Join(dir, "events"): `"src_ip":"192.168.77.25","src_name":"mx1","src_name_source":"config"`} {
		if !strings.Contains(readText(t, name), want) {
			t.Errorf("%s has no %s", name, want)
		}
	}
	if want := "Mail server 192.168.77.200 (mx2): no mail session of it was seen."; !strings.Contains(readText(t, page), want) {
		t.Errorf("the page has no %s", want)
	}
	counts := map[string]int{}
	for l := range strings.Lines(readText(t, filepath.Join(dir, "events"))) {
		for _, kind := range []string{"session", "source", "finding"} {
			if strings.Contains(l, `"event_type":"`+kind+`"`) && strings.Contains(l, `"src_name":"PC-COMPTA"`) {
				counts[kind]++
			}
		}
	}
	if counts["session"] == 0 || counts["source"] == 0 || counts["finding"] == 0 {
		t.Errorf("events with the name: %v", counts)
	}
	if rows, err := csv.NewReader(strings.NewReader(readText(t, table))).ReadAll(); err != nil || rows[0][len(rows[0])-1] != "name" || rows[1][len(rows[1])-1] != "PC-COMPTA" {
		t.Errorf("%v %v", rows, err)
	}
	for args, want := range map[string]string{
		"sources":                          "192.168.77.66 (PC-COMPTA) confirmed",
		"explain 192.168.77.66":            "Host 192.168.77.66 (PC-COMPTA, MAC 02:00:00:00:77:66",
		"playbook 192.168.77.66":           "What to do about 192.168.77.66 (PC-COMPTA)",
		"playbook 192.168.77.66 --lang fr": "192.168.77.66 (PC-COMPTA)",
		"verify 192.168.77.66":             "192.168.77.66 (PC-COMPTA) is NOT clean",
		"rules nftables":                   "192.168.77.66, # PC-COMPTA, confirmed spambot",
		"rules IOS":                        "PC-COMPTA, confirmed spambot",
	} {
		for _, more := range [][]string{{"-c", conf, "-r", "testdata/bot.pcap"}, {"-r", page}} {
			_, out, said := asked(t, append(strings.Fields(args), more...)...)
			if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("%s %v has no %q:\n%s%s", args, more, want, out, said)
			}
		}
	}
	_, out, _ := asked(t, "playbook", "192.168.77.66", "-r", page)
	for l := range strings.Lines(out) {
		if strings.Contains(l, "PC-COMPTA") && !strings.HasPrefix(l, "What to do") {
			t.Errorf("the name is in %s", l)
		}
	}
	m, err := readReport(model)
	if err != nil {
		t.Fatal(err)
	}
	if shown := shownByTop(t, top.Options{Sensor: status.Local(&reported{m, "x"})}); strings.Count(shown, "192.168.77.66 (PC-COMPTA)") < 3 {
		t.Errorf("top shows\n%s", shown)
	}
	var screen strings.Builder
	f := &finding.Finding{Action: finding.Opened}
	f.Source.Addr = m.Findings[0].IP
	(&terminal{out: &screen}).finding(f)
	(&terminal{out: &screen, names: map[netip.Addr]string{f.Source.Addr: "PC-COMPTA"}}).finding(f)
	if s := screen.String(); strings.Count(s, "192.168.77.66 (PC-COMPTA) ") != 1 || strings.Count(s, "192.168.77.66 ") != 2 {
		t.Errorf("the terminal shows %s", s)
	}
}

// TestWrongNames checks that names are nothing that a terminal, a page, a spreadsheet or a shell acts
// on, and that a wrong line is named.
func TestWrongNames(t *testing.T) {
	dir := t.TempDir()
	for line, want := range map[string]string{
		"10.0.0.1 \x1b[1mx":                   "names:2: \\x1b[1mx is no name of a host",
		"10.0.0.1 <b>":                        "is no name of a host",
		"10.0.0.1 $(reboot)":                  "is no name of a host",
		"10.0.0.1 =1+1":                       "is no name of a host",
		"10.0.0.1 -rf":                        "is no name of a host",
		"10.0.0.1 a\u202eb":                   "is no name of a host",
		"10.0.0.1 \xff":                       "is no name of a host",
		"10.0.0.1 " + strings.Repeat("a", 65): "at most 64 bytes",
		"10.0.0.1":                            "10.0.0.1 has no name",
		"10.0.0 x":                            "10.0.0 is no IP address",
		"10.0.0.1 " + strings.Repeat("b", 70_000): "token too long",
	} {
		written(t, dir+"/names", "10.0.0.9 good\n"+line+"\n")
		code, _, said := asked(t, "check", "--set", "names="+dir+"/names")
		if code != exitUsage || !strings.Contains(said, want) || strings.ContainsAny(said, "\x1b\u202e") {
			t.Errorf("%q: %d %s, want %q", line, code, said, want)
		}
	}
	for name, want := range map[string]string{dir: "is no file of names", dir + "/none": "no such file", "/dev/zero": "is no file of names"} {
		if code, _, said := asked(t, "check", "--set", "names="+name); code != exitUsage || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", name, code, said)
		}
	}
	fifo := dir + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	waited := time.AfterFunc(5*time.Second, func() { // who waits for a writer gets one
		if w, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			w.Close()
		}
	})
	if code, _, said := asked(t, "check", "--set", "names="+fifo); !waited.Stop() || code != exitUsage || !strings.Contains(said, "is no file of names") {
		t.Errorf("a FIFO: %d %s", code, said)
	}
	conf := written(t, dir+"/a.yaml", "smtp_servers: [{ip: 10.0.0.1, name: our mail server}]\n")
	if code, _, said := asked(t, "check", "-c", conf); code != exitOK || !strings.Contains(said, "our mail server is no name of a host") {
		t.Errorf("a name with blanks: %d %s", code, said)
	}
}

// TestActRunning asks a running sensor what to do about a host and whether it is clean, and gives the
// host another name meanwhile.
func TestActRunning(t *testing.T) {
	dir := t.TempDir()
	socket, names := filepath.Join(dir, "control.sock"), filepath.Join(dir, "names")
	written(t, names, "192.168.77.66 PC-COMPTA\n")
	conf := written(t, filepath.Join(dir, "a.yaml"), "names: "+names+"\ncontrol: {socket: "+socket+"}\n")
	s := stream(t, "-c", conf)
	if _, err := s.in.Write(testdata(t, "bot.pcap")); err != nil {
		t.Fatal(err)
	}
	s.until(t, `"class":"spambot","level":"confirmed"`, 5*time.Second)
	check := func(args string, code int, want ...string) {
		t.Helper()
		got, out, said := asked(t, append(strings.Fields(args), "-c", conf)...)
		if got != code {
			t.Errorf("%s: exit code %d, want %d: %s", args, got, code, said)
		}
		for _, w := range want {
			if text := strings.Join(strings.Fields(out+said), " "); !strings.Contains(text, w) {
				t.Errorf("%s says no %q: %s", args, w, text)
			}
		}
	}
	check("verify 192.168.77.66", exitFindings, "192.168.77.66 (PC-COMPTA) is NOT clean.", "Against The last sign of spambot-192.168.77.66-1795293169 was",
		" in the last hour, 66 in 24 hours, 66 in 7 days", "Clean from 2026-1")
	check("verify 192.168.77.99", exitUnknown, "has never seen a connection of this host")
	check("verify 192.168.77.66 -o json", exitFindings, `"state": "not_clean"`, `"name": "PC-COMPTA"`)
	check("playbook spambot-192.168.77.66-1795293169", exitOK, "What to do about 192.168.77.66 (PC-COMPTA): confirmed spambot",
		"iptables -I FORWARD 1 -s 192.168.77.66", "spamsensor verify 192.168.77.66")
	check("playbook 192.168.77.66 --os linux --lang fr", exitOK, "ss -tnp")
	check("playbook no-such", exitUsage, "there is no finding no-such")

	written(t, names, "192.168.77.66 PC-2\n192.168.77.10 imprimante\n")
	check("reload", exitOK, "names: 1 added, 1 changed, 0 removed")
	check("verify 192.168.77.66", exitFindings, "192.168.77.66 (PC-2) is NOT clean.")
	check("explain 192.168.77.66", exitOK, "Host 192.168.77.66 (PC-2, MAC")
	written(t, names, "192.168.77.66 P C\n192.168.77.10 <b>\n")
	check("reload", exitUsage, "names:2: <b> is no name of a host")
	if _, _, said := asked(t, "status", "-c", conf); strings.Contains(said, "the configuration is wrong") {
		t.Errorf("who asks needs the names: %s", said)
	}
	check("verify 192.168.77.66", exitFindings, "192.168.77.66 (PC-2) is NOT clean.")
	if err := os.Remove(names); err != nil {
		t.Fatal(err)
	}
	check("reload", exitUsage, "the file of names cannot be read")
	if code := s.code(t); code != exitGone {
		t.Errorf("exit code %d: %s", code, s.stderr.String())
	}
	check("verify 192.168.77.66", exitFailed, "no sensor runs there")
}
