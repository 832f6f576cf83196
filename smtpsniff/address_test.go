package smtpsniff

import "testing"

func TestStrictPath(t *testing.T) {
	for rest, want := range map[string]bool{
		" FROM:<a@example.org>": true, " from:<>": true, " FROM: <a@example.org>": false, " FROM:a@example.org": false,
		" FROM <a@example.org>": false, " FROM:": false, "": false,
	} {
		if parsePath([]byte(rest), "FROM:<").strict != want {
			t.Errorf("%q: strict %v", rest, !want)
		}
	}
}

func TestDomain(t *testing.T) {
	for address, want := range map[string]string{"a@b.example": "b.example",
		`"a@b"@c.example`: "c.example", `"a\"@b"@c.example`: "c.example",
		`"a\\"@c.example`: "c.example",
		"a@b@c.example":   "c.example", `"a@b.example`: "b.example", "a": "", "": "", "a@": ""} {
		if got := string(Domain([]byte(address))); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
