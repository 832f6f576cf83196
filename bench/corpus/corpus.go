// Package corpus finds the recorded captures that the tests read. The captures are not part of the
// project: they lie beside it, or in the directory that SPAMSENSOR_CORPUS names. A test that needs
// a capture is skipped, with the reason, if the capture is missing. The package does not read
// captures.
//
// Words: the corpus is the directory of recorded captures; a case is a capture that was once judged
// wrongly, in a directory beside it.
package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Variable is the environment variable that names the directory of captures. The directory of cases
// is beside it, under the name "cases".
const Variable = "SPAMSENSOR_CORPUS"

// Find returns the directory of captures, without symbolic links (filepath.WalkDir does not
// follow them), or "" if there is none.
func Find() string {
	dir := os.Getenv(Variable)
	if dir == "" {
		root := projectRoot()
		if root == "" {
			return ""
		}
		dir = filepath.Join(root, "..", "shared", "pcaps")
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	return dir
}

// projectRoot is the nearest directory with a go.mod, from the current one upwards; "" if there is
// none.
func projectRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}

// Path returns the path of a capture, by its path elements below the directory of captures. The
// test is skipped if the capture is missing.
func Path(t testing.TB, elements ...string) string {
	t.Helper()
	return existing(t, Find(), elements)
}

// Case returns the path of a case, by its path elements below the directory of cases: the kind
// ("field", "hostile", "scenarios") and the file name. The test is skipped if it is missing.
func Case(t testing.TB, elements ...string) string {
	t.Helper()
	dir := Find()
	if dir != "" {
		dir = filepath.Join(filepath.Dir(dir), "cases")
	}
	return existing(t, dir, elements)
}

// existing joins a path, and skips the test if there is no such file.
func existing(t testing.TB, dir string, elements []string) string {
	t.Helper()
	if dir == "" {
		t.Skipf("the corpus of captures is missing (%s names its directory)", Variable)
	}
	path := filepath.Join(append([]string{dir}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is missing (%s names the directory of captures)", path, Variable)
	}
	return path
}
