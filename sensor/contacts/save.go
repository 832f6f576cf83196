package contacts

// Saved is the test as a checkpoint keeps it, with the counts of ports. Contacts that wait for an
// answer are left out: after a restart their answers would be missed, and each would seem a
// failure. The tags are the format.
type Saved struct {
	LLR    float64 `json:"LLR"`
	Failed int     `json:"Failed"`
	Worked int     `json:"Worked"`
	Ports  []Port  `json:"Ports,omitempty"`
	// Reached and Lost are the results of Share that are final.
	Reached uint32 `json:"Reached,omitempty"`
	Lost    uint32 `json:"Lost,omitempty"`
}

// Save makes what a checkpoint keeps of the tests and of counts. It shares nothing with them.
func Save(t *Test, s *Share, p *Ports) Saved {
	d := Saved{LLR: t.llr, Failed: t.failed, Worked: t.worked, Reached: s.worked, Lost: s.given}
	for _, at := range p {
		if at.Port != 0 {
			d.Ports = append(d.Ports, at)
		}
	}
	return d
}

// Restore is the opposite of Save. The tests and the counts must be new.
func (d *Saved) Restore(t *Test, s *Share, p *Ports) {
	s.worked, s.given = d.Reached, d.Lost
	t.llr, t.failed, t.worked = d.LLR, d.Failed, d.Worked
	copy(p[:], d.Ports)
}
