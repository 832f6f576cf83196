//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// booted is a machine at the mirror port of a span: a Debian whose real systemd runs in a container, or
// this machine with files, processes and a network of its own.
type booted struct {
	*span
	root    string
	leader  string // process id of its init
	enter   string // shell command that enters the control groups of the container
	nspawn  *exec.Cmd
	console locked
}

// codename is the name of the release of Debian that this machine runs.
func codename(t *testing.T) string {
	t.Helper()
	b, _ := os.ReadFile("/etc/os-release")
	m := regexp.MustCompile(`(?m)^VERSION_CODENAME=(\w+)$`).FindSubmatch(b)
	if m == nil || !strings.Contains(string(b), "\nID=debian\n") {
		t.Skip("a container for a command that was built here needs the release of Debian that runs here")
	}
	return string(m[1])
}

// controlGroups makes a control group for a container, and returns a shell command that enters it.
// Where systemd runs it makes one itself.
func (s *span) controlGroups() string {
	if _, err := os.Stat(systemdRuns); err == nil {
		return ""
	}
	var enter strings.Builder
	for _, above := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(above, "cgroup.procs")); err != nil {
			continue
		}
		group := filepath.Join(above, "spamsensor-test-"+s.id)
		if err := os.Mkdir(group, 0o755); err != nil {
			s.t.Skipf("a container needs a control group: %v", err)
		}
		s.done = append(s.done, func() {
			for range 100 { // the kernel takes the last processes out of it soon
				exec.Command("find", group, "-depth", "-type", "d", "-delete").Run()
				if _, err := os.Stat(group); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
			s.t.Errorf("the control group %s is left", group)
		})
		fmt.Fprintf(&enter, "echo $$ >%s/cgroup.procs; ", group)
	}
	return enter.String()
}

// boot starts the systemd of a root directory.
func (s *span) boot(root string) *booted {
	b := &booted{span: s, root: root, enter: s.controlGroups()}
	s.done = append(s.done, func() {
		b.end()
		os.Remove("/run/systemd/nspawn/propagate/spamsensor-" + s.id) // nspawn was killed
	})
	if said := b.power(); said != "" {
		s.t.Skipf("systemd does not boot in a container here (%q): %s", said, b.console.String())
	}
	return b
}

