package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// built is the command itself, built once and without the race detector: what a signal does to a
// process, and how much memory it takes, shows in a process only.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "spamsensor-test")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "spamsensor")
	out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})
