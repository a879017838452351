"""Many clients of the edge at once, each with a TLS connection of its own, in one thread beside the test."""

import asyncio
import resource
import ssl
import struct
import threading
import time

from .namespaces import connect

# Sockets of a crowd, and files of everything else.
OPEN_FILES = 8192


class Client:
    """One connection. It sends `first`, then `drip` again and again, and reads until the other side ends it."""

    def __init__(self, first: bytes, drip: bytes = b"", every=1.0):
        self.first, self.drip, self.every = first, drip, every
        self.reply = bytearray()
        # On the clock of `time.monotonic`: when everything of `first` was sent, and when the other side ended it.
        self.began = self.ended = None
        self._writer = None

    @property
    def status(self):
        """What an HTTP/1.1 reply begins with; None where there is none."""
        return int(self.reply[9:12]) if self.reply.startswith(b"HTTP/1.1 ") else None

    async def live(self, connection, tls):
        try:
            reader, self._writer = await asyncio.open_connection(sock=connection, ssl=tls, server_hostname="localhost")
            dripping = asyncio.create_task(self._send())
            while data := await reader.read(65536):
                self.reply += data
            dripping.cancel()
        except OSError:
            pass
        finally:
            self.ended = time.monotonic()
            self.began = self.began or self.ended
            self.abort()

    async def _send(self):
        self._writer.write(self.first)
        # A large one is taken by and by, or its connection ends before.
        await self._writer.drain()
        self.began = time.monotonic()
        while self.drip:
            await asyncio.sleep(self.every)
            self._writer.write(self.drip)

    def send(self, more):
        self._writer.write(more)

    def abort(self):
        if self._writer:
            self._writer.transport.abort()


class Crowd:
    """Clients of a composed site's edge. All come from one address. To be used in a `with`."""

    def __init__(self, composed):
        self._composed = composed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._clients = []
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))

    def come(self, clients, per_second, protocol="http/1.1"):
        """Lets them connect one after the other, and does not wait for it."""
        self._clients += clients
        tls = ssl.create_default_context(cafile=self._composed.authority)
        tls.set_alpn_protocols([protocol])
        return asyncio.run_coroutine_threadsafe(self._come(clients, per_second, tls), self._loop)

    async def _come(self, clients, per_second, tls):
        living, start = [], time.monotonic()
        for number, client in enumerate(clients):
            await asyncio.sleep(max(0, start + number / per_second - time.monotonic()))
            connection = connect(("127.0.0.1", 443), self._composed.host.pid)
            connection.setblocking(False)
            living.append(asyncio.create_task(client.live(connection, tls)))
        await asyncio.gather(*living)

    def send(self, client, more: bytes):
        self._loop.call_soon_threadsafe(client.send, more)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        async def leave():
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(leave(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


# ---- HTTP/2, as far as it takes to begin requests and never end them ---------------------------------------------------
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def unfinished_streams(headers, body, count):
    """What one connection sends for so many requests, none of which ends. `headers(number)` gives names and values."""
    # All replies together are longer than what may come unasked.
    sent = PREFACE + frame(SETTINGS, 0, 0) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
    for number in range(count):
        # Literal fields that no table keeps, with plain lengths.
        fields = b"".join(
            b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
            for name, value in headers(number)
        )
        sent += frame(HEADERS, END_HEADERS, 2 * number + 1, fields) + frame(DATA, 0, 2 * number + 1, body)
    return sent


def ended_streams(received):
    """The numbers of the streams that the other side has answered to the end, or reset."""
    ended, at = set(), 0
    while at + 9 <= len(received):
        length = int.from_bytes(received[at : at + 3], "big")
        kind, flags, stream = struct.unpack(">BBI", received[at + 3 : at + 9])
        if kind == RESET or (kind in (DATA, HEADERS) and flags & END_STREAM):
            ended.add(stream)
        at += 9 + length
    return ended
