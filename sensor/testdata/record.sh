#!/bin/sh
# record.sh makes the captures of this directory again, and truth.json, which says what
# really happened in them. A real Postfix takes the mail; nothing leaves the machine.
#
#   sudo sensor/testdata/record.sh          about one minute
#   KEEP_LOG=FILE sensor/testdata/record.sh keeps Postfix's log too
#
# Needs: root, Linux with network namespaces, veth and macvlan, postfix 3.7 (installed; the
# system's own instance and its configuration are not used; newer ones refuse by default
# some of what smuggling.pcap is about), tcpdump, iproute2, python3 (3.9 or later), openssl.
# With tshark the result is checked as well.
#
# Makes, beside itself:
#
#   deliveries.pcap  a mail server delivers: the ways to say one message
#   refusals.pcap    a mail server is refused, at every stage of the dialogue
#   tls.pcap         STARTTLS agreed and refused, TLS from the first byte, plain text on 465
#   auth.pcap        AUTH of user canaryuser7731, password canarypass9942, in clear
#   smuggling.pcap   ends of data that only some servers take for one
#   bot.pcap         a spam bot, with a workstation and a mail server beside it
#   truth.json       see dialogues.py, which says what each field means
#
# Two namespaces, one cable. The clients have an interface each, so that each has its own
# hardware address. The capture is taken where the gateway of the network would be.
#
#   clients                                      servers
#   192.168.77.10 workstation  \                 192.0.2.0/24     198.51.100.0/24
#   192.168.77.25 mail server   } veth == veth   203.0.113.0/24   198.18.0.0/15
#   192.168.77.66 bot          /    192.168.77.1 Postfix, DNS, authentication
#
# Ports, addresses, the order of sessions and therefore truth.json are the same each time.
# Times, sequence numbers, keys and Postfix's queue names are not.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
captures="deliveries refusals tls auth smuggling bot"
lan=smtp-lan-$$
net=smtp-net-$$
work=
tcpdump_pid=
play_pid=
asked_pid=
postfix_up=

