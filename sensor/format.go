package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The values of -o, the first of which is the default: of commands that print a table, and of the
// others.
var (
	tableFormats = []string{"human", "json", "csv"}
	textFormats  = tableFormats[:2]
)

// formatFlag adds the option -o of a command.
func formatFlag(c *cobra.Command, format *string, allowed []string) {
	c.Flags().StringVarP(format, "output", "o", allowed[0], "`"+oneOfThese(allowed)+"`")
}

// checkFormat reports that a value of -o is none.
func checkFormat(format string, allowed []string) error {
	if !slices.Contains(allowed, format) {
		return fmt.Errorf("-o %s: want %s", printable(format), oneOfThese(allowed))
	}
	return nil
}

// oneOfThese lists words: "a, b or c".
func oneOfThese(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
