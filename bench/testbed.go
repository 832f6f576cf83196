package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// testbed is a sensor that was built, in a directory of its own, and a link on which a file is
// sent to it.
type testbed struct {
	dir, sensor string
	link        *vethLink
}

// newTestbed makes a testbed for a file.
func newTestbed(name string) (*testbed, error) {
	file, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); err != nil {
		return nil, err
	}
	b := &testbed{}
	if b.dir, b.sensor, err = buildSensor(); err != nil {
		return nil, err
	}
	if b.link, err = newVethLink(file); err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

func (b *testbed) close() {
	b.link.close()
	os.RemoveAll(b.dir)
}

// startListening starts a command, and waits until it says on standard error that it is ready. kill
// ends it if it still runs.
func startListening(c *exec.Cmd, name, ready string) (stderr *lockedBuffer, kill func(),
	err error) {
	stderr = new(lockedBuffer)
	c.Stderr = stderr
	if err := c.Start(); err != nil {
		return nil, func() {}, err
	}
	kill = func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			c.Wait()
		}
	}
	for began := time.Now(); !strings.Contains(stderr.String(), ready); {
		if time.Sleep(10 * time.Millisecond); time.Since(began) > 10*time.Second {
			return nil, kill, fmt.Errorf("%s does not begin to listen: %s", name,
				failureReason(stderr.String()))
		}
	}
	return stderr, kill, nil
}
