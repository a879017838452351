"""The network between a browser and the site: a SOCKS proxy that a test stalls or cuts. Playwright's `set_offline` leaves
connections that are open as they are, and a dead network is one in which an open connection says nothing any more."""

import socket
import struct
import threading
from contextlib import contextmanager

CONNECT, REFUSED = b"\x05\x00\x00\x01" + bytes(6), b"\x05\x05\x00\x01" + bytes(6)
PIECE = 65536


class Network:
    """Give `proxy()` to a window. Everything passes until `stall()` or `cut()`, and again from `restore()` on."""

    def __init__(self):
        self._passing = threading.Event()
        self._passing.set()
        self._down = False
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def proxy(self):
        """Playwright's option of that name."""
        return {"server": f"socks5://127.0.0.1:{self._listener.getsockname()[1]}"}

    def stall(self):
        """Nothing gets through, and nobody is told: what is sent meanwhile arrives later, or never."""
        self._passing.clear()

    def cut(self):
        """Every connection breaks, and new ones are refused."""
        self._down = True
        self._break_all()

    def restore(self):
        """As before. What was stalled is lost with its connections, as when a computer changes networks."""
        self._break_all()
        self._down = False
        self._passing.set()

    def close(self):
        self._listener.close()
        self.cut()
        self._passing.set()

    def _break_all(self):
        """Wakes every thread that reads or writes; it closes what it has."""
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def _accept(self):
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(browser,), daemon=True).start()

    def _serve(self, browser):
        try:
            with self._tracked(browser):
                site = self._handshake(browser)
                if site is None:
                    return
                with self._tracked(site):
                    back = threading.Thread(target=self._pump, args=(site, browser), daemon=True)
                    back.start()
                    self._pump(browser, site)
                    back.join()
        except OSError:
            # The browser went away, or a test broke the connection.
            pass

    @contextmanager
    def _tracked(self, connection):
        with connection:
            with self._lock:
                self._open.add(connection)
            try:
                yield
            finally:
                with self._lock:
                    self._open.remove(connection)

    def _handshake(self, browser):
        """The part of RFC 1928 that Chromium speaks: no authentication, CONNECT to an IPv4 address or a name."""
        with browser.makefile("rb") as stream:
            _, methods = _exactly(stream, 2)
            _exactly(stream, methods)
            browser.sendall(b"\x05\x00")
            kind = _exactly(stream, 4)[3]
            host = socket.inet_ntoa(_exactly(stream, 4)) if kind == 1 else _exactly(stream, _exactly(stream, 1)[0]).decode()
            (port,) = struct.unpack("!H", _exactly(stream, 2))
        if self._down:
            browser.sendall(REFUSED)
            return None
        self._passing.wait()
        site = socket.create_connection((host, port))
        try:
            browser.sendall(CONNECT)
        except OSError:
            site.close()
            raise
        return site

    def _pump(self, source, target):
        try:
            while piece := source.recv(PIECE):
                self._passing.wait()
                target.sendall(piece)
        except OSError:
            pass
        # Whichever side ends, the other is told, and its thread wakes.
        _shut(source)
        _shut(target)


def _exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise ConnectionError("the browser went away")
    return data


def _shut(connection):
    """Closing alone does not wake a thread that reads."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is closed, or the other side has gone.
        pass
