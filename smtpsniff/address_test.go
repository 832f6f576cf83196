package smtpsniff

import "testing"

func TestStrictPath(t *testing.T) {
	for rest, want := range map[string]bool{
		" FROM:<a@example.org>": true, " from:<>": true, " FROM: <a@example.org>": false, " FROM:a@example.org": false,
		" FROM <a@example.org>": false, " FROM:": false, "": false,
	} {
		if strictPath([]byte(rest), "FROM:<") != want {
			t.Errorf("%q: strict %v", rest, !want)
		}
	}
}
