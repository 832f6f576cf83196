#!/usr/bin/env python3
"""check.py DIR compares truth.json in DIR with what tshark says of the captures there.

The truth comes from the client and from Postfix's log, this comes from the packets: who
opened which connection and in which order, how the attempt ended, which replies came, and
that no frame is missing or damaged. Exits with 1 if there is a difference.
"""

import json
import os
import re
import subprocess
import sys

FIELDS = ["frame.number", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.flags", "icmp.type", "icmp.code", "tcp.seq_raw",
          "tcp.payload", "tcp.checksum.status", "ip.checksum.status", "tcp.analysis.lost_segment", "tcp.analysis.ack_lost_segment",
          "frame.len", "frame.cap_len"]
FIN, SYN, RST, ACK = 1, 2, 4, 16
problems = 0


def wrong(*words):
    global problems
    problems += 1
    print("check.py:", *words)


def packets(file):
    command = ["tshark", "-n", "-r", file, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,", "-o", "tcp.check_checksum:TRUE",
               "-o", "ip.check_checksum:TRUE"]
    for f in FIELDS:
        command += ["-e", f]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for line in out.splitlines():
        yield dict(zip(FIELDS, line.split("\t")))


def streams(file):
    """All attempts, by client, port, server, port, in the order of their first SYN."""
    found = {}
    for p in packets(file):
        if p["frame.len"] != p["frame.cap_len"]:
            wrong(file, "frame", p["frame.number"], "is cut off")
        if p["icmp.type"]:  # an error quotes the segment: its addresses come second
            src, dst = p["ip.src"].split(","), p["ip.dst"].split(",")
            if len(src) == 2 and (p["icmp.type"], p["icmp.code"]) == ("3", "13"):
                found[src[1], int(p["tcp.srcport"]), dst[1], int(p["tcp.dstport"])]["icmp"] += 1
            else:
                wrong(file, "frame", p["frame.number"], "is strange ICMP")
            continue
        if "1" != p["tcp.checksum.status"] or "1" != p["ip.checksum.status"]:
            wrong(file, "frame", p["frame.number"], "has a bad checksum")
        if p["tcp.analysis.lost_segment"] or p["tcp.analysis.ack_lost_segment"]:
            wrong(file, "frame", p["frame.number"], "comes after a lost one")
        flags = int(p["tcp.flags"], 16)
        key = p["ip.src"], int(p["tcp.srcport"]), p["ip.dst"], int(p["tcp.dstport"])
        if flags & (SYN | ACK) == SYN:
            found.setdefault(key, {"syn": 0, "synack": 0, "ack": 0, "rst": 0, "icmp": 0, "said": {}})["syn"] += 1
            continue
        back = key not in found
        s = found[key[2:] + key[:2] if back else key]
        if back and flags & SYN:
            s["synack"] += 1
        elif back and flags & RST and not s["synack"]:
            s["rst"] += 1
        elif not back and flags & ACK:
            s["ack"] += 1
        if p["tcp.payload"]:
            s["said"].setdefault(back, {})[int(p["tcp.seq_raw"])] = bytes.fromhex(p["tcp.payload"])
    return found


def outcome(s):
    return "handshake" if s["synack"] and s["ack"] else "refused" if s["rst"] else "unreachable" if s["icmp"] else "silent"


def said(s, back):
    """What one side said. Sequence numbers may wrap, retransmissions come under the same."""
    parts = s["said"].get(back, {})
    return b"".join(parts[n] for n in sorted(parts, key=lambda n: (n - next(iter(parts))) & 0xffffffff))


def codes(server):
    """The replies up to the first byte that is no text."""
    text = re.match(rb"(?:[\x20-\x7e]*\r\n)*", server)[0]
    return [int(c) for c in re.findall(rb"(?m)^([2-5][0-9][0-9])(?: |\r$)", text)]


def compare(name, file, want):
    got = streams(file)
    sessions = want["sessions"]
    order = [(s["client"], s["client_port"], s["server"], s["server_port"]) for s in sessions]
    if order != list(got):
        wrong(name, "has other connections, or in another order:", [k for k in order if k not in got], [k for k in got if k not in order])
        return
    for s, stream in zip(sessions, got.values()):
        who = f"{name} {s['client']}:{s['client_port']} ({s['name']})"
        if s["outcome"] != outcome(stream):
            wrong(who, "is", outcome(stream), "and not", s["outcome"])
        if s["replies"] != codes(said(stream, True)):
            wrong(who, "has the replies", codes(said(stream, True)), "and not", s["replies"])
        client = said(stream, False)
        for what, count, pattern in (("senders", len(s["senders"]), rb"(?i)^mail +from:"), ("recipients", s["rcpts"], rb"(?i)^rcpt +to:")):
            # Some are in bodies: never fewer, and as many but in those that say so.
            n = len(re.findall(rb"(?m)" + pattern, client))
            if n < count or n > count and not re.search("body|BDAT|not ended", s["name"]):
                wrong(who, "has", n, what, "and not", count)
        if s["helo"] and not re.search(rb"(?im)^(ehlo|helo) " + re.escape(s["helo"].encode()) + rb"\r?$", client):
            wrong(who, "never says", s["helo"])
        if s["tls"] != bool(re.search(rb"\x16\x03[\x00-\x04]", client)):
            wrong(who, "has a TLS handshake, or not")
        if s["sni"] and s["sni"].encode() not in client:
            wrong(who, "has no SNI", s["sni"])
        if s["messages_clear"] > s["replies"].count(250) or s["messages"] > s["messages_clear"] and not s["tls"]:
            wrong(who, "has", s["messages"], "messages, which is too many")
    for client, n in want.get("sources", {}).items():
        mine = [v for k, v in got.items() if k[0] == client]
        ends = [outcome(v) for v in mine]
        seen = {"attempts": len(mine), "handshakes": ends.count("handshake"), "refused": ends.count("refused"),
                "unreachable": ends.count("unreachable"), "silent": ends.count("silent")}
        if seen != n:
            wrong(name, client, "is", seen, "and not", n)
    ends = [outcome(v) for v in got.values()]
    print(f"{name}: {len(got)} attempts, {sum(v['syn'] for v in got.values())} SYNs, {ends.count('handshake')} handshakes, "
          f"{sum(len(s['replies']) for s in sessions)} replies, {sum(s['messages'] for s in sessions)} messages, "
          f"{sum(s['messages_clear'] for s in sessions)} of them in clear")


with open(os.path.join(sys.argv[1], "truth.json")) as f:
    for name, want in json.load(f).items():
        compare(name, os.path.join(sys.argv[1], name), want)
sys.exit(problems > 0)
