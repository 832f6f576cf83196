package tcp

import (
	"fmt"
	"strings"
	"testing"
)

// tally is the effect of a row of segments in one line: the counted segments and bytes of each
// direction, the results of Push with their numbers, the anomalies, and the state of the
// connection.
func tally(t *testing.T, isn [2]Seq, segments string, handshake bool) (out, counts string) {
	var st Stream
	var c Conn
	var b strings.Builder
	s := &script{isn: isn}
	if handshake {
		s.open(&st, &c)
	}
	said := map[Result]int{}
	for _, text := range strings.Fields(segments) {
		if text == "..." {
			s.clock += 1e9
			continue
		}
		r := st.Push(&c, s.segment(t, text))
		for bit := Duplicate; bit != 0 && bit <= Unconfirmed; bit <<= 1 {
			if r&bit != 0 {
				said[bit]++
			}
		}
		drain(&st, &b)
	}
	st.Flush(&c)
	drain(&st, &b)
	if c.held != 0 || st.heldBytes != 0 {
		t.Errorf("%s: %d bytes wait after the end", segments, st.heldBytes)
	}
	var n [2]string
	for d := range n {
		packets, bytes := c.Counts(Dir(d))
		n[d] = fmt.Sprintf("%d/%d", packets, bytes)
	}
	counts = fmt.Sprintf("C %s S %s %s", n[Client], n[Server], c.State())
	for _, r := range []struct {
		bit  Result
		name string
	}{{Opened, "opened"}, {Duplicate, "duplicates"}, {Retransmit, "retransmits"},
		{Foreign, "foreign"}, {Aborted, "aborted"}, {Differs, "differs"}, {BlindAck, "blind"},
		{Unconfirmed, "doubted"}} {
		if said[r.bit] > 0 {
			counts += fmt.Sprintf(" %s:%d", r.name, said[r.bit])
		}
	}
	if c.Anomalies()&Conflict != 0 {
		counts += " conflict"
	}
	if n := c.Conflicts(); n > 0 {
		counts += fmt.Sprintf(":%d", n)
	}
	if c.Anomalies()&Urgent != 0 {
		counts += " urgent"
	}
	return strings.TrimSpace(b.String()), counts
}

