package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestGather reads output in the form of go test -json: figures get the verdict of their test, a
// test without an end has failed, and a goal without a figure is missing.
func TestGather(t *testing.T) {
	const output = `{"Action":"output","Package":"spamsensor/a","Test":"TestOne","Output":"    a_test.go:7: R15: 3 of 3 (goal 3)\n"}
{"Action":"output","Package":"spamsensor/a","Test":"TestOne","Output":"    a_test.go:8: something else: R4: no\n"}
{"Action":"pass","Package":"spamsensor/a","Test":"TestOne"}
{"Action":"output","Package":"spamsensor/b","Test":"TestTwo/case","Output":"    b_test.go:7: R3: 1 crash (goal 0)\n"}
{"Action":"fail","Package":"spamsensor/b","Test":"TestTwo/case"}
no JSON
{"Action":"output","Package":"spamsensor/b","Test":"TestThree","Output":"    b_test.go:9: R20: 30 files\n"}
`
	figures, failed := gather(strings.NewReader(output))
	if len(figures) != 3 || len(failed) != 1 || failed[0] != "b TestTwo/case" {
		t.Fatalf("%v %v", figures, failed)
	}
	for i, want := range []figure{{3, "1 crash (goal 0)", "b TestTwo/case", "FAIL"},
		{15, "3 of 3 (goal 3)", "a TestOne", "PASS"}, {20, "30 files", "b TestThree", "FAIL"}} {
		if figures[i] != want {
			t.Errorf("%v, want %v", figures[i], want)
		}
	}
	var out bytes.Buffer
	if show(&out, figures) {
		t.Error("it is good although goals have no figure")
	}
	if s := out.String(); strings.Count(s, "MISSING") != len(goals)-3 ||
		!strings.Contains(s, "R29") {
		t.Errorf("%s", s)
	}
	var all []figure
	for _, n := range goals {
		all = append(all, figure{goal: n, verdict: "PASS"})
	}
	if !show(&out, all) {
		t.Error("it is not good although all goals are met")
	}
}
