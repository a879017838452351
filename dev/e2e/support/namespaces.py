"""Network namespaces: sockets that live in another one, and connections carried from one to the other.

A container engine of the tests' own has a network of its own, so that nothing on this machine changes. What the tests run
(moto, the provider, a browser) stays here; a carrier takes connections across."""

import ctypes
import os
import socket
import ssl
import threading

CLONE_NEWNET = 0x40000000
CHUNK = 65536
_libc = ctypes.CDLL(None, use_errno=True)


def in_namespace_of(pid, make):
    """What `make()` gives when it is called in the network of a process. A socket stays where it was made."""
    outcome = []

    def run():
        # Of this thread alone, which ends with it.
        with open(f"/proc/{pid}/ns/net", "rb") as namespace:
            if _libc.setns(namespace.fileno(), CLONE_NEWNET):
                outcome.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
                return
        try:
            outcome.append(make())
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


def connect(address, pid=None):
    """A connection, made in the network of a process, or in this one's."""

    def make():
        return socket.create_connection(address, timeout=10)

    connection = in_namespace_of(pid, make) if pid else make()
    connection.settimeout(None)
    return connection


class Carrier:
    """Listens in one network and connects in another. With a `tls` context it speaks TLS where it listens."""

    def __init__(self, connect, *, listen=("127.0.0.1", 0), pid=None, tls: ssl.SSLContext | None = None):
        def make():
            return socket.create_server(listen, backlog=128)

        self._listener = in_namespace_of(pid, make) if pid else make()
        self._connect = connect
        self._tls = tls
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        try:
            if self._tls:
                near = self._tls.wrap_socket(near, server_side=True)
            far = self._connect()
        except OSError:
            near.close()
            return
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()
        near.close()
        far.close()

    def stop(self):
        # close() alone leaves a thread that is in accept() there.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()


def _pump(source, target):
    """Everything from one side to the other, as it comes, until an end; the end is passed on."""
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
    except OSError:
        pass
    # A TLS connection cannot be half closed.
    how = socket.SHUT_RDWR if isinstance(target, ssl.SSLSocket) else socket.SHUT_WR
    try:
        target.shutdown(how)
    except OSError:
        pass
