package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// suricataRule is the rule of Emerging Threats for a spamming host in its tuned form: 10 MAIL FROM
// in 120 s by one address. The text is our own; its file exists as long as the run. The rule
// inspects packets (tcp-pkt) and not streams, which is its best form: Suricata inspects a stream
// when 2,560 bytes of it are there or when it is over, so that matches come late and many at a
// time.
const suricataRule = `alert tcp-pkt $HOME_NET any -> !$HOME_NET 25 (msg:"10 MAIL FROM in 120 s"; ` +
	`flow:established,to_server; content:"mail from|3a|"; nocase; ` +
	`threshold:type threshold, track by_src, count 10, seconds 120; sid:1000001; rev:1;)` + "\n"

const suricataConfig = `%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[10.0.0.0/8,fd00::/8]"
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types: [alert]
logging:
  default-log-level: error
`

// suricata runs Suricata on a file and returns the time of the first alarm about each host.
func suricata(tool, dir, file string) (map[netip.Addr]int64, error) {
	rules, config := filepath.Join(dir, "rules"), filepath.Join(dir, "yaml")
	for name, text := range map[string]string{rules: suricataRule, config: suricataConfig} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command(tool, "-c", config, "-S", rules, "-l", dir, "-r", file, "-k",
		"none", "--runmode", "single").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("suricata: %w: %s", err, out)
	}
	f, err := os.Open(filepath.Join(dir, "eve.json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	first := map[netip.Addr]int64{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Timestamp string     `json:"timestamp"`
			Type      string     `json:"event_type"`
			Src       netip.Addr `json:"src_ip"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("suricata's event: %w", err)
		}
		at, err := time.Parse("2006-01-02T15:04:05.999999-0700", e.Timestamp)
		if err != nil {
			return nil, fmt.Errorf("suricata's event: %w", err)
		}
		if _, known := first[e.Src]; e.Type == "alert" && !known {
			first[e.Src] = at.UnixNano()
		}
	}
	return first, lines.Err()
}
