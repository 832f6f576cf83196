package sketch

import "math"

// Increment counts up to the largest number and no further.
func Increment(n *uint32) {
	if *n != math.MaxUint32 {
		*n++
	}
}
