package smtpsniff

import (
	"strings"
	"testing"
)

// feedAll feeds the bytes of a dialogue, one step as one segment.
func feedAll(l *Listener, steps []step, data [][]byte) {
	s := l.New(false, false)
	for i := range steps {
		l.Feed(s, steps[i].side, data[i])
	}
	l.Finish(s)
	l.Free(s)
}

// BenchmarkDialogue measures a whole dialogue with one message. The small one shows the cost of
// lines, the large one that of the message's bytes.
func BenchmarkDialogue(b *testing.B) {
	for _, c := range []struct {
		name string
		body int // lines of 70 bytes
	}{{"lines", 1}, {"body=100KB", 1400}} {
		b.Run(c.name, func(b *testing.B) {
			var steps []step
			for _, line := range []string{"S220 mx.example.net ESMTP", "CEHLO host.example.org",
				"S250-mx.example.net\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 PIPELINING",
				"CMAIL FROM:<anna@example.org>", "S250 2.1.0 Ok", "CRCPT TO:<bert@example.net>", "S250 2.1.5 Ok", "CDATA", "S354 End data with <CR><LF>.<CR><LF>"} {
				steps = append(steps, step{side: sideOf(line[0]), data: line[1:] + "\r\n"})
			}
			text := strings.Repeat(strings.Repeat("x", 68)+"\r\n", c.body)
			for ; len(text) > 0; text = text[min(1448, len(text)):] {
				steps = append(steps, step{side: Client, data: text[:min(1448, len(text))]})
			}
			for _, line := range []string{"C.", "S250 2.0.0 Ok: queued", "CQUIT",
				"S221 2.0.0 Bye"} {
				steps = append(steps, step{side: sideOf(line[0]), data: line[1:] + "\r\n"})
			}
			var l Listener
			var data [][]byte
			size, lines := 0, 0
			for i := range steps {
				data = append(data, []byte(steps[i].data))
				size += len(steps[i].data)
				lines += strings.Count(steps[i].data, "\n")
			}
			feedAll(&l, steps, data)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				feedAll(&l, steps, data)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines),
				"ns/line")
		})
	}
}