cleanup() {
	trap - EXIT
	trap '' HUP INT TERM # to the end
	for pid in $play_pid $tcpdump_pid; do
		kill "$pid" 2>/dev/null || :
	done
	[ -z "$postfix_up" ] || ip netns exec "$net" postfix -c "$work/etc" stop >/dev/null 2>&1 || :
	# Whatever else is in the namespaces was started here.
	for pid in $asked_pid $(ip netns pids "$lan" 2>/dev/null) $(ip netns pids "$net" 2>/dev/null); do
		kill "$pid" 2>/dev/null || :
	done
	wait
	ip netns del "$lan" 2>/dev/null || :
	ip netns del "$net" 2>/dev/null || :
	[ -z "${KEEP_LOG:-}" ] || cp "$work/log/mail.log" "$KEEP_LOG" || :
	[ -z "$work" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

die() {
	echo "record.sh: $*" >&2
	exit 1
}

# until_true TENTHS COMMAND... waits for something that comes soon.
until_true() {
	tenths=$1
	shift
	while ! "$@" >/dev/null 2>&1; do
		tenths=$((tenths - 1))
		[ "$tenths" -gt 0 ] || return 1
		sleep 0.1
	done
}

needs() {
	[ "$(id -u)" = 0 ] || die "must be run by root: it makes network namespaces"
	for tool in postfix postconf tcpdump ip python3 openssl sysctl; do
		command -v $tool >/dev/null || die "$tool is missing"
	done
}

# namespaces makes the two namespaces and the cable.
namespaces() {
	ip netns add "$lan"
	ip netns add "$net"
	for ns in "$lan" "$net"; do
		ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
		ip -n "$ns" link set lo up
	done
	ip -n "$net" link add lan0 address 02:00:00:00:77:01 type veth peer name up0 netns "$lan" address 02:00:00:00:77:02
	# Checksums and segments as on a real wire, not as the kernel leaves them to a card.
	ip netns exec "$net" python3 "$here/dialogues.py" no-offload lan0
	ip netns exec "$lan" python3 "$here/dialogues.py" no-offload up0

	ip -n "$net" addr add 192.168.77.1/24 dev lan0
	ip -n "$net" link set lan0 up
	for n in 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15; do
		ip -n "$net" route add local $n dev lo table main
	done
	# Two ways to be unreachable: nobody answers, or a router says no. A router it must be
	# to say so, and then without the usual limit of one error in a second.
	ip netns exec "$net" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
	for n in $(python3 "$here/dialogues.py" networks silent); do
		ip -n "$net" route add blackhole "$n"
	done
	for n in $(python3 "$here/dialogues.py" networks prohibited); do
		ip -n "$net" route add prohibit "$n"
	done

	ip -n "$lan" link set up0 up
	# Three SYNs and 7 s, as many systems do, and not Linux's 2 minutes.
	ip netns exec "$lan" sysctl -qw net.ipv4.tcp_syn_retries=2 net.ipv4.conf.all.arp_ignore=1
	[ ! -e /proc/sys/net/ipv4/tcp_syn_linear_timeouts ] || ip netns exec "$lan" sysctl -qw net.ipv4.tcp_syn_linear_timeouts=0
	for host in 10 25 66; do
		ip -n "$lan" link add "host$host" link up0 address "02:00:00:00:77:$host" type macvlan mode bridge
		ip -n "$lan" addr add "192.168.77.$host/24" dev "host$host"
		ip -n "$lan" link set "host$host" up
		ip -n "$lan" route add 192.168.77.0/24 dev "host$host" table "$host"
		ip -n "$lan" route add default via 192.168.77.1 dev "host$host" table "$host"
		ip -n "$lan" rule add from "192.168.77.$host" table "$host"
	done
}

# options are the smtpd options that make a server behave as its kind in dialogues.py.
# Where a server refuses is Postfix's own doing: by default all is said at RCPT.
options() {
	now="-o smtpd_delay_reject=no"
	sasl="-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination"
	case $1 in
	mx) ;;
	rbl) echo "-o smtpd_client_restrictions=reject_rbl_client,zen.spamhaus.org" ;;
	rbl-banner) echo "$now -o smtpd_client_restrictions=reject_rbl_client,bl.spamcop.net,reject_rbl_client,zen.spamhaus.org" ;;
	banner) echo "$now -o smtpd_client_port_logging=no -o smtpd_client_restrictions=check_client_access,static:{554 5.7.1 Dynamic addresses are not welcome, use the mail server of your provider}" ;;
	rate) echo "-o smtpd_client_connection_rate_limit=1" ;;
	reverse) echo "-o smtpd_client_restrictions=reject_unknown_reverse_client_hostname" ;;
	helo) echo "-o smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname" ;;
	helo-now) echo "$now -o smtpd_helo_restrictions=reject_invalid_helo_hostname,reject_non_fqdn_helo_hostname" ;;
	old) echo "-o smtpd_command_filter=regexp:{{/^EHLO/ XEHLO}}" ;;
	sender) echo "$now -o smtpd_sender_restrictions=reject_unknown_sender_domain" ;;
	grey) echo "-o smtpd_recipient_restrictions=check_recipient_access,static:{450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/help/\$mydomain.html}" ;;
	small) echo "-o message_size_limit=1500" ;;
	strict) echo "-o smtpd_hard_error_limit=4" ;;
	hasty) echo "-o smtpd_timeout=2" ;;
	starttls-only) echo "-o smtpd_tls_security_level=encrypt" ;;
	no-starttls) echo "-o smtpd_tls_security_level=none" ;;
	no-certificate) echo "-o smtpd_tls_chain_files=" ;;
	submission) echo "$sasl" ;;
	submission-starttls-only) echo "$sasl -o smtpd_tls_security_level=encrypt" ;;
	submission-denied) echo "$sasl -o smtpd_sasl_path=private/auth-denied" ;;
	smtps) echo "$sasl -o smtpd_tls_wrappermode=yes" ;;
	smtps-denied) echo "$sasl -o smtpd_tls_wrappermode=yes -o smtpd_sasl_path=private/auth-denied" ;;
	*) die "no such kind of server: $1" ;;
	esac
}

