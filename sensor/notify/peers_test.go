package notify

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freePort returns a port of loopback that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// program skips the test if a program is not installed.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// background starts a process that the test ends.
func background(t *testing.T, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		out.Close()
		if b, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s says: %s", name, b)
		}
	})
}

// eventually waits until a condition holds, for ten seconds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 200 {
		if holds() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("not within ten seconds: %s", what)
}

func listens(port int) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
}

func writeText(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// hostileSample is a sample with texts that are to come out as they are.
func hostileSample() *Message {
	m := sample()
	m.Items[0].Headline = clean("10.0.0.1 says \"quo]te\\ and\r\n.\r\nBcc: größer", maxText)
	return m
}

func deliver(t *testing.T, c *Channel, m *Message) {
	t.Helper()
	s, err := newSender(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.send(ctx, m, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestRsyslog sends to a real rsyslogd in all three ways.
func TestRsyslog(t *testing.T) {
	rsyslogd := program(t, "rsyslogd")
	dir := t.TempDir()
	port, out, socket := freePort(t), filepath.Join(dir, "out"), filepath.Join(dir, "log")
	conf := writeText(t, filepath.Join(dir, "rsyslog.conf"), fmt.Sprintf(`
global(workDirectory="%s")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" SysSock.Use="off")
template(name="t" type="string" string="%%syslogfacility-text%%.%%syslogseverity-text%%|%%hostname%%|%%app-name%%|%%msgid%%|%%structured-data%%|%%msg%%\n")
input(type="imudp" address="127.0.0.1" port="%d")
input(type="imtcp" address="127.0.0.1" port="%d")
input(type="imuxsock" Socket="%s" UseSpecialParser="off")
action(type="omfile" file="%s" template="t")
`, dir, port, port, socket, out))
	background(t, rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	eventually(t, "rsyslogd listens", listens(port))
	servers := []string{fmt.Sprintf("tcp://127.0.0.1:%d", port), fmt.Sprintf("udp://127.0.0.1:%d", port), "unix://" + socket}
	for i, s := range servers {
		m := hostileSample()
		m.Sensor, m.More = fmt.Sprintf("sensor%d", i), 37
		deliver(t, &Channel{Kind: "syslog", Server: s}, m)
	}
	var text string
	eventually(t, "six lines", func() bool {
		b, _ := os.ReadFile(out)
		text = string(b)
		return strings.Count(text, "\n") == 6
	})
	for i, s := range servers {
		want := fmt.Sprintf(`daemon.crit|sensor%d|spamsensor|finding|[spamsensor@32473 kind="finding" id="spambot-10.0.0.1-1" host="10.0.0.1" `+
			`class="spambot" level="confirmed" severity="critical" since="2026-11-30T12:00:00.000000Z"]|`, i)
		more := fmt.Sprintf("daemon.warning|sensor%d|spamsensor|note", i)
		if !strings.Contains(text, want) || !strings.Contains(text, more) || strings.Count(text, "größer") != 3 {
			t.Errorf("%s: %s\nlacks %s", s, text, want)
		}
	}
}

// TestRealAlertmanager has a finding fire, and end, in a real Alertmanager.
func TestRealAlertmanager(t *testing.T) {
	am := program(t, "prometheus-alertmanager")
	dir, port := t.TempDir(), freePort(t)
	conf := writeText(t, filepath.Join(dir, "am.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n")
	background(t, am, "--config.file="+conf, "--storage.path="+dir, fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port),
		"--cluster.listen-address=")
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, "Alertmanager listens", listens(port))
	get := func() (list []alert) {
		resp, err := http.Get(url + "/api/v2/alerts?active=true")
		if err != nil {
			return nil
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		json.Unmarshal(b, &list)
		return list
	}
	x := newServiceTest(t, Channel{Kind: "alertmanager", Server: url})
	x.at = time.Now()
	x.open("10.0.0.1")
	x.pass(0, 1)
	var got []alert
	eventually(t, "an alert", func() bool { got = get(); return len(got) == 1 })
	if x.queue() != 0 || len(got) == 1 && (got[0].Labels["class"] != "spambot" || got[0].Labels["host"] != "10.0.0.1" ||
		!strings.HasPrefix(got[0].Annotations["summary"], "confirmed spambot 10.0.0.1 since ")) {
		t.Errorf("%+v, %d messages wait", got, x.queue())
	}
	x.closed("10.0.0.1")
	x.pass(0, 1)
	eventually(t, "the end of the alert", func() bool { return len(get()) == 0 })
	if r := Test(t.Context(), &x.cfg, time.Now()); r[0].Error != "" {
		t.Error(r)
	}
	eventually(t, "the test", func() bool { got = get(); return len(got) == 1 && got[0].Labels["alertname"] == "SpamsensorTest" })
}

// TestPostfix sends a mail to the mailbox of a real Postfix, and one that it refuses.
func TestPostfix(t *testing.T) {
	const master = "/usr/lib/postfix/sbin/master"
	program(t, master)
	if os.Geteuid() != 0 {
		t.Skip("Postfix is started by root only")
	}
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Skip("there is no user postfix")
	}
	dir, port := t.TempDir(), freePort(t)
	boxes := filepath.Join(dir, "boxes")
	var owned []string
	for d := range strings.FieldsSeq("data boxes queue queue/pid queue/active queue/bounce queue/corrupt queue/defer " +
		"queue/deferred queue/flush queue/hold queue/incoming queue/maildrop queue/private queue/public queue/saved queue/trace") {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if d != "queue" && d != "queue/pid" {
			owned = append(owned, d)
		}
	}
	var uid, gid int
	fmt.Sscan(owner.Uid+" "+owner.Gid, &uid, &gid)
	for _, d := range owned {
		os.Chown(filepath.Join(dir, d), uid, gid)
	}
	for parent := dir; parent != "/"; parent = filepath.Dir(parent) {
		if info, err := os.Stat(parent); err == nil && info.Mode()&0o005 != 0o005 {
			os.Chmod(parent, info.Mode()|0o055) // the directory of the test
		}
	}
	writeText(t, filepath.Join(dir, "main.cf"), fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/maillog
maillog_file_prefixes = %[1]s
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_base = %[2]s
virtual_mailbox_maps = inline:{admin@example.org=admin}
virtual_uid_maps = static:%[3]d
virtual_gid_maps = static:%[4]d
virtual_minimum_uid = 1
smtpd_recipient_restrictions = reject_unlisted_recipient, permit
smtpd_relay_restrictions = reject_unauth_destination
`, dir, boxes, uid, gid))
	writeText(t, filepath.Join(dir, "master.cf"), fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
`, port))
	t.Cleanup(func() {
		if b, err := os.ReadFile(filepath.Join(dir, "maillog")); err == nil && t.Failed() {
			t.Logf("%s", b)
		}
	})
	// The command postfix takes eight seconds for what is done here.
	background(t, master, "-c", dir, "-d")
	eventually(t, "Postfix listens", listens(port))
	server := fmt.Sprintf("127.0.0.1:%d", port)
	deliver(t, &Channel{Kind: "mail", To: []string{"admin@example.org"}, From: "sensor@example.org", Server: server}, hostileSample())
	var box string
	eventually(t, "a mail in the mailbox", func() bool {
		b, _ := os.ReadFile(filepath.Join(boxes, "admin"))
		box = string(b)
		return box != ""
	})
	for _, want := range []string{"Auto-Submitted: auto-generated\n", "Subject: [spamsensor sensor1] confirmed spambot 10.0.0.1",
		"Message-ID: <18ecced3362223cd0002.mail@", `says "quo]te\ and\x0d\x0a.\x0d\x0aBcc:`, "Do: Look.\n"} {
		if !strings.Contains(box, want) {
			t.Errorf("%s\nlacks %s", box, want)
		}
	}
	if strings.Contains(box, "\nBcc") {
		t.Error("a header was injected")
	}
	f := sendTo(t, &Channel{Kind: "mail", To: []string{"nobody@example.org"}, Server: server}, 5*time.Second)
	if f == nil || f.reason != reasonRefused || !f.permanent || !strings.Contains(f.text, "User unknown") {
		t.Errorf("%#v", f)
	}
	f = sendTo(t, &Channel{Kind: "mail", To: []string{"x@elsewhere.example"}, Server: server}, 5*time.Second)
	if f == nil || !strings.Contains(f.text, "Relay access denied") {
		t.Errorf("%#v", f)
	}
}

// journalVariable makes the process the child of TestJournald.
const journalVariable = "NOTIFY_TEST_JOURNAL"

// journalChild puts a socket into the place of the journal's, in a mount namespace of its own, and
// prints what the journal gets.
func journalChild() {
	const socket = "/run/systemd/journal/socket"
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(syscall.Mount("none", "/run", "tmpfs", 0, ""))
	must(os.MkdirAll(filepath.Dir(socket), 0o755))
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	must(err)
	must(journald{}.send(context.Background(), hostileSample(), time.Now()))
	b := make([]byte, 1<<16)
	n, err := l.Read(b)
	must(err)
	os.Stdout.Write(b[:n])
}

// TestJournald reads what the journal gets by its native protocol.
func TestJournald(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a mount namespace needs root")
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), journalVariable+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := c.Output()
	if err != nil {
		t.Skipf("no mount namespace here: %v", err)
	}
	fields := map[string]string{}
	for rest := out; len(rest) > 0; {
		line, after, _ := strings.Cut(string(rest), "\n")
		name, value, simple := strings.Cut(line, "=")
		if !simple { // the value has newlines: its length comes first
			n := binary.LittleEndian.Uint64([]byte(after))
			value, after = after[8:8+n], after[8+n+1:]
		}
		if !regexp.MustCompile(`^[A-Z][A-Z_]*$`).MatchString(name) {
			t.Errorf("field %q", name)
		}
		fields[name] = value
		rest = []byte(after)
	}
	if fields["PRIORITY"] != "2" || fields["SYSLOG_IDENTIFIER"] != "spamsensor" || fields["SPAMSENSOR_HOST"] != "10.0.0.1" ||
		fields["SPAMSENSOR_CLASS"] != "spambot" || !strings.HasPrefix(fields["MESSAGE"], "confirmed spambot 10.0.0.1 since") ||
		!strings.Contains(fields["MESSAGE"], `\x0d\x0a.\x0d\x0aBcc`) {
		t.Errorf("%q", fields)
	}
}
