"""A visitor without a browser: quick to make, and able to send what no browser would."""

import html
import re
import secrets
import time
import weakref

import requests

from .people import PEOPLE
from .site import Site, parse_json_lines

# At http on loopback, where sites of tests are.
SESSION_COOKIE = "wardpost"
# Behind an edge that speaks TLS.
TLS_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"
# How long a stream of updates may say nothing while a test waits for the next one.
QUIET_SECONDS = 30


class Visitor:
    """Keeps cookies by hand, since `requests` shares them between the ports of a host, and follows no redirect."""

    def __init__(self, site: Site, person=None):
        self.site = site
        self.cookies = {}
        self._csrf = None
        self._http = requests.Session()
        # The environment's proxies and .netrc are not for loopback.
        self._http.trust_env = False
        # A socket that is left to the garbage collector is a warning, which fails whichever test runs then.
        weakref.finalize(self, self._http.close)
        if person:
            self.sign_in(person)

    def request(self, method, path, *, headers=None, **options):
        """`path` may be a whole address; cookies go to the site alone."""
        own = path.startswith("/")
        headers = dict(headers or {})
        if own and self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        url = self.site.address + path if own else path
        reply = self._http.request(method, url, headers=headers, allow_redirects=False, timeout=60, **options)
        self._http.cookies.clear()
        if own:
            for line in reply.raw.headers.getlist("set-cookie"):
                name, value = line.split(";")[0].split("=", 1)
                if value:
                    self.cookies[name] = value
                else:
                    self.cookies.pop(name, None)
        return reply

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def sign_in(self, person):
        """By way of the provider, which recognises a hint and shows no page."""
        away = self.get("/sign-in/start").headers["location"]
        back = self.get(f"{away}&login_hint={PEOPLE[person].email}").headers["location"]
        assert back.startswith(self.site.address), back
        landed = self.get(back.removeprefix(self.site.address))
        assert landed.status_code == 303, landed.text
        self._csrf = None

    @property
    def csrf(self):
        """The session's CSRF token, as the pages carry it."""
        if self._csrf is None:
            self._csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get("/help").text)[1]
        return self._csrf

    def post(self, path, **fields):
        """A form as this site's pages send it."""
        origin = {"Origin": self.site.address, "Sec-Fetch-Site": "same-origin"}
        return self.request("POST", path, data={"csrf": self.csrf, **fields}, headers=origin)

    def send(self, subject, body="A body."):
        """Sends a message and gives its number."""
        reply = self.post("/messages", key=secrets.token_hex(16), subject=subject, body=body)
        assert reply.status_code == 303, f"{reply.status_code}: {reply.text}"
        return self.find(subject)

    def find(self, subject):
        """The number of the newest message with this subject."""
        page = self.get("/messages").text
        for number, text in re.findall(r'href="/messages/(\d+)\?at=new"[^>]*>([^<]*)<', page):
            if html.unescape(text) == subject:
                return int(number)
        raise AssertionError(f"no message with the subject {subject!r} on the first page")

    def delete(self, number):
        reply = self.post(f"/messages/{number}/delete")
        assert reply.status_code == 303, f"{reply.status_code}: {reply.text}"

    def updates(self, path, **headers):
        """Opens a stream of server-sent events, and gives them one by one, each as a table of its fields; heartbeats, and
        that something of her duties may have changed, it keeps to itself."""
        reply = self.request("GET", path, headers=headers, stream=True)
        assert reply.status_code == 200, f"{reply.status_code}: {reply.text}"
        return self._events(reply)

    @staticmethod
    def _events(reply):
        last, fields = time.monotonic(), {}
        with reply:
            # The site sends a heartbeat every ten seconds, so that the deadline is looked at however quiet the stream is.
            for line in reply.iter_lines(decode_unicode=True):
                name, _, value = line.partition(":")
                if line:
                    fields[name] = value.strip()
                elif fields.get("event") in ("heartbeat", "duties"):
                    fields = {}
                elif "event" in fields:
                    yield fields
                    last, fields = time.monotonic(), {}
                quiet = time.monotonic() - last
                assert quiet < QUIET_SECONDS, f"{reply.url} sent nothing for {quiet:.0f} s, and something was expected"

    def audit(self, **query):
        """The rows of the log that a filter lets through, oldest first, as the export has them."""
        reply = self._http_export("jsonl", query)
        return parse_json_lines(reply.text)

    def _http_export(self, format_, query):
        reply = self.request("GET", f"/audit/export.{format_}", params=query)
        assert reply.status_code == 200, f"{reply.status_code}: {reply.text}"
        reply.encoding = "utf-8"
        return reply
