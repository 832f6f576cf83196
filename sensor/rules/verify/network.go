package verify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// network is a router with hosts, each in a network namespace of its own. The router has the same
// address on each cable, and a route to each address of the hosts: so they can have any.
type network struct {
	names     map[string]*namespace // of the hosts, and "router"
	listeners []net.Listener        // they keep a namespace alive
}

// namespace is a network namespace with a thread in it.
type namespace struct {
	name string
	work chan func()
}

// newNetwork makes the network of a plan, in which hosts listen. It must be closed, also after an
// error.
func newNetwork(ctx context.Context, p *plan) (*network, error) {
	n := &network{names: map[string]*namespace{}}
	if err := n.add(ctx, "router"); err != nil {
		return n, err
	}
	if _, err := n.run(ctx, "sysctl", "-qw", "net.ipv4.ip_forward=1",
		"net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
		"net.ipv4.conf.default.rp_filter=0", "net.ipv6.conf.default.accept_dad=0"); err != nil {
		return n, err
	}
	for _, host := range []string{server, flagged, desktop, outside} {
		if err := n.connect(ctx, host, p.hosts[host]); err != nil {
			return n, err
		}
	}
	for _, c := range p.connections {
		at := c.To
		if at == relay {
			at = outside
		}
		if err := n.listen(at, netip.AddrPortFrom(c.Server, c.Port)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// add makes a namespace, with a thread that works in it.
func (n *network) add(ctx context.Context, host string) error {
	x := &namespace{name: fmt.Sprintf("spam-%s-%d", host, os.Getpid()), work: make(chan func())}
	if err := command(ctx, "ip", "netns", "add", x.name); err != nil {
		return err
	}
	n.names[host] = x
	entered := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		file, err := os.Open("/var/run/netns/" + x.name)
		if err == nil {
			err = errors.Join(unix.Setns(int(file.Fd()), unix.CLONE_NEWNET), file.Close())
		}
		entered <- err
		if err != nil {
			return
		}
		for f := range x.work {
			f()
		}
	}()
	if err := <-entered; err != nil {
		close(x.work)
		x.work = nil
		return fmt.Errorf("network namespace %s: %w", x.name, err)
	}
	return nil
}

// connect makes a host and its cable to the router.
func (n *network) connect(ctx context.Context, host string, addrs []netip.Addr) error {
	if err := n.add(ctx, host); err != nil {
		return err
	}
	r, h := n.names["router"].name, n.names[host].name
	lines := []string{
		"netns exec " + h + " sysctl -qw net.ipv6.conf.default.accept_dad=0",
		"-n " + r + " link add " + host + " type veth peer name eth0 netns " + h,
		"-n " + r + " address add 169.254.1.1/32 dev " + host,
		"-n " + r + " address add fe80::1/64 dev " + host + " nodad",
		"-n " + r + " link set " + host + " up",
		"-n " + h + " link set lo up",
		"-n " + h + " link set eth0 up",
		"-n " + h + " route add 169.254.1.1 dev eth0 scope link",
	}
	for _, a := range addrs {
		bits := fmt.Sprintf("%s/%d", a, a.BitLen())
		lines = append(lines, "-n "+h+" address add "+bits+" dev eth0",
			"-n "+r+" route replace "+bits+" dev "+host)
	}
	lines = append(lines, "-n "+h+" route add default via 169.254.1.1 dev eth0",
		"-n "+h+" -6 route add default via fe80::1 dev eth0")
	for _, line := range lines {
		if err := command(ctx, "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	return nil
}

// listen has a host accept connections until the network is closed.
func (n *network) listen(host string, at netip.AddrPort) error {
	var l net.Listener
	done := make(chan error)
	n.names[host].work <- func() {
		var err error
		l, err = net.Listen("tcp", at.String())
		done <- err
	}
	switch err := <-done; {
	case errors.Is(err, unix.EADDRINUSE): // it listens already
		return nil
	case err != nil:
		return err
	}
	n.listeners = append(n.listeners, l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return nil
}

// dial tries a connection, and sends its error.
func (n *network) dial(ctx context.Context, c *Connection) <-chan error {
	done := make(chan error, 1)
	n.names[c.From].work <- func() {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Client, 0))}
		conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(c.Server, c.Port).String())
		if err == nil {
			conn.Close()
		}
		done <- err
	}
	return done
}

// run runs a command on the router.
func (n *network) run(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"netns", "exec", n.names["router"].name}, args...)
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args[3:], " "), err, out)
	}
	return string(out), nil
}

// close removes the namespaces, and with them all that is in them.
func (n *network) close() {
	for _, l := range n.listeners {
		l.Close()
	}
	for _, x := range n.names {
		if x.work != nil {
			close(x.work)
		}
		exec.Command("ip", "netns", "del", x.name).Run()
	}
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
