package mailserver

// Times are nanoseconds since 1970.
const (
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)
