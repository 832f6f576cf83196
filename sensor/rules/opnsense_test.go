package rules

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeOPNsense answers as the API does: it keeps aliases and rules, and refuses fields that the
// models do not have, names that are taken, and rules with unknown aliases.
type fakeOPNsense struct {
	mu             sync.Mutex
	n              int
	aliases, rules map[string]map[string]string // by uuid
	applied        int                          // rules, at the latest apply
	broken         string                       // the start of a path that fails
	reconfigured   bool                         // since the latest change of an alias
}

var (
	aliasFields = []string{"enabled", "name", "type", "content", "description"}
	ruleFields  = []string{"enabled", "sequence", "action", "quick", "interface", "direction", "ipprotocol", "protocol", "source_net", "destination_net",
		"destination_not", "destination_port", "log", "description"}
)

func (o *fakeOPNsense) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if key, secret, ok := r.BasicAuth(); !ok || key != "k" || secret != "s" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	command, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/firewall/"), "Rule/")
	switch path := strings.TrimPrefix(r.URL.Path, "/api/firewall/"); {
	case o.broken != "" && strings.HasPrefix(path, o.broken):
		w.WriteHeader(http.StatusInternalServerError)
	case path == "filter/searchRule":
		rows := []map[string]string{}
		for id, x := range o.rules {
			if strings.Contains(x["description"], r.URL.Query().Get("searchPhrase")) {
				rows = append(rows, map[string]string{"uuid": id})
			}
		}
		json.NewEncoder(w).Encode(map[string]any{"rows": rows})
	case command == "filter/del":
		delete(o.rules, id)
		fmt.Fprint(w, `{"result":"deleted"}`)
	case strings.HasPrefix(path, "alias/getAliasUUID/"):
		for id, x := range o.aliases {
			if x["name"] == strings.TrimPrefix(path, "alias/getAliasUUID/") {
				fmt.Fprintf(w, `{"uuid":%q}`, id)
				return
			}
		}
		fmt.Fprint(w, `[]`)
	case strings.HasPrefix(path, "alias/delItem/"):
		delete(o.aliases, strings.TrimPrefix(path, "alias/delItem/"))
		fmt.Fprint(w, `{"result":"deleted"}`)
	case path == "alias/addItem":
		o.reconfigured = false
		o.add(w, r, "alias", aliasFields, o.aliases)
	case path == "filter/addRule":
		o.add(w, r, "rule", ruleFields, o.rules)
	case path == "alias/reconfigure":
		o.reconfigured = true
		fmt.Fprint(w, `{"status":"ok"}`)
	case path == "filter/apply":
		o.applied = len(o.rules)
		fmt.Fprint(w, `{"status":"OK\n\n"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (o *fakeOPNsense) add(w http.ResponseWriter, r *http.Request, kind string, fields []string, to map[string]map[string]string) {
	var body map[string]map[string]string
	err := json.NewDecoder(r.Body).Decode(&body)
	x, bad := body[kind], ""
	for f := range x {
		if !slices.Contains(fields, f) {
			bad = f
		}
	}
	known := func(name string) bool {
		for _, a := range o.aliases {
			if a["name"] == name {
				return true
			}
		}
		return false
	}
	switch {
	case err != nil || len(x) != len(fields) || bad != "":
		bad += fmt.Sprint(err)
	case kind == "alias" && known(x["name"]):
		bad = "name"
	case kind == "rule" && (!known(x["source_net"]) || !known(x["destination_net"]) || x["destination_port"] != "25" && !known(x["destination_port"])):
		bad = "alias"
	}
	if bad != "" {
		fmt.Fprintf(w, `{"result":"failed","validations":{%q:"no"}}`, bad)
		return
	}
	o.n++
	to[fmt.Sprint("id-", o.n)] = x
	fmt.Fprint(w, `{"result":"saved"}`)
}

// TestOPNsenseScript runs the script: once, again, and to undo it.
func TestOPNsenseScript(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	api := &fakeOPNsense{aliases: map[string]map[string]string{"own": {"name": "office"}}, rules: map[string]map[string]string{"own": {"description": "mine"}}}
	server := httptest.NewServer(api)
	defer server.Close()
	script := write(t, office(), "OPNsense", nil)
	try := func(args ...string) error {
		c := exec.CommandContext(t.Context(), "sh", append([]string{"-s", "--"}, args...)...)
		c.Stdin = strings.NewReader(script)
		c.Env = append(c.Environ(), "OPNSENSE="+server.URL, "KEY=k", "SECRET=s", "no_proxy=127.0.0.1")
		out, err := c.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	for range 2 {
		if err := try(); err != nil || len(api.aliases) != 6 || len(api.rules) != 5 || api.applied != 5 || !api.reconfigured {
			t.Fatalf("%v: %v %v, %d applied", err, api.aliases, api.rules, api.applied)
		}
	}
	for _, x := range api.aliases {
		if x["name"] == "spamsensor_others" && x["content"] != "10.0.0.0/8\n192.0.2.0/24\n2001:db8:1::/64\nfc00::/7\n!192.0.2.25/32\n!2001:db8:1::25/128\n!10.0.0.26/32" {
			t.Errorf("%q", x["content"])
		}
	}
	// An undo that cannot ask says so.
	for _, api.broken = range []string{"filter/searchRule", "filter/del", "filter/apply", "alias/getAliasUUID", "alias/delItem", "alias/reconfigure"} {
		if err := try("undo"); err == nil {
			t.Errorf("%s fails, and the undo does not", api.broken)
		}
		api.broken = ""
		if err := try(); err != nil {
			t.Fatal(err)
		}
	}
	if err := try("undo"); err != nil || len(api.aliases) != 1 || len(api.rules) != 1 || api.applied != 1 || !api.reconfigured {
		t.Errorf("%v: %v %v", err, api.aliases, api.rules)
	}
	// An alias of the same kind that the script cannot remove makes it fail, and says why.
	script = strings.Replace(script, `post "alias/delItem/$id" '{}'`, "true", 1)
	api.aliases["stuck"] = map[string]string{"name": "spamsensor_local"}
	if err := try(); err == nil || !strings.Contains(err.Error(), `alias/addItem: {"result":"failed"`) {
		t.Error(err)
	}
}
