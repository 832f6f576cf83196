package frame

// UnsetSeconds is 208 weeks in seconds, nearly four years: hours and days of the week stay.
const UnsetSeconds = 208 * 7 * 24 * 3600

const unsetSpan = UnsetSeconds * int64(1e9)

// ReadTime is the time of a frame whose record has the time t, in nanoseconds since 1970. Programs
// that do not know the time write zero, and simulations begin there; the sensor takes zero for
// "never", and looks a day back. So times before 1974 are moved by UnsetSeconds: their order and
// distances stay. No capture is from the years that they are moved to.
func ReadTime(t int64) int64 {
	if uint64(t) < uint64(unsetSpan) {
		t += unsetSpan
	}
	return t
}

// ShownTime is the time that the record of a frame with the time t has: what a user knows.
func ShownTime(t int64) int64 {
	if uint64(t-unsetSpan) < uint64(unsetSpan) {
		t -= unsetSpan
	}
	return t
}