# configure writes a whole private Postfix: nothing of the system's is read.
configure() {
	mkdir -p "$work/etc" "$work/queue" "$work/data" "$work/log"
	chmod 755 "$work"
	chown postfix "$work/data"
	# Which directories to make, and nothing else to look after.
	grep -E '^\$(queue|data)_directory' "$(postconf -d -h meta_directory)/postfix-files" >"$work/etc/postfix-files"

	# Small keys keep the captures small.
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=mx.example.net \
		-addext subjectAltName=DNS:mx.example.net -keyout "$work/etc/key.pem" -out "$work/etc/cert.pem" 2>/dev/null
	cat "$work/etc/key.pem" "$work/etc/cert.pem" >"$work/etc/chain.pem"

	cat >"$work/etc/main.cf" <<-END
		compatibility_level = 3.6
		queue_directory = $work/queue
		data_directory = $work/data
		meta_directory = $work/etc
		maillog_file = $work/log/mail.log
		maillog_file_prefixes = $work/log
		inet_protocols = ipv4
		mynetworks = 127.0.0.1
		myhostname = mx.example.net
		mydestination =
		alias_maps =
		smtpd_banner = \$myhostname ESMTP Postfix
		# All mail that is taken is thrown away.
		default_transport = discard:
		relay_transport = discard:
		local_transport = discard:
		virtual_transport = discard:
		# Which domains are at home here, and who has a mailbox: all others are unknown.
		virtual_mailbox_domains = regexp:{{/^example\.(net|com)\$\$/ ok} {/\.example\$\$/ ok}}
		virtual_mailbox_maps = regexp:{{/^(info|office|postmaster|sales|support)@/ ok}}
		smtpd_relay_restrictions = reject_unauth_destination
		header_checks = regexp:{{/^Subject:.*cheap meds/ REJECT Message looks like spam}}
		rbl_reply_maps = texthash:$work/etc/rbl_reply
		smtpd_tls_chain_files = $work/etc/chain.pem
		smtpd_tls_security_level = may
		smtpd_tls_loglevel = 1
		smtpd_sasl_type = dovecot
		smtpd_sasl_path = private/auth
		smtpd_sasl_security_options = noanonymous
		# The log must tell to which connection a message belongs. Some refusals quote what is
		# logged; their servers do without the port, as most do.
		smtpd_client_port_logging = yes
		enable_long_queue_ids = yes
		# Not what the captures are about.
		smtpd_client_connection_count_limit = 0
		smtpd_error_sleep_time = 0
	END

	# The lists quote the public address of the network, which Postfix cannot see here.
	cat >"$work/etc/rbl_reply" <<-'END'
		zen.spamhaus.org $rbl_code Service unavailable; $rbl_class [203.0.113.77] blocked using $rbl_domain; $rbl_reason
		bl.spamcop.net $rbl_code Service unavailable; $rbl_class [203.0.113.25] blocked using $rbl_domain; $rbl_reason
	END

	cat >"$work/etc/master.cf" <<-'END'
		cleanup    unix       n - n - 0 cleanup
		qmgr       unix       n - n 300 1 qmgr
		tlsmgr     unix       - - n 1000? 1 tlsmgr
		rewrite    unix       - - n - - trivial-rewrite
		bounce     unix       - - n - 0 bounce
		defer      unix       - - n - 0 bounce
		trace      unix       - - n - 0 bounce
		verify     unix       - - n - 1 verify
		proxymap   unix       - - n - - proxymap
		error      unix       - - n - - error
		retry      unix       - - n - - error
		discard    unix       - - n - - discard
		anvil      unix       - - n - 1 anvil
		showq      unix       n - n - - showq
		postlog    unix-dgram n - n - 1 postlogd
	END
	python3 "$here/dialogues.py" servers | while read -r address port name kind; do
		echo "$address:$port inet n - n - - smtpd"
		# An option with blanks must be in braces.
		echo "  -o myhostname=$name" "$(options "$kind")" | sed -E 's/-o ([a-z_]+)=([^ ]*[{].*)$/-o { \1=\2 }/'
	done >>"$work/etc/master.cf"
}

