package playbook

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"spamsensor/sensor/verdict"
)

// The steps for a machine that sends.

// contain keeps the mail of the host in, at once.
func (b *builder) contain() {
	p := b.p
	var commands []Command
	for _, a := range b.addresses() {
		commands = append(commands, on(router, block(a))...)
	}
	commands = append(commands, on(sensor, "spamsensor rules nftables > spamsensor.nft")...)
	why := p.Text("Its mail stops at once, and the program on it goes on trying, so that you can " +
		"still find it. If you cannot change the firewall, pull its cable or shut its switch " +
		"port.")
	switch {
	case b.shared():
		why = p.Text("This may be the address of a router, or your public one: then these lines " +
			"cut off the mail of all machines behind it. Use the address of the machine that " +
			"you found.")
	case b.blocked():
		why = p.Text("Your firewall already keeps its mail from leaving: leave it so. These " +
			"lines are for a second way out.")
	case b.serves():
		why = p.Text("It has signs of a mail server: if it is one, do not cut it off. Go on with " +
			"the account or program that sends. If it is a PC, these lines stop its mail.")
	}
	b.step(p.Text("Stop its mail at the firewall"), why+" "+p.Text("The rules of spamsensor "+
		"replace such lines for good: port 25 for your mail servers only."), commands...)
}

// block is a rule that drops the mail of an address on a Linux router; see iptables-extensions(8).
func block(a netip.Addr) string {
	tool := "iptables"
	if a.Is6() {
		tool = "ip6tables"
	}
	return fmt.Sprintf("%s -I FORWARD 1 -s %s -p tcp -m multiport --dports %s -j DROP", tool, a,
		joined(mailPorts, "%d", ","))
}

// keepIn is contain for a host that may be meant to send.
func (b *builder) keepIn() {
	p := b.p
	b.step(p.Text("If it is not meant to send: close port 25 for it"),
		p.Text("A host that must not send mail itself sends through your mail server, on port 587 "+
			"with a password."),
		append(on(router, block(b.ip)),
			on(sensor, "spamsensor rules nftables > spamsensor.nft")...)...)
}

// identify finds the machine and its place.
func (b *builder) identify() {
	p := b.p
	why := p.Sprintf("%s was seen from %s to %s. Another machine may have this address now: look "+
		"at the leases of that time.", b.ip.String(), b.clock(b.f.First), b.clock(b.f.Last))
	commands := on(workplace, "nslookup "+b.ip.String())
	if b.ip.Is4() {
		commands = append(commands, on(workplace, "nbtstat -A "+b.ip.String())...)
		commands = append(commands, on(dhcp, "Get-DhcpServerv4Lease -IPAddress "+b.ip.String())...)
		commands = append(commands, on(iscDHCP, fmt.Sprintf(
			"grep -A 12 'lease %s {' /var/lib/dhcp/dhcpd.leases", b.ip))...)
		commands = append(commands, on(cisco, "show ip arp "+b.ip.String())...)
	} else {
		commands = append(commands, on(dhcp, "Get-DhcpServerv6Lease -IPAddress "+b.ip.String())...)
		commands = append(commands, on(cisco, "show ipv6 neighbors "+b.ip.String())...)
	}
	commands = append(commands, on(router, "ip neigh show "+b.ip.String())...)
	mac := b.hardware()
	switch {
	case mac == nil:
		why = sentences(why, p.Text("A router is between it and the sensor: ask that router for "+
			"its MAC address, then the switches."))
		commands = append(commands, on(cisco, "show mac address-table address MAC")...)
	default:
		why = sentences(why, p.Sprintf("Its MAC address is %s.", mac.String()))
		if mac[0]&2 != 0 {
			why = sentences(why, p.Text("This MAC address was not given by a manufacturer: it is "+
				"a virtual machine, a telephone, or a laptop with a random address."))
		}
		commands = append(commands, on(router, "bridge fdb show | grep -i "+mac.String())...)
		commands = append(commands, on(cisco, "show mac address-table address "+dotted(mac))...)
	}
	if len(b.f.VLAN) > 0 {
		why = sentences(why, p.Sprintf("It is in VLAN %s.",
			strings.Trim(fmt.Sprint(b.f.VLAN), "[]")))
	}
	commands = append(commands, on(cisco, "configure terminal", "interface PORT", "shutdown")...)
	b.step(p.Text("Find the machine and its switch port"), sentences(why, p.Text("The last lines "+
		"switch its port off; PORT is what the table shows.")), commands...)
}

// shared reports whether several machines may use the address.
func (b *builder) shared() bool {
	switch b.f.Class {
	case verdict.Spambot, verdict.Scanner, verdict.NotSMTP:
	default:
		return false
	}
	return b.f.Role == "nat" || !b.f.OnLink && !b.ip.IsPrivate() && !b.serves()
}

