#!/usr/bin/env python3
"""dialogues.py plays the dialogues that record.sh records, and says what happened.

    dialogues.py servers            one line for each server: address, port, name, kind
    dialogues.py networks WHAT      the networks that are silent, or prohibited
    dialogues.py no-offload IFACE   lets the kernel send frames as they are on a wire
    dialogues.py play NAME CERT     plays the dialogues of NAME.pcap; writes sessions as JSON
    dialogues.py truth LOG NAME...  joins NAME.json with Postfix's log to truth.json

The bytes are written by hand and not by a library: they are what the captures are for.

truth.json has an object for each capture. Its "sessions" are all attempts to open a
connection, in the order of their first SYN:

    name              what the client was after
    client, client_port, server, server_port
    outcome           "handshake", "refused" (RST), "unreachable" (ICMP) or "silent"
    replies           codes of the replies that the client read in clear; one for a reply of
                      several lines, up to and with the one after which TLS began
    helo              name in the last HELO or EHLO in clear, "" if there was none
    senders           addresses of the MAIL commands in clear, "" is the null sender; also
                      those that were refused
    rcpts             how many RCPT commands in clear, also refused ones
    auth              for each AUTH in clear the code that ended it
    tls               whether TLS was established
    sni               server name in the TLS handshake, "" if there was none
    messages          how many messages Postfix took, by its own log
    accepted          their envelope senders, by its own log, in the order of the session
    messages_clear    how many of them were sent in clear
    accepted_clear    their envelope senders

"Command" means what Postfix took for one: lines in a message that look like commands do
not count, and lines behind an end of data that only Postfix sees do.

bot.pcap has "sources" too: for each client the attempts and how they ended.
"""

import base64
import fcntl
import json
import random
import re
import socket
import ssl
import struct
import sys
import threading
import time

WORKSTATION, COMPANY, BOT = "192.168.77.10", "192.168.77.25", "192.168.77.66"
NAME = "mail.example.org"  # of the company's mail server

# Who listens where. The kinds are explained by options() in record.sh.
SERVERS = [
    ("192.0.2.25", 25, "mx.example.net", "mx"),
    ("198.51.100.25", 25, "mx.example.com", "mx"),
    ("203.0.113.25", 25, "mx.harbor.example", "mx"),
    ("198.51.100.30", 25, "mx.banner.example", "banner"),
    ("198.51.100.31", 25, "mx.spamcop.example", "rbl-banner"),
    ("198.51.100.32", 25, "mx.zen.example", "rbl"),
    ("198.51.100.33", 25, "mx.sender.example", "sender"),
    ("198.51.100.34", 25, "mx.grey.example", "grey"),
    ("198.51.100.35", 25, "mx.small.example", "small"),
    ("198.51.100.36", 25, "mx.old.example", "old"),
    ("198.51.100.37", 25, "mx.helo.example", "helo-now"),
    ("198.51.100.38", 25, "mx.strict.example", "strict"),
    ("198.51.100.39", 25, "mx.rate.example", "rate"),
    ("198.51.100.40", 25, "mx.reverse.example", "reverse"),
    ("198.51.100.41", 25, "mx.hasty.example", "hasty"),
    ("203.0.113.30", 25, "mx.no-starttls.example", "no-starttls"),
    ("203.0.113.31", 25, "mx.no-certificate.example", "no-certificate"),
    ("203.0.113.32", 25, "mx.starttls-only.example", "starttls-only"),
    ("203.0.113.33", 465, "mx.plain465.example", "mx"),
    ("192.0.2.25", 587, "mx.example.net", "submission"),
    ("192.0.2.25", 465, "mx.example.net", "smtps"),
    ("192.0.2.26", 587, "denied.example.net", "submission-denied"),
]

# The bot's destinations: network, host, port, and what happens there. A kind of record.sh
# listens; "closed" has no listener; "silent" and "prohibited" are networks that cannot be
# reached. "spam" and "unknown" and "relay" are servers like any other, where the bot
# sends what is refused.
PLAN = """
198.18.3 17 25 mx          198.18.9 25 25 unknown     198.18.14 8 25 closed      198.18.22 40 25 rbl
198.18.27 5 25 grey        198.18.31 11 25 silent     198.18.38 25 25 unknown    198.18.44 2 25 helo
198.18.44 9 587 submission-denied                     198.18.52 77 25 closed     198.18.57 3 25 banner
198.18.63 14 25 relay      198.18.68 30 25 mx         198.18.75 6 465 closed     198.18.81 25 25 reverse
198.18.88 19 25 unknown    198.18.93 4 25 prohibited  198.18.99 12 25 grey       198.18.105 25 25 spam
198.18.110 8 25 closed     198.18.118 51 25 unknown   198.18.124 25 25 rbl       198.18.131 7 25 silent
198.18.137 16 25 helo      198.18.142 10 587 starttls-only                       198.18.150 25 25 relay
198.18.156 3 25 mx         198.18.163 22 25 sender    198.18.171 9 25 closed     198.18.176 25 25 grey
198.18.182 14 25 reverse   198.18.190 33 25 unknown   198.18.197 6 465 smtps-denied
198.18.204 25 25 banner    198.18.211 18 25 silent    198.18.219 5 25 mx         198.18.226 25 25 relay
198.18.233 12 587 closed   198.18.240 4 25 spam       198.18.248 25 25 unknown   198.19.5 8 25 prohibited
198.19.12 21 25 rbl-banner 198.19.19 25 25 helo       198.19.26 3 25 mx          198.19.33 15 25 closed
198.19.40 25 25 unknown    198.19.47 6 25 grey        198.19.54 11 587 submission-denied
198.19.61 25 25 reverse    198.19.68 9 25 silent      198.19.75 28 25 relay      192.0.2 60 25 unknown
198.51.100 60 25 spam      203.0.113 60 25 mx         203.0.113 61 465 closed    198.19.82 25 25 sender
198.18.3 18 25 mx          198.18.27 6 25 grey        198.18.110 9 25 closed     198.18.88 20 25 unknown
198.18.31 12 25 silent     198.18.93 5 25 prohibited  198.19.89 25 465 silent    198.19.96 7 25 rate
"""
WORDS = """acorn alder amber anchor apple aspen autumn badger barley basin beacon birch blossom bramble bridge
brook candle canyon cedar cherry clover cobble copper coral cotton creek crystal daisy delta dune eagle ember
fern field finch flint forest garden granite grove hazel heather heron hollow ivory jasper juniper lagoon lantern
larch laurel lemon lilac linden maple marble meadow mint misty""".split() + [
    "moss", "nettle", "oak", "olive", "onyx", "opal", "orchid", "osprey", "otter", "pebble", "pine", "plum"]
