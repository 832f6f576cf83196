package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// mailFilter is what every peer gets that takes a filter: the ports that are mail
// everywhere.
const mailFilter = "tcp port 25 or tcp port 465 or tcp port 587"

// tool is a command line that is timed. It runs in an empty folder of its own.
type tool struct {
	name string // in the table
	// line is split at its spaces; FILE and FILTER stand for one argument each.
	line   string
	inputs map[string]string // what must be in the folder
}

// tools are the tools that read the same file, each as it is called for the most similar work: with
// a filter where it takes one, with as little output as it has. The comment says what it gives for
// its time.
var tools = []tool{
	// Reading the file, and nothing else.
	{name: "cat", line: "cat FILE"},
	{name: "wc", line: "wc -l FILE"},
	// Walking the packets, and with the filter looking at the ports.
	{name: "capinfos", line: "capinfos -c FILE"},
	{name: "tcpdump", line: "tcpdump -r FILE -w /dev/null"},
	{name: "tcpdump, filter", line: "tcpdump -r FILE -w /dev/null FILTER"},
	// Records of flows.
	{name: "softflowd, filter", line: "softflowd -d -r FILE -p pid -c ctl FILTER"},
	{name: "nfpcapd, filter", line: "nfpcapd -r FILE -w . FILTER"},
	{name: "argus, filter", line: "argus -X -r FILE -w flows.argus - FILTER"},
	// Protocols of flows.
	{name: "ndpiReader, filter", line: "ndpiReader -q -i FILE -f FILTER"},
	// The bytes of connections, in order.
	{name: "tcpflow, filter", line: "tcpflow -q -r FILE -c -X /dev/null FILTER"},
	// What was said in SMTP.
	{name: "suricata single, filter", line: "suricata -c suricata.yaml -S /dev/null -l . " +
		"--runmode single -r FILE FILTER", inputs: suricataInputs},
	{name: "suricata autofp, filter", line: "suricata -c suricata.yaml -S /dev/null -l . " +
		"--runmode autofp -r FILE FILTER", inputs: suricataInputs},
	{name: "zeek, filter", line: "zeek -C -r FILE -f FILTER"},
	{name: "tshark", line: "tshark -r FILE -Y smtp -T fields -e frame.time_epoch -e ip.src -e " +
		"ip.dst -e smtp.req.command -e smtp.req.parameter -e smtp.response.code"},
}

// sensors are how the sensor runs: for its report; and with every session, source and finding
// written as an event as well. The peers are compared with the first.
var sensors = []tool{
	{name: "spamsensor", line: "spamsensor read --no-progress --workers N FILE"},
	{name: "spamsensor with events", line: "spamsensor read --no-progress --workers N --events " +
		"events.json FILE"},
}

// suricataInputs have suricata log SMTP and nothing else, without a rule. The memory is that of the
// configuration that it is shipped with.
var suricataInputs = map[string]string{"suricata.yaml": `%YAML 1.1
---
stats: {enabled: no}
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [smtp]}
logging:
  default-log-level: notice
  outputs: [{console: {enabled: yes}}]
app-layer: {protocols: {smtp: {enabled: yes, mime: {decode-mime: yes}}}}
pcap-file: {checksum-checks: no}
defrag: {memcap: 32mb, hash-size: 65536}
flow: {memcap: 128mb, hash-size: 65536, prealloc: 10000}
stream: {memcap: 64mb, checksum-validation: no, reassembly: {memcap: 256mb, depth: 1mb}}
`}

// selectTools are the sensor with each number of workers, and the peers that are there and wanted;
// only and skip are names of tools or of rows, an empty only means all. missing are tools that are
// not installed.
func selectTools(sensor string, workers []string, only,
	skip []string) (list []tool, missing []string) {
	for _, c := range sensors {
		for _, w := range workers {
			line := strings.NewReplacer("spamsensor", sensor, "N", w).Replace(c.line)
			list = append(list, tool{name: c.name + ", " + quantity(w, "worker"), line: line})
		}
	}
	for _, c := range tools {
		if len(only) > 0 && !c.matches(only) || c.matches(skip) {
			continue
		}
		if _, err := exec.LookPath(c.program()); err != nil {
			missing = append(missing, c.program())
			continue
		}
		if c.program() == "tcpdump" && os.Getuid() == 0 {
			// Otherwise it gives what it writes to, /dev/null, to another user.
			c.line = strings.Replace(c.line, "tcpdump", "tcpdump -Z root", 1)
		}
		list = append(list, c)
	}
	return list, unique(missing)
}

func quantity(n, what string) string {
	if n == "1" {
		return n + " " + what
	}
	return n + " " + what + "s"
}

func (c *tool) program() string {
	name, _, _ := strings.Cut(c.line, " ")
	return name
}

func (c *tool) matches(names []string) bool {
	for _, n := range names {
		if n == c.name || n == c.program() {
			return true
		}
	}
	return false
}

// args is the command line for a file.
func (c *tool) args(file string) []string {
	list := strings.Fields(c.line)
	for i, a := range list {
		switch a {
		case "FILE":
			list[i] = file
		case "FILTER":
			list[i] = mailFilter
		}
	}
	return list
}

// versionOptions says how to ask a tool for its version, where it is not --version.
var versionOptions = map[string]string{"suricata": "-V", "ndpiReader": "-h", "nfpcapd": "-V",
	"softflowd": "-h", "argus": "-h", "spamsensor": "version"}

var versionNumber = regexp.MustCompile(`[0-9]+\.[0-9]+[0-9.]*`)

// version is what a tool says of itself; its exit code does not matter, as some know their
// version only from their help.
func version(tool, name string) string {
	ask, ok := versionOptions[name]
	if !ok {
		ask = "--version"
	}
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	out, _ := exec.CommandContext(ctx, tool, ask).CombinedOutput()
	return strings.TrimRight(versionNumber.FindString(string(out)), ".")
}
