package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed lists the packages of the module that each package may import, and why. No other package
// is imported: a new arrow is a decision.
var allowed = map[string]struct {
	imports []string
	why     string
}{
	"sensor": {[]string{"sensor/capture", "sensor/durable", "sensor/doctor", "sensor/engine", "sensor/frame", "sensor/html", "sensor/lang", "sensor/peer", "sensor/event", "sensor/report", "sensor/sandbox", "sensor/state", "sensor/status", "sensor/setup", "sensor/serve", "sensor/top", "sensor/detect", "sensor/mailserver", "sensor/verdict", "sensor/finding", "smtpsniff/mailname", "sensor/notify", "sensor/reputation", "sensor/rules", "sensor/rules/verify", "sensor/playbook", "sensor/timeline"}, "the command puts the parts together"},
	"bench": {[]string{"sensor/capture", "sensor/frame", "sensor/engine", "sensor/detect", "bench/campaign", "bench/campaign/reference", "sensor/verdict", "sensor/finding"},
		"it measures the product as a whole, with traffic that it builds"},
	"bench/corpus":             {nil, "it finds files for tests"},
	"bench/golden":             {nil, "it compares files for tests"},
	"bench/fuzztime":           {nil, "it measures the time of a test"},
	"bench/reliability":        {nil, "it runs tests and reads their output alone"},
	"bench/campaign":           {[]string{"sensor/wire/wiretest"}, "the generator of traffic must not know the detectors"},
	"bench/worlds":             {[]string{"bench/worlds/scene", "bench/worlds/traffic"}, "it runs the command as a user does"},
	"bench/worlds/scene":       {[]string{"bench/worlds/traffic"}, "the second generator must not know the detectors, nor the first"},
	"bench/worlds/traffic":     {nil, "it shares nothing with what reads its packets"},
	"bench/campaign/reference": {[]string{"bench/campaign"}, "simple detectors for comparison share nothing with the product"},
	"sensor/event":             {[]string{"sensor/frame", "sensor/mailserver", "sensor/verdict", "smtpsniff/refusal", "sensor/finding"}, "it writes verdicts and their evidence, however they came about"},
	"sensor/report":            {[]string{"sensor/frame", "sensor/mailserver", "sensor/verdict", "smtpsniff/refusal", "sensor/finding", "sensor/timeline", "sensor/lang"}, "it prints verdicts"},
	"sensor/html":              {[]string{"sensor/lang", "sensor/picture", "sensor/report", "sensor/verdict"}, "it shows a model, and knows nothing of how it came about"},
	"sensor/top":               {[]string{"sensor/lang", "sensor/report", "sensor/status", "sensor/verdict"}, "it asks a sensor, and knows nothing of how it works"},
	"sensor/status":            {[]string{"sensor/event", "sensor/finding", "sensor/verdict", "sensor/lang"}, "it answers with events, and knows no engine"},
	"sensor/reputation":        {[]string{"sensor/event"}, "it asks the world, and knows nothing of the sensor"},
	"sensor/notify":            {[]string{"sensor/event", "sensor/lang", "sensor/verdict", "sensor/durable"}, "it reads events from their file, and never meets the sensor"},
	"sensor/serve":             {[]string{"sensor/event", "sensor/html", "sensor/lang", "sensor/report", "sensor/status", "sensor/verdict"}, "it asks a sensor over its socket, and knows no other part of it"},
	"sensor/setup":             {[]string{"sensor/finding", "sensor/verdict", "sensor/lang"}, "it learns from sessions, whoever heard them"},
	"sensor/durable":           {nil, "a file does not depend on what is in it"},
	"sensor/state":             {[]string{"sensor/engine", "sensor/durable"}, "it stores the state of the engine"},
	"bench/servers":            {[]string{"sensor/engine", "sensor/frame", "sensor/wire/wiretest", "sensor/mailserver", "sensor/verdict", "smtpsniff/refusal", "sensor/finding"}, "it plays years of mail servers to the detectors, and dialogues to the engine"},
	"sensor/track":             {[]string{"sensor/wire", "flowtable", "flowtable/tcp", "smtpsniff"}, "a connection knows nothing of detection"},
	"sensor/engine":            {[]string{"sensor/frame", "sensor/wire", "sensor/dns", "flowtable", "smtpsniff", "sensor/detect", "sensor/mailserver", "smtpsniff/refusal", "sensor/track", "sensor/finding", "sensor/peer", "sensor/servers", "sensor/sources", "sensor/machines", "sensor/inorder", "sensor/timeline"}, "it wires the parts, from frame to finding"},
	"sensor/peer":              {[]string{"sensor/dns", "sensor/detect", "sensor/track", "flowtable", "smtpsniff", "smtpsniff/refusal", "smtpsniff/heloname", "smtpsniff/mailname"}, "an address has a role before a detector judges it"},
	"sensor/servers":           {[]string{"smtpsniff/heloname", "sensor/handover", "sensor/dns", "sensor/detect", "sensor/track", "sensor/peer", "sensor/mailserver", "sensor/finding", "sensor/sketch", "sensor/verdict", "flowtable", "flowtable/tcp", "smtpsniff", "smtpsniff/refusal", "smtpsniff/mailname"}, "a mail server of ours is observed without its clients' profiles"},
	"sensor/sources":           {[]string{"sensor/handover", "sensor/dns", "sensor/detect", "sensor/track", "sensor/peer", "sensor/finding", "sensor/sketch", "sensor/verdict", "flowtable", "flowtable/tcp", "smtpsniff", "smtpsniff/refusal", "sensor/lookups", "sensor/providers", "sensor/timeline"}, "a source is observed without its mail server's queue"},
	"sensor/machines":          {[]string{"sensor/sources", "sensor/peer", "sensor/finding", "sensor/verdict", "sensor/inorder", "flowtable"}, "addresses are joined by what was observed of them"},
	"sensor/picture":           {[]string{"sensor/lang"}, "a picture does not depend on who shows it"},
	"sensor/lang":              {nil, "a translation does not depend on who reads it"},
	"sensor/rules":             {[]string{"sensor/lang", "sensor/report", "sensor/verdict"}, "a rule rests on what the report says"},
	"sensor/rules/verify":      {[]string{"sensor/lang", "sensor/rules"}, "it tries rules in a network that it makes, whatever they are made from"},
	"sensor/playbook":          {[]string{"sensor/lang", "sensor/report", "sensor/timeline", "sensor/verdict"}, "what to do rests on what the report says"},
	"sensor/html/htmltest":     {nil, "a browser does not know what it shows"},
	"sensor/lang/langtest":     {nil, "tests of texts do not know who says them"},
	"sensor/timeline":          {nil, "when something happened does not depend on what it was"},
	"sensor/inorder":           {nil, "an order does not depend on what is in it"},
	"sensor/frame":             {nil, "a frame is bytes, a time and a link type"},
	"sensor/capture":           {[]string{"sensor/frame"}, "frames are bytes"},
	"sensor/wire":              {[]string{"sensor/frame"}, "packets are headers"},
	"sensor/dns":               {nil, "a message knows no packet"},
	"sensor/dns/dnstest":       {nil, "a server of a test knows nobody who asks"},
	"sensor/doctor":            {[]string{"sensor/frame", "sensor/wire", "sensor/event", "sensor/lang"}, "a mirror is judged by its frames, wherever they come from"},
	"sensor/sandbox":           {nil, "what a process may do does not depend on mail"},
	"sensor/wire/wiretest":     {nil, "the tested code must not build the frames of its tests"},
	"flowtable":                {nil, "a table knows no protocol"},
	"flowtable/tcp":            {nil, "a connection knows no table"},
	"smtpsniff":                {[]string{"smtpsniff/tlshello", "smtpsniff/redact"}, "a dialogue may turn into TLS, and its replies quote the client"},
	"smtpsniff/redact":         {nil, "what may be shown of a text does not depend on the dialogue"},
	"smtpsniff/mailname":       {nil, "a spelling is a text, whoever gives it"},
	"smtpsniff/heloname":       {nil, "a name is a text, whoever gives it"},
	"smtpsniff/refusal":        {nil, "a reply is a text"},
	"smtpsniff/tlshello":       {nil, "a message knows no dialogue"},
	"sensor/mailserver":        {[]string{"sensor/sketch", "sensor/verdict", "smtpsniff/refusal"}, "a verdict about a server rests on observations alone, too"},
	"sensor/recipients":        {[]string{"sensor/sketch", "sensor/contacts"}, "a test of replies is no verdict"},
	"sensor/handover":          {[]string{"sensor/sketch"}, "whose mail it is does not depend on who asks"},
	"sensor/contacts":          {[]string{"sensor/sketch"}, "the outcome of attempts is no verdict"},
	"sensor/providers":         {[]string{"sensor/sketch"}, "a provider is a hash, whoever named it"},
	"sensor/behaviour":         {[]string{"sensor/sketch", "sensor/verdict"}, "how connections are used is no verdict"},
	"sensor/spoof":             {nil, "whether attempts are genuine does not depend on what they are for"},
	"sensor/lookups":           {[]string{"sensor/sketch"}, "queries are kept here, and judged by the detectors"},
	"sensor/sketch":            {nil, "hashes have no meaning"},
	"sensor/verdict":           {nil, "the words of verdicts decide nothing"},
	"sensor/finding":           {[]string{"sensor/detect", "sensor/verdict", "smtpsniff/refusal"}, "a finding shows what was decided, and decides nothing"},
	"sensor/detect":            {[]string{"sensor/handover", "sensor/sketch", "sensor/verdict", "smtpsniff/refusal", "smtpsniff/heloname", "sensor/lookups", "sensor/recipients", "sensor/contacts", "sensor/providers", "sensor/behaviour", "sensor/spoof"}, "a verdict rests on observations alone: no clock, no input or output, no lock"},
}

