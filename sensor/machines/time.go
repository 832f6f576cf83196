package machines

const (
	// Durations in nanoseconds.
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
)
