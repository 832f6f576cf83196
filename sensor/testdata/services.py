#!/usr/bin/env python3
"""services.py DIR answers what Postfix asks others while record.sh records.

DNS on 127.0.0.1:53, with the few names that the dialogues need, so that Postfix refuses
in its own words. Authentication as Dovecot does it, on the sockets DIR/auth (knows one
user) and DIR/auth-denied (knows nobody), so that Postfix leads its own AUTH dialogue.
"""

import base64
import binascii
import os
import socket
import struct
import sys
import threading

USER, PASSWORD = b"canaryuser7731", b"canarypass9942"

A, PTR, MX, TXT = 1, 12, 15, 16

NAMES = {
    ("25.77.168.192.in-addr.arpa", PTR): "mail.example.org",
    ("mail.example.org", A): "192.168.77.25",
    # The lists know the bot, and one of them the mail server too.
    ("66.77.168.192.zen.spamhaus.org", A): "127.0.0.4",
    ("66.77.168.192.zen.spamhaus.org", TXT): "https://www.spamhaus.org/query/ip/203.0.113.77",
    ("25.77.168.192.bl.spamcop.net", A): "127.0.0.2",
    ("25.77.168.192.bl.spamcop.net", TXT): "Blocked - see https://www.spamcop.net/bl.shtml?203.0.113.25",
}


def exists(name):
    """Sender domains are all of these, but one that is not to be there."""
    return name.endswith((".example", "example.org", "example.net", "example.com"))


def wire_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def answer(query):
    labels, i = [], 12
    while query[i]:
        labels.append(query[i + 1:i + 1 + query[i]].decode("latin-1").lower())
        i += query[i] + 1
    name = ".".join(labels)
    kind, = struct.unpack("!H", query[i + 1:i + 3])
    question = query[12:i + 5]
    value = NAMES.get((name, kind))
    if value is None and kind == A and exists(name):
        value = "192.0.2.80"
    if value is None:
        data = b""
    elif kind == A:
        data = socket.inet_aton(value)
    elif kind == PTR:
        data = wire_name(value)
    else:
        data = bytes([len(value)]) + value.encode()
    known = value is not None or exists(name) or any(n == name for n, _ in NAMES)
    head = query[:2] + struct.pack("!HHHHH", 0x8580 if known else 0x8583, 1, 1 if data else 0, 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(data)) + data if data else b""
    return head + question + record


def dns():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    while True:
        query, peer = s.recvfrom(4096)
        s.sendto(answer(query), peer)


def b64(text):
    return base64.b64encode(text)


def login(initial):
    """Mechanism LOGIN: yields what is asked, is sent the replies, returns user, password."""
    user = initial if initial is not None else (yield b"Username:")
    password = yield b"Password:"
    return user, password


def plain(initial):
    """Mechanism PLAIN (RFC 4616)."""
    text = initial if initial is not None else (yield b"")
    _, user, password = (text.split(b"\0") + [b"", b""])[:3]
    return user, password


def authenticate(conn, allowed):
    """One connection of smtpd (Dovecot's authentication protocol 1.1)."""
    conn.sendall(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"
                 b"SPID\t1\nCUID\t1\nCOOKIE\t00112233445566778899aabbccddeeff\nDONE\n")
    exchanges = {}
    for line in conn.makefile("rb"):
        words = line.rstrip(b"\n").split(b"\t")
        number = words[1]
        try:
            if words[0] == b"AUTH":
                response = next((base64.b64decode(w[5:], validate=True) for w in words if w.startswith(b"resp=")), None)
                exchanges[number] = {b"PLAIN": plain, b"LOGIN": login}[words[2]](response)
                step = None
            elif words[0] == b"CONT":
                step = base64.b64decode(words[2], validate=True)
            else:
                continue
            conn.sendall(b"CONT\t" + number + b"\t" + b64(exchanges[number].send(step)) + b"\n")
        except binascii.Error:
            conn.sendall(b"FAIL\t" + number + b"\treason=Invalid base64 data in continued response\n")
        except StopIteration as end:
            del exchanges[number]
            user, password = end.value
            verdict = b"OK" if allowed and (user, password) == (USER, PASSWORD) else b"FAIL"
            conn.sendall(verdict + b"\t" + number + b"\tuser=" + user + b"\n")


def authentication(path, allowed):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o666)
    s.listen()
    while True:
        conn, _ = s.accept()
        threading.Thread(target=authenticate, args=(conn, allowed), daemon=True).start()


if __name__ == "__main__":
    threading.Thread(target=authentication, args=(os.path.join(sys.argv[1], "auth"), True), daemon=True).start()
    threading.Thread(target=authentication, args=(os.path.join(sys.argv[1], "auth-denied"), False), daemon=True).start()
    dns()
