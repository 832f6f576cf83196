package servers

const (
	// Durations in nanoseconds.
	second = int64(1e9)
	hour   = 3600 * second
)