// TestCases has what an attacker, a mirror port or a bad line can do to a connection; each row has
// the exact delivery and counts. Handshakes are C 2/0 S 1/0 of the counts; rows that begin with a
// SYN have their own, and the row in the middle of a connection has none.
func TestCases(t *testing.T) {
	cases := []struct{ name, in, out, counts string }{
		{"a dialogue", "S0:x C0:ab^1 S1:y^2 C2F^2 S2F^3 C3^3", "S:x C:ab S:y C| S|", "C 5/2 S 4/2 closed"},
		{"retransmission", "C0:ab C0:ab ... C0:ab S0:x^2", "C:ab S:x", "C 5/6 S 2/1 established retransmits:2"},
		{"retransmission of a part", "C0:abcd C2:cd", "C:abcd", "C 4/6 S 1/0 established retransmits:1"},
		{"retransmission with more", "C0:ab C0:abcd", "C:abcd", "C 4/6 S 1/0 established"},
		{"retransmission in other pieces", "C0:ab C2:cd C4:ef C1:bcde", "C:abcdef", "C 6/10 S 1/0 established retransmits:1"},
		{"other bytes in a retransmission", "C0:ab C0:aX", "C:ab", "C 4/4 S 1/0 established retransmits:1 differs:1 conflict:1"},
		{"other bytes at once", "C0:ab =C0:aX", "C:ab", "C 4/4 S 1/0 established retransmits:1 differs:1 conflict:1"},
		{"other bytes of the server", "S0:220 S0:554 C0:ab^3", "S:220 C:ab", "C 3/2 S 3/6 established retransmits:1 differs:1 conflict"},
		{"other bytes long ago", "C0:ab C2:cd C4:ef C0:XX", "C:abcdef", "C 6/8 S 1/0 established retransmits:1 differs:1 conflict:1"},
		{"other bytes and new ones", "C0:ab C1:Xcd", "C:abcd", "C 4/5 S 1/0 established differs:1 conflict:1"},
		{"other bytes of what waits", "C2:cd C2:Xd C0:ab", "C:abcd", "C 5/6 S 1/0 established retransmits:1 differs:1 conflict:1"},
		{"other bytes around what waits", "C2:cd C0:abXXef", "C:abXXef", "C 4/8 S 1/0 established differs:1 conflict:1"},
		{"the same bytes around what waits", "C2:cd C0:abcdef", "C:abcdef", "C 4/8 S 1/0 established"},
		{"out of order", "C4:ef C2:cd C0:ab", "C:abcdef", "C 5/6 S 1/0 established"},
		{"keep-alives without a byte", "C0:ab C1^0 C1^0 C1^0 C2:c", "C:abc", "C 7/3 S 1/0 established"},
		{"keep-alives with any byte", "C0:ab C1:? C1:? C2:c", "C:abc", "C 6/5 S 1/0 established retransmits:2"},
		{"zero window", "C0:ab S0^2 C2:c S0^2 ... C2:c ... S0^3 C3:de^0", "C:abcde", "C 6/6 S 4/0 established retransmits:1"},
		{"reset out of the window", "C0:ab C300000R C-5R", "C:ab", "C 3/2 S 1/0 established foreign:2"},
		{"reset of the other side out of the window", "C0:ab S300000R^2 S0:x^2", "C:ab S:x", "C 3/2 S 2/1 established foreign:1"},
		{"end out of the window", "C0:ab C2000000F S-2000000F C2:cd", "C:abcd", "C 4/4 S 1/0 established foreign:2"},
		{"data out of the window", "C0:ab C2000000:QUIT S0:x^2 C2:cd", "C:ab S:x C:cd", "C 4/4 S 2/1 established foreign:1"},
		{"reset in the window, and the client goes on", "C0:ab C2R C2:cd S0:x^4", "C:abcd S:x", "C 5/4 S 2/1 established aborted:1"},
		{"reset", "C0:ab S0R^2", "C:ab", "C 3/2 S 2/0 reset aborted:1"},
		{"reset twice", "C0:ab S0R^2 S0R^2", "C:ab", "C 3/2 S 3/0 reset aborted:1"},
		{"data in the SYN", "C-1Y:ab S-1Y^2 S0:x^2 C2:cd^1", "C:ab S:x C:cd", "C 2/4 S 2/1 established opened:1"},
		{"data in the SYN, and the SYN again", "C-1Y:ab C-1Y ... C-1Y:ab S-1Y^2 C2:cd", "C:abcd", "C 4/6 S 1/0 established opened:1 retransmits:1"},
		{"data in the SYN that the server did not take", "C-1Y:ab S-1Y^0 C0:ab C2:cd", "C:abcd", "C 3/6 S 1/0 established opened:1 retransmits:1"},
		{"data in the SYN, other data after it", "C-1Y:ab S-1Y^0 C0:XY C2:cd", "C:abcd", "C 3/6 S 1/0 established opened:1 retransmits:1 differs:1 conflict:1"},
		{"SYN not seen", "S-1Y C0:ab S0:x^2", "C:ab S:x", "C 1/2 S 2/1 established opened:1"},
		{"simultaneous open", "C-1Y S-1Y C0^0 S0^0 C0:ab S0:x^2", "C:ab S:x", "C 3/2 S 3/1 established opened:1"},
		{"midstream", "C50:ab^70 S70:x^52 C52:cd^71", "C:ab S:x C:cd", "C 2/4 S 1/1 new"},
		{"client only", "C-1Y C0^0 C0:ab^3 C2F^9", "C:ab C|", "C 4/2 S 0/0 closing opened:1"},
		{"server only", "S-1Y S0:x^2 S1F^9", "S:x S|", "C 0/0 S 3/1 closing opened:1"},
		{"every frame twice", "S0:x =S0:x C0:ab^1 =C0:ab^1 S1F^2 =S1F^2 C2F^2 =C2F^2", "S:x C:ab S| C|", "C 4/2 S 3/1 closed duplicates:4"},
		{"every pair swapped", "C0:ab^1 S0:x^0 C2F^2 S1:y^2 C3^3 S2F^3", "S:x C:ab S:y C| S|", "C 5/2 S 4/2 closed"},
		{"twice and swapped", "C0:ab^1 =S0:x^0 =C0:ab^1 =S0:x^0 C2:c^2 =S1:y^2 =C2:c^2 =S1:y^2", "S:x C:ab S:y C:c", "C 4/3 S 3/2 established duplicates:4"},
		{"lost", "C0:ab C4:ef S0^6 S0^6 S0^6 C6:g", "C:ab C~2 C:efg", "C 5/5 S 4/0 established"},
		{"lost, and sent again after all", "C0:ab C4:ef S0^2 S0^2 S0^2 C2:cd C6:g", "C:abcdefg", "C 6/7 S 4/0 established"},
		{"lost, and sent again after it was given up", "C0:ab C4:ef S0^6 S0^6 S0^6 C2:cd C6:g", "C:ab C~2 C:efg", "C 6/7 S 4/0 established retransmits:1"},
		{"forged data far ahead, again and again", "C0:ab C90000:QUIT C2:cd C90000:QUIT C4:ef C90000:QUIT S0:x^6 C6:g", "C:abcdef S:x C:g", "C 6/7 S 2/1 established foreign:3"},
		{"forged end far ahead", "C0:ab C90000F C2:cd", "C:abcd", "C 4/4 S 1/0 established foreign:1"},
		{"much is lost, and the receiver had it", "C0:ab S0^100000 C100000:cd S0^100002", "C:ab C~99998 C:cd", "C 4/4 S 3/0 established"},
		{"much is lost, three follow", "C0:ab C100000:cd C100002:ef C100004:gh C100006:ij C100008:kl C100010:mn", "C:ab C~100002 C:ghijklmn", "C 7/10 S 1/0 established foreign:2"},
		{"an end, and the client goes on where it stood", "C0:ab C2F C2:cd S0:x^4 C4F S1F^5", "C:ab C| C:cd S:x C| S|", "C 6/4 S 3/1 closed"},
		{"a keep-alive behind an end", "C0:ab C2F C2:? S0:x^3", "C:ab C| S:x", "C 5/3 S 2/1 closing retransmits:1"},
		{"ends of both, and the client goes on where its own stood", "C0:ab C2F S0F^3 C2:cd", "C:ab C| S| C:d", "C 5/4 S 2/0 closed"},
		{"an urgent byte", "C0U~3:MAxIL C5:cd", "C:MAILcd", "C 4/7 S 1/0 established urgent"},
		{"an urgent byte in each line", "C0U~3:EHxLO S0:x^5 C5U~3:MAxIL^1 S1:y^10 C10:QUIT^2", "C:EHLO S:x C:MAIL S:y C:QUIT", "C 5/14 S 3/2 established urgent"},
		{"the first byte is urgent", "C0U~1:xMAIL", "C:MAIL", "C 3/5 S 1/0 established urgent"},
		{"an urgent pointer of zero", "C0U:xMAIL", "C:MAIL", "C 3/5 S 1/0 established urgent"},
		{"the last byte is urgent", "C0U~5:MAILx C5:cd", "C:MAILcd", "C 4/7 S 1/0 established urgent"},
		{"nothing but an urgent byte", "C0:MA C2U~1:x C3:IL", "C:MAIL", "C 5/5 S 1/0 established urgent"},
		{"an urgent byte and the end", "C0:MA C2UF~1:x S0:y^4", "C:MA C| S:y", "C 4/3 S 2/1 closing urgent"},
		{"an urgent pointer behind the segment", "C0U~7:MAIL C4:FROxM", "C:MAILFRxM", "C 4/9 S 1/0 established urgent"},
		{"an urgent pointer ahead, and a newer one", "C0U~3:M C1U~4:AxILx C6:y", "C:MAxIxy", "C 5/7 S 1/0 established urgent"},
		{"an urgent pointer ahead, and an older one", "C0U~5:M C1U~1:AxILx C6:y", "C:MAxIxy", "C 5/7 S 1/0 established urgent"},
		{"two urgent bytes", "C0U~3:MAxIL C5U~2:aXb", "C:MAILab", "C 4/8 S 1/0 established urgent"},
		{"the urgent byte again", "C0U~3:MAxIL C0U~3:MAxIL C5:cd C0U~3:MAxILcdef", "C:MAILcdef", "C 6/21 S 1/0 established retransmits:1 urgent"},
		{"an urgent byte out of order", "C5:cd C0U~3:MAxIL", "C:MAILcd", "C 4/7 S 1/0 established urgent"},
		{"an urgent byte that waits", "C5U~2:cxd C0:MAILS", "C:MAILScd", "C 4/8 S 1/0 established urgent"},
		{"an urgent byte in a gap", "C0:MA C3U~1:x S0^9 C4:I S0^9 C5:L S0^9 C6:cd", "C:MA C~1 C:ILcd", "C 7/7 S 4/0 established urgent"},
		{"an urgent byte of a decoy", "C0BU~2:MxAIL C0:MAILS", "C:MAILS", "C 4/10 S 1/0 established differs:1 doubted:1 conflict:1"},
		{"urgent and other bytes in its place", "C0:ab C2U~2:cxd C0:aZcxde", "C:abcde", "C 5/11 S 1/0 established differs:1 conflict:1 urgent"},
		{"an urgent pointer without data", "C0U~1 C0:ab", "C:b", "C 4/2 S 1/0 established urgent"},
		{"a decoy", "C0B:NOOP C0:MAIL S0:x^4", "C:MAIL S:x", "C 4/8 S 2/1 established differs:1 doubted:1 conflict:1"},
		{"a decoy at once", "C0B:NOOP =C0:MAIL S0:x^4", "C:MAIL S:x", "C 4/8 S 2/1 established differs:1 doubted:1 conflict:1"},
		{"a decoy behind", "C0:MAIL C0B:NOOP S0:x^4", "C:MAIL S:x", "C 4/8 S 2/1 established retransmits:1 differs:1 doubted:1 conflict:1"},
		{"decoys before each", "C0H:NO C0:MA S0:x^2 C2H:NO^1 C2:IL^1 S1:y^4 C4HF^2 C4:ab^2 S2:z^6", "C:MA S:x C:IL S:y C:ab S:z", "C 8/10 S 4/3 established differs:2 doubted:3 conflict:2"},
		{"a decoy with the same bytes and more", "C0P:MAILRSET C0:MAIL S0:x^4 C4:QUIT^1 S1:y^8", "C:MAIL S:x C:QUIT S:y", "C 5/16 S 3/2 established differs:1 doubted:1 conflict:1"},
		{"a decoy that ends in the middle", "C0P:MA C0:NAIL S0:x^4 C4:y", "C:NAIL S:x C:y", "C 5/7 S 2/1 established differs:1 doubted:1 conflict:1"},
		{"doubtful, and taken", "C0P:MAIL S0:x^4 C4P:QUIT^1 S1:y^8", "C:MAIL S:x C:QUIT S:y", "C 4/8 S 3/2 established doubted:1"},
		{"doubtful, taken, and of another kind", "C0P:MAIL S0:x^4 C4H:QUIT^1 C4:RSET^1 S1:y^8", "C:MAIL S:x C:RSET S:y", "C 5/12 S 3/2 established differs:1 doubted:2 conflict:1"},
		{"doubtful, and the server is silent", "C0P:MAIL C4:QUIT", "C:MAILQUIT", "C 4/8 S 1/0 established doubted:1"},
		{"not to be taken, and the server is silent", "C0B:MAIL C4:QUIT C8B:x", "C~4 C:QUIT", "C 5/9 S 1/0 established doubted:2"},
		{"doubtful, and nothing follows", "C0P:MAIL", "C:MAIL", "C 3/4 S 1/0 established doubted:1"},
		{"not to be taken, and nothing follows", "C0B:MAIL", "", "C 3/4 S 1/0 established doubted:1"},
		{"a doubtful reset", "C0:ab C2BR C2:cd S0:x^4", "C:abcd S:x", "C 4/4 S 2/1 established foreign:1"},
		{"doubtful, and nobody answers", "C-1Y C0P C0P:ab C2B:xx C2:cd", "C:abcd", "C 4/4 S 0/0 established opened:1 foreign:1 doubted:2"},
		{"decoys, and nobody answers", "C-1Y C0 C0H:NO C0:MA C2H:NO C2:IL C4:x", "C:MAILx", "C 7/9 S 0/0 established opened:1 differs:2 doubted:2 conflict:2"},
		{"a doubtful third segment", "C-1Y S-1Y C0B S-1Y", "", "C 2/0 S 2/0 new doubted:1"},
		{"a doubtful third segment, and then the server speaks", "C-1Y S-1Y C0P S0:x C0:ab^1", "S:x C:ab", "C 3/2 S 2/1 established opened:1 doubted:1"},
		{"a forged reset of the server before the third segment", "C-1Y S-1Y S0R C0 S0:220 C0:EHLO^3 S3:250^4", "S:220 C:EHLO S:250", "C 3/4 S 4/6 established opened:1 aborted:1"},
		{"a doubtful reply, and the right one", "C0:ab S0H:250^2 S0:554^2 C2:cd^3", "C:ab S:554 C:cd", "C 4/4 S 3/6 established differs:1 doubted:1 conflict"},
		{"a doubtful reply that acknowledges a decoy", "C0B:NO S0H:250^2 C0:MA S0:554^2 C2:IL^3", "C:MA S:554 C:IL", "C 5/6 S 3/6 established differs:2 doubted:2 conflict:1"},
		{"a doubtful reply that is taken", "C0:ab S0H:250^2 C2:cd^3 S3H:220^4", "C:ab S:250 C:cd S:220", "C 4/4 S 3/6 established doubted:1"},
		{"an old timestamp", "C-1Y@9 S-1Y@9 C0@9 C0@10:ab S0^2 C2@5:NO C2@11:MA S0:x^4", "C:abMA S:x", "C 5/6 S 3/1 established opened:1 differs:1 doubted:1 conflict:1"},
		{"an older timestamp of a segment behind", "C-1Y@9 S-1Y@9 C0@9 C2@12:cd C0@10:ab S0:x^4", "C:abcd S:x", "C 4/4 S 2/1 established opened:1"},
		{"timestamps that wrap around", "C-1Y@4294967290 S-1Y@4294967290 C0@4294967295 C0@2:ab S0^2 C2@4294967294:NO C2@3:cd", "C:abcd", "C 5/6 S 2/0 established opened:1 differs:1 doubted:1 conflict:1"},
		{"an old timestamp, and none was agreed on", "C-1Y@9 S-1Y C0@9 C0@5:ab", "C:ab", "C 3/2 S 1/0 established opened:1"},
		{"no timestamp", "C-1Y@9 S-1Y@9 C0 C0:ab S0^2 C2@10:cd", "C:abcd", "C 4/4 S 2/0 established opened:1"},
		{"an old timestamp in the third segment", "C-1Y@9 S-1Y@9 C0@8 S-1Y@9", "", "C 2/0 S 2/0 new doubted:1"},
		{"acknowledged ahead of the server", "C0:NOOP^9 C0:MAIL S0:x^4", "C:MAIL S:x", "C 4/8 S 2/1 established differs:1 conflict:1"},
		{"ahead of the server and longer", "C0:MAILRSET^3 C0:MAIL S0:250^4 C4:QUIT^3 S3:ok^8", "C:MAIL S:250 C:QUIT S:ok", "C 5/16 S 3/5 established"},
		{"ahead of the server, second", "C0:MAIL C0:NOOP^9 S0:x^4", "C:MAIL S:x", "C 4/8 S 2/1 established retransmits:1 differs:1 conflict:1"},
		{"ahead of the server, which does not go on", "C0:ab^5 C2:c^5 C3:d^5 C4:e^5 C5:f^5 S0^6", "C:abcdef", "C 7/6 S 2/0 established"},
		{"ahead of the server for long", "C0:ab^5" + strings.Repeat(" C1^5", 30) + " C2:cd^5", "C:abcd", "C 34/4 S 1/0 established"},
		{"ahead of the server, which goes on behind it", "C0:ab^5 S5:y^2 S6:z^2 S7:w^2 S8:v^2", "S~5 C:ab S:yzwv", "C 3/2 S 5/4 established"},
		{"acknowledged far ahead of the server", "C0:NOOP^2000000 C0:MAIL S0:x^4", "C:MAIL S:x", "C 3/4 S 2/1 established foreign:1"},
		{"acknowledged before the server's first byte", "C0:NOOP^-9 C0:MAIL S0:x^4 C4:QUIT^-9 S1:y^8", "C:MAIL S:x C:QUIT S:y", "C 5/12 S 3/2 established differs:1 doubted:2 conflict:1"},
		{"the server acknowledges what was never sent", "C0:ab S0:x^900000000 S0:y^2", "C:ab S:y", "C 3/2 S 2/1 established foreign:1"},
		{"forged acknowledgment before the server speaks", "C-1Y S-1Y C0:NOOP^100000 S100000R C0^0 S0:220 C0:EHLO^3", "S:220 C:EHLO", "C 4/8 S 2/3 established opened:1 foreign:1 differs:1 blind:1 conflict:1"},
		{"forged acknowledgments, and nobody is there", "C-1Y S-1Y C0:NOOP^100000 S100000R C0:NOOP^1 C0:NOOP^-1 S-1Y", "", "C 3/8 S 2/0 new foreign:2 blind:2"},
		{"forged acknowledgments, and the server resets", "C-1Y S-1Y C0:NOOP^100000 C0:NOOP^1 S0R", "", "C 3/8 S 2/0 reset aborted:1 blind:2"},
		{"the banner and the third segment are lost", "C-1Y S-1Y C0:EHLO^3 S3:250^4 S6:ok^4 C4:MAIL^8 S8:250^8 S11:x^8", "S~3 C:EHLO S:250ok C:MAIL S:250x", "C 3/8 S 5/9 established opened:1 blind:1"},
		{"the end of a server that was not opened", "C-1Y S-1Y S0F^0", "S|", "C 1/0 S 2/0 closing opened:1"},
		{"cut by the capture, then other bytes", "C0:ab/5 C0:aXcde", "C:ab C~3", "C 4/10 S 1/0 established retransmits:1 differs:1 conflict:1"},
	}
	// In a capture that was made by hand all numbers may be zero.
	if out, counts := tally(t, [2]Seq{0xffffffff, 0}, "C-1Y S-1Y C0^-1 C0:ab^-1 S-1:x^0",
		false); out != "C:ab S:x" || counts != "C 3/2 S 2/1 established opened:1" {
		t.Errorf("numbers of zero: %s, %s", out, counts)
	}
	for _, r := range cases {
		for _, isn := range [][2]Seq{{1000, 9000}, {0xfffffffd, 0xffffffff},
			{0x7ffffffe, 0x80000000}} {
			handshake := !strings.Contains(r.in, "Y") && r.name != "midstream"
			out, counts := tally(t, isn, r.in, handshake)
			want := r.counts
			if handshake {
				want = strings.Replace(want, "", "", 1)
			}
			if out != r.out || counts != want {
				t.Errorf("%s, initial sequence numbers %x: %s\n got %s\nwant %s\n got %s\nwant %s",
					r.name, isn, r.in, out, r.out, counts, want)
				break
			}
		}
	}
	t.Logf("R22: %d cases, each with exact counters at three initial sequence numbers (goal 20)",
		len(cases))
}

