"""Every reply carries the headers that keep a browser safe, whatever kind of reply it is."""

import gzip
import re
import socket
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import expect

from support.browser import begin_sign_in, sign_in
from support.outside_checkers import judge_headers
from support.visitor import Visitor

POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def policy(headers):
    """The content security policy as a table."""
    directives = (part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";") if part.strip())
    return {name: value for name, value in directives}


def check(reply, what, *, behind_tls=False):
    """The headers of controls A7, C2, C3 and D6, and no word about what is inside."""
    headers = reply.headers
    assert policy(headers) == POLICY, what
    assert headers["x-content-type-options"] == "nosniff", what
    assert headers["x-frame-options"] == "DENY", what
    assert headers["referrer-policy"] in ("no-referrer", "same-origin"), what
    age = re.match(r"max-age=(\d+)", headers["strict-transport-security"])
    assert age and int(age[1]) >= 31_536_000, what
    assert "camera=()" in headers["permissions-policy"], what
    assert headers["x-request-id"], what
    assert "access-control-allow-origin" not in headers, what
    assert not {"server", "x-powered-by"} & {name.lower() for name in headers}, what
    for line in reply.raw.headers.getlist("set-cookie"):
        # At http on loopback neither: WebKit would keep no such cookie.
        assert line.startswith("__Host-") == behind_tls, f"{what}: {line}"
        assert ("; Secure" in line) == behind_tls, f"{what}: {line}"
        for attribute in ("HttpOnly", "SameSite=Lax", "Path=/"):
            assert attribute in line, f"{what}: {line}"
        assert "domain" not in line.lower(), f"{what}: {line}"


def private(reply, what):
    assert "no-store" in reply.headers["cache-control"], what


SIGNED_OUT = [
    ("GET", "/", 200),
    ("HEAD", "/", 200),
    ("GET", "/sign-in/start", 303),
    ("GET", "/sign-in/callback?code=x&state=y", 400),
    ("GET", "/messages", 303),
    ("GET", "/messages/1", 303),
    ("GET", "/audit/export.csv", 303),
    ("GET", "/session", 401),
    ("GET", "/messages/updates?after=0", 401),
    ("POST", "/messages", 401),
    ("POST", "/sign-out", 401),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/no/such/page", 404),
    ("GET", "/static/no-such-file.css", 404),
    ("GET", "/messages/", 404),
    ("POST", "/help", 405),
    ("DELETE", "/messages/1", 405),
    ("PUT", "/", 405),
    ("OPTIONS", "/messages", 405),
    ("GET", "/sign-out", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), SIGNED_OUT)
def test_replies_to_a_stranger(method, path, status, site):
    form = {"data": {"csrf": "0" * 64}} if method == "POST" else {}
    reply = Visitor(site).request(method, path, **form)
    assert reply.status_code == status, reply.text
    check(reply, f"{method} {path}")
    private(reply, f"{method} {path}")
    if status == 405:
        assert reply.headers["allow"]


def test_behind_tls_every_cookie_is_secure_and_of_one_host(own_site):
    site = own_site(web_environment={"WARDPOST_PUBLIC_URL": "https://messages.clinic.example"})
    set_by = ["/sign-in/start", "/sign-in/callback?code=x&state=y", "/emergency-access"]
    for path in set_by:
        reply = Visitor(site).get(path, headers={"Host": "messages.clinic.example"})
        check(reply, path, behind_tls=True)
        assert reply.raw.headers.getlist("set-cookie"), path
        (judged,) = judge_headers([reply])
        assert not [found for found in judged if found[0].startswith("Set-Cookie")], judged


def test_replies_to_a_member(visitor):
    amina = visitor("amina")
    number = amina.send("With all headers")
    wanted = {
        "/messages": 200,
        "/messages?before=abc": 400,
        "/messages/new": 200,
        f"/messages/{number}": 200,
        f"/messages/{number}/delete": 200,
        "/messages/999999": 404,
        "/audit": 200,
        "/audit/export.csv": 200,
        "/audit/export.jsonl": 200,
        "/help": 200,
        "/session": 200,
        "/": 303,
    }
    for path, status in wanted.items():
        for method in ("GET", "HEAD"):
            reply = amina.request(method, path)
            assert reply.status_code == status, f"{method} {path}"
            check(reply, f"{method} {path}")
            private(reply, f"{method} {path}")
            if method == "HEAD":
                assert reply.content == b"", path


