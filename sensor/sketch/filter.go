package sketch

// Filter says of most hashes that a list does not have them, without a search: it has a bit for
// each hash of the list, modulo 64. The zero value is for an empty list.
type Filter uint64

// Add adds a hash. A hash that leaves the list stays until the filter is made anew.
func (f *Filter) Add(h uint32) { *f |= 1 << (h % 64) }

// May reports whether the list may have a hash.
func (f Filter) May(h uint32) bool { return f>>(h%64)&1 != 0 }
