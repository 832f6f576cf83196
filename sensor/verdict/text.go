package verdict

import (
	"fmt"
	"strconv"
	"time"
)

// Plural is a count with its noun, whose plural ends in s: "1 session" or "2 sessions".
func Plural[N int | uint32](n N, what string) string {
	return string(AppendPlural(nil, n, what))
}

// AppendPlural appends Plural to b.
func AppendPlural[N int | uint32](b []byte, n N, what string) []byte {
	b = append(append(strconv.AppendInt(b, int64(n), 10), ' '), what...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}

// Count is a count with its noun: one is the singular, many the plural.
func Count(n uint32, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Span is a duration of ns nanoseconds as people say it: "0.4 s", "90 s", "12 minutes".
func Span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f s", max(0.1, d.Seconds()))
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
