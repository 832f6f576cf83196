package smtpsniff

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"spamsensor/bench/corpus"
	"spamsensor/flowtable/tcp"
	"spamsensor/sensor/capture"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// recorded are the dialogues in captures of the tree, and of the corpus where it is present.
func recorded(t testing.TB) []*dialogue {
	list, err := readRecorded()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var readRecorded = sync.OnceValues(func() (list []*dialogue, err error) {
	files, _ := filepath.Glob("../sensor/testdata/*.pcap")
	for _, pattern := range []string{"mta/*.pcap", "recorded/*.pcap", "recorded/*.pcapng"} {
		more, _ := filepath.Glob(filepath.Join(corpus.Find(), pattern))
		files = append(files, more...)
	}
	for _, f := range files {
		more, err := fromCapture(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		list = append(list, more...)
	}
	return list, nil
})

// fromCapture reads the dialogues of a capture: the bytes of each side, in order. It skips
// connections whose beginning or other bytes are missing.
func fromCapture(file string) (list []*dialogue, err error) {
	files, err := capture.OpenFiles([]string{file},
		capture.FilesConfig{KnownLink: func(frame.LinkType) error { return nil }})
	if err != nil {
		return nil, err
	}
	defer files.Close()
	type endpoint struct {
		addr wire.Addr
		port uint16
	}
	type recording struct {
		conn    tcp.Conn
		d       *dialogue
		holes   bool
		started bool
	}
	recordings := map[[2]endpoint]*recording{}
	var order []*recording
	var st tcp.Stream
	drain := func(k *recording) {
		var c tcp.Chunk
		for st.Pop(&c) {
			switch c.Kind {
			case tcp.Gap:
				k.holes = true
			case tcp.Data:
				k.d.steps = append(k.d.steps, step{side: Side(c.Dir), data: string(c.Bytes)})
			}
		}
	}
	var dec wire.Decoder
	dec.SetPorts([]uint16{25, 465, 587, 2525, 1224})
	for {
		b, err := files.Next()
		partly := new(capture.PartialError) // some frames of a capture have invalid times
		if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &partly) {
			return nil, err
		}
		for _, f := range b.Frames {
			var p wire.Packet
			if dec.Decode(f.Link, f.Data, f.Len, &p) != wire.Mail {
				continue
			}
			src, dst := endpoint{p.Src, p.SrcPort}, endpoint{p.Dst, p.DstPort}
			dir, key := tcp.Client, [2]endpoint{src, dst}
			if !dec.IsMailPort(p.DstPort) {
				dir, key = tcp.Server, [2]endpoint{dst, src}
			}
			k := recordings[key]
			first := p.Flags&(wire.SYN|wire.ACK) == wire.SYN
			if k == nil || first && dir == tcp.Client && k.conn.Ended() {
				k = &recording{d: &dialogue{name: fmt.Sprintf("%s#%d", filepath.Base(file),
					len(order))}, started: first && dir == tcp.Client}
				recordings[key] = k
				order = append(order, k)
			}
			st.Push(&k.conn, &tcp.Segment{Dir: dir, Flags: tcp.Flags(p.Flags),
				Seq: tcp.Seq(p.Seq), Ack: tcp.Seq(p.Ack), Len: int(p.Len), Sum: p.Sum,
				Time: f.Time, Payload: p.Payload})
			drain(k)
		}
		if err != nil {
			break
		}
	}
	for _, k := range order {
		st.Flush(&k.conn)
		drain(k)
		if k.started && !k.holes && len(k.d.steps) > 0 {
			list = append(list, k.d)
		}
	}
	return list, nil
}

// oneSided reports whether only one side sends bytes.
func (d *dialogue) oneSided() bool {
	side := d.steps[0].side
	return !slices.ContainsFunc(d.steps, func(s step) bool { return s.side != side })
}

// holed reports whether bytes are missing in it.
func (d *dialogue) holed() bool {
	return slices.ContainsFunc(d.steps, func(s step) bool { return s.gap > 0 })
}

// encrypted reports whether it is TLS from its first byte.
func (d *dialogue) encrypted() bool {
	return slices.ContainsFunc(d.steps[:min(2, len(d.steps))],
		func(s step) bool { return strings.HasPrefix(s.data, "\x16\x03") })
}

// size is the number of bytes of both sides.
func (d *dialogue) size() (n int) {
	for _, s := range d.steps {
		n += len(s.data)
	}
	return n
}

// allDialogues are the dialogues of testdata and of the captures.
func allDialogues(t testing.TB) []*dialogue { return append(dialogues(t), recorded(t)...) }
