package notify

import (
	"os"
	"testing"
)

// TestMain puts the directories of the tests into memory: the service makes its files durable, and
// hours of it pass in a second. A process of a test that is a child of it runs childMain or journalChild.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		childMain()
		return
	}
	if os.Getenv(journalVariable) != "" {
		journalChild()
		return
	}
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		os.Setenv("TMPDIR", memory)
	}
	os.Exit(m.Run())
}
