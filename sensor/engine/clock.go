package engine

import "sync"

const (
	// Durations in nanoseconds; a year is 365.25 days.
	second = int64(1e9)
	minute = 60 * second
	hour   = 60 * minute
	year   = 8766 * hour
)

// endOfTime is 2262-04-11, the last midnight that nanoseconds since 1970 reach in 63 bits. Frames
// of that time and later, and frames from before 1970, are counted as bad_time and ignored.
const endOfTime = 9_223_286_400e9

// clock is the time of the packets: the highest plausible one.
//
// A capture can hold a frame with any time: a frame that a broken clock stamped ten years ahead
// must not make everything expire. So a jump is accepted only if the frames that follow it agree.
// Merged captures of several years have such jumps too, and there the frames agree.
//
//	   maxBack        maxStep
//	|-----------|--------------------|
//	ignored    now   moves the clock   beyond: a jump, once jumpFrames agree
type clock struct {
	mu          sync.Mutex
	now         int64
	jump        int64  // a time far from now that the latest frames agree on
	seq         uint64 // number of the latest of these frames
	agreeing    int    // the number of these frames
	implausible uint64 // frames whose time was not accepted so far, and jumps back
	odd         uint64 // frames whose time was surely wrong, and all jumps: it never falls
	// guessed says that now is of another clock than the frames': the first of them sets it.
	guessed bool
}

const (
	// maxStep is how far ahead a frame's time can be without being a jump.
	maxStep = 10 * minute
	// maxBack is how far behind a frame's time can be: several interfaces and swapped frames stay
	// within it.
	maxBack = minute
	// jumpFrames is the number of frames in a row that must agree on a jump.
	jumpFrames = 5
)

// advance takes in the time of frame seq when it is outside the window. ok reports whether the
// clock moved, and to holds its new time; to.jump reports a jump.
func (c *clock) advance(t int64, seq uint64) (to tick, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	guessed := c.guessed
	c.guessed = false
	switch {
	case guessed && (t < c.now-maxBack || t >= c.now+maxStep):
		c.now = t
		return tick{order: seq, now: t, jump: true}, true
	case c.now == 0:
		c.now = t
		if t < 10*year {
			// A time before 1980.
			c.implausible++ // the capturing clock was never set
			c.odd++
		}
		return tick{order: seq, now: t}, true
	case t < c.now && t >= c.now-maxBack:
		return to, false // within the window of another worker
	case t >= c.now && t < c.now+maxStep:
		c.now = t
		c.disagree()
		return tick{order: seq, now: t}, true
	}
	c.implausible++
	// Frames agree if they follow one another, go in the same direction, and no time is behind the
	// jump.
	if c.agreeing == 0 || seq != c.seq+1 || t < c.jump-maxBack || (t < c.now) != (c.jump < c.now) {
		c.disagree()
	}
	c.agreeing++
	c.jump, c.seq = t, seq
	if c.agreeing < jumpFrames {
		return to, false
	}
	// The jump is accepted, so its frames were plausible.
	c.implausible -= jumpFrames
	if t < c.now {
		c.implausible++ // a jump forward may be the next capture of a merged file
	}
	c.odd++
	c.now, c.agreeing = t, 0
	return tick{order: seq, now: t, jump: true}, true
}

// disagree ends a jump that was not accepted: the times of its frames are wrong.
func (c *clock) disagree() {
	c.odd += uint64(c.agreeing)
	c.agreeing = 0
}

// window returns the range of times that leave the clock as it is: up to the next full second. A
// worker compares each packet with it and needs no lock for that.
func (c *clock) window() (lo int64, span uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lo = c.now - maxBack
	if c.guessed {
		return lo, 0
	}
	return lo, uint64((c.now/second+1)*second - lo)
}

// start sets the clock before the first frame. guessed says that the frames have another clock.
func (c *clock) start(now int64, guessed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == 0 {
		c.now, c.guessed = now, guessed
	}
}

// Now returns the time in nanoseconds since 1970, zero before the first frame.
func (c *clock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advanceIdle moves the clock to the wall clock if that is more than two seconds ahead: frames may
// be delayed that long. jump reports that more time went by than a step.
func (c *clock) advanceIdle(now int64) (ok, jump bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// While frames suggest another time the wall clock does not decide.
	if c.now == 0 || now-c.now < 2*second || now-c.now > maxStep && c.agreeing > 0 {
		return false, false
	}
	jump = now-c.now > maxStep
	c.now = now
	return true, jump
}