# start starts Postfix and the two services that it asks: DNS and authentication. ip netns
# exec gives them a mount namespace of their own, so resolv.conf is hidden from them alone.
start() {
	echo "nameserver 127.0.0.1" >"$work/resolv.conf"
	postfix_up=yes
	ip netns exec "$net" sh -c '
		[ ! -e /etc/resolv.conf ] || mount --bind "$1/resolv.conf" /etc/resolv.conf
		exec postfix -c "$1/etc" start' sh "$work" >"$work/log/start.log" 2>&1 || die "Postfix does not start: $(cat "$work/log/start.log" "$work/log/mail.log")"
	ip netns exec "$net" python3 "$here/services.py" "$work/queue/private" 2>"$work/log/services.log" &
	asked_pid=$!
	until_true 100 test -S "$work/queue/private/auth-denied" || die "no authentication: $(cat "$work/log/services.log")"
	until_true 100 grep -q "daemon started" "$work/log/mail.log" || die "no Postfix: $(cat "$work/log/mail.log")"
}

# record NAME plays the dialogues of one capture.
record() {
	ip netns exec "$net" tcpdump -i lan0 -w "$work/$1.pcap" -s 0 -U --immediate-mode -n -Z root ip 2>"$work/log/$1.tcpdump" &
	tcpdump_pid=$!
	until_true 100 grep -q "listening on" "$work/log/$1.tcpdump" || die "tcpdump: $(cat "$work/log/$1.tcpdump")"
	ip netns exec "$lan" python3 "$here/dialogues.py" play "$1" "$work/etc/cert.pem" >"$work/$1.json" &
	play_pid=$!
	wait "$play_pid" || die "the dialogues of $1 went wrong"
	play_pid=
	sleep 1 # the last ACKs
	kill -INT "$tcpdump_pid"
	wait "$tcpdump_pid" || die "tcpdump: $(cat "$work/log/$1.tcpdump")"
	tcpdump_pid=
	grep -q "^0 packets dropped by kernel" "$work/log/$1.tcpdump" || die "$1.pcap has holes: $(cat "$work/log/$1.tcpdump")"
	echo "$1.pcap $(wc -c <"$work/$1.pcap") bytes"
}

needs
work=$(mktemp -d)
namespaces
configure
start
for name in $captures; do
	record "$name"
done
# A message is taken when the queue manager has it; the log is complete when Postfix is gone.
until_true 100 sh -c '! find "$1/incoming" "$1/active" -type f | grep -q .' sh "$work/queue" || die "mail is left in the queue"
ip netns exec "$net" postfix -c "$work/etc" stop >/dev/null 2>&1 || :
postfix_up=
grep -E ' (fatal|panic): ' "$work/log/mail.log" && die "Postfix was not well"
(cd "$work" && python3 "$here/dialogues.py" truth log/mail.log $captures >truth.json)
if command -v tshark >/dev/null; then
	python3 "$here/check.py" "$work"
else
	echo "not checked: there is no tshark"
fi
# Only a whole set replaces the old one.
for name in $captures; do
	mv "$work/$name.pcap" "$here/"
done
mv "$work/truth.json" "$here/"
