package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// mailFilter is the capture filter of each tool that takes one: the ports that are mail everywhere.
const mailFilter = "tcp port 25 or tcp port 465 or tcp port 587"

// tool is a command line that is timed. It runs in an empty folder of its own.
type tool struct {
	name string // the name of its row in the table
	// line is split at its spaces; FILE and FILTER stand for one argument each.
	line   string
	inputs map[string]string // files that the folder must hold, by name
}

// tools read the same file as the sensor. Each command line asks for the work that is most like the
// sensor's: with a filter where the tool takes one, and with as little output as it has. The
// comments in the list say what each tool gives for its time.
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
	// The SMTP dialogues.
	{
		name:   "suricata single, filter",
		line:   "suricata -c suricata.yaml -S /dev/null -l . --runmode single -r FILE FILTER",
		inputs: suricataInputs,
	},
	{
		name:   "suricata autofp, filter",
		line:   "suricata -c suricata.yaml -S /dev/null -l . --runmode autofp -r FILE FILTER",
		inputs: suricataInputs,
	},
	{name: "zeek, filter", line: "zeek -C -r FILE -f FILTER"},
	{name: "tshark", line: "tshark -r FILE -Y smtp -T fields -e frame.time_epoch -e ip.src " +
		"-e ip.dst -e smtp.req.command -e smtp.req.parameter -e smtp.response.code"},
}

// sensors are the two ways in which the sensor runs: for its report; and with each session, source
// and finding written as an event as well. The other tools are compared with the first.
var sensors = []tool{
	{name: "spamsensor", line: "spamsensor read --no-progress --workers N FILE"},
	{
		name: "spamsensor with events",
		line: "spamsensor read --no-progress --workers N --events events.json FILE",
	},
}

// suricataInputs is a configuration with which Suricata logs SMTP and nothing else, without a rule.
// Its memory bounds equal the bounds in the configuration that Suricata is shipped with.
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

// selectTools returns the sensor with each number of workers, and the tools that are installed and
// selected. only and skip are names of programs or of rows; an empty only selects all. missing are
// the programs that are not installed.
func selectTools(sensor string, workers, only, skip []string) (list []tool, missing []string) {
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
			// Without this option tcpdump gives its output file, /dev/null, to another user.
			c.line = strings.Replace(c.line, "tcpdump", "tcpdump -Z root", 1)
		}
		list = append(list, c)
	}
	return list, unique(missing)
}

// quantity is a number with its noun: "1 worker", "2 workers".
func quantity(n, what string) string {
	if n == "1" {
		return n + " " + what
	}
	return n + " " + what + "s"
}

// program is the first word of the command line.
func (c *tool) program() string {
	name, _, _ := strings.Cut(c.line, " ")
	return name
}

// matches reports whether one of the names is the name of the row or the program.
func (c *tool) matches(names []string) bool {
	for _, n := range names {
		if n == c.name || n == c.program() {
			return true
		}
	}
	return false
}

// args is the command line for a file, as a list of arguments.
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

// versionOptions are the arguments with which a program prints its version, where that argument is
// not --version.
var versionOptions = map[string]string{
	"argus": "-h", "ndpiReader": "-h", "nfpcapd": "-V", "softflowd": "-h", "spamsensor": "version",
	"suricata": "-V",
}

var versionNumber = regexp.MustCompile(`[0-9]+\.[0-9]+[0-9.]*`)

// version is the version that a program prints, "" if it prints none. Its exit code does not
// matter, because some programs print their version only in their help.
func version(program, name string) string {
	option, ok := versionOptions[name]
	if !ok {
		option = "--version"
	}
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	out, _ := exec.CommandContext(ctx, program, option).CombinedOutput()
	return strings.TrimRight(versionNumber.FindString(string(out)), ".")
}
