package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/serve"
)

// checkNamed checks what a configuration names: interfaces, and the places of events and state. It
// changes nothing.
func checkNamed(cfg *config) (list []*fault) {
	bad := func(key string, err error) {
		if err != nil {
			name, _, _ := strings.Cut(key, "[")
			list = append(list, cfg.layers.fault("error", key, "%s: %v", name, err))
		}
	}
	for i, name := range cfg.interfaces {
		bad(fmt.Sprintf("capture.interfaces[%d]", i), checkInterface(name))
	}
	if cfg.streamName() != "" {
		bad("capture.interfaces", cfg.checkSources())
	} else if len(cfg.interfaces) > 0 {
		bad("capture.interfaces", checkCapturePermission())
	}
	if cfg.output != "" && cfg.output != "-" {
		bad("output.file", checkOutputFile(cfg.output))
	}
	if cfg.state.dir != "" {
		bad("state.dir", checkDirectory(cfg.state.dir))
	}
	if cfg.control.socket != noSocket && cfg.control.stated {
		bad("control.socket", checkWritable(filepath.Dir(cfg.control.socket)))
	}
	if cfg.control.group != "" {
		_, err := user.LookupGroup(cfg.control.group)
		bad("control.group", err)
	}
	bad("serve.web_config", serve.CheckWebConfig(cfg.serve.listen, cfg.serve.webConfig))
	if cfg.hashKeyFile != "" && checkSecret(cfg.hashKeyFile) != nil {
		list = append(list, cfg.layers.fault("warning", "evidence.hash_key_file", "%v",
			checkSecret(cfg.hashKeyFile)))
	}
	for i, x := range cfg.file.Notify {
		if strings.HasPrefix(x.Credential, "/") && checkSecret(x.Credential) != nil {
			list = append(list, cfg.layers.fault("warning", fmt.Sprintf("notify[%d].credential", i),
				"%v", checkSecret(x.Credential))) // run needs no secret
		}
	}
	return list
}

// checkInterface checks that an interface exists and is up.
func checkInterface(name string) error {
	if name == "any" || isStream(name) {
		return nil
	}
	is, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		there := capture.InterfaceNames()
		text := fmt.Sprintf("there is no interface %s (there are: %s)", printable(name),
			strings.Join(there, ", "))
		if near := nearest(name, there); near != "" {
			text += fmt.Sprintf("; did you mean %q?", near)
		}
		return errors.New(text)
	case is.Flags&net.FlagUp == 0:
		return fmt.Errorf("%s is down (ip link set %s up)", name, name)
	}
	return nil
}

// checkCapturePermission checks that this user may capture: it opens a packet socket that is bound
// to no interface and receives nothing.
func checkCapturePermission() error {
	s, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("this user may not capture: %w (sudo, or as a service "+
			"AmbientCapabilities=CAP_NET_RAW, or once sudo setcap cap_net_raw+ep %s)", err,
			printable(os.Args[0]))
	}
	return syscall.Close(s)
}

// checkOutputFile checks that the file of the events can be written, or made if it is missing.
func checkOutputFile(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory (name a file in it)", printable(name))
	}
	return checkWritable(name)
}

// checkDirectory checks that a directory can be written, or made if it is missing.
func checkDirectory(name string) error {
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is no directory", printable(name))
	}
	return checkWritable(name)
}

// checkWritable checks that a file or a directory can be written, or made if it is missing.
func checkWritable(name string) error {
	const write = 2 // W_OK of access(2)
	target := name
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		target = filepath.Dir(name)
	}
	if err := syscall.Access(target, write); err != nil {
		return fmt.Errorf("%s cannot be written: %s: %w", printable(name), printable(target), err)
	}
	return nil
}

// checkSecret checks that a file with a secret exists, and that nobody but its owner can read it.
// The owner may be another user than the one who checks.
func checkSecret(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("the secret cannot be read: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", printable(name))
	case info.Mode()&0o077 != 0:
		return fmt.Errorf("other users can read the secret in %s: its mode is %04o (chmod 600 %s)",
			printable(name), info.Mode().Perm(), printable(name))
	}
	return nil
}
