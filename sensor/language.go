package main

import (
	"cmp"
	"os"
	"slices"

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

// knownLanguage reports whether the value of --lang is one.
func (o *options) knownLanguage() bool {
	return slices.Contains([]string{"", lang.English, lang.French}, o.lang)
}

// help writes the help of a command in the language of the user: cobra has the texts of all
// commands, and of its own, in English. They are translated when they are shown.
func (a *app) help(root *cobra.Command) {
	show := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if p := a.printer(); p != nil {
			translate(p, root)
		}
		show(c, args)
	})
}

// translate translates the texts of a command, of its options, and of the commands below it.
func translate(p *lang.Printer, c *cobra.Command) {
	c.Short, c.Long, c.Example = p.Text(c.Short), p.Text(c.Long), p.Text(c.Example)
	c.SetUsageTemplate(p.Text(c.UsageTemplate()))
	for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		set.VisitAll(func(f *pflag.Flag) { f.Usage = p.Sentence(f.Usage) })
	}
	for _, sub := range c.Commands() {
		translate(p, sub)
	}
}
