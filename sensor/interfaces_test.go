package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestInterfacesFormats checks that programs can read the table of interfaces.
func TestInterfacesFormats(t *testing.T) {
	rate := 12.0
	lines := []interfaceLine{{Name: "eth1", Link: "up", SpeedMbit: 1000, Promiscuous: true, Received: 7, PerSecond: &rate, VLANs: []uint16{10, 20}}, {Name: "eth2", Link: "down"}}
	out := map[string]string{}
	for _, format := range tableFormats {
		var b bytes.Buffer
		if err := printInterfaces(&b, lines, format, nil); err != nil {
			t.Fatal(err)
		}
		out[format] = b.String()
	}
	dec := json.NewDecoder(strings.NewReader(out["json"]))
	var first, second interfaceLine
	if err := dec.Decode(&first); err != nil || first.Name != "eth1" || *first.PerSecond != 12 || len(first.VLANs) != 2 {
		t.Errorf("%v %+v", err, first)
	}
	if err := dec.Decode(&second); err != nil || second.PerSecond != nil {
		t.Errorf("%v %+v: eth2 is down, nothing was measured", err, second)
	}
	if !strings.Contains(out["csv"], "\neth1,up,1000 Mbit/s,yes,7,0,12/s,10 20,\n") || !strings.Contains(out["human"], "│ eth1") {
		t.Errorf("%s\n%s", out["csv"], out["human"])
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"interfaces", "-o", "xml"}, nil, &stderr, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "want human, json or csv") {
		t.Errorf("%d: %s", code, stderr.String())
	}
}