// The numbers of a segment decide to which of two connections with the same ports it belongs.
func TestFit(t *testing.T) {
	for _, isn := range [][2]Seq{{1000, 9000}, {0xfffffffd, 0xffffffff}} {
		_, c := play(t, isn, "C0:ab S0:x^2")
		s := &script{isn: isn}
		for in, want := range map[string]int{"C2^1": 2, "C2:cd^1": 2, "S1^2": 2, "C0:ab": 1,
			"C3^1": 1, "C1048578^1": 1, "C1048579^1": 0, "C-1048575^1": 0, "C2^1048577": 2,
			"C2^1048578":  0,
			"C90000000^1": 0, "C2^90000000": 0, "C2R^90000000": 0, "C90000000R": 0, "S0Y^0": 2, "S5000Y^0": 2, "S0Y^1": 0} {
			seg := s.segment(t, in)
			if got := c.Score(seg.Dir, seg.Flags, seg.Seq, seg.Ack); got != want {
				t.Errorf("%x: %s fits %d, want %d", isn, in, got, want)
			}
		}
	}
	_, c := play(t, [2]Seq{1000, 9000}, "")
	*c = Conn{}
	c.Open(1000, 1) // the sequence number of the server is not known
	if c.Score(Client, ACK, 1001, 77) != 2 || c.Score(Server, ACK, 77, 1001) != 1 ||
		c.Score(Server, SYN|ACK, 77, 1001) != 2 {
		t.Error("what is not known contradicts nothing")
	}
}

