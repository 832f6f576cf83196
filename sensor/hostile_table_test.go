package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hostileInputs are the hostile inputs that the sensor must withstand, by their numbers in the
// list: the input, and the tests that have it, each as a package and a test, and a row of that test
// after a colon.
var hostileInputs = []struct {
	number int
	what   string
	tests  []string
}{
	// Files.
	{1, "an empty file", []string{"sensor/capture TestDamage: empty"}},
	{2, "a file header cut at 10 bytes", []string{"sensor/capture TestDamage: header cut"}},
	{3, "a record header that is cut", []string{"sensor/capture TestDamage: record header cut"}},
	{4, "a record that is cut", []string{"sensor/capture TestDamage: record cut"}},
	{5, "a record of 4 GiB", []string{"sensor/capture TestDamage: huge record", "sensor/capture TestLyingRecordsAllocateNothing"}},
	{6, "a snapshot length of 4 GiB", []string{"sensor TestOddFiles: snapshot length of 4 GiB", "sensor/capture TestLyingRecordsAllocateNothing"}},
	{7, "a record and a snapshot length of 2 GiB", []string{"sensor/capture TestDamage: 2 GiB record", "sensor/capture TestLyingRecordsAllocateNothing"}},
	{8, "a snapshot length of 0", []string{"sensor TestOddFiles: snapshot length of 0"}},
	{9, "a file of version 9", []string{"sensor/capture TestDamage: version 9"}},
	{10, "link type 147", []string{"sensor/capture TestDamage: other link type"}},
	{11, "pcapng with two link types", []string{"sensor/capture TestPcapngInterfaces"}},
	{12, "pcapng whose block length lies", []string{"sensor/capture TestDamage: pcapng, length lie"}},
	{13, "pcapng without an interface, or with a wrong one", []string{"sensor/capture TestDamage: pcapng, no interface", "sensor/capture TestDamage: pcapng, unknown interface"}},
	{14, "pcapng with an unknown block", []string{"sensor/capture TestFormats: unknown"}},
	{15, "compressed captures, and a bomb of zeros", []string{"sensor TestOddFiles: without its last byte", "sensor/capture TestHostileCompression", "sensor/capture TestZeroBombs"}},
	{16, "a named pipe that closes within a record", []string{"sensor/capture TestNamedPipe", "sensor TestOddFiles: named pipe, cut"}},
	{17, "a capture of short frames", []string{"sensor TestOddFiles: snaplen 64", "sensor/wire TestSnaplen", "smtpsniff TestCutCommands"}},
	// Frames and TCP.
	{18, "TCP options of length 0, 1, 40, cut, as the last byte", []string{"sensor TestKernelVariants", "sensor/wire TestDecode: TCP options of any kind"}},
	{19, "fragments of 8 bytes, reversed, doubled", []string{"sensor/wire TestFragmentsInAnyOrder", "sensor/wire TestFragmentOutcomes: a copy is ignored"}},
	{20, "a first fragment with the whole header", []string{"sensor/wire TestFragmentOutcomes: the whole header first is no SYN yet"}},
	{21, "fragments that overlap", []string{"sensor/wire TestFragmentOutcomes: overlap"}},
	{22, "VLAN 0, two tags, 802.1ad", []string{"sensor/wire TestDecode: 16 tags", "sensor/wire TestDecode: 802.1Q twice", "sensor/wire TestDecode: 802.1ad"}},
	{23, "IPv6 extension headers", []string{"sensor/wire TestDecode: extension headers", "sensor/wire TestDecode: 32 extension headers", "sensor/wire TestDecode: atomic fragment"}},
	{24, "33 extension headers", []string{"sensor/wire TestDecode: 33 extension headers"}},
	{25, "SYN and FIN, SYN and RST", []string{"sensor/wire TestDecode: SYN+FIN", "sensor/wire TestDecode: SYN+RST"}},
	{26, "a SYN with any other flags, source port 0", []string{"sensor TestKernelVariants"}},
	{27, "data offset 4 or 15", []string{"sensor/wire TestDecode: data offset 4", "sensor/wire TestDecode: data offset 15"}},
	{28, "an IP length of 20 with TCP behind it", []string{"sensor/wire TestDecode: total length 20"}},
	{29, "a SYN repeated five times", []string{"sensor/engine TestConnections: never answered"}},
	{30, "a SYN with another number, then the dialogue", []string{"sensor/engine TestConnections: a SYN with another number first"}},
	{31, "a port used again after a reset", []string{"sensor/engine TestConnections: port used again after a reset"}},
	{32, "data in the SYN", []string{"sensor/engine TestConnections: data in the SYN", "flowtable/tcp TestCases: data in the SYN"}},
	{33, "sequence numbers that wrap", []string{"sensor/engine TestConnections: sequence numbers wrap", "flowtable/tcp TestOrder"}},
	{34, "10,000 keep-alives", []string{"sensor TestHostileDialogues: 10,000 keep-alives"}},
	{35, "a reset out of the window", []string{"sensor TestHostileDialogues: a reset and an end out of the window"}},
	{36, "other bytes in the same place", []string{"sensor TestHostileDialogues: other bytes in a retransmission"}},
	{37, "an urgent byte in MAIL", []string{"sensor TestHostileDialogues: an urgent byte in MAIL"}},
	{38, "one direction only, from the middle", []string{"sensor TestHostileDialogues: client only", "sensor TestHostileDialogues: server only", "sensor TestHostileDialogues: from the middle"}},
	{39, "10 million forged SYNs", []string{"sensor TestMemoryIsBounded: spoofed sources", "sensor TestSpammerInTheFlood"}},
	{40, "100,000 sources with one hash", []string{"flowtable TestHashAttack"}},
	// SMTP.
	{41, "a line without an end", []string{"sensor TestHostileDialogues: a line without an end", "smtpsniff TestLinearTime: a client's line without an end"}},
	{42, "EHLO with bytes that break logs", []string{"sensor TestHostileNames"}},
	{43, "addresses of every shape", []string{"sensor TestHostileDialogues: a local part of 1500 bytes", "sensor TestHostileDialogues: a source route", "sensor TestHostileDialogues: a quoted bracket",
		"sensor TestHostileDialogues: SMTPUTF8", "sensor TestHostileDialogues: the null sender", "sensor TestHostileDialogues: no brackets"}},
	{44, "commands in a message", []string{"sensor TestHostileDialogues: commands in a message"}},
	{45, "smuggling", []string{"sensor TestHostileDialogues: smuggled behind LF.LF", "sensor TestHostileDialogues: smuggled behind LF.CRLF", "sensor TestHostileDialogues: smuggled, client only"}},
	{46, "BDAT with a command in it", []string{"sensor TestHostileDialogues: BDAT with a command in it"}},
	{47, "BDAT of impossible sizes", []string{"sensor TestHostileDialogues: BDAT of impossible sizes", "smtpsniff TestBDATDigits"}},
	{48, "credentials in every form", []string{"sensor TestNoCredentialIsTold"}},
	{49, "mail in the clear behind STARTTLS", []string{"sensor TestHostileDialogues: mail behind STARTTLS in the clear"}},
	{50, "DATA refused, then MAIL", []string{"sensor TestHostileDialogues: DATA refused, then MAIL"}},
	{51, "commands that nobody answers", []string{"sensor TestHostileDialogues: a million commands without an answer", "smtpsniff TestConstantMemory"}},
	{52, "a reply that never ends", []string{"sensor TestHostileDialogues: a reply of 20,000 lines", "smtpsniff TestLinearTime: a reply that never ends"}},
	{53, "TLS and HTTP on port 25", []string{"sensor TestHostileDialogues: TLS on port 25", "sensor TestHostileDialogues: HTTP on port 25"}},
	{54, "the dot at the end is lost", []string{"sensor TestHostileDialogues: the dot is lost"}},
	{55, "ten thousand recipients", []string{"sensor TestHostileDialogues: ten thousand recipients"}},
	// The process.
	{56, "a full device", []string{"sensor TestOutputFails: full device", "sensor TestOutputFailsLive: full"}},
	{57, "a reader that stalls", []string{"sensor TestOutputFailsLive: stalled", "sensor TestOutputFails: stalled reader, and told to end"}},
	{58, "a reader that goes away", []string{"sensor TestOutputFails: closed pipe"}},
	{59, "an interface that is deleted", []string{"sensor TestInterfaceComesBack"}},
	{60, "a clock that goes back an hour", []string{"sensor TestClocksJump: an hour back, one frame"}},
	{61, "killed while a checkpoint is written", []string{"sensor/state TestCrashWhileWriting", "sensor TestKill"}},
	{62, "a checkpoint of a newer version", []string{"sensor/state TestNewer"}},
}

