package doctor

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLinuxLines has the lines for Linux run in a network namespace: tc accepts each.
func TestLinuxLines(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes a network namespace")
	}
	for _, tool := range []string{"ip", "tc", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	ns := fmt.Sprintf("spam-d%d", os.Getpid())
	do := func(script string) {
		t.Helper()
		if out, err := exec.Command("ip", "netns", "exec", ns, "sh", "-ec", script).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	do("ip link add s0 type veth peer name s1; ip link add m0 type veth peer name m1; ip link set s0 up; ip link set m0 up")
	fill := strings.NewReplacer("SOURCE", "s0", "SENSOR", "m0", "VLAN", "7")
	for _, s := range systems {
		if s.key != "tc" {
			continue
		}
		for _, r := range []remedy{makeMirror, bothWays, otherSource, oneCopy} {
			if exec.Command("modprobe", "-n", "cls_flower").Run() != nil && r == otherSource {
				continue // this kernel has no such classifier
			}
			do(fill.Replace(strings.Join(s.lines[r], "\n")))
		}
		do("test -z \"$(tc filter show dev s0 egress)\" && tc filter show dev s0 ingress | grep -q mirred")
	}
}
