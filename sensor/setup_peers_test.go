//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// machineScript makes a machine of this one: its changes are in a directory in memory, and its /run
// and /dev are its own. The directory of the mailboxes is that of a Postfix which runs elsewhere.
const machineScript = `
mount -t tmpfs tmpfs "$1/changes"
cd "$1/changes"
for d in etc var usr; do
	mkdir $d $d.work
	mount -t overlay overlay -o lowerdir=/$d,upperdir=$1/changes/$d,workdir=$1/changes/$d.work /$d
done
mkdir dev
for n in null zero full random urandom; do
	touch dev/$n
	mount --bind /dev/$n dev/$n
done
mount --bind dev /dev
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /var/mail
mount --bind "$1/boxes" /var/mail
rm -rf /etc/spamsensor /var/lib/spamsensor /var/log/spamsensor /var/log/syslog
make -s -C "$2" install BIN="$3" PREFIX=/usr/local
systemd-sysusers /usr/local/lib/sysusers.d/spamsensor.conf
systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/spamsensor.conf
cp "$1/systemctl" /usr/local/sbin/systemctl
rsyslogd -f "$1/rsyslog.conf" -i /run/rsyslogd.pid
touch /run/ready
exec sleep 1000
`

// standIn is a systemctl that starts the commands of the units as their user, with the capability
// that the unit of the sensor gives.
const standIn = `#!/bin/sh
units=/usr/local/lib/systemd/system
value() { sed -n "s/^$1=//p" $units/$2; }
case "$1" in
cat) exec cat $units/$2 ;;
enable) shift 2 ;;
*) exit 1 ;;
esac
for u; do
	install -d -o spamsensor -g spamsensor -m 0750 /run/spamsensor
	capability=$(value AmbientCapabilities $u | sed 's/^CAP_/+/' | tr A-Z a-z)
	setpriv --reuid spamsensor --regid spamsensor --clear-groups ${capability:+--inh-caps $capability \
		--ambient-caps $capability} $(value ExecStart $u) >>/run/$u.log 2>&1 &
done
sleep 2
`

const syslogToFile = `module(load="imuxsock")
action(type="omfile" file="/var/log/syslog")
`

const alertmanagerConf = "route: {receiver: none}\nreceivers: [{name: none}]\n"

// localMain is the Postfix of the machine with the sensor.
const localMain = `inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
myhostname = sensor.corp.example
mydestination = localhost
alias_maps =
mail_spool_directory = `

// machine has a Postfix, an rsyslogd, an Alertmanager and the installed product in files, processes
// and the network of their own. There is no systemd, and no journal.
func (s *span) machine() *booted {
	s.t.Helper()
	binary, err := built()
	if err != nil {
		s.t.Fatal(err)
	}
	source, err := filepath.Abs("..")
	if err != nil {
		s.t.Fatal(err)
	}
	dir := filepath.Join(s.dir, "machine")
	boxes := filepath.Join(dir, "boxes")
	for _, d := range []string{"changes", "boxes", "alerts"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	os.Chmod(boxes, 0o777)
	writeFile(s.t, filepath.Join(dir, "systemctl"), standIn, 0o755)
	writeFile(s.t, filepath.Join(dir, "rsyslog.conf"), syslogToFile, 0o644)
	conf := writeFile(s.t, filepath.Join(dir, "alertmanager.yml"), alertmanagerConf, 0o644)
	s.startPostfix("s", filepath.Join(s.dir, "local"), localMain+boxes+"\n")
	s.start(s.in("s", "prometheus-alertmanager", "--config.file="+conf, "--storage.path="+dir+"/alerts",
		"--web.listen-address=127.0.0.1:9093", "--cluster.listen-address="))

	b := &booted{span: s}
	c := s.in("s", "unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", machineScript, "sh",
		dir, source, binary)
	c.Stdout, c.Stderr = &b.console, &b.console
	s.start(c)
	s.done = append(s.done, b.end)
	for range 200 {
		if b.lead(c) && exec.Command("test", "-e", "/proc/"+b.leader+"/root/run/ready").Run() == nil {
			b.root = "/proc/" + b.leader + "/root"
			return b
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Fatalf("the machine does not start: %s", b.console.String())
	return nil
}

// TestSetupPeers runs setup with all of its peers at once where no systemd runs: a stand-in starts
// the commands of the units. Nobody edits anything; the test notice is in the mailbox, in the log and
// in the Alertmanager, and so is the bot.
func TestSetupPeers(t *testing.T) {
	s := newOffice(t, "nsenter", "unshare", "setpriv", "make", "rsyslogd", "prometheus-alertmanager", "amtool",
		"systemd-sysusers", "systemd-tmpfiles")
	b := s.machine()
	s.work()
	b.until("the start of the Alertmanager", b.alertmanager)
	t.Log(b.says("spamsensor", "setup", "-i", "span", "--for", "6s", "--yes"))
	file := filepath.Join(b.root, "etc/spamsensor/spamsensor.yaml")
	written := officeConfig(t, file)
	b.checkAnswers()
	b.checkNotices("TEST, nothing happened", "SpamsensorTest")
	b.checkNotices("spambot "+botAddr, `"host":"`+botAddr+`"`)
	if text := readText(t, file); text != written {
		t.Errorf("the configuration has changed:\n%s", text)
	}
}
