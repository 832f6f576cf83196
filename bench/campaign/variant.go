package campaign

import "math/rand/v2"

// Variant describes the way of packets to the sensor: losses, duplicates, encapsulation. V6 and TLS
// change the campaign itself.
type Variant struct {
	Name, About string
	Loss        float64 // share of the frames that are lost, each independently
	Outbound    bool    // only packets of the site's hosts
	Inbound     bool    // only packets to the site's hosts
	Double      bool    // the mirror delivers every frame twice
	Snap        int     // bytes kept of each frame, zero means all
	SYN         bool    // only first SYNs
	Wrap        *Encapsulation
	V6, TLS     bool
}

// Plain is the campaign without a change.
var Plain = &Variant{Name: "plain", About: "as it is"}

// Variants are the variants of the design. EncapsulationVariants has the others.
var Variants = []*Variant{
	{Name: "loss-1", About: "1 % of the frames lost", Loss: 0.01},
	{Name: "loss-10", About: "10 % of the frames lost", Loss: 0.1},
	{Name: "outbound", About: "only what the hosts send", Outbound: true},
	{Name: "inbound", About: "only what is sent to them", Inbound: true},
	{Name: "doubled", About: "every frame twice", Double: true},
	{Name: "snap-96", About: "96 bytes of each frame", Snap: 96},
	{Name: "syn-only", About: "first SYNs and nothing else", SYN: true},
	{Name: "ipv6", About: "IPv6 instead of IPv4", V6: true},
	{Name: "tls", About: "TLS wherever it can be", TLS: true},
}

// EncapsulationVariants has a variant for each of Encapsulations.
func EncapsulationVariants() (list []*Variant) {
	for _, e := range Encapsulations {
		list = append(list, &Variant{Name: e.Name, About: "in " + e.Name, Wrap: e})
	}
	return list
}

// Link is the link type of the variant's frames.
func (v *Variant) Link() uint16 {
	if v.Wrap == nil {
		return 1
	}
	return v.Wrap.Link
}

// Filter returns a function that passes to next the packets that reach the sensor.
func (v *Variant) Filter(seed uint64, next func(*Packet)) func(*Packet) {
	r := rand.New(rand.NewPCG(seed, 77))
	return func(p *Packet) {
		switch {
		case v.Loss > 0 && r.Float64() < v.Loss,
			v.Outbound && !p.Inside, v.Inbound && p.Inside,
			v.SYN && (p.Proto != TCP || p.Flags&(SYN|ACK) != SYN):
			return
		}
		next(p)
		if v.Double {
			at := p.Time
			p.Time += between(r, microsecond, 20*microsecond)
			next(p)
			p.Time = at
		}
	}
}

// Truncate is the part of a frame that is captured.
func (v *Variant) Truncate(frame []byte) []byte {
	if v.Snap > 0 && len(frame) > v.Snap {
		return frame[:v.Snap]
	}
	return frame
}

// CapturedPayload is the part of a packet's payload that is captured.
func (v *Variant) CapturedPayload(p *Packet) []byte {
	headers := 14 + 20 + 20
	if p.Src.Addr().Is6() {
		headers += 20
	}
	if v.Snap > 0 && headers+len(p.Payload) > v.Snap {
		return p.Payload[:max(0, v.Snap-headers)]
	}
	return p.Payload
}
