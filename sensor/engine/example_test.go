package engine_test

import (
	"fmt"
	"io"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/engine"
	"spamsensor/sensor/finding"
	"spamsensor/sensor/verdict"
)

// A capture file is read in batches. The engine emits a finding when a verdict is new or worse.
func Example() {
	files, err := capture.OpenFiles([]string{"../testdata/bot.pcap"}, capture.FilesConfig{
		KnownLink: engine.KnownLink, Untimed: engine.Untimed, Prefilter: engine.Prefilter(nil),
	})
	if err != nil {
		panic(err)
	}
	defer files.Close()

	e := engine.New(engine.Config{Seed: files.Fingerprint()}, engine.Output{
		Finding: func(f *finding.Finding) {
			if f.Class == verdict.Spambot && f.Action != "closed" {
				fmt.Println(f.Action, f.Source.Addr, f.Level, f.Class)
			}
		},
	})
	w := e.Worker()
	for {
		b, err := files.Next()
		w.Skip(b.Skipped[:], b.First, b.Last)
		w.Take(b.Frames)
		if err == io.EOF {
			break
		}
	}
	w.EmitDue()
	e.Finish("end_of_input")
	// Output:
	// opened 192.168.77.66 suspect spambot
	// updated 192.168.77.66 likely spambot
	// updated 192.168.77.66 confirmed spambot
}
