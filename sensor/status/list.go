package status

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// lister is an answer that is a list of events. It writes itself: each event is JSON already, and
// encoding/json would check and copy all of it again. For 5,000 hosts (4 MB) that took 45 ms, three
// quarters of the time for the answer.
type lister interface{ writeJSON(w io.Writer) error }

func (s *Sources) writeJSON(w io.Writer) error {
	return writeList(w, "sources", s.Sources, fmt.Sprintf(`,"total":%d`, s.Total))
}

func (l *FindingList) writeJSON(w io.Writer) error {
	rest := fmt.Sprintf(`,"total":%d`, l.Total)
	if l.Forgotten > 0 {
		rest += fmt.Sprintf(`,"forgotten":%d`, l.Forgotten)
	}
	return writeList(w, "findings", l.Findings, rest)
}

func (s *Servers) writeJSON(w io.Writer) error { return writeList(w, "servers", s.Servers, "") }

// writeList writes an object with a list of events and the rest of its fields.
func writeList(to io.Writer, name string, lines []json.RawMessage, rest string) error {
	w := bufio.NewWriterSize(to, 64<<10)
	fmt.Fprintf(w, `{"%s":[`, name)
	for i, l := range lines {
		if i > 0 {
			w.WriteByte(',')
		}
		w.Write(l)
	}
	fmt.Fprintf(w, "]%s}\n", rest)
	return w.Flush()
}
