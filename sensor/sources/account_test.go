package sources

import (
	"net/netip"
	"testing"
)

// TestAccounts: a source with three providers has accounts like a person; with the fourth it has not,
// whichever provider comes next.
func TestAccounts(t *testing.T) {
	var a accounts
	for i, c := range []struct {
		provider uint32
		few      bool
	}{{1, true}, {1, true}, {2, true}, {3, true}, {1, true}, {4, false}, {1, false}, {5, false}} {
		if got := a.add(c.provider); got != c.few {
			t.Errorf("login %d at provider %d: %v, want %v", i, c.provider, got, c.few)
		}
	}
}

// TestBringer: who brought more than half of what a server took is known, whatever the order.
func TestBringer(t *testing.T) {
	for _, c := range []struct{ order, want string }{
		{"aaaabb", "a"}, {"bbaaaa", "a"}, {"abaaaa", "a"}, {"abcabc", ""}, {"a", ""},
	} {
		var h profile
		for _, who := range []byte(c.order) {
			h.takenInAll++
			h.brought.add(addrOf(who), 1)
		}
		got := ""
		if a := h.mostBrought(); a.IsValid() {
			b := a.As4()
			got = string(b[3:])
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.order, got, c.want)
		}
	}
}

// addrOf is an address for each letter.
func addrOf(c byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, c}) }
