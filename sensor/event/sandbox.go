package event

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
)

// Sandbox is what holds of the sandbox of a live sensor.
type Sandbox struct {
	Capabilities []string // that are left
	NoNewPrivs   bool
	LandlockABI  int // 0: none in force
	Seccomp      bool
	CoreLimit    uint64 // bytes of a core dump
	Missing      []string
}

// Sandbox writes the sandbox event. Among the types of the stats event it counts as health.
func (w *Writer) Sandbox(at int64, s *Sandbox) {
	level, message := zerolog.InfoLevel, "the sandbox holds"
	if len(s.Missing) > 0 {
		level = zerolog.WarnLevel
		message = fmt.Sprintf("the sandbox lacks %s", strings.Join(s.Missing, "; "))
	}
	missing := make([]string, len(s.Missing))
	for i, text := range s.Missing {
		missing[i] = w.text(text)
	}
	w.beginAs("sandbox", HealthEvent, level, at).Dict("sandbox", zerolog.Dict().
		Strs("capabilities", s.Capabilities).Bool("no_new_privs", s.NoNewPrivs).
		Int("landlock_abi", s.LandlockABI).Bool("seccomp", s.Seccomp).
		Uint64("core_limit", s.CoreLimit).Strs("missing", missing)).Msg(w.text(message))
}