// TestRecallOfAnother checks that bytes of another half never count as first copies, even for a
// half that was silent for a long time.
func TestRecallOfAnother(t *testing.T) {
	var m history
	mine, other := half{isn: 7, next: 8}, half{isn: 9, next: 8}
	m.add(&mine, []byte("mine"))
	if _, seq, b, ok := m.record(mine.lastRecord, &mine); !ok || seq != 8 || string(b) != "mine" {
		t.Errorf("%d %q %v", seq, b, ok)
	}
	if _, _, b, ok := m.record(mine.lastRecord, &other); ok {
		t.Errorf("%q is of another half", b)
	}
	place := mine.lastRecord
	for m.end < historySize+place { // the half itself overwrites it
		m.add(&mine, []byte("mine"))
	}
	if _, _, b, ok := m.record(place, &mine); ok {
		t.Errorf("%q is remembered for too long", b)
	}
}

// Waiting segments reach at most 64 KiB ahead, and the buffer of a long one is released.
func TestHeldIsBounded(t *testing.T) {
	var st Stream
	var c Conn
	s := &script{isn: [2]Seq{1, 2}}
	s.open(&st, &c)
	push := func(at, n int) (gap int) {
		st.Push(&c, &Segment{Flags: ACK, Seq: s.isn[Client].Add(1 + at), Ack: s.isn[Server].Add(1),
			Len: n, Payload: make([]byte, n), Time: int64(at) * 1e6})
		var ch Chunk
		for st.Pop(&ch) {
			if ch.Kind == Gap {
				gap += ch.Len
			}
		}
		return gap
	}
	push(10, 3000)
	if gap := push(maxAhead-100, 100); gap != 0 || c.nheld != 2 {
		t.Errorf("a gap of %d, %d wait", gap, c.nheld)
	}
	if gap := push(maxAhead-99, 100); gap == 0 || st.Overflows != 1 {
		t.Errorf("a gap of %d, %d overflows", gap, st.Overflows)
	}
	for i, n := range st.nodes[1:] {
		if cap(n.buf) > keepBytes {
			t.Errorf("node %d keeps %d bytes", i+1, cap(n.buf))
		}
	}
}

