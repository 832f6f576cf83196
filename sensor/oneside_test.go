package main

import (
	"io"
	"path/filepath"
	"slices"
	"testing"

	"spamsensor/sensor/capture"
	"spamsensor/sensor/frame"
	"spamsensor/sensor/wire"
)

// half is a capture of one side only: the frames of the clients (0) or of the servers (1).
func half(t *testing.T, file string, dir int) string {
	t.Helper()
	files, err := capture.OpenFiles([]string{file}, capture.FilesConfig{KnownLink: func(frame.LinkType) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var d wire.Decoder
	d.SetPorts([]uint16{25})
	k, link := new(mailConn), frame.Ethernet
	for {
		b, err := files.Next()
		for _, f := range b.Frames {
			var p wire.Packet
			if d.Decode(f.Link, f.Data, f.Len, &p) == wire.Mail && (p.DstPort == 25) == (dir == 0) {
				k.sent = append(k.sent, sentFrame{f.Time, dir, slices.Clone(f.Data)})
				link = f.Link
			}
		}
		if err == io.EOF {
			return capturedOn(t, link, k)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCorpusMTAOneSide compares with the log of Postfix: if only one side is seen, the events are
// right or flagged as uncertain, and never report more than there was.
func TestCorpusMTAOneSide(t *testing.T) {
	dir, dialogues := postfixSaid(t)
	for _, side := range []string{"client", "server"} {
		right, doubtful := 0, 0
		for _, d := range dialogues {
			only := 0
			if side == "server" {
				only = 1
			}
			events, _, _ := readEvents(t, "--set", "evidence.mail_from=full", half(t, filepath.Join(dir, d.File), only))
			messages, from, doubt := 0, []string{}, false
			for _, e := range ofType(events, "session") {
				messages += e.SMTP.Messages
				from = append(from, e.SMTP.MailFrom...)
				doubt = doubt || slices.Contains(e.SMTP.Flags, "ambiguous")
			}
			switch {
			case messages == d.Messages && (side == "server" || d.Messages == 0 || slices.Equal(from, d.Senders)):
				right++
			case doubt:
				doubtful++
			default:
				t.Errorf("%s (%s), %s only: %d messages from %q, Postfix took %d from %q, and no doubt", d.File, d.Name, side, messages, from, d.Messages, d.Senders)
			}
		}
		t.Logf("%s only: %d right, %d doubtful of %d", side, right, doubtful, len(dialogues))
	}
}
