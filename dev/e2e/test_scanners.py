"""What checkers that others have written say of the running site, and what of OWASP ASVS no other test proves."""

import json
import re
import socket
from collections import Counter
from urllib.parse import urlsplit

import pytest

from support.browser import sign_in
from support.leaky_site import LeakySite
from support.outside_checkers import INFORMATIONAL, Scan, judge_headers
from support.site import Site
from support.visitor import Visitor

# What wapiti may say of this site, by (kind, path, parameter), and why it is no error: docs/SECURITY.md says the same.
EXPLAINED = {
    ("Secure Flag cookie", "/", ""): "at http on loopback no cookie asks for TLS, since WebKit would keep none; behind TLS: test_headers.py",
}
# What drHEADer may say of a reply, by its rule, and why that is no error: docs/SECURITY.md says the same.
EXPLAINED_HEADERS = {
    "Cache-Control": "it wants max-age=0 beside no-store, which keeps nothing that could have an age; static files are kept on purpose",
    "Referrer-Policy": "same-origin tells nobody else anything, and `no-referrer` would make forms come from the origin null",
    "X-XSS-Protection": "for browsers of before 2020, where it made holes of its own",
    **{
        f"Set-Cookie - {name}": "not Secure at http on loopback, where WebKit would keep none; behind TLS: test_headers.py"
        for name in ("wardpost", "wardpost-signin", "wardpost-pre-session")
    },
    "Cross-Origin-Embedder-Policy": "the content security policy lets nothing of others in; no page asks for isolation",
}


def unexplained(scan, explained=EXPLAINED):
    return sorted(
        f"{found.kind} {found.path} {found.parameter}: {found.text}"
        for found in scan.findings()
        if found.level > INFORMATIONAL and (found.kind, found.path, found.parameter) not in explained
    )


