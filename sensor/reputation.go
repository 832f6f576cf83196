package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"spamsensor/sensor/lang"
	"spamsensor/sensor/notify"
	"spamsensor/sensor/reputation"
)

// exitUnknown is the exit code of a command that cannot tell.
const exitUnknown = 13

// reputationConfig is the group reputation.
type reputationConfig struct {
	Lists     textList `yaml:"lists"`
	Addresses textList `yaml:"addresses"`
	Resolver  string   `yaml:"resolver"`
	Every     string   `yaml:"every"`
}

// reputation resolves the group reputation.
func (r *resolver) reputation(c *config, f *fileConfig) {
	x := &f.Reputation
	for i, l := range x.Lists {
		c.reputation.Lists = append(c.reputation.Lists,
			r.domain(fmt.Sprintf("reputation.lists[%d]", i), l))
	}
	for i, a := range x.Addresses {
		at := fmt.Sprintf("reputation.addresses[%d]", i)
		addr := r.addr(at, a)
		if err := reputation.CheckAddress(addr); addr.IsValid() && err != nil {
			r.reject(at, "%v", err)
		}
		c.reputation.Addresses = append(c.reputation.Addresses, addr)
	}
	const least = 10 * time.Minute
	if c.reputationEvery = r.duration("reputation.every", x.Every, 0); c.reputationEvery > 0 {
		if c.reputationEvery < least {
			r.reject("reputation.every", "%s is too often for lists that others use, too (10m or "+
				"more)", x.Every)
		}
		if len(x.Lists) == 0 {
			r.reject("reputation.every", "there is nobody to ask: name reputation.lists")
		}
	}
	var err error
	if c.reputation.Resolver, err = resolverAddress(x.Resolver); err != nil {
		r.reject("reputation.resolver", "%v", err)
	}
	if err := c.reputation.Validate(); err != nil && len(r.errs) == 0 {
		r.reject("reputation", "%v", err)
	}
}

// resolverAddress adds the port of the DNS to an address without one. Empty stays empty.
func resolverAddress(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	if a, err := netip.ParseAddrPort(s); err == nil && a.Port() != 0 {
		return a.String(), nil
	}
	return "", fmt.Errorf("%q is no address of a resolver (try 192.0.2.53, or 127.0.0.1:5353)", s)
}

// watch makes notify ask the lists of the configuration, nil if that is not wanted.
func (c *config) watch() *notify.Watch {
	if c.reputationEvery == 0 {
		return nil
	}
	ask := func(ctx context.Context, learned netip.Addr) (list []notify.Listing) {
		q := c.reputation
		if len(q.Addresses) == 0 {
			if reputation.CheckAddress(learned) != nil {
				return nil
			}
			q.Addresses = []netip.Addr{learned}
		}
		for _, a := range reputation.Check(ctx, &q) {
			list = append(list, notify.Listing{Address: a.Address.String(), List: a.List,
				Listed: a.State == reputation.Listed, Known: a.State != reputation.Unknown,
				Text: strings.TrimSpace(a.Code + " " + a.Text)})
		}
		return list
	}
	return &notify.Watch{Every: c.reputationEvery, Ask: ask}
}

// reputationOptions are the options of `reputation`.
type reputationOptions struct {
	addresses, lists []string
	resolver, format string
}

