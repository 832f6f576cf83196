// Package sketch counts distinct hashes in bounded memory: a [Set] counts up to tens of thousands,
// a [SmallSet] up to three, and a list of [Slot]s the latest of some seconds, minutes or days.
// [Increment] counts without overflow.
//
// Hashes are keyed by the caller, so that a sender cannot choose which of them collide. Sets share
// a [Budget] for what they take beyond their own kilobyte.
package sketch

const second = int64(1e9) // times are nanoseconds since 1970
