package sources

import (
	"fmt"
	"net/netip"
	"testing"

	"spamsensor/flowtable"
)

// TestDestinations checks that the servers that a host tries most often are known, however many others
// it tries, and that none stands out of hundreds.
func TestDestinations(t *testing.T) {
	key := func(addr string, port uint16) *flowtable.Key {
		return &flowtable.Key{Server: netip.MustParseAddr(addr).As16(), ServerPort: port}
	}
	var d destinations
	if top := d.top(false); len(top) != 0 {
		t.Errorf("nothing was tried, but %v", top)
	}
	for i := range 600 {
		d.tried(key(fmt.Sprintf("198.51.%d.%d", i/250, i%250), 25))
	}
	if top := d.top(false); len(top) != 0 {
		t.Errorf("%v stand out of 600", top)
	}
	d = destinations{}
	for i := range 300 {
		d.tried(key("192.0.2.1", 587))
		if i%3 == 0 {
			d.tried(key("192.0.2.1", 465))
		}
		if i%3 == 1 {
			d.tried(key(fmt.Sprintf("198.51.100.%d", i%250), 25))
		}
	}
	top := d.top(false)
	if len(top) != 2 || top[0].Server.String() != "192.0.2.1:587" || top[1].Server.String() != "192.0.2.1:465" {
		t.Errorf("%v", top)
	}
	for name, want := range map[string]bool{"mail.example.org": true, "localhost": false, "": false, ".x": false,
		"a_b.example": false, "mail.example.org\x1b[31m": false, "220-mx.example": true} {
		if got := isHostName([]byte(name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
