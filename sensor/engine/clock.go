package engine

import "sync"

const (
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	year   = 8766 * hour
)

// endOfTime is 2262-04-11, the last midnight that nanoseconds since 1970 reach in 63 bits. Frames
// of that time and later, and those from before 1970, are counted as bad_time and not looked at.
const endOfTime = 9_223_286_400e9

// clock is the time of the packets: the highest that is believed.
//
// A capture can hold a frame with any time: one that a broken clock stamped ten years
// ahead must not make everything expire. So a jump is believed only when the frames that
// follow it agree. Captures that were merged from several years have such jumps too; there they do.
type clock struct {
	mu          sync.Mutex
	now         int64
	jump        int64  // a time far from now that the latest frames agree on
	seq         uint64 // of the latest of them
	agreeing    int    // how many there were
	implausible uint64 // frames whose time was not believed, and jumps back
}

const (
	// maxStep is how far ahead a frame can be without being a jump.
	maxStep = 10 * minute
	// maxBack is how far behind: several interfaces and a swapped frame are within it.
	maxBack = minute
	// jumpFrames is how many frames in a row must agree on a jump.
	jumpFrames = 5
)

// advance takes in the time of frame seq when it is outside the window. ok says that the
// clock moved, and to when; t.jump that it did not get there by the passing of time.
func (c *clock) advance(t int64, seq uint64) (to tick, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.now == 0:
		c.now = t
		if t < 10*year {
			c.implausible++ // a clock that was never set
		}
		return tick{order: seq, now: t}, true
	case t < c.now && t >= c.now-maxBack:
		return to, false // within the window of another worker
	case t >= c.now && t < c.now+maxStep:
		c.now, c.agreeing = t, 0
		return tick{order: seq, now: t}, true
	}
	c.implausible++
	if c.agreeing == 0 || seq != c.seq+1 || t < c.jump-maxBack || (t < c.now) != (c.jump < c.now) {
		c.agreeing = 0
	}
	c.agreeing++
	c.jump, c.seq = t, seq
	if c.agreeing < jumpFrames {
		return to, false
	}
	c.implausible -= jumpFrames
	if t < c.now {
		c.implausible++ // forward it may be another capture
	}
	c.now, c.agreeing = t, 0
	return tick{order: seq, now: t, jump: true}, true
}

// window is the range of times that change nothing: up to the next full second.
func (c *clock) window() (lo int64, span uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lo = c.now - maxBack
	return lo, uint64((c.now/second+1)*second - lo)
}

// start sets the clock before the first frame.
func (c *clock) start(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == 0 {
		c.now = now
	}
}

// Now is the time.
func (c *clock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advanceIdle moves the clock if the wall's is ahead of it by more than a moment, in which frames
// may still be on their way.
func (c *clock) advanceIdle(now int64) (ok, jump bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == 0 || now-c.now < 2*second || now-c.now > maxStep && c.agreeing > 0 {
		return false, false
	}
	jump = now-c.now > maxStep
	c.now = now
	return true, jump
}