func (a *app) reputationCommand() *cobra.Command {
	var o reputationOptions
	c := &cobra.Command{
		Use:   "reputation",
		Short: "Ask blocklists in the DNS whether they list your public addresses",
		Long: "reputation asks the lists that you name, and nobody else. There are three " +
			"answers: listed, not listed, and\nnot known, with the reason. The addresses are " +
			"those of --ip, else of reputation.addresses, else the one that\nreceiving servers " +
			"quoted to run (event site). Exit codes: 0 none is listed, 10 one is, 13 that is not " +
			"known.",
		Example: "  spamsensor reputation --ip 198.51.100.25 --list zen.spamhaus.org\n" +
			"  spamsensor reputation -c /etc/spamsensor/spamsensor.yaml -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.reputation(cmd.Context(), &o) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.addresses, "ip", nil, "a public `address`; repeatable")
	f.StringArrayVar(&o.lists, "list", nil, "a list, by its `name` in the DNS; repeatable")
	f.StringVar(&o.resolver, "resolver", "",
		"`address` of the resolver to ask (default: those of this machine)")
	formatFlag(c, &o.format, textFormats)
	return c
}

func (a *app) reputation(ctx context.Context, o *reputationOptions) error {
	c, err := a.reputationConfig(o)
	if err != nil {
		return exit(exitUsage, err)
	}
	answers := reputation.Check(ctx, c)
	if err := printAnswers(a.stdout, answers, o.format, a.printer()); err != nil {
		return exit(exitFailed, err)
	}
	code := exitOK
	for _, x := range answers {
		switch {
		case x.State == reputation.Listed:
			code = exitFindings
		case x.State == reputation.Unknown && code == exitOK:
			code = exitUnknown
		}
	}
	if code != exitOK {
		return exit(code, nil)
	}
	return nil
}

// reputationConfig makes the question of the options and the configuration.
func (a *app) reputationConfig(o *reputationOptions) (*reputation.Config, error) {
	if err := checkFormat(o.format, textFormats); err != nil {
		return nil, err
	}
	a.opt.fromFiles = true
	cfg, err := loadConfig(&a.opt)
	if err != nil {
		return nil, err
	}
	c := &cfg.reputation
	r := resolver{layers: cfg.layers}
	if len(o.lists) > 0 {
		c.Lists = nil
		for _, l := range splitLists(o.lists) {
			c.Lists = append(c.Lists, r.domain("--list", l))
		}
	}
	if len(o.addresses) > 0 {
		c.Addresses = nil
		for _, x := range splitLists(o.addresses) {
			c.Addresses = append(c.Addresses, r.addr("--ip", x))
		}
	}
	if o.resolver != "" {
		if c.Resolver, err = resolverAddress(o.resolver); err != nil {
			return nil, fmt.Errorf("--resolver: %w", err)
		}
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	if len(c.Lists) == 0 {
		return nil, errors.New("which lists? Name them with --list or reputation.lists, " +
			"for example zen.spamhaus.org; none is asked that you do not name")
	}
	if len(c.Addresses) == 0 {
		learned, err := learnedAddress(cfg.output)
		if err != nil {
			return nil, fmt.Errorf("which address? Name it with --ip or reputation.addresses; %w",
				err)
		}
		c.Addresses = []netip.Addr{learned}
	}
	return c, c.Validate()
}

// maxLearn bounds the end of the events file in which the public address is looked for, in bytes.
const maxLearn = 64 << 20

// learnedAddress returns the public address that the last event of the type site in a file has.
func learnedAddress(file string) (found netip.Addr, err error) {
	if file == "" || file == "-" {
		return found, errors.New("there is no file of events (output.file) that has it")
	}
	info, err := os.Stat(file)
	if err != nil {
		return found, err
	}
	if !info.Mode().IsRegular() {
		return found, fmt.Errorf("%s is no regular file", printable(file))
	}
	f, err := os.Open(file)
	if err != nil {
		return found, err
	}
	defer f.Close()
	if _, err := f.Seek(max(0, info.Size()-maxLearn), io.SeekStart); err != nil {
		return found, err
	}
	lines := bufio.NewScanner(io.LimitReader(f, maxLearn))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), `"event_type":"site"`) {
			continue
		}
		var e struct {
			Site struct {
				PublicIP netip.Addr `json:"public_ip"`
			} `json:"site"`
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Site.PublicIP.IsValid() {
			found = e.Site.PublicIP
		}
	}
	if !found.IsValid() {
		return found, fmt.Errorf("no server has quoted it yet in the events of %s", printable(file))
	}
	return found, nil
}

// printAnswers prints a table, or a line of JSON for each answer.
func printAnswers(out io.Writer, answers []reputation.Answer, format string,
	p *lang.Printer) error {
	if format == "json" {
		enc := json.NewEncoder(out)
		for i := range answers {
			if err := enc.Encode(&answers[i]); err != nil {
				return err
			}
		}
		return nil
	}
	words := map[reputation.State]string{reputation.Listed: p.Text("listed"),
		reputation.NotListed: p.Text("not listed"), reputation.Unknown: p.Text("not known")}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(columns(p, "address", "list", "answer", "code", "explanation"))
	for i := range answers {
		x := &answers[i]
		t.AppendRow(table.Row{x.Address, x.List, words[x.State], x.Code,
			x.Text + p.Sentence(x.Why)})
	}
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 5, WidthMax: 70}})
	_, err := fmt.Fprintln(out, t.Render())
	return err
}