// power starts the container, and waits until its services have started. It returns the last state
// of the system if that does not happen.
func (b *booted) power() (said string) {
	b.t.Helper()
	options := " --register=no"
	if _, err := os.Stat(systemdRuns); err != nil {
		options += " --keep-unit"
	}
	c := exec.Command("sh", "-ec", b.enter+"exec systemd-nspawn --quiet --boot --console=pipe --machine=spamsensor-"+b.id+
		options+" --network-namespace-path=/run/netns/"+b.ns("s")+" --directory="+b.root)
	c.Stdout, c.Stderr = &b.console, &b.console
	b.nspawn = b.start(c)
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		if b.lead(c) {
			out, _ := b.command("systemctl", "is-system-running").Output()
			said = strings.TrimSpace(string(out))
			if said == "running" || said == "degraded" {
				b.t.Logf("systemd has booted in %v", time.Since(began).Round(100*time.Millisecond))
				return ""
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return cmp.Or(said, "no init")
}

// lead finds the init that a command has started.
func (b *booted) lead(c *exec.Cmd) bool {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", c.Process.Pid))
	b.leader = strings.TrimSpace(string(children))
	return b.leader != ""
}

// end kills the init, which the end of the command that has started it does not end.
func (b *booted) end() {
	if pid, err := strconv.Atoi(b.leader); err == nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// command is a command in the machine.
func (b *booted) command(args ...string) *exec.Cmd {
	c := exec.Command("nsenter", append([]string{"-t", b.leader, "-m", "-u", "-i", "-n", "-p", "-C", "--"}, args...)...)
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return c
}

// says is what a command in the machine says, which must succeed.
func (b *booted) says(args ...string) string {
	b.t.Helper()
	out, err := b.command(args...).CombinedOutput()
	if err != nil {
		journal, _ := b.command("journalctl", "--no-pager", "-n", "40", "-o", "cat", "-u", "spamsensor*").Output()
		b.t.Fatalf("%s: %v\n%s\nThe journal:\n%s", strings.Join(args, " "), err, out, journal)
	}
	return string(out)
}

// property is a property of a service.
func (b *booted) property(service, name string) string {
	b.t.Helper()
	return strings.TrimSpace(b.says("systemctl", "show", "--value", "-p", name, service))
}

// restarted waits until a service was started anew once, and the sensor answers.
func (b *booted) restarted(service, why string) {
	b.t.Helper()
	for range 300 {
		if b.property(service, "NRestarts") == "1" && b.property(service, "ActiveState") == "active" &&
			b.command("spamsensor", "status").Run() == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("no new start of %s after %s: %s", service, why,
		b.says("journalctl", "--no-pager", "-n", "30", "-o", "cat", "-u", service))
}

// TestBoot installs the product on a Debian with Postfix, rsyslog and an Alertmanager as their
// packages configure them, boots it at a mirror port, and runs setup. Nobody edits anything: the
// written file names the mail server and the networks, the services run, and the test notice and
// the bot are in the mailbox, in the log and in the Alertmanager.
func TestBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("the first run makes a Debian, which takes minutes")
	}
	s := newOffice(t, "systemd-nspawn", "debootstrap", "nsenter", "make", "find")
	d := newBuild(t)
	archive := d.debian(codename(t), "systemd,dbus,libpcap0.8,postfix,rsyslog,logrotate,prometheus-alertmanager")
	root := filepath.Join(s.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	d.run("tar", "--extract", "--numeric-owner", "--file", archive, "--directory", root)
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	makeTarget(t, "install", root, binary)
	// An address beside the mirror port: an Alertmanager does not start without one.
	s.must("ip", "-n", s.ns("s"), "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
	s.must("ip", "-n", s.ns("s"), "addr", "add", "10.77.0.5/24", "dev", "lan0")
	s.must("ip", "-n", s.ns("s"), "link", "set", "lan0", "up")
	s.must("ip", "-n", s.ns("s"), "link", "set", "lan1", "up")
	b := s.boot(root)
	s.work()
	b.until("the start of the Alertmanager", b.alertmanager)
	t.Log(b.says("spamsensor", "setup", "-i", "span", "--for", "6s", "--yes"))
	file := filepath.Join(root, "etc/spamsensor/spamsensor.yaml")
	written := officeConfig(t, file)
	b.checkServices()
	b.checkNotices("TEST, nothing happened", "SpamsensorTest")
	b.checkNotices("spambot "+botAddr, `"host":"`+botAddr+`"`)
	b.checkRestarts()
	b.checkRotation()
	b.checkPowerCut()
	if text := readText(t, file); text != written {
		t.Errorf("the configuration has changed:\n%s", text)
	}
}

// alertmanager says whether the Alertmanager answers.
func (b *booted) alertmanager() bool {
	return b.command("amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert").Run() == nil
}

// checkServices: the services run with the rights that their units give, and answer.
func (b *booted) checkServices() {
	b.t.Helper()
	if out := b.says("systemctl", "is-active", unit, serveUnit, notifyUnit); out != "active\nactive\nactive\n" {
		b.t.Errorf("the services: %s", out)
	}
	if out := b.says("systemctl", "is-enabled", unit, serveUnit, notifyUnit); out != "enabled\nenabled\nenabled\n" {
		b.t.Errorf("the services: %s", out)
	}
	b.checkAnswers()
	if text := b.property(unit, "StatusText"); !strings.Contains(text, "frames, ") {
		b.t.Errorf("the line for systemctl status: %q", text)
	}
	for _, line := range strings.Split(b.says("journalctl", "--no-pager", "-o", "cat", "-u", "spamsensor*"), "\n") {
		if strings.Contains(line, `"level":"error"`) || strings.Contains(line, `"level":"warn"`) &&
			!strings.Contains(line, `"check":`) { // health checks depend on the kernel and its load
			b.t.Errorf("the journal: %s", line)
		}
	}
}

// checkAnswers: run and serve answer.
func (b *booted) checkAnswers() {
	b.t.Helper()
	if out := b.says("spamsensor", "status"); !strings.Contains(out, "span: ") {
		b.t.Errorf("the status: %s", out)
	}
	ask := `exec 3<>/dev/tcp/127.0.0.1/9725; printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3; cat <&3`
	if out := b.says("bash", "-c", ask); !strings.Contains(out, "spamsensor_up_sensor 1\n") {
		b.t.Errorf("the metrics: %s", out)
	}
}

// checkNotices waits for a notice in the mailbox, in the log and in the Alertmanager.
func (b *booted) checkNotices(text, alert string) {
	b.t.Helper()
	b.eventuallyHas(filepath.Join(b.root, "var/mail/root"), text)
	b.eventuallyHas(filepath.Join(b.root, "var/log/syslog"), text)
	b.until("the alert "+alert, func() bool {
		out, _ := b.command("amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "-o", "json").Output()
		return strings.Contains(string(out), alert)
	})
}

// checkRestarts: a service that crashes is started anew, and so is a sensor that hangs, and no other;
// it goes on from its state. A reload reaches it.
func (b *booted) checkRestarts() {
	b.t.Helper()
	for _, service := range []string{serveUnit, notifyUnit} {
		b.says("systemctl", "kill", "--kill-who=main", "-s", "ABRT", service)
	}
	b.says("systemctl", "kill", "-s", "KILL", unit)
	b.restarted(unit, "SIGKILL")
	if out := b.says("journalctl", "--no-pager", "-o", "cat", "-u", unit); !strings.Contains(out, "the state was restored") {
		b.t.Errorf("after SIGKILL: %s", out)
	}
	b.says("systemctl", "reload", unit)
	b.until("a reload", func() bool {
		out, _ := b.command("journalctl", "--no-pager", "-o", "cat", "-u", unit).Output()
		return strings.Contains(string(out), "the configuration was read again")
	})
	dropIn := filepath.Join(b.root, "etc/systemd/system/spamsensor.service.d/watchdog.conf")
	if err := os.MkdirAll(filepath.Dir(dropIn), 0o755); err != nil {
		b.t.Fatal(err)
	}
	writeFile(b.t, dropIn, "[Service]\nWatchdogSec=2\n", 0o644)
	b.says("systemctl", "daemon-reload")
	b.says("systemctl", "restart", unit)
	time.Sleep(5 * time.Second) // twice the time that the watchdog grants
	if n := b.property(unit, "NRestarts"); n != "0" {
		b.t.Errorf("%s restarts of a sensor that is well", n)
	}
	b.says("systemctl", "kill", "--kill-who=main", "-s", "STOP", unit)
	b.restarted(unit, "a hang")
	for _, service := range []string{serveUnit, notifyUnit} {
		b.restarted(service, "a crash")
	}
}

// checkRotation: log rotation as it is installed has the sensor open a new file.
func (b *booted) checkRotation() {
	b.t.Helper()
	b.says("logrotate", "--force", "/etc/logrotate.d/spamsensor")
	name := filepath.Join(b.root, "var/log/spamsensor/events.json")
	b.until("events in a new file", func() bool {
		info, err := os.Stat(name)
		return err == nil && info.Size() > 0
	})
	owner := func(name string) string {
		info, err := os.Stat(name)
		if err != nil {
			return err.Error()
		}
		st := info.Sys().(*syscall.Stat_t)
		return strconv.Itoa(int(st.Uid)) + ":" + strconv.Itoa(int(st.Gid)) + " " + info.Mode().String()
	}
	if was, is := owner(name+".1"), owner(name); was != is {
		b.t.Errorf("the file of the events belongs to %s, and before the rotation to %s", is, was)
	}
}

// checkPowerCut: after a power cut and a boot the services run, and the sensor goes on from its state.
func (b *booted) checkPowerCut() {
	b.t.Helper()
	b.end()
	b.nspawn.Wait()
	if said := b.power(); said != "" {
		b.t.Fatalf("no second boot (%q): %s", said, b.console.String())
	}
	b.checkServices()
	if out := b.says("journalctl", "--no-pager", "-o", "cat", "-b", "-u", unit); !strings.Contains(out, "the state was restored") {
		b.t.Errorf("after the boot: %s", out)
	}
}
