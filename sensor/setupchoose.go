package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/doctor"
)

// chooseInterface returns the interface with the most frames of other stations, and why.
func (a *app) chooseInterface(ctx context.Context, cfg *config) (name, why string, err error) {
	found, err := capture.Interfaces()
	if err != nil {
		return "", "", exit(exitFailed, err)
	}
	reports := make([]*doctor.Report, len(found))
	errs := make([]error, len(found))
	var wg sync.WaitGroup
	for i, f := range found {
		if !f.Up || f.Name == "lo" {
			continue
		}
		wg.Go(func() {
			d := doctorConfig(cfg)
			d.For, d.Frames = chooseTime, chooseFrames
			reports[i], errs[i] = a.doctorLive(ctx, cfg, d, f.Name)
		})
	}
	wg.Wait()
	after, err := capture.Interfaces()
	if err != nil {
		return "", "", exit(exitFailed, err)
	}
	best, seen, most := -1, "", uint64(0)
	for i, r := range reports {
		if r == nil {
			continue
		}
		seen += fmt.Sprintf("\n  %s: %d of %d frames are of other stations", found[i].Name,
			r.Counts.Foreign, r.Frames)
		if n := min(r.Counts.Foreign, receivedSince(&found[i], after)); n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		if err := errors.Join(errs...); err != nil {
			return "", "", exit(exitFailed, errors.New(printable(err.Error())))
		}
		return "", "", exit(exitBlind, fmt.Errorf("no interface gets the traffic of other "+
			"stations; is the mirror session configured, and the cable in the right port?%s\n"+
			"  (spamsensor doctor -i IF says more; -i names the interface all the same)",
			cmp.Or(seen, "\n  no interface is up")))
	}
	c := &reports[best].Counts
	return found[best].Name, fmt.Sprintf("%d of %d frames on it are of other stations, more than "+
		"on any other interface; %d connections, %d of them seen both ways", c.Foreign,
		reports[best].Frames, c.Connections, c.BothWays), nil
}

// receivedSince is the number of frames that an interface has received since it was listed. What a
// machine sends for others, as a bridge does, is not what a mirror port sends to it.
func receivedSince(was *capture.Interface, after []capture.Interface) uint64 {
	for i := range after {
		if is := &after[i]; is.Name == was.Name && is.Packets > was.Packets {
			return is.Packets - was.Packets
		}
	}
	return 0
}