// behind finds the machine behind a router, or behind a server that others send through.
func (b *builder) behind() {
	p := b.p
	if !b.shared() {
		return
	}
	ports := b.ports()
	commands := on(router, fmt.Sprintf("conntrack -L -p tcp | grep -E 'dport=(%s) '",
		joined(ports, "%d", "|")))
	for _, n := range ports {
		commands = append(commands,
			on(cisco, fmt.Sprintf("show ip nat translations | include :%d", n))...)
	}
	b.step(p.Text("If it is a router: find the machine behind it"),
		p.Text("Several machines may use this address. The router's table of translations names "+
			"the one that connects to mail ports. Better for next time: move the mirror port to "+
			"the router's inner side."), commands...)
}

// program finds the program that sends, on each operating system.
func (b *builder) program() {
	p := b.p
	why := p.Text("Look while it sends. PID is the number that the first lines show.")
	if b.f.Over {
		why = p.Text("No sign came in the last 24 hours, so the first lines may show nothing: " +
			"the logs of that time and what starts by itself show more. PID is the number of the " +
			"process.")
	}
	b.step(p.Text("Find the program that sends"), sentences(why, p.Text("In the system log only "+
		"those machines have such lines where Sysmon, auditing or auditd ran before.")),
		slices.Concat(b.onWindows(), b.onMacOS(), b.onLinux())...)
}

// onWindows: Get-NetTCPConnection, Get-WinEvent -FilterHashtable, Sysmon's event 3 and event 5156
// of the Windows Filtering Platform (learn.microsoft.com). The texts of Sysmon's events are
// English in every Windows; those of 5156 are not, so its fields are read by number.
func (b *builder) onWindows() []Command {
	ports := b.ports()
	return on(windows,
		"Get-NetTCPConnection -RemotePort "+joined(ports, "%d", ",")+
			" | Format-Table LocalAddress,RemoteAddress,RemotePort,State,OwningProcess,"+
			"CreationTime",
		"Get-CimInstance Win32_Process -Filter 'ProcessId=PID' | "+
			"Format-List Name,ExecutablePath,CommandLine,ParentProcessId,CreationDate",
		"Get-WinEvent -FilterHashtable @{LogName='Microsoft-Windows-Sysmon/Operational'; Id=3"+
			b.windowsTimes()+"} | Where-Object Message -match 'DestinationPort: ("+
			joined(ports, "%d", "|")+`)\s' | Format-List TimeCreated,Message`,
		"Get-WinEvent -FilterHashtable @{LogName='Security'; Id=5156"+b.windowsTimes()+
			"} | Where-Object { $_.Properties[6].Value -in "+joined(ports, "'%d'", ",")+
			" } | ForEach-Object { $_.Properties[1].Value } | Group-Object -NoElement",
		"Get-CimInstance Win32_StartupCommand | Format-List Name,Command,User",
		`Get-ScheduledTask | Where-Object State -ne Disabled | Format-Table TaskPath,TaskName`)
}

// onMacOS: lsof(8), and tcpdump(1) of macOS, which shows processes with -k on a pktap interface.
func (b *builder) onMacOS() []Command {
	ports := b.ports()
	return on(macos,
		"sudo lsof -nP -iTCP:"+joined(ports, "%d", ","),
		"sudo tcpdump -i pktap,all -k NP -n '"+joined(ports, "tcp dst port %d", " or ")+"'",
		"ps -o pid,ppid,user,lstart,command -p PID",
		"ls -lt ~/Library/LaunchAgents /Library/LaunchAgents /Library/LaunchDaemons")
}

// onLinux: ss(8), auditctl(8), ausearch(8), proc(5).
func (b *builder) onLinux() []Command {
	ports := b.ports()
	return on(linux,
		"ss -tnp '( "+joined(ports, "dport = :%d", " or ")+" )'",
		"auditctl -a always,exit -F arch=b64 -S connect -k spam-connect",
		"ausearch -k spam-connect -i | grep -E 'lport=("+joined(ports, "%d", "|")+") '",
		"auditctl -d always,exit -F arch=b64 -S connect -k spam-connect",
		"ls -l /proc/PID/exe /proc/PID/cwd; tr '\\0' ' ' < /proc/PID/cmdline",
		"systemctl status PID",
		"systemctl list-timers --all; ls -l /etc/cron* /var/spool/cron")
}

// account is for a server that sends spam of an account or a script.
func (b *builder) account() {
	if !b.serves() {
		return
	}
	p := b.p
	b.step(p.Text("If it is a mail server: find the account or the script"),
		p.Text("Leave it running: the cause is seldom in its system. The account with by far the "+
			"most messages is the one, or the user that a web page runs as. Lock it, and change "+
			"its password."), b.accounts()...)
}

// accounts are the commands that count messages by account on a mail server.
func (b *builder) accounts() []Command {
	return slices.Concat(
		on(postfix, "journalctl -t postfix/smtpd -t postfix/submission/smtpd -t "+
			"postfix/smtps/smtpd"+b.journal()+
			" | grep -o 'sasl_username=[^, ]*' | sort | uniq -c | sort -rn | head"),
		on(postfix, "journalctl -t postfix/pickup"+b.journal()+
			" | grep -o 'uid=[0-9]*' | sort | uniq -c | sort -rn | head"),
		on(exchange, "Get-MessageTrackingLog"+b.exchangeTimes()+
			" -EventId RECEIVE -ResultSize Unlimited | Group-Object Sender -NoElement | "+
			"Sort-Object Count -Descending | Select-Object -First 10"))
}

