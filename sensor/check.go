package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"spamsensor/sensor/verdict"
)

// checkOptions are the options of `check`.
type checkOptions struct {
	print, schema bool
	format        string
}

func (a *app) checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, and what it names, without changing anything",
		Long: "check reads the configuration as run does, and looks at what it names: " +
			"interfaces, files, directories.\nIt changes nothing. The exit code is 0 if run " +
			"would start, and 2 if not; warnings do not count.\nRun it as the user of the " +
			"service: permissions are those of the user who checks.",
		Example: "  spamsensor check -c /etc/spamsensor/spamsensor.yaml\n" +
			"  spamsensor check -c spamsensor.yaml --print\n" +
			"  spamsensor check --schema >/usr/share/spamsensor/schema.json",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.check(&o) },
	}
	f := c.Flags()
	f.BoolVar(&o.print, "print", false,
		"print every setting in force, with its origin, as a configuration")
	f.BoolVar(&o.schema, "schema", false,
		"print the JSON Schema of the configuration, for editors")
	f.StringArrayVarP(&a.opt.interfaces, "interface", "i", nil,
		"check `IF` instead of the configured interfaces; repeatable")
	formatFlag(c, &o.format, textFormats)
	c.MarkFlagsMutuallyExclusive("print", "schema")
	return c
}

// checkResult is the output of `check -o json`.
type checkResult struct {
	Good   bool     `json:"good"`
	Faults []*fault `json:"faults"` // errors, then warnings
}

func (a *app) check(o *checkOptions) error {
	if err := checkFormat(o.format, textFormats); err != nil {
		return exit(exitUsage, err)
	}
	switch {
	case o.format == "json" && (o.print || o.schema):
		return exit(exitUsage, errors.New("-o json is for the faults; it does not go with "+
			"--print and --schema"))
	case o.schema:
		return a.printSchema()
	}
	a.useDefaultConfig()
	cfg, failed := loadConfig(&a.opt)
	faults := faultsOf(failed)
	if failed == nil {
		faults = append(checkNamed(cfg), lint(cfg)...)
		faults = append(faults, cfg.warnings...)
	}
	slices.SortStableFunc(faults, func(x, y *fault) int {
		return strings.Compare(x.Severity, y.Severity) // errors first
	})
	bad := errorsOf(faults)
	if o.format == "json" {
		if err := a.printFaults(bad == nil, faults); err != nil {
			return exit(exitFailed, err)
		}
		if bad != nil {
			return exit(exitUsage, nil)
		}
	} else {
		a.warn(faults)
	}
	if o.print && failed == nil {
		if err := cfg.printSettings(a.stdout, a.printer()); err != nil {
			return exit(exitFailed, err)
		}
	}
	if bad != nil {
		return exit(exitUsage, bad)
	}
	if o.format == "human" && !o.print {
		a.tell(a.stdout, "%s\n", a.opt.good())
	}
	return nil
}

// useDefaultConfig takes the configuration of the machine if none is named.
func (a *app) useDefaultConfig() {
	if err := a.opt.useDefault(); err != nil {
		a.tell(a.stderr, "warning: the configuration of this machine is not used: %v\n", err)
	}
}

// useDefault is useDefaultConfig. It returns an error if that file exists and cannot be read.
func (o *options) useDefault() error {
	if o.file != "" {
		return nil
	}
	f, err := os.Open(defaultConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		f.Close()
		o.file = defaultConfig
	}
	return err
}

// warn writes what is allowed, and surely not meant, and with -v the files that are left out.
func (a *app) warn(list []*fault) {
	p := a.printer()
	if a.opt.verbose > 0 {
		for _, text := range a.opt.found.leftOut {
			a.tell(a.stderr, "%s\n", printable(text))
		}
	}
	for _, f := range list {
		if f.Severity == "warning" {
			fmt.Fprint(a.stderr, p.Sprintf("warning: %s\n", f.in(p)))
		}
	}
}

// good says that the configuration is good, and what it is.
func (o *options) good() string {
	text := "the configuration is good"
	if n := len(o.found.names); n > 1 {
		text += fmt.Sprintf(" (%s and %s)", printable(o.found.names[0]),
			verdict.Count(uint32(n-1), "other file", "other files"))
	} else if n == 1 {
		text += fmt.Sprintf(" (%s)", printable(o.found.names[0]))
	}
	return text
}

// printFaults writes the result as JSON.
func (a *app) printFaults(good bool, faults []*fault) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if faults == nil {
		faults = []*fault{}
	}
	return e.Encode(checkResult{good, faults})
}

// errorsOf joins the faults that are errors, nil if there are none.
func errorsOf(list []*fault) error {
	var errs []error
	for _, f := range list {
		if f.Severity == "error" {
			errs = append(errs, f)
		}
	}
	return errors.Join(errs...)
}
