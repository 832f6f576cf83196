package sandbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// dropCapabilities gives up all capabilities but those that the process needs.
func dropCapabilities(cfg *Config) error {
	var kept []cap.Value
	if cfg.Capture {
		kept = append(kept, cap.NET_RAW)
	}
	foreign := foreignFile(cfg.Owned)
	if foreign != "" {
		kept = append(kept, cap.DAC_OVERRIDE)
	}
	had := cap.GetProc()
	if able, _ := had.GetFlag(cap.Effective, cap.SETPCAP); able {
		for v := range cap.MaxBits() {
			if !slices.Contains(kept, v) {
				cap.DropBound(v)
			}
		}
	}
	left := cap.NewSet()
	for _, v := range kept {
		for _, flag := range []cap.Flag{cap.Permitted, cap.Effective} {
			if has, _ := had.GetFlag(cap.Permitted, v); has {
				left.SetFlag(flag, true, v)
			}
		}
	}
	// The ambient set follows: what is not inheritable leaves it.
	if err := left.SetProc(); err != nil {
		return fmt.Errorf("they cannot be given up: %w", err)
	}
	if has, _ := left.GetFlag(cap.Effective, cap.DAC_OVERRIDE); has {
		return errors.New("cap_dac_override is kept, because " + foreign +
			" belongs to another user than root")
	}
	return nil
}

// foreignFile returns the first of these files that does not belong to root, if root runs the
// process, and "" if there is none.
func foreignFile(names []string) string {
	if os.Geteuid() != 0 {
		return ""
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return name
		}
	}
	return ""
}

// effective lists the capabilities that the process has.
func effective() []string {
	list, now := []string{}, cap.GetProc()
	for v := range cap.MaxBits() {
		if has, _ := now.GetFlag(cap.Effective, v); has {
			list = append(list, v.String())
		}
	}
	return list
}
