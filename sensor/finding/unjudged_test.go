package finding

import (
	"net/netip"
	"strings"
	"testing"
)

// TestUnjudgedText checks that a long list is named in part, and that the rest is counted.
func TestUnjudgedText(t *testing.T) {
	var list []Unjudged
	for i := range byte(20) {
		list = append(list, Unjudged{Addr: netip.AddrFrom4([4]byte{203, 0, i, 1})})
	}
	text, hint := UnjudgedText(list, 21, nil)
	if !strings.HasPrefix(text, "21 hosts ") || !strings.Contains(text, "203.0.7.1 ") ||
		strings.Contains(text, "203.0.8.1 ") || !strings.HasSuffix(text, "and 13 more") {
		t.Error(text)
	}
	if n := strings.Count(hint, "--home"); n != 8 {
		t.Errorf("%d options: %s", n, hint)
	}
}
