package traffic

import (
	"encoding/binary"
	"time"
)

// random is a number of random bytes.
func (w *World) random(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var x [8]byte
		binary.LittleEndian.PutUint64(x[:], w.R.Uint64())
		copy(b[i:], x[:])
	}
	return b
}

// record is a record of TLS.
func tlsRecord(kind byte, body []byte) []byte {
	return append([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// handshakeMessage is a message of TLS's handshake.
func handshakeMessage(kind byte, body []byte) []byte {
	n := len(body)
	return append([]byte{kind, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// extension is an extension of a hello.
func extension(kind uint16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// clientHello is a hello of TLS 1.3 (RFC 8446 section 4.1.2) with an SNI unless it is empty.
func (w *World) clientHello(sni string) []byte {
	var ext []byte
	if sni != "" {
		n := len(sni)
		ext = append(ext, extension(0, append([]byte{byte((n + 3) >> 8), byte(n + 3), 0,
			byte(n >> 8), byte(n)}, sni...))...)
	}
	ext = append(ext, extension(10, []byte{0, 6, 0, 29, 0, 23, 0, 24})...)
	ext = append(ext, extension(11, []byte{1, 0})...)
	ext = append(ext, extension(13, []byte{0, 8, 4, 3, 8, 4, 4, 1, 8, 7})...)
	ext = append(ext, extension(23, nil)...)
	ext = append(ext, extension(43, []byte{4, 3, 4, 3, 3})...)
	ext = append(ext, extension(45, []byte{1, 1})...)
	ext = append(ext, extension(51, append([]byte{0, 36, 0, 29, 0, 32}, w.random(32)...))...)
	body := append([]byte{3, 3}, w.random(32)...)
	body = append(append(body, 32), w.random(32)...)
	suites := []byte{0x13, 2, 0x13, 3, 0x13, 1, 0xc0, 0x2c, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2f}
	body = append(append(body, 0, byte(len(suites))), suites...)
	body = append(body, 1, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(ext)))
	b := tlsRecord(22, handshakeMessage(1, append(body, ext...)))
	b[2] = 1 // the first record says 3.1
	return b
}

// serverHello is the answer, with the encrypted rest of the server's first flight.
func (w *World) serverHello() []byte {
	ext := extension(43, []byte{3, 4})
	ext = append(ext, extension(51, append([]byte{0, 29, 0, 32}, w.random(32)...))...)
	body := append([]byte{3, 3}, w.random(32)...)
	body = append(append(body, 32), w.random(32)...)
	body = append(body, 0x13, 2, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(ext)))
	b := tlsRecord(22, handshakeMessage(2, append(body, ext...)))
	b = append(b, tlsRecord(20, []byte{1})...)
	return append(b, tlsRecord(23, w.random(1200+w.R.IntN(2200)))...)
}

// TLS draws the handshake; from then on Say sends records.
func (k *Conn) TLS(sni string) {
	w := k.w
	k.Send(true, w.clientHello(sni), w.Between(time.Millisecond, 8*time.Millisecond))
	k.Send(false, w.serverHello(), w.Between(time.Millisecond, 6*time.Millisecond))
	k.Send(true, append(tlsRecord(20, []byte{1}), tlsRecord(23, w.random(69))...),
		w.Between(time.Millisecond, 4*time.Millisecond))
	if w.Chance(0.7) { // session tickets
		k.Send(false, tlsRecord(23, w.random(2*250)), time.Millisecond)
	}
	k.encrypted = true
}

// Say sends a text, encrypted if TLS is on.
func (k *Conn) Say(client bool, text string, think time.Duration) {
	if !k.encrypted {
		k.Send(client, []byte(text), think)
		return
	}
	var b []byte
	for n := len(text); n > 0; n -= 16000 {
		b = append(b, tlsRecord(23, k.w.random(min(n, 16000)+17))...)
	}
	k.Send(client, b, think)
}