// TestHoldClient checks that the client's bytes before any answer are held, in their order, and delivered
// after ReleaseClient. Without room for more, or at the end of the connection, they are delivered
// nevertheless.
func TestHoldClient(t *testing.T) {
	for _, c := range []struct {
		name     string
		segments int
		end      func(st *Stream, c *Conn)
		early    bool // some bytes are delivered before the end
	}{
		{"then it may", 3, func(_ *Stream, c *Conn) { c.ReleaseClient() }, false},
		{"no more comes", 3, func(st *Stream, c *Conn) { st.Flush(c) }, false},
		{"too much", maxHeld + 1, func(*Stream, *Conn) {}, true},
	} {
		var st Stream
		var conn Conn
		conn.HoldClient()
		got, want := "", ""
		take := func() {
			var x Chunk
			for st.Pop(&x) {
				if x.Kind != Data {
					t.Errorf("%s: a chunk of kind %d", c.name, x.Kind)
				}
				got += string(x.Bytes)
			}
		}
		for i := range c.segments {
			text := string(rune('a' + i))
			flags := ACK
			if i == 0 {
				flags = SYN
			}
			seq := Seq(1000 + i)
			if i > 0 {
				seq++
			}
			st.Push(&conn, &Segment{Dir: Client, Flags: flags, Seq: seq, Ack: 1, Len: 1,
				Payload: []byte(text), Time: int64(i) * 1e9})
			want += text
			take()
		}
		if (got != "") != c.early {
			t.Errorf("%s: %q before the end", c.name, got)
		}
		c.end(&st, &conn)
		take()
		if got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
		if conn.held != 0 || st.heldBytes != 0 {
			t.Errorf("%s: %d bytes are still held", c.name, st.heldBytes)
		}
	}
}
