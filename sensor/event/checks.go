package event

import (
	_ "embed" // the schema
	"encoding/json"
	"slices"
	"sync"
)

//go:embed schema.json
var schemaText []byte

// Checks returns the names of all health checks, in order, as the schema lists them. The caller
// must not change the list.
var Checks = sync.OnceValue(func() []string {
	type object struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Enum       []string                   `json:"enum"`
	}
	var s struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(schemaText, &s); err != nil {
		panic(err) // it is part of the program
	}
	at := object{}
	next := s.Defs["health"]
	for _, name := range []string{"health", "check", ""} {
		at = object{}
		if err := json.Unmarshal(next, &at); err != nil {
			panic(err)
		}
		next = at.Properties[name]
	}
	slices.Sort(at.Enum)
	return at.Enum
})