// home lists the packages that may import an outside package; no other package may.
var home = map[string]struct{ where, why string }{ // where: one package, or several with blanks between
	"github.com/google/gopacket/pcap":   {"sensor/capture", "the only package with cgo"},
	"github.com/google/gopacket":        {"sensor/capture sensor/doctor", "so that a fork can take its place in a few lines; doctor reads LLDP and CDP with it"},
	"github.com/safchain/ethtool":       {"sensor/doctor", "only there is a card looked at"},
	"github.com/cespare/xxhash/v2":      {"flowtable", "hashes need the secret"},
	"go.etcd.io/bbolt":                  {"sensor/state", "only there is anything kept"},
	"go.etcd.io/bbolt/errors":           {"sensor/state", "the same"},
	"golang.org/x/net/idna":             {"smtpsniff/mailname", "one place for spellings"},
	"golang.org/x/net/dns/dnsmessage":   {"sensor/dns bench/servers sensor/dns/dnstest", "one place for names from the wire, and two where answers are made up"},
	"golang.org/x/net/publicsuffix":     {"sensor/dns", "one place for names from the wire"},
	"net/http":                          {"sensor/status sensor/notify sensor/serve sensor/setup", "a sensor answers on its unix socket, and opens no other one; notify is another process; serve is another process"},
	"golang.org/x/net/netutil":          {"sensor/status sensor/serve", "the same"},
	"github.com/wneessen/go-mail":       {"sensor/notify", "only there is anybody told"},
	"github.com/leonelquinteros/gotext": {"sensor/lang sensor/lang/langtest", "only there is anything translated"},
	"github.com/rivo/tview":             {"sensor/top", "only there is a terminal drawn on"},
	"github.com/gdamore/tcell/v2":       {"sensor/top", "the same"},
	"github.com/rivo/uniseg":            {"sensor/top", "the same"},
	"golang.org/x/text/language":        {"sensor/lang", "the same"},
	"golang.org/x/text/message":         {"sensor/lang", "the same"},
	"golang.org/x/text/number":          {"sensor/lang", "the same"},
	"golang.org/x/text/feature/plural":  {"sensor/lang", "the same"},

	"github.com/coreos/go-systemd/v22/journal": {"sensor/notify", "the same"},

	"github.com/coreos/go-systemd/v22/daemon": {"sensor", "the command is the service"},

	"github.com/elastic/go-seccomp-bpf":                    {"sensor/sandbox", "one place for what a process may do"},
	"github.com/elastic/go-seccomp-bpf/arch":               {"sensor/sandbox", "the same"},
	"github.com/landlock-lsm/go-landlock/landlock":         {"sensor/sandbox", "the same"},
	"github.com/landlock-lsm/go-landlock/landlock/syscall": {"sensor/sandbox", "the same"},
	"kernel.org/pub/linux/libs/security/libcap/cap":        {"sensor/sandbox", "the same"},

	"github.com/prometheus/client_golang/prometheus":            {"sensor/serve", "the metrics"},
	"github.com/prometheus/client_golang/prometheus/collectors": {"sensor/serve", "the same"},
	"github.com/prometheus/client_golang/prometheus/promhttp":   {"sensor/serve", "the same"},
	"github.com/prometheus/exporter-toolkit/web":                {"sensor/serve", "TLS and users"},
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-pgo=off", "-json=ImportPath,Imports", "spamsensor/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "spamsensor/")
		rule, ok := allowed[name]
		if !ok {
			t.Errorf("package %s has no rule: what is it for, and what may it import?", name)
			continue
		}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, "spamsensor/"); ok && !slices.Contains(rule.imports, ours) {
				t.Errorf("%s imports %s: %s", name, ours, rule.why)
			}
			if h, ok := home[i]; ok && !slices.Contains(strings.Fields(h.where), name) {
				t.Errorf("%s imports %s, whose place is %s: %s", name, i, h.where, h.why)
			}
		}
	}
}