def test_forms_that_are_refused(visitor):
    amina = visitor("amina")
    form = {"csrf": amina.csrf, "key": "ab" * 16, "subject": "Refused", "body": "Refused"}
    own = {"Origin": amina.site.address, "Sec-Fetch-Site": "same-origin"}
    cases = [
        (403, {**form, "csrf": "0" * 64}, own),
        (403, {name: form[name] for name in form if name != "csrf"}, own),
        (403, form, {"Origin": "https://evil.example"}),
        (403, form, {"Sec-Fetch-Site": "cross-site"}),
        (403, form, {"Origin": "null"}),
        (422, {**form, "subject": ""}, own),
        (415, '{"subject": "json"}', {**own, "Content-Type": "application/json"}),
    ]
    for status, data, headers in cases:
        reply = amina.request("POST", "/messages", data=data, headers=headers)
        assert reply.status_code == status, (status, headers)
        check(reply, f"a form refused with {status}")
        private(reply, f"a form refused with {status}")
    assert "Refused" not in amina.get("/messages").text


@pytest.mark.parametrize("script", [True, False], ids=["with the script", "without"])
def test_a_text_that_is_far_too_long_for_a_form_is_answered_with_what_to_do(script, window):
    page = sign_in(window(java_script_enabled=script), "amina")
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Too long")
    page.get_by_label("Message", exact=True).fill("x" * 400_000)
    with page.expect_response(lambda response: response.request.method == "POST") as answered:
        page.get_by_role("button", name="Send to all staff").click()
    assert answered.value.status == 413
    if script:
        expect(page.get_by_role("alert")).to_contain_text("Not sent: it is too long. Make it shorter")
        assert len(page.get_by_label("Message", exact=True).input_value()) == 400_000
    else:
        expect(page.get_by_role("heading", name="That is too long")).to_be_visible()


def test_a_body_that_is_far_too_large_is_cut_off_and_the_site_stays_up(visitor, site):
    amina = visitor("amina")
    token = amina.csrf

    def endless():
        yield f"csrf={token}&body=".encode()
        for _ in range(1000):
            yield b"x" * 100_000

    try:
        reply = amina.request(
            "POST", "/messages", data=endless(), headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert reply.status_code == 413
    except requests.ConnectionError:
        pass  # The answer came before the body was through, and the connection was closed: as good.
    assert site.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["long header", "nonsense", "two lengths", "nul in path"],
)
def test_what_is_not_http_gets_no_page_and_does_no_harm(request_bytes, site):
    address = urlsplit(site.address)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        try:
            connection.sendall(request_bytes)
            answer = connection.recv(65536)
        except ConnectionError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 200") or b"Sign in" in answer
    assert b"panicked" not in answer
    assert site.get("/healthz").status_code == 200


def test_static_files_are_kept_forever_and_sent_compressed(site):
    page = site.get("/").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert re.search(r"\.[0-9a-f]{8,}\.(css|js|svg)$", address), address
        plain = site.get(address, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        check(plain, address)

        packed = site.get(address, headers={"Accept-Encoding": "gzip, br"}, stream=True)
        assert packed.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in packed.headers["vary"].lower()
        raw = packed.raw.read(decode_content=False)
        packed.close()
        assert gzip.decompress(raw) == plain.content
        check(packed, address)
    for script in ("<script>", "style=", "onclick=", "http://", "https://"):
        assert script not in page.replace(site.provider.address, ""), script


def test_error_pages_say_what_to_do_and_nothing_about_the_inside(visitor, site):
    amina = visitor("amina")
    replies = [site.get("/no/such/page"), amina.get("/messages/999999"), amina.request("PUT", "/messages")]
    for reply in replies:
        assert re.search(r"<a [^>]*href=\"/", reply.text), "there is a way on"
        assert reply.headers["x-request-id"] in reply.text
        assert not re.search(r"rust|warp|sqlite|src/|panick|thread|/tmp|/home|target/", reply.text, re.IGNORECASE)


def test_no_page_complains_about_its_policy(window, visitor):
    # The fixture fails a test whose pages broke the policy: this one only has to visit them all.
    number = visitor("amina").send("Visited")
    page = window()
    begin_sign_in(page, "outsider")
    sign_in(page, "amina")
    for path in ("/messages", f"/messages/{number}", f"/messages/{number}/delete", "/messages/new", "/audit", "/help", "/nowhere"):
        page.goto(path, wait_until="load")
        expect(page.get_by_role("main")).to_be_visible()


def test_an_inline_script_would_not_run(windows, window):
    # Shows that the policy is in force, and that the fixture would notice a page that breaks it.
    page = sign_in(window(), "amina")
    ran = page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = 'document.body.dataset.ran = "yes"';
            document.body.append(script);
            return document.body.dataset.ran ?? 'no';
        }"""
    )
    assert ran == "no"
    assert windows.errors and "Content Security Policy" in windows.errors[0]
    windows.errors.clear()


def test_a_request_id_of_a_stranger_is_not_believed(site):
    reply = site.get("/nowhere", headers={"X-Request-Id": "<script>forged"})
    assert "forged" not in reply.text and reply.headers["x-request-id"] != "<script>forged"
