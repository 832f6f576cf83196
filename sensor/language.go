package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spamsensor/sensor/lang"
)

// language is what people read: --lang, or else what the locale says, as for other programs.
func (a *app) language() string {
	if a.opt.lang != "" {
		return a.opt.lang
	}
	return lang.Match(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")))
}

// printer writes in the language of the user. Events, JSON and metrics do not use it.
func (a *app) printer() *lang.Printer { return lang.New(a.language()) }

// tell writes sentences to a person. Their arguments are translated, too.
func (a *app) tell(out io.Writer, format string, args ...any) {
	fmt.Fprint(out, a.printer().Sentence(fmt.Sprintf(format, args...)))
}

// columns is the head of a table. A word in a head may mean another thing than in a sentence: its
// translation is that of "column: word". A table in CSV has the English names.
func columns(p *lang.Printer, names ...string) (head table.Row) {
	for _, name := range names {
		head = append(head, strings.TrimPrefix(p.Text("column: "+name), "column: "))
	}
	return head
}

// knownLanguage reports whether the value of --lang is one.
func (o *options) knownLanguage() bool {
	return slices.Contains([]string{"", lang.English, lang.French}, o.lang)
}

// help writes the help of a command in the language of the user: cobra has the texts of all
// commands, and of its own, in English. They are translated when they are shown.
func (a *app) help(root *cobra.Command) {
	show := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		p := a.printer()
		if p == nil {
			show(c, args)
			return
		}
		translateUsage(p, root)
		translate(p, root)
		var help strings.Builder
		out := c.OutOrStdout()
		c.SetOut(&help)
		show(c, args)
		io.WriteString(out, alignOptions(help.String()))
	})
}

// usageWords are the words of cobra's template for the usage of a command.
var usageWords = []string{"Usage:", "Aliases:", "Examples:", "Available Commands:",
	"Additional Commands:", "Global Flags:", "Flags:", "Additional help topics:",
	`Use "{{.CommandPath}} [command] --help" for more information about a command.`,
	"[command]"}

// translateUsage translates the template of the usage. Commands have that of the root.
func translateUsage(p *lang.Printer, root *cobra.Command) {
	usage := root.UsageTemplate()
	for _, word := range usageWords {
		usage = strings.ReplaceAll(usage, word, p.Text(word))
	}
	root.SetUsageTemplate(usage)
}

// alignOptions aligns the texts of options in a help. pflag counts the bytes of their names, and
// not their letters.
func alignOptions(s string) string {
	const gap = "   " // at least so much is between the name of an option and its text
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		names := strings.TrimLeft(l, " ")
		if at := strings.Index(names, gap); at > 0 && names[0] == '-' {
			at += len(l) - len(names)
			missing := at - utf8.RuneCountInString(l[:at])
			lines[i] = l[:at] + strings.Repeat(" ", missing) + l[at:]
		}
	}
	return strings.Join(lines, "\n")
}

// noDefaults are the values of options that pflag shows no default for.
var noDefaults = map[string]string{"string": "", "bool": "false", "count": "0", "int": "0",
	"duration": "0s", "stringArray": "[]"}

// translateOption translates an option. pflag writes its default in English.
func translateOption(p *lang.Printer, f *pflag.Flag) {
	f.Usage = p.Sentence(f.Usage)
	if none, ok := noDefaults[f.Value.Type()]; ok && f.DefValue != none {
		f.Usage += p.Sprintf(" (default: %s)", f.DefValue)
		f.DefValue = none
	}
}

// translate translates the texts of a command, of its options, and of the commands below it.
func translate(p *lang.Printer, c *cobra.Command) {
	c.Short, c.Long = p.Text(c.Short), p.Sentence(c.Long)
	if c.HasAvailableFlags() && !c.DisableFlagsInUseLine { // cobra would add it in English
		c.Use, c.DisableFlagsInUseLine = c.Use+" "+p.Text("[flags]"), true
	}
	if f := c.Flags().Lookup("help"); f != nil { // the name of a command is no word
		f.Usage = p.Sprintf("help for %s", c.Name())
	}
	for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		set.VisitAll(func(f *pflag.Flag) { translateOption(p, f) })
	}
	for _, sub := range c.Commands() {
		translate(p, sub)
	}
}
