package tcp

// Abandon forgets all that waits in a connection, and what Pop would have given next, whatever
// state they are in. It is for a connection that is given up because of a fault of ours.
func (st *Stream) Abandon(c *Conn) {
	if st.lent != 0 {
		st.release(st.lent)
	}
	st.lent, st.have, st.force, st.miss, st.fin = 0, false, false, 0, false
	for range st.nodes { // a list that runs in a circle ends too
		i := c.held
		if i == 0 || int(i) >= len(st.nodes) {
			break
		}
		c.held = st.nodes[i].next
		st.release(i)
	}
	c.held, c.nheld = 0, 0
}
