"""A thousand open lists while messages arrive: from the click on Send until every browser has it."""

import re
import secrets
import selectors
import socket
import time
from collections import defaultdict
from urllib.parse import urlsplit

import load
from figures import Floor, Table, with_spread

STREAMS = 1_000
# Between two messages, in seconds: longer than one takes to reach everybody.
PAUSE = 0.5
BODY = "Please+read+this+before+your+round.+" * 12


def measure(options, server, section):
    """Messages are sent one by one; each stream notes when it has got one. One process plays all browsers, so that its own
    time to look at a thousand sockets is in the figures."""
    before = load.memory_mb(server.pids)
    browsers = Browsers(server)
    try:
        used, started = load.cpu_seconds(server.pids), time.monotonic()
        messages = max(options.rounds * 4, 20)
        for _ in range(messages):
            browsers.send()
        cpu = (load.cpu_seconds(server.pids) - used) / (time.monotonic() - started)
        memory = load.memory_mb(server.pids)
    finally:
        browsers.close()
    times = browsers.times
    section.samples["streams / ms from send to browser, by message: p50, p99, last"] = times
    row = [f"{STREAMS:,}", messages] + [with_spread([one[n] for one in times], "{:,.1f}") for n in range(3)]
    row += [f"{cpu:.0%} of a core", f"{memory:.1f} ({memory - before:+.1f})"]
    section.floors.append(Floor(f"memory of the site with {STREAMS:,} open streams", memory, 64, " MB", at_most=True))
    section.tables.append(Table(
        "live updates", ["open streams", "messages", "p50 ms", "p99 ms", "last browser ms", "CPU", "memory MB"], [row],
        "From the request that sends a message, its commit included, to each browser. php-fpm has no peer for this: an open "
        "stream holds one of its processes.",
    ))


class Browsers:
    """STREAMS open streams, by the members in turn, and a connection that sends."""

    def __init__(self, server):
        self._server = server
        host = urlsplit(server.address)
        self._address = (host.hostname, host.port)
        self._selector = selectors.EpollSelector()
        self._buffers = defaultdict(bytes)
        # For each message the milliseconds until half, 99 of 100, and all of the streams had it.
        self.times = []
        self._streams = []
        newest = re.search(rb"/messages/updates\?after=(\d+)", load.get(server, "/messages"))[1].decode()
        for number in range(STREAMS):
            cookie = server.cookies[number % len(server.cookies)]
            stream = self._connect(f"GET /messages/updates?after={newest} HTTP/1.1", cookie, "")
            self._selector.register(stream, selectors.EVENT_READ)
            self._streams.append(stream)
        self._sender = self._connect(None, None, None)
        self._until_all(b"\r\n\r\n", "the stream's head")
        for stream in self._streams:
            if not self._buffers[stream].startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a stream was refused: {self._buffers[stream][:200]!r}")

    def _connect(self, line, cookie, body):
        connection = socket.create_connection(self._address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if line:
            connection.sendall(self._request(line, cookie, body))
        return connection

    def _request(self, line, cookie, body):
        form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{line}\r\nHost: {self._address[0]}:{self._address[1]}\r\nCookie: {cookie}\r\n{form}\r\n{body}".encode()

    def _until_all(self, mark, what, seconds=60):
        """Reads until every stream has got `mark`; gives when each did."""
        arrived, deadline = {}, time.monotonic() + seconds
        while len(arrived) < len(self._streams):
            if time.monotonic() > deadline:
                raise SystemExit(f"{len(self._streams) - len(arrived)} streams did not get {what} within {seconds} s")
            for key, _ in self._selector.select(1):
                stream = key.fileobj
                piece = stream.recv(65536)
                if not piece:
                    raise SystemExit(f"a stream ended, and was to get {what}")
                self._buffers[stream] += piece
                if stream not in arrived and mark in self._buffers[stream]:
                    arrived[stream] = time.monotonic()
        return list(arrived.values())

    def send(self):
        """Sends a message, and waits until everybody has it."""
        mark = f"update-{secrets.token_hex(8)}"
        body = f"csrf={self._server.csrf}&key={secrets.token_hex(16)}&subject={mark}&body={BODY}"
        self._buffers.clear()
        sent = time.monotonic()
        self._sender.sendall(self._request("POST /messages HTTP/1.1", self._server.cookie, body))
        after = sorted((at - sent) * 1000 for at in self._until_all(mark.encode(), "a message"))
        answer = self._sender.recv(65536)
        if not answer.startswith(b"HTTP/1.1 303"):
            raise SystemExit(f"a message was not sent: {answer[:200]!r}")
        self.times.append([after[len(after) // 2], after[int(len(after) * 0.99) - 1], after[-1]])
        time.sleep(PAUSE)

    def close(self):
        for connection in [*self._streams, self._sender]:
            connection.close()
