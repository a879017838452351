"""A small site with the holes that a scanner must find: it shows that the scanner looks, and that its report is read."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

FRONT = """<!doctype html><title>Leaky</title><a href="/search?q=word">Search</a><a href="/go?to=/search">On</a>
<form method="post" action="/keep"><input name="text" value="a"><button>Keep</button></form>"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/go":
            return self._reply(302, "", {"Location": query.get("to", "/")})
        if address.path == "/search":
            return self._reply(200, f"<p>Nothing about {query.get('q', '')}</p>")
        return self._reply(200, FRONT)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._reply(200, "<p>Kept</p>")

    def _reply(self, status, page, headers=None):
        body = page.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": "visit=1", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class LeakySite:
    """Serves until it is stopped."""

    def __init__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