// clean cleans or reinstalls the machine.
func (b *builder) clean() {
	p := b.p
	b.step(p.Text("Keep the proof, then clean or reinstall it"),
		p.Text("Write down the program, its path and when it started, and keep a copy of it. "+
			"Only a new installation is sure: what was found may not be all. If you clean, scan "+
			"from outside of the running system, and check what starts by itself again."),
		slices.Concat(
			on(windows, "Get-FileHash -Algorithm SHA256 PATH", "Start-MpWDOScan",
				"Get-MpThreatDetection"),
			on(macos, "shasum -a 256 PATH", "codesign -dv --verbose=2 PATH"),
			on(linux, "sha256sum /proc/PID/exe", "cp /proc/PID/exe /root/evidence",
				"debsums -s  # Debian, Ubuntu", "rpm -Va  # Red Hat, SUSE"))...)
}

// passwords changes what the machine may have given away.
func (b *builder) passwords() {
	p := b.p
	b.step(p.Text("Change the passwords used on it, from another machine"),
		p.Text("Whoever runs the program can read them: those of the user's mail account and of "+
			"the directory, those saved in browsers, those of administrators who logged in. End "+
			"open sessions, and look for forwarding rules that the user did not make."))
}

// ownQueue is for a host that sends through a mail server of ours.
func (b *builder) ownQueue() {
	p := b.p
	through := b.ownServers()
	if len(through) == 0 {
		return
	}
	var commands []Command
	for _, a := range b.addresses() {
		commands = append(commands, b.holdFrom(a)...)
	}
	b.step(p.Text("Remove its mail from the queue of your own server"),
		p.Sprintf("It sends through %s: what waits there still leaves, and your server gets onto "+
			"blocklists. The lines put its mail on hold; look at it, then delete it.",
			strings.Join(through, ", ")), commands...)
}

// ownServers are the mail servers of ours that the host sends to.
func (b *builder) ownServers() (list []string) {
	for _, d := range b.f.Destinations {
		for i := range b.m.Servers {
			s := plain(d.Server.Addr())
			if plain(b.m.Servers[i].IP) == s && !slices.Contains(list, s.String()) {
				list = append(list, s.String())
			}
		}
	}
	return list
}

// holdFrom puts the mail of a client on hold in a Postfix queue: postsuper(1) reads queue ids from
// its input.
func (b *builder) holdFrom(a netip.Addr) []Command {
	return on(postfix, fmt.Sprintf("journalctl -t postfix/smtpd -t postfix/submission/smtpd%s | "+
		"grep -F 'client=' | grep -F '[%s]' | grep -oE '[0-9A-Za-z]{6,}: client=' | "+
		"cut -d: -f1 | sort -u | postsuper -h -", b.journal(), a),
		"postqueue -p | tail -1")
}

// purpose asks what a host is meant to do.
func (b *builder) purpose() {
	p := b.p
	b.step(p.Text("Ask who runs it, and what for"), p.Sprintf("%s made %s to %s. A copier, a "+
		"monitoring system, a scanner of vulnerabilities or a new mail server may be meant to.",
		b.ip.String(), p.Plural(uint64(b.f.Counts.Attempts), "attempt", "attempts"),
		p.Plural(uint64(b.f.Counts.DestIPs), "server", "servers")),
		on(sensor, "spamsensor explain "+b.ip.String())...)
}

// declare tells the sensor that a host is meant to send.
func (b *builder) declare() {
	p := b.p
	role := "mailserver"
	if b.book.Class.String() == "scanner" {
		role = "scanner"
	}
	b.step(p.Text("If it is meant to do this: declare it"),
		p.Text("Then the sensor judges it as what it is. Write the first line into the "+
			"configuration; the second one has the sensor read it. Only for a time: an exception "+
			"with an end."),
		on(sensor, fmt.Sprintf("smtp_servers: [{ip: %q, role: %s}]", b.ip.String(), role),
			"spamsensor reload",
			fmt.Sprintf("spamsensor ignore add %s --why REASON --until YYYY-MM-DD", b.ip))...)
}

// quiet waits until it has stopped.
func (b *builder) quiet() {
	p := b.p
	b.step(p.Text("Check that it has stopped"), p.Sprintf("It counts as clean when there was no "+
		"sign for %s. The command says so, and what speaks against it.",
		p.Sentence(days(needed(b.f.Class)))),
		on(sensor, "spamsensor verify "+b.ip.String())...)
}

// tell tells people.
func (b *builder) tell() {
	p := b.p
	var commands []Command
	if id := b.id(); id != "" {
		commands = on(sensor, fmt.Sprintf("spamsensor ack %s --why TEXT", id))
	}
	b.step(p.Text("Tell those who have to know"),
		p.Text("The user, and whoever answers for the network. Your provider, if it wrote to you. "+
			"If somebody may have read personal data, the law may want a notice: in the European "+
			"Union within 72 hours (GDPR, article 33). The line notes for your colleagues that "+
			"you look after it."), commands...)
}