// TestHostileInputs checks that each input has a test, and that the named tests and rows exist.
func TestHostileInputs(t *testing.T) {
	sources := map[string][]string{} // texts of the tests of a package
	for _, dir := range []string{"sensor", "sensor/capture", "sensor/wire", "sensor/engine", "sensor/state", "flowtable", "flowtable/tcp", "smtpsniff"} {
		files, _ := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
		for _, f := range files {
			if f == "../sensor/hostile_table_test.go" {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			sources[dir] = append(sources[dir], string(b))
		}
	}
	for i, input := range hostileInputs {
		if input.number != i+1 || len(input.tests) == 0 {
			t.Errorf("number %d stands at place %d, with %d tests", input.number, i+1, len(input.tests))
		}
		for _, name := range input.tests {
			name, row, _ := strings.Cut(name, ": ")
			dir, test, _ := strings.Cut(name, " ")
			if !slices.ContainsFunc(sources[dir], func(source string) bool {
				at := strings.Index(source, "func "+test+"(t *testing.T) {")
				return at >= 0 && (row == "" || strings.Contains(source, row+`"`))
			}) {
				t.Errorf("%d, %s: there is no %s with %q", input.number, input.what, name, row)
			}
		}
	}
	if len(hostileInputs) != 62 {
		t.Errorf("%d inputs, there are 62", len(hostileInputs))
	}
}