class Log:
    """What the site answers from now on, as its log has it at `debug`."""

    def __init__(self, site):
        self._site = site
        self._before = len(site.log_text().splitlines())

    def events(self):
        lines = self._site.log_text().splitlines()[self._before :]
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def answers(self):
        """How often each (method, path, status) was answered, numbers in paths as N."""
        return Counter(
            (event["method"], re.sub(r"/\d+", "/N", event["path"]), event["status"])
            for event in self.events()
            if event.get("message") == "answered"
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site that logs every answer."""
    site = Site(tmp_path_factory.mktemp("site") / "demo", web_environment={"WARDPOST_LOG": "info,wardpost_web=debug"})
    yield site
    site.stop()


def test_a_web_scanner_finds_nothing_in_what_a_stranger_sees(site, visitor, tmp_path):
    stranger, log = visitor(), Log(site)
    stranger.get("/emergency-access")
    scan = Scan(site.address, tmp_path, cookies=stranger.cookies, start=("/emergency-access", "/sign-in/callback?code=a&state=b"))
    assert not unexplained(scan), scan.said[-3000:]
    answers = log.answers()
    assert answers["POST", "/emergency-access", 403] > 30 and answers["GET", "/sign-in/callback", 400] > 30, answers
    assert answers["GET", "/sign-in/start", 303] > 30, answers


def test_a_web_scanner_finds_nothing_in_what_a_member_sees(site, visitor, tmp_path):
    amina, log = visitor("amina"), Log(site)
    # It ticks every box, and what is urgent has to be for somebody.
    visitor("noor")
    amina.send("For the scanner")
    scan = Scan(
        site.address, tmp_path, cookies=amina.cookies, start=("/messages", "/messages/new", "/audit", "/me", "/help"),
        # What ends the session, and what never ends.
        exclude=("/sign-out", "/me/sessions/*", "/messages/updates*"),
    )
    assert not unexplained(scan), scan.said[-3000:]
    assert amina.get("/messages").status_code == 200, "it was signed in to the end"
    answers = log.answers()
    # The scan is bounded in time: on a machine with nothing else to do, each of these is in the hundreds.
    assert answers["POST", "/messages", 303] > 2, answers
    assert answers["GET", "/audit", 200] > 30 and answers["POST", "/messages/N/delete", 303] > 0, answers
    for path in ("/messages", "/messages/N", "/messages/new", "/me", "/help", "/audit/export.csv"):
        assert answers["GET", path, 200] > 0, path
    assert not [key for key in answers if key[2] >= 500], answers
    assert site.command("audit", "verify").returncode == 0


def test_a_scanner_finds_holes_where_there_are_some(tmp_path):
    leaky = LeakySite()
    try:
        scan = Scan(leaky.address, tmp_path, seconds=20, modules=("cookieflags", "crlf", "csp", "csrf", "http_headers", "redirect", "xss"))
    finally:
        leaky.stop()
    kinds = {found.kind for found in scan.findings() if found.level > INFORMATIONAL}
    assert kinds >= {
        "Reflected Cross Site Scripting", "Open Redirect", "CRLF Injection", "Cross Site Request Forgery",
        "Content Security Policy Configuration", "Secure Flag cookie", "HttpOnly Flag cookie",
    }, kinds
    # What is explained of our site is a finding about this one.
    assert len(unexplained(scan, explained={})) >= len(kinds)


# ---- Headers ---------------------------------------------------------------------------------------------------------
def replies(site, visitor):
    """A reply of every kind there is, by its name, with its status."""
    amina, tomas, stranger = visitor("amina"), visitor("tomas"), visitor()
    number = amina.send("With an outside opinion")
    static = re.findall(r'(?:href|src)="(/static/[^"]+)"', stranger.get("/").text)
    asked = {
        "sign-in page": (200, stranger.get("/")),
        "authorization request": (303, stranger.get("/sign-in/start")),
        "callback of nobody": (400, stranger.get("/sign-in/callback?code=a&state=b")),
        "page for members, signed out": (303, visitor().get("/messages")),
        "page for scripts, signed out": (401, visitor().get("/session")),
        "form before a session": (200, visitor().get("/emergency-access")),
        "nothing there": (404, stranger.get("/no/such/page")),
        "wrong method": (405, stranger.request("PUT", "/messages")),
        "health": (200, stranger.get("/healthz")),
        "readiness": (200, stranger.get("/readyz")),
        **{path: (200, stranger.get(path)) for path in static},
        **{path: (200, amina.get(path)) for path in ("/messages", f"/messages/{number}", "/messages/new", "/audit", "/me", "/help")},
        "question before deleting": (200, amina.get(f"/messages/{number}/delete")),
        "time left": (200, amina.get("/session")),
        "bad address": (400, amina.get("/messages?before=abc")),
        "export": (200, amina.get("/audit/export.csv")),
        "export for programs": (200, amina.get("/audit/export.jsonl")),
        "live updates": (200, amina.request("GET", "/messages/updates?after=0", stream=True)),
        "bad form": (422, amina.post("/messages", key="ab" * 16, subject="", body="")),
        "stale form": (403, amina.post("/messages", csrf="0" * 64)),
        "somebody else's": (403, tomas.post(f"/messages/{number}/delete")),
        "signed out": (303, tomas.post("/sign-out")),
    }
    assert len(static) >= 3
    for what, (status, reply) in asked.items():
        assert reply.status_code == status, f"{what}: {reply.status_code}"
    # Only its head is looked at, and it has no end.
    asked["live updates"][1].close()
    return {what: reply for what, (_, reply) in asked.items()}


def test_an_outside_opinion_on_the_headers_of_every_kind_of_reply(site, visitor):
    asked = replies(site, visitor)
    told = set()
    for (what, reply), judged in zip(asked.items(), judge_headers(asked.values()), strict=True):
        for rule, severity, words in judged:
            told.add(rule)
            assert rule in EXPLAINED_HEADERS, f"{what}: {rule} ({severity}): {words}"
        stored = "public, max-age=31536000, immutable" if what.startswith("/static/") else "no-store"
        assert reply.headers["cache-control"] == stored, what
    assert told >= set(EXPLAINED_HEADERS), "an explanation that explains nothing has to go"


def test_the_outside_opinion_is_one(visitor):
    """What it says of a reply without any of these headers, and with a cookie for everybody."""
    class Bare:
        class raw:
            headers = {"content-type": "text/html", "set-cookie": "session=1; Path=/", "server": "x/1.0"}

    (judged,) = judge_headers([Bare])
    rules = {rule for rule, _, _ in judged}
    assert rules >= {"Content-Security-Policy", "Strict-Transport-Security", "X-Content-Type-Options", "Server", "Set-Cookie - session"}


def test_every_reply_says_what_it_is(site, visitor):
    for what, reply in replies(site, visitor).items():
        kind = reply.headers.get("content-type", "")
        if reply.status_code == 303:
            assert not kind, what
        elif kind == "application/json":
            json.loads(reply.text)
        elif kind == "image/svg+xml":
            assert reply.text.startswith("<svg"), what
        elif what == "live updates":
            # Always UTF-8: the type's own definition knows no other.
            assert kind == "text/event-stream", what
        else:
            assert re.fullmatch(r"(text/(html|plain|css|csv|javascript)|application/jsonl); charset=utf-8", kind), f"{what}: {kind}"


# ---- What else the standard asks for ---------------------------------------------------------------------------------
def test_trace_is_refused(visitor):
    for who in (visitor(), visitor("amina")):
        for path in ("/", "/messages", "/healthz"):
            reply = who.request("TRACE", path, headers={"X-Echo": "an-echo"})
            assert reply.status_code == 405 and "an-echo" not in reply.text


@pytest.mark.parametrize(
    ("framing", "statuses"),
    [
        ("Transfer-Encoding: chunked", [401, 200]),
        # With both, whatever comes after is answered by nobody: the connection is closed.
        ("Content-Length: {both}\r\nTransfer-Encoding: chunked", [401]),
        ("Transfer-Encoding: chunked\r\nContent-Length: {both}", [401]),
        ("Content-Length: 5\r\nContent-Length: {both}", [400]),
        ("Content-Length: {both}, 5", [400]),
        ("Transfer-Encoding: identity, x", [400]),
        ("Transfer-Encoding: chunked, x", [400]),
        ("Content-Length: +5", [400]),
    ],
)
def test_a_request_ends_where_the_protocol_says(framing, statuses, site):
    """A second request stands where only somebody who counts wrongly would take it for the first one's body."""
    address = urlsplit(site.address)
    host = f"Host: {address.netloc}\r\n"
    hidden = f"GET /healthz HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode()
    body = b"0\r\n\r\n" + hidden
    head = f"POST /sign-out HTTP/1.1\r\n{host}Content-Type: application/x-www-form-urlencoded\r\n{framing.format(both=len(body))}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answer)] == statuses, answer[:500]


def test_fields_that_a_form_does_not_have_change_nothing(visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    number = amina.send("Only what the form asks for")
    wanted = {
        "author": "2", "author_id": "2", "person": "2", "person_id": "2", "user_id": "2", "id": str(number), "number": "999",
        "created_at": "0", "at": "2001-01-01T00:00:00Z", "deleted": "1", "session": "1", "action": "LOGIN",
    }
    reply = tomas.post("/messages", key="cd" * 16, subject="With more than that", body="A body.", **wanted)
    assert reply.status_code == 303
    newest = tomas.find("With more than that")
    assert newest == number + 1
    page = tomas.get(f"/messages/{newest}").text
    assert f'action="/messages/{newest}/delete"' in page or f'href="/messages/{newest}/delete"' in page, "it is his own"
    assert "2001" not in page
    assert tomas.get(f"/messages/{number}").text.count("Only what the form asks for") >= 1, "hers is as it was"
    row = [row for row in amina.audit(action="MESSAGE_CREATE") if f'{newest}' in json.dumps(row["details"])][-1]
    assert row["user_id"] == [row for row in amina.audit(action="LOGIN")][-1]["user_id"]


def test_what_was_refused_is_in_the_log(own_site):
    """The first of each kind; what follows it within ten seconds is a number, and other tests flood."""
    site = own_site()
    amina, tomas = Visitor(site, "amina"), Visitor(site, "tomas")
    number = amina.send("Not for Tomas to delete")
    refused = [
        tomas.post(f"/messages/{number}/delete"),
        tomas.post("/messages", csrf="0" * 64),
        tomas.request("POST", "/messages", data={"csrf": tomas.csrf}, headers={"Origin": "https://evil.example"}),
        Visitor(site).get("/sign-in/callback?code=a&state=b"),
    ]
    assert [reply.status_code for reply in refused] == [403, 403, 403, 400]
    events = [json.loads(line) for line in site.log_text().splitlines() if line.startswith("{") and line.endswith("}")]
    told = {event.get("request_id") for event in events if event["level"] == "WARN"}
    for reply in refused:
        assert reply.headers["x-request-id"] in told, reply.request.url


def test_the_browser_keeps_nothing_but_the_choice_of_keys_and_where_the_list_stood(windows, site):
    page = sign_in(windows.window(site), "amina")
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Half written")
    page.get_by_label("Message", exact=True).fill("Of a patient")
    for path in ("/messages", "/audit", "/me", "/help"):
        page.goto(path)
    kept = page.evaluate(
        """async () => ({
            local: Object.keys(localStorage), session: {...sessionStorage},
            databases: (await indexedDB.databases()).length, caches: (await caches.keys()).length, cookies: document.cookie,
        })"""
    )
    assert set(kept.pop("local")) <= {"keys"}
    place = json.loads(kept.pop("session").pop("place"))
    assert (place.keys(), place["address"]) == ({"own", "address", "top"}, "/messages")
    assert kept == {"databases": 0, "caches": 0, "cookies": ""}
