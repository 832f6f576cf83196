package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// machine describes the machine and the software that a figure depends on.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory uint64 `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	System string `json:"system"`
	Go     string `json:"go"`
}

func thisMachine() machine {
	m := machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Kernel: runtime.GOOS,
		Go: runtime.Version()}
	if name := field("/proc/cpuinfo", "model name", ":"); name != "" {
		m.CPU = strings.Join(strings.Fields(name), " ")
	}
	kb, _ := strconv.ParseUint(strings.TrimSuffix(field("/proc/meminfo", "MemTotal", ":"), " kB"),
		10, 64)
	m.Memory = kb << 10
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(b))
	}
	m.System = strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	return m
}

// field is the value of a key in a file of lines "key sep value", "" if there is none.
func field(file, key, sep string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, sep); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %s, %.1f GiB, %s, %s, %s", m.CPU,
		quantity(strconv.Itoa(m.Cores), "core"), float64(m.Memory)/(1<<30), m.Kernel, m.System,
		m.Go)
}
