"""A small HTTP server on a free port of loopback, for stand-ins that must be able to misbehave."""

import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeServer:
    """Answers every request by `answer(request, body)`. With `open_after`, nobody listens for so many seconds."""

    def __init__(self, *, open_after=0):
        outer = self
        self._ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                try:
                    body = outer.read_body(self)
                    if body is not None:
                        outer.answer(self, body)
                except (BrokenPipeError, ConnectionResetError):
                    # The program may time out before we answer; that is what some tests are about.
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                # A connection that ends in the middle is the other side's right.
                pass

        self._server = Server(("127.0.0.1", 0), Handler, bind_and_activate=False)
        # The port is taken at once, and refuses connections until somebody listens.
        self._server.server_bind()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._timer = threading.Timer(open_after, self._open)
        self._timer.daemon = True
        if open_after:
            self._timer.start()
        else:
            self._open()

    def _open(self):
        self._server.server_activate()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def read_body(self, request):
        """The body of a request; none where it was broken off on purpose."""
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))

    def answer(self, request, body):
        raise NotImplementedError

    def hold(self, seconds):
        """Keeps a request waiting, but no longer than the test lasts."""
        self._ended.wait(seconds)

    def stop(self):
        self._ended.set()
        if self._timer.is_alive():
            self._timer.cancel()
        else:
            self._server.shutdown()
        self._server.server_close()


def reply(request, status, body=b"", **headers):
    """Sends an answer; a table becomes JSON."""
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    elif isinstance(body, str):
        body = body.encode()
    request.send_response(status)
    for name, value in {"Content_Type": "application/x-amz-json-1.1", **headers}.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def reset(request):
    """Ends the connection as a crashed machine does: without a word, by RST."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.shutdown(socket.SHUT_RD)
    request.connection.close()
    request.close_connection = True