FORGED = ["alpine-bank.example", "blue-parcel.example", "city-lottery.example", "direct-loans.example", "fast-courier.example",
          "gold-invest.example", "home-invoice.example", "luxury-watch.example", "online-pharmacy.example", "web-billing.example"]
NO_LISTENER = ("closed", "silent", "prohibited")
LIKE_ANY_OTHER = ("unknown", "relay", "spam")


def plan():
    """The bot's destinations: address, port, name of the domain there, kind."""
    fields = PLAN.split()
    for i in range(0, len(fields), 4):
        yield f"{fields[i]}.{fields[i + 1]}", int(fields[i + 2]), WORDS[i // 4] + ".example", fields[i + 3]


def servers():
    for s in SERVERS:
        print(*s)
    for address, port, domain, kind in plan():
        if kind not in NO_LISTENER:
            print(address, port, "mx." + domain, "mx" if kind in LIKE_ANY_OTHER else kind)


def networks(what):
    for n in sorted({a.rsplit(".", 1)[0] for a, _, _, kind in plan() if kind == what}):
        print(n + ".0/24")


def no_offload(iface):
    """Clears checksumming, scatter-gather, TSO, GSO and GRO, as ethtool -K does."""
    import array
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for command in (0x15, 0x17, 0x19, 0x1f, 0x24, 0x2c):  # linux/ethtool.h: ETHTOOL_SRXCSUM and so on
        value = array.array("B", struct.pack("II", command, 0))
        request = struct.pack("16sP16x", iface.encode(), value.buffer_info()[0])
        try:
            fcntl.ioctl(s, 0x8946, request)  # SIOCETHTOOL
        except OSError:
            if command in (0x17, 0x1f):
                raise


class Player:
    """Plays the dialogues of one capture and collects what they did."""

    def __init__(self, first_port, cert):
        self.port = first_port
        self.cert = cert
        self.sessions = []

    def reserve(self, name, client, server, port=25):
        """The next session: its place in the order and its port are fixed here."""
        s = Session(name, client, self.port, server, port, self.cert)
        self.port += 1
        self.sessions.append(s)
        return s

    def open(self, name, client, server, port=25, greeting=True):
        s = self.reserve(name, client, server, port)
        s.connect()
        if s.outcome != "handshake":
            raise SystemExit(f"{name}: {server}:{port} is {s.outcome}")
        if greeting:
            s.read()
        return s


class Session:
    """One connection. What is sent through its named methods is counted for the truth."""

    def __init__(self, name, client, client_port, server, port, cert):
        self.name, self.client, self.client_port, self.server, self.server_port = name, client, client_port, server, port
        self.outcome = ""
        self.replies, self.helo_name, self.senders, self.rcpts, self.auths = [], "", [], 0, []
        self.tls, self.sni, self.cert = False, "", cert
        self.buffer = b""

    def truth(self):
        return {"name": self.name, "client": self.client, "client_port": self.client_port, "server": self.server,
                "server_port": self.server_port, "outcome": self.outcome, "replies": self.replies, "helo": self.helo_name,
                "senders": self.senders, "rcpts": self.rcpts, "auth": self.auths, "tls": self.tls, "sni": self.sni}

    # The connection.

    def connect(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # one send, one segment
        self.sock.settimeout(20)
        self.sock.bind((self.client, self.client_port))
        try:
            self.sock.connect((self.server, self.server_port))
            self.outcome = "handshake"
        except ConnectionRefusedError:
            self.outcome = "refused"
        except TimeoutError:
            self.outcome = "silent"
        except OSError:  # host or network unreachable
            self.outcome = "unreachable"
        if self.outcome != "handshake":
            self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def read(self, *want):
        """One reply. With codes, it must be one of these: then the server is set up wrongly."""
        while True:
            line = self.line()
            if line is None:
                raise SystemExit(f"{self.name}: {self.server} hung up after {self.replies}")
            if line[3:4] != b"-":
                break
        code = int(line[:3])
        if want and code not in want:
            raise SystemExit(f"{self.name}: {self.server} says {line!r}, and not {want}")
        if not self.tls:
            self.replies.append(code)
        return code

    def end(self):
        """Waits for the server to hang up, and does the same."""
        try:
            while self.sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
        self.sock.close()

    def quit(self):
        self.send(b"QUIT\r\n")
        self.read(221)
        self.end()

    def start_tls(self, sni="", version=None):
        """From here on all is encrypted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.cert)
        context.check_hostname = bool(sni)
        if version:
            context.maximum_version = version
        self.sock = context.wrap_socket(self.sock, server_hostname=sni or None)
        self.tls, self.sni = True, sni

    # Commands. The say_ methods count what they give and leave the sending to the caller,
    # so that several can go into one segment.

    def say_helo(self, name, verb="EHLO"):
        if not self.tls:
            self.helo_name = name
        return f"{verb} {name}\r\n".encode()

    def say_mail(self, address, more=""):
        if not self.tls:
            self.senders.append(address)
        return f"MAIL FROM:<{address}>{more}\r\n".encode()

    def say_rcpt(self, address):
        if not self.tls:
            self.rcpts += 1
        return f"RCPT TO:<{address}>\r\n".encode()

    def command(self, data, *want):
        if isinstance(data, str):
            data = data.encode() + b"\r\n"
        self.send(data)
        return self.read(*want)

    def helo(self, name, verb="EHLO", want=250):
        return self.command(self.say_helo(name, verb), want)

    def mail(self, address, more="", want=250):
        return self.command(self.say_mail(address, more), want)

    def rcpt(self, address, want=250):
        return self.command(self.say_rcpt(address), want)

    def data(self, body, want=250):
        self.command("DATA", 354)
        self.send(body + b".\r\n")
        return self.read(want)

    def auth(self, command, *lines):
        """AUTH and the lines that answer the server's challenges; keeps how it ended."""
        for line in (command,) + lines[:-1]:
            code = self.command(line, *[334] if lines else [])
        if lines:
            code = self.command(lines[-1])
        if not self.tls:
            self.auths.append(code)

    def message(self, sender, recipient, body=None):
        self.mail(sender)
        self.rcpt(recipient)
        self.data(body or letter(sender, recipient, secret=self.tls))


def letter(sender, recipient, subject="Delivery dates", text="Good morning,\r\n\r\nthe parts leave here on Thursday.\r\n", secret=False):
    """A message. Its Message-ID tells the log whether it went through TLS."""
    kind = "tls" if secret else "clear"
    local, domain = (sender or "mailer-daemon@example.org").lower().split("@")
    return (f"From: <{sender or 'mailer-daemon@example.org'}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
            f"Date: Mon, 6 Jan 2025 09:12:44 +0100\r\nMessage-ID: <{kind}.{local}@{domain}>\r\n\r\n{text}").encode()


def b64(text):
    return base64.b64encode(text.encode()).decode()


# deliveries.pcap

def deliveries(p):
    net, com, harbor = "192.0.2.25", "198.51.100.25", "203.0.113.25"

    s = p.open("one message", COMPANY, net)
    s.helo(NAME)
    s.message("anna@example.org", "info@example.net")
    s.quit()

    s = p.open("two messages in a session", COMPANY, com)
    s.helo(NAME)
    s.message("anna@example.org", "sales@example.com")
    s.message("bernd@example.org", "office@example.com")
    s.quit()

    s = p.open("several recipients, some refused", COMPANY, net)
    s.helo(NAME)
    s.mail("carla@example.org", " SIZE=400")
    s.rcpt("info@example.net")
    s.rcpt("nobody@example.net", 550)
    s.rcpt("friend@freemail.test", 554)
    s.rcpt("sales@example.net")
    s.data(letter("carla@example.org", "info@example.net"))
    s.quit()

    s = p.open("HELO, no EHLO", COMPANY, harbor)
    s.helo(NAME, "HELO")
    s.message("dora@example.org", "info@harbor.example")
    s.quit()

    s = p.open("pipelining: sender, recipients and DATA in one segment", COMPANY, com)
    s.helo(NAME)
    s.send(s.say_mail("emil@example.org") + s.say_rcpt("sales@example.com") + s.say_rcpt("support@example.com") + b"DATA\r\n")
    for want in (250, 250, 250, 354):
        s.read(want)
    s.send(letter("emil@example.org", "sales@example.com") + b".\r\nQUIT\r\n")
    s.read(250)
    s.read(221)
    s.end()

    s = p.open("8-bit body, two messages pipelined", COMPANY, harbor)
    s.helo(NAME)
    body = letter("frida@example.org", "info@harbor.example", text="Grüße aus der Fertigung, 30 °C\r\n")
    s.send(s.say_mail("frida@example.org", " BODY=8BITMIME") + s.say_rcpt("info@harbor.example") + b"DATA\r\n")
    for want in (250, 250, 354):
        s.read(want)
    # The next message begins in the segment that ends this one.
    s.send(body + b"\xff\x00\x80 raw\r\n.\r\n" + s.say_mail("gustav@example.org") + s.say_rcpt("office@harbor.example") + b"DATA\r\n")
    for want in (250, 250, 250, 354):
        s.read(want)
    s.send(letter("gustav@example.org", "office@harbor.example") + b".\r\n")
    s.read(250)
    s.quit()

    s = p.open("lines with dots, commands in the body", COMPANY, net)
    s.helo(NAME)
    s.message("hanna@example.org", "info@example.net", letter(
        "hanna@example.org", "info@example.net",
        text="..\r\n...\r\n..hidden\r\n.. \r\ndot at the end.\r\nMAIL FROM:<inside@example.org>\r\nRCPT TO:<info@example.net>\r\nDATA\r\nQUIT\r\n"
             "250 2.0.0 Ok: queued as 4ABC\r\nEHLO inside.example.org\r\n"))
    s.quit()

    s = p.open("end of data in three segments", COMPANY, com)
    s.helo(NAME)
    s.mail("ida@example.org")
    s.rcpt("info@example.com")
    s.command("DATA", 354)
    s.send(letter("ida@example.org", "info@example.com").rstrip(b"\r\n") + b"\r")
    time.sleep(0.05)
    s.send(b"\n.")
    time.sleep(0.05)
    s.send(b"\r\n")
    s.read(250)
    s.quit()

    s = p.open("BDAT in three chunks", COMPANY, net)
    s.helo(NAME)
    s.mail("jakob@example.org")
    s.rcpt("info@example.net")
    # The second chunk would end a message after DATA and begin another; here it is text.
    for more, chunk in (("", letter("jakob@example.org", "info@example.net")),
                        ("", b"\r\n.\r\nMAIL FROM:<inside@example.org>\r\nRCPT TO:<info@example.net>\r\nQUIT\r\n"),
                        (" LAST", b"the end, without a line break")):
        s.command(f"BDAT {len(chunk)}{more}\r\n".encode() + chunk, 250)
    s.quit()

    s = p.open("RSET between two senders", COMPANY, com)
    s.helo(NAME)
    s.mail("klara@example.org")
    s.rcpt("info@example.com")
    s.command("RSET", 250)
    s.message("ludwig@example.org", "info@example.com")
    s.quit()

    s = p.open("a bounce, from the null sender", COMPANY, harbor)
    s.helo(NAME)
    s.message("", "office@harbor.example")
    s.quit()

    s = p.open("VRFY, EXPN, NOOP, HELP, and no message", COMPANY, net)
    s.helo(NAME)
    s.command("VRFY nobody@example.net", 550)
    s.command("VRFY info@example.net", 252)
    s.command("EXPN staff", 500, 502)
    s.command("NOOP", 250)
    s.command("HELP", 214, 250, 500, 502)
    s.quit()

    s = p.open("lower case, blanks, parameters", COMPANY, com)
    s.send(s.say_helo(NAME).lower())
    s.read(250)
    s.senders.append("Martha@example.org")
    s.command("mail from: <Martha@example.org> size=300 body=7bit", 250)
    s.rcpts += 1
    s.command("rcpt  to: <info@example.com>", 250)
    s.command("data", 354)
    s.send(letter("Martha@example.org", "info@example.com") + b".\r\n")
    s.read(250)
    s.command("quit", 221)
    s.end()


# refusals.pcap

def refusals(p):
    s = p.open("banner 554, QUIT", COMPANY, "198.51.100.30")
    s.quit()

    s = p.open("banner 554, goes on regardless", COMPANY, "198.51.100.30")
    s.helo(NAME, want=503)
    s.mail("anna@example.org", want=503)
    s.rcpt("info@banner.example", want=503)
    s.command("DATA", 503)
    s.quit()

    s = p.open("banner 554 names a blocklist", COMPANY, "198.51.100.31")
    s.quit()

    s = p.open("blocklist at RCPT", BOT, "198.51.100.32")
    s.helo("10.0.0.36")
    s.mail("winner@city-lottery.example")
    s.rcpt("info@zen.example", want=554)
    s.quit()

    s = p.open("MAIL refused", COMPANY, "198.51.100.33")
    s.helo(NAME)
    s.mail("anna@gone.test", want=450)
    s.quit()

    s = p.open("MAIL refused, the rest pipelined", COMPANY, "198.51.100.33")
    s.helo(NAME)
    s.send(s.say_mail("anna@gone.test") + s.say_rcpt("info@sender.example") + b"DATA\r\n")
    for want in (450, 503, 503):
        s.read(want)
    s.quit()

    s = p.open("MAIL refused, then another sender", COMPANY, "198.51.100.33")
    s.helo(NAME)
    s.mail("anna@gone.test", want=450)
    s.message("anna@example.org", "info@sender.example")
    s.quit()

    s = p.open("recipients unknown", COMPANY, "192.0.2.25")
    s.helo(NAME)
    s.mail("bernd@example.org")
    s.rcpt("nobody@example.net", want=550)
    s.rcpt("no.one@example.net", want=550)
    s.command("RSET", 250)
    s.quit()

    s = p.open("relay denied", COMPANY, "198.51.100.25")
    s.helo(NAME)
    s.mail("bernd@example.org")
    s.rcpt("friend@freemail.test", want=554)
    s.quit()

    s = p.open("greylisted", COMPANY, "198.51.100.34")
    s.helo(NAME)
    s.mail("carla@example.org")
    s.rcpt("info@grey.example", want=450)
    s.quit()

    s = p.open("DATA refused: no valid recipients", COMPANY, "192.0.2.25")
    s.helo(NAME)
    s.mail("dora@example.org")
    s.rcpt("nobody@example.net", want=550)
    s.command("DATA", 554)
    s.quit()

    s = p.open("DATA refused, pipelined", COMPANY, "192.0.2.25")
    s.helo(NAME)
    s.send(s.say_mail("dora@example.org") + s.say_rcpt("nobody@example.net") + b"DATA\r\n")
    for want in (250, 550, 554):
        s.read(want)
    s.command("RSET", 250)
    s.message("dora@example.org", "info@example.net")
    s.quit()

    s = p.open("DATA without MAIL", COMPANY, "192.0.2.25")
    s.helo(NAME)
    s.command("DATA", 503)
    s.rcpt("info@example.net", want=503)
    s.quit()

    s = p.open("end of data refused: too large", COMPANY, "198.51.100.35")
    s.helo(NAME)
    s.mail("emil@example.org")
    s.rcpt("info@small.example")
    s.data(letter("emil@example.org", "info@small.example", text="a line of a drawing that is far too large\r\n" * 60), want=552)
    s.quit()

    s = p.open("MAIL refused: says itself that it is too large", COMPANY, "198.51.100.35")
    s.helo(NAME)
    s.mail("emil@example.org", " SIZE=90000", want=552)
    s.quit()

    s = p.open("end of data refused: looks like spam, then a clean one", COMPANY, "192.0.2.25")
    s.helo(NAME)
    s.mail("frida@example.org")
    s.rcpt("info@example.net")
    s.data(letter("frida@example.org", "info@example.net", subject="Re: cheap meds"), want=550)
    s.message("frida@example.org", "info@example.net")
    s.quit()

    s = p.open("EHLO refused, then HELO", COMPANY, "198.51.100.36")
    s.helo(NAME, want=500)
    s.helo(NAME, "HELO")
    s.message("gustav@example.org", "info@old.example")
    s.quit()

    s = p.open("HELO name refused, then a better one", COMPANY, "198.51.100.37")
    s.helo("localhost", want=504)
    s.helo("mail.example.org")
    s.message("hanna@example.org", "info@helo.example")
    s.quit()

    s = p.open("too many errors", COMPANY, "198.51.100.38")
    s.helo(NAME)
    s.mail("ida@example.org")
    for _ in range(4):
        s.rcpt("nobody@strict.example", want=550)
    s.read(421)
    s.end()

    s = p.open("first of two connections", COMPANY, "198.51.100.39")
    s.quit()
    s = p.open("banner 421: too many connections", COMPANY, "198.51.100.39")
    s.end()

    s = p.open("client without a name", WORKSTATION, "198.51.100.40")
    s.helo("pc10.example.org")
    s.mail("jakob@example.org")
    s.rcpt("info@reverse.example", want=450)
    s.quit()

    s = p.open("the server waits no longer: 421", COMPANY, "198.51.100.41")
    s.helo(NAME)
    s.mail("klara@example.org")
    s.read(421)
    s.end()

    s = p.open("not SMTP at all", WORKSTATION, "192.0.2.25")
    s.send(b"GET / HTTP/1.1\r\nHost: mx.example.net\r\n\r\n")
    s.read(221)
    s.end()

    s = p.open("the client hangs up in the message", WORKSTATION, "198.51.100.25")
    s.helo("pc10.example.org")
    s.mail("ludwig@example.org")
    s.rcpt("info@example.com")
    s.command("DATA", 354)
    s.send(letter("ludwig@example.org", "info@example.com"))
    s.sock.shutdown(socket.SHUT_WR)
    s.end()


# tls.pcap

def tls(p):
    net = "192.0.2.25"

    s = p.open("STARTTLS, a message inside", COMPANY, net)
    s.helo(NAME)
    s.command("STARTTLS", 220)
    s.start_tls("mx.example.net")
    s.helo(NAME)
    s.message("anna@example.org", "info@example.net")
    s.quit()

    s = p.open("STARTTLS with TLS 1.2, no SNI", COMPANY, "198.51.100.25")
    s.helo(NAME)
    s.command("STARTTLS", 220)
    s.start_tls(version=ssl.TLSVersion.TLSv1_2)
    s.helo(NAME)
    s.message("bernd@example.org", "info@example.com")
    s.quit()

    s = p.open("a message in clear, then STARTTLS and another", COMPANY, net)
    s.helo(NAME)
    s.message("carla@example.org", "info@example.net")
    s.command("STARTTLS", 220)
    s.start_tls("mx.example.net")
    s.helo(NAME)
    s.message("dora@example.org", "info@example.net")
    s.message("emil@example.org", "sales@example.net")
    s.quit()

    s = p.open("STARTTLS required", COMPANY, "203.0.113.32")
    s.helo(NAME)
    s.mail("frida@example.org", want=530)
    s.command("STARTTLS", 220)
    s.start_tls()
    s.helo(NAME)
    s.message("frida@example.org", "info@starttls-only.example")
    s.quit()

    s = p.open("STARTTLS not known, goes on in clear", COMPANY, "203.0.113.30")
    s.helo(NAME)
    s.command("STARTTLS", 502)
    s.message("gustav@example.org", "info@no-starttls.example")
    s.quit()

    s = p.open("STARTTLS refused for now, goes on in clear", COMPANY, "203.0.113.31")
    s.helo(NAME)
    s.command("STARTTLS", 454)
    s.message("hanna@example.org", "info@no-certificate.example")
    s.quit()

    s = p.open("STARTTLS with a parameter, then without", COMPANY, net)
    s.helo(NAME)
    s.command("STARTTLS now", 501)
    s.command("STARTTLS", 220)
    s.start_tls("mx.example.net")
    s.quit()

    s = p.open("a command behind STARTTLS in one segment", COMPANY, net)
    s.helo(NAME)
    s.command(b"STARTTLS\r\nNOOP\r\n", 220)  # Postfix throws away what is not encrypted (CVE-2011-0411)
    s.start_tls("mx.example.net")
    s.helo(NAME)
    s.message("ida@example.org", "info@example.net")
    s.quit()

    s = p.open("STARTTLS agreed, but plain text follows", WORKSTATION, net)
    s.helo("pc10.example.org")
    s.command("STARTTLS", 220)
    s.send(b"NOOP and something that is no TLS record\r\n")
    s.end()

    s = p.open("TLS from the first byte", WORKSTATION, net, 465, greeting=False)
    s.start_tls("mx.example.net")
    s.read(220)
    s.helo("pc10.example.org")
    s.message("jakob@example.org", "info@example.net")
    s.quit()

    s = p.open("TLS 1.2 from the first byte", WORKSTATION, net, 465, greeting=False)
    s.start_tls("mx.example.net", version=ssl.TLSVersion.TLSv1_2)
    s.read(220)
    s.helo("pc10.example.org")
    s.quit()

    s = p.open("plain text to a server that waits for TLS", WORKSTATION, net, 465, greeting=False)
    s.send(s.say_helo("pc10.example.org"))
    s.end()

    s = p.open("a server with plain text on port 465", WORKSTATION, "203.0.113.33", 465)
    s.helo("pc10.example.org")
    s.message("klara@example.org", "info@plain465.example")
    s.quit()


# auth.pcap

USER, PASSWORD = "canaryuser7731", "canarypass9942"
PLAIN = b64(f"\0{USER}\0{PASSWORD}")


def auth(p):
    def opened(name, server="192.0.2.25", port=587):
        s = p.open(name, WORKSTATION, server, port)
        s.helo("pc10.example.org")
        return s

    def then_mail(s, sender):
        s.message(sender, "friend@freemail.test")
        s.quit()

    s = opened("AUTH PLAIN with the credentials")
    s.auth("AUTH PLAIN " + PLAIN)
    then_mail(s, "anna@example.org")

    s = opened("AUTH PLAIN, credentials on the next line")
    s.auth("AUTH PLAIN", PLAIN)
    then_mail(s, "bernd@example.org")

    s = opened("AUTH LOGIN")
    s.auth("AUTH LOGIN", b64(USER), b64(PASSWORD))
    then_mail(s, "carla@example.org")

    s = opened("AUTH LOGIN with the user")
    s.auth("AUTH LOGIN " + b64(USER), b64(PASSWORD))
    then_mail(s, "dora@example.org")

    s = opened("AUTH LOGIN, all lines in one segment")
    s.send(f"AUTH LOGIN\r\n{b64(USER)}\r\n{b64(PASSWORD)}\r\n".encode() + s.say_mail("emil@example.org") + s.say_rcpt("friend@freemail.test") + b"DATA\r\n")
    for want in (334, 334, 235, 250, 250, 354):
        s.read(want)
    s.auths.append(235)
    s.send(letter("emil@example.org", "friend@freemail.test") + b".\r\n")
    s.read(250)
    s.quit()

    s = opened("AUTH cancelled, then done")
    s.auth("AUTH LOGIN", b64(USER), "*")
    s.auth("AUTH PLAIN", "*")
    s.auth("AUTH PLAIN " + PLAIN)
    then_mail(s, "frida@example.org")

    s = opened("AUTH PLAIN fails, AUTH LOGIN fails", "192.0.2.26")
    s.auth("AUTH PLAIN " + PLAIN)
    s.auth("AUTH PLAIN", PLAIN)
    s.auth("AUTH LOGIN", b64(USER), b64(PASSWORD))
    s.mail("gustav@example.org")
    s.rcpt("friend@freemail.test", want=554)
    s.quit()

    s = opened("mechanisms that the server does not have")
    s.auth("AUTH CRAM-MD5")
    s.auth("AUTH XOAUTH2 " + b64(f"user={USER}\1auth=Bearer {PASSWORD}\1\1"))
    s.quit()

    s = opened("credentials that are no base64")
    s.auth(f"AUTH PLAIN {USER} {PASSWORD}")
    s.auth("AUTH LOGIN", f"{USER}!{PASSWORD}")
    s.quit()

    s = opened("AUTH not enabled, credentials all the same", "192.0.2.25", 25)
    s.auth("AUTH PLAIN " + PLAIN)
    s.auth("AUTH LOGIN")
    s.command(b64(USER), 500, 502)
    s.command(b64(PASSWORD), 500, 502)
    s.command(f"{USER} {PASSWORD}", 500, 502)
    s.message("hanna@example.org", "info@example.net")
    s.quit()

    s = opened("AUTH twice, and in the middle of a transaction")
    s.mail("ida@example.org")
    s.auth("AUTH PLAIN " + PLAIN)
    s.command("RSET", 250)
    s.auth("AUTH PLAIN " + PLAIN)
    s.auth("AUTH PLAIN " + PLAIN)
    then_mail(s, "jakob@example.org")


# smuggling.pcap

def smuggling(p):
    net = "192.0.2.25"
    inside = "mallory@example.org"  # sender of a message that the client hid in another
    ends = [("LF . LF", b"\n.\n"), ("LF . CR LF", b"\n.\r\n"), ("CR LF . LF", b"\r\n.\n")]
    no_ends = [("CR . CR", b"\r.\r"), ("CR LF . CR", b"\r\n.\r"), ("CR . CR LF", b"\r.\r\n"), ("LF . CR", b"\n.\r")]

    def begin(name, sender):
        s = p.open(name, WORKSTATION, net)
        s.helo("pc10.example.org")
        s.mail(sender)
        s.rcpt("info@example.net")
        s.command("DATA", 354)
        return s

    def body(sender):
        return letter(sender, "info@example.net").rstrip(b"\r\n")

    def hidden(s):
        return s.say_mail(inside) + s.say_rcpt("sales@example.net") + b"DATA\r\n" + letter(inside, "sales@example.net") + b".\r\n"

    for name, end in ends:
        s = begin(f"ended by {name}", "anna@example.org")
        s.send(body("anna@example.org") + end)
        s.read(250)
        s.quit()

    for name, end in ends:
        s = begin(f"ended by {name}, a second message behind it", "bernd@example.org")
        s.send(body("bernd@example.org") + end + hidden(s))
        for want in (250, 250, 250, 354, 250):
            s.read(want)
        s.quit()

    for name, end in no_ends:
        s = begin(f"not ended by {name}: all is one message", "carla@example.org")
        commands = f"MAIL FROM:<{inside}>\r\nRCPT TO:<sales@example.net>\r\nDATA\r\n".encode()
        s.send(body("carla@example.org") + end + commands + letter(inside, "sales@example.net") + b".\r\n")
        s.read(250)
        s.quit()

    s = begin("ended by LF . LF in three segments, a second message behind it", "dora@example.org")
    for part in (body("dora@example.org") + b"\n", b".", b"\n" + hidden(s)):
        s.send(part)
        time.sleep(0.05)
    for want in (250, 250, 250, 354, 250):
        s.read(want)
    s.quit()

    s = begin("two messages hidden behind one", "emil@example.org")
    s.send(body("emil@example.org") + b"\n.\r\n" + hidden(s)[:-5] + b"\n.\n" + hidden(s))
    for want in (250, 250, 250, 354, 250, 250, 250, 354, 250):
        s.read(want)
    s.quit()

    s = begin("ended by LF . LF, QUIT behind it", "frida@example.org")
    s.send(body("frida@example.org") + b"\n.\nQUIT\r\n")
    s.read(250)
    s.read(221)
    s.end()

    s = p.open("nothing but bare LF", WORKSTATION, net)
    for line in (s.say_helo("pc10.example.org"), s.say_mail("gustav@example.org"), s.say_rcpt("info@example.net")):
        s.command(line.replace(b"\r", b""), 250)
    s.command(b"DATA\n", 354)
    s.command(letter("gustav@example.org", "info@example.net").replace(b"\r", b"") + b".\n", 250)
    s.command(b"QUIT\n", 221)
    s.end()

    s = p.open("nothing but bare LF, two messages", WORKSTATION, net)
    s.command(s.say_helo("pc10.example.org").replace(b"\r", b""), 250)
    for sender in ("hanna@example.org", "ida@example.org"):
        s.send((s.say_mail(sender) + s.say_rcpt("info@example.net") + b"DATA\n").replace(b"\r", b""))
        for want in (250, 250, 354):
            s.read(want)
        s.command(letter(sender, "info@example.net").replace(b"\r", b"") + b".\n", 250)
    s.command(b"QUIT\n", 221)
    s.end()

    s = p.open("commands with bare LF, a body as it should be", WORKSTATION, net)
    for line in (s.say_helo("pc10.example.org"), s.say_mail("jakob@example.org"), s.say_rcpt("info@example.net")):
        s.command(line.replace(b"\r", b""), 250)
    s.command(b"DATA\n", 354)
    s.send(letter("jakob@example.org", "info@example.net") + b".\r\n")
    s.read(250)
    s.quit()

    def refused_data(name, sender):
        s = p.open(name, WORKSTATION, net)
        s.helo("pc10.example.org")
        s.send(s.say_mail(sender) + s.say_rcpt("nobody@example.net") + b"DATA\r\n")
        for want in (250, 550, 554):
            s.read(want)
        return s

    s = refused_data("DATA refused, the body comes all the same", "klara@example.org")
    s.send(b"Good morning\r\nthe parts leave here on Thursday\r\n.\r\n")
    s.read(500, 502)
    s.read(500, 502)
    s.read(221)  # to a line that does not begin with a letter Postfix says good bye
    s.end()

    s = refused_data("DATA refused, a body with header comes all the same", "ludwig@example.org")
    s.send(letter("ludwig@example.org", "nobody@example.net") + b".\r\n")
    s.read(221)  # to a line that looks like a header Postfix says good bye
    s.end()

    s = refused_data("DATA refused, the body holds commands", "martha@example.org")
    s.send(b"Good morning\r\nRSET\r\n" + hidden(s))
    for want in ((500, 502), 250, 250, 250, 354, 250):
        s.read(*(want if isinstance(want, tuple) else (want,)))
    s.quit()

    s = p.open("DATA, the refusal unread, and the body in one segment", WORKSTATION, net)
    s.helo("pc10.example.org")
    s.send(s.say_mail("nora@example.org") + s.say_rcpt("nobody@example.net") + b"DATA\r\nGood morning\r\nthe parts leave here on Thursday\r\n" +
           s.say_mail("inside@example.org") + b"QUIT\r\n")
    for want in ((250,), (550,), (554,), (500, 502), (500, 502), (503,), (221,)):
        s.read(*want)
    s.end()


# bot.pcap

HELO_NAMES = ["10.0.0.36", "10.0.0.45", "10.0.0.61", "10.0.0.74", "10.0.0.88", "10.0.0.102", "10.0.0.117", "10.0.0.131"]
STRANGERS = ["j.miller", "kate", "webshop2009", "peter.brandt", "qwe123", "m.rossi", "bookkeeper", "dentist"]
SUBJECTS = ["Your parcel is waiting", "Invoice 88213 overdue", "You have won", "Account suspended", "Loan approved today"]


def spam(domain, sender, recipient, subject):
    return letter(sender, recipient, subject, f"Dear customer,\r\n\r\nplease confirm within 24 hours:\r\nhttp://{domain}/confirm?id=77113\r\n\r\nThe {domain} team\r\n")


def one_spam(s, domain, kind, helo, sender, stranger, subject):
    """What the bot does at one destination. It takes each refusal and goes on to the next."""
    s.connect()
    if s.outcome != "handshake":
        return
    if kind == "smtps-denied":
        s.start_tls()
        s.read(220)
    elif s.read() != 220:
        return s.quit() if s.replies[-1] != 421 else s.end()
    s.helo(helo)
    if kind in ("submission-denied", "smtps-denied"):
        # A password that it found elsewhere.
        s.auth("AUTH LOGIN", b64("info@" + domain), b64("Summer2019"))
        return s.quit()
    if kind == "starttls-only":
        s.mail(sender, want=530)
        return s.quit()
    recipient = {"unknown": f"{stranger}@{domain}", "relay": "open.relay.test@freemail.test"}.get(kind, f"info@{domain}")
    if s.command(s.say_mail(sender)) != 250 or s.command(s.say_rcpt(recipient)) != 250:
        return s.quit()
    s.command("DATA", 354)
    s.send(spam(sender.split("@")[1], sender, recipient, "cheap meds" if kind == "spam" else subject) + b".\r\n")
    s.read(250, 550)
    s.quit()


def bot(p):
    rnd = random.Random(1869)  # the same bot each time
    jobs, now = [], 0.0
    destinations = list(plan())
    # Greylisted, it comes back; a second connection to the one that counts them is too many.
    destinations.insert(50, destinations[4])
    destinations.append(destinations[-1])
    previous = ""
    for i, (address, port, domain, kind) in enumerate(destinations):
        helo = "localhost" if i % 9 == 5 else rnd.choice([n for n in HELO_NAMES if n != previous])
        previous = helo
        forged = FORGED[i % len(FORGED)]
        sender = rnd.choice(["info", "noreply", "billing", "service", "claims", "m.weber"]) + "@" + ("gone.test" if kind == "sender" else forged)
        name = "spam: " + kind
        jobs.append((now, name, BOT, address, port, one_spam, (domain, kind, helo, sender, rnd.choice(STRANGERS), rnd.choice(SUBJECTS))))
        now += rnd.uniform(0.35, 0.75)
    for at, address, domain, sender in ((3.1, "192.0.2.25", "example.net", "anna"), (12.4, "198.51.100.25", "example.com", "bernd"),
                                        (21.9, "203.0.113.25", "harbor.example", "carla")):
        jobs.append((at, "company mail", COMPANY, address, 25, company_mail, (sender + "@example.org", "info@" + domain)))
    jobs.append((8.6, "workstation submits", WORKSTATION, "192.0.2.25", 587, submission, ()))

    threads, failures, begin = [], [], time.monotonic()
    for at, name, client, address, port, play, args in sorted(jobs, key=lambda job: job[0]):
        time.sleep(max(0.0, begin + at - time.monotonic()))
        s = p.reserve(name, client, address, port)
        t = threading.Thread(target=attempt, args=(failures, play, s, args))
        t.start()
        threads.append(t)
    for t in threads:
        t.join()
    if failures:
        raise SystemExit("\n".join(failures))


def attempt(failures, play, s, args):
    try:
        play(s, *args)
    except (Exception, SystemExit) as e:
        failures.append(f"{s.name} at {s.server}: {e!r}")


def company_mail(s, sender, recipient):
    s.connect()
    s.read(220)
    s.helo(NAME)
    s.message(sender, recipient)
    s.quit()


def submission(s):
    s.connect()
    s.read(220)
    s.helo("pc10.example.org")
    s.command("STARTTLS", 220)
    s.start_tls("mx.example.net")
    s.helo("pc10.example.org")
    s.command("AUTH PLAIN " + PLAIN, 235)
    s.message("dora@example.org", "friend@freemail.test")
    s.quit()


# The captures and the first client port of each: no port comes twice, so that Postfix's
# log can be joined by it.
CAPTURES = {"deliveries": (deliveries, 41000), "refusals": (refusals, 42000), "tls": (tls, 43000), "auth": (auth, 44000),
            "smuggling": (smuggling, 45000), "bot": (bot, 46000)}


def play(name, cert):
    dialogues, port = CAPTURES[name]
    p = Player(port, cert)
    dialogues(p)
    json.dump([s.truth() for s in p.sessions], sys.stdout)


def accepted(log):
    """The messages that Postfix took, by client and port: those that reached the queue
    manager, in the order in which smtpd began them. smtpd counts too, when a client goes:
    its number must be the same."""
    client, secret, sender, taken, counted = {}, {}, {}, {}, {}
    for line in open(log, encoding="utf-8", errors="replace"):
        if d := re.search(r"smtpd\[\d+\]: disconnect from \S*\[([\d.]+)\]:(\d+) (.*)", line):
            good = dict(re.findall(r"(\w+)=(\d+)", d[3]))  # data=1/2 is one of two
            counted[d[1], int(d[2])] = int(good.get("data", 0)) + (int(good.get("bdat", 0)) > 0)
        m = re.search(r"postfix/(smtpd|cleanup|qmgr)\[\d+\]: ([0-9A-Za-z]{10,}): (.*)", line)
        if not m:
            continue
        daemon, queue_id, text = m.groups()
        if daemon == "smtpd" and (c := re.match(r"client=\S*\[([\d.]+)\]:(\d+)", text)):
            client[queue_id] = c[1], int(c[2])
        elif daemon == "cleanup" and text.startswith("message-id="):
            secret[queue_id] = text.startswith("message-id=<tls.")
        elif daemon == "qmgr" and (f := re.match(r"from=<(.*)>, size=\d+, nrcpt=\d+ \(queue active\)", text)):
            sender[queue_id] = f[1]
    for queue_id in client:
        if queue_id in sender:
            taken.setdefault(client[queue_id], []).append((sender[queue_id], secret[queue_id]))
    if not sender.keys() <= client.keys():
        raise SystemExit("Postfix took mail from elsewhere")
    for session in taken.keys() | counted.keys():
        if counted.get(session) != len(taken.get(session, [])):
            raise SystemExit(f"{session}: smtpd counts {counted.get(session)} messages, the queue manager {taken.get(session)}")
    return taken


def truth(log, names):
    """truth.json, one line for each session, so that a change of it can be read."""
    taken = accepted(log)
    captures = []
    for name in names:
        with open(name + ".json") as f:
            sessions = json.load(f)
        for s in sessions:
            messages = taken.pop((s["client"], s["client_port"]), [])
            s["messages"], s["accepted"] = len(messages), [sender for sender, _ in messages]
            s["accepted_clear"] = [sender for sender, secret in messages if not secret]
            s["messages_clear"] = len(s["accepted_clear"])
        parts = ['"sessions": [\n' + ",\n".join("   " + json.dumps(s) for s in sessions) + "\n  ]"]
        if name == "bot":
            lines = []
            for client in (WORKSTATION, COMPANY, BOT):
                ends = [s["outcome"] for s in sessions if s["client"] == client]
                lines.append(f'   "{client}": ' + json.dumps({"attempts": len(ends), "handshakes": ends.count("handshake"), "refused": ends.count(
                    "refused"), "unreachable": ends.count("unreachable"), "silent": ends.count("silent")}))
            parts.append('"sources": {\n' + ",\n".join(lines) + "\n  }")
        captures.append(f' "{name}.pcap": {{\n  ' + ",\n  ".join(parts) + "\n }")
    if taken:
        raise SystemExit(f"Postfix took mail of nobody: {taken}")
    print("{\n" + ",\n".join(captures) + "\n}")


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    {"servers": servers, "networks": networks, "no-offload": no_offload, "play": play,
     "truth": lambda log, *names: truth(log, names)}[what](*args)
