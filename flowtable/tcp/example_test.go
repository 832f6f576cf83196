package tcp_test

import (
	"fmt"

	"spamsensor/flowtable/tcp"
)

// Two segments of the client are swapped, and the capture has missed four bytes of the server.
func ExampleStream() {
	var stream tcp.Stream // one for all connections of a shard
	var conn tcp.Conn
	deliver := func() {
		var chunk tcp.Chunk
		for stream.Pop(&chunk) {
			side := [...]string{tcp.Client: "client", tcp.Server: "server"}[chunk.Dir]
			switch chunk.Kind {
			case tcp.Data:
				fmt.Printf("%s: %q\n", side, chunk.Bytes)
			case tcp.Gap:
				fmt.Printf("%s: gap of %d bytes\n", side, chunk.Len)
			case tcp.End:
				fmt.Printf("%s: end\n", side)
			}
		}
	}
	segment := func(dir tcp.Dir, seq, ack tcp.Seq, flags tcp.Flags, payload string) {
		result := stream.Push(&conn, &tcp.Segment{Dir: dir, Seq: seq, Ack: ack, Flags: flags,
			Len: len(payload), Payload: []byte(payload)})
		if result&tcp.Opened != 0 {
			fmt.Println("established")
		}
		deliver()
	}
	segment(tcp.Client, 100, 0, tcp.SYN, "")
	segment(tcp.Server, 500, 101, tcp.SYN|tcp.ACK, "")
	segment(tcp.Client, 101, 501, tcp.ACK, "")
	segment(tcp.Client, 106, 501, tcp.ACK, "a.example\r\n")
	segment(tcp.Client, 101, 501, tcp.ACK, "EHLO ")
	segment(tcp.Server, 505, 117, tcp.ACK, "mx.example\r\n")
	segment(tcp.Client, 117, 517, tcp.FIN|tcp.ACK, "")

	stream.Flush(&conn) // no more segments will come
	deliver()
	fmt.Println(conn.State())
	// Output:
	// established
	// client: "EHLO "
	// client: "a.example\r\n"
	// server: gap of 4 bytes
	// server: "mx.example\r\n"
	// client: end
	// closing
}
