package refusal

import "bytes"

// Anonymous is a text from the wire as a checkpoint keeps it. Servers quote mail addresses; the
// part before the @, which names a person, becomes an asterisk.
func Anonymous(text string) string {
	var b []byte
	for i := range len(text) {
		if text[i] == '@' {
			name := bytes.LastIndexAny(b, " \t<>()[]:;,='") + 1
			b = append(b[:name], '*')
		}
		b = append(b, text[i])
	}
	return string(b)
}
