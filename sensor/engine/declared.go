package engine

// Unused returns the entries of the configuration that had no use, for a hint to the administrator.
func (e *Engine) Unused() []string {
	return e.peers.Unused(e.servers.Active)
}
