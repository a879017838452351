"""The edge: nginx as `compose/edge/nginx.conf` has it, before the real site."""

import json
import ssl
import time

import pytest

from support.namespaces import connect
from support.waiting import wait_until

HSTS = "max-age=63072000; includeSubDomains"
# What testssl.sh says about this machine's OpenSSL, which knows neither; the edge offers AEAD ciphers alone.
ABOUT_ITSELF = {"engine_problem", "RC4"}


def plain(composed, request: bytes):
    """What port 80 answers."""
    with connect(("127.0.0.1", 80), composed.host.pid) as connection:
        connection.settimeout(10)
        connection.sendall(request)
        reply = b""
        while more := connection.recv(65536):
            reply += more
    return reply.decode()


def edge_log(composed):
    return [json.loads(line) for line in composed.logs("edge").splitlines() if line.startswith("{")]


def test_http_is_sent_to_https_with_its_path(composed):
    reply = plain(composed, b"GET /messages?page=2 HTTP/1.1\r\nHost: messages.clinic.example\r\nConnection: close\r\n\r\n")
    assert reply.startswith("HTTP/1.1 301 ")
    assert "\r\nLocation: https://messages.clinic.example/messages?page=2\r\n" in reply
    assert "Server: nginx\r\n" in reply, "no version"
    assert "\r\nCache-Control: no-store\r\n" in reply, "only a request by a false name is led there"


def test_only_the_machine_itself_may_ask_the_edge_how_it_is(composed):
    reply = plain(composed, b"GET /edge-alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert reply.startswith("HTTP/1.1 404 ")


def test_a_renewal_of_the_certificate_is_answered_over_http(composed):
    challenge = composed.certificates / "acme" / ".well-known" / "acme-challenge"
    challenge.mkdir(parents=True)
    (challenge / "token").write_text("answer")
    reply = plain(composed, b"GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert reply.startswith("HTTP/1.1 200 ") and reply.endswith("answer")


def test_every_reply_has_each_header_once_from_edge_and_site(composed):
    stranger = composed.stranger()
    from_the_site = stranger.get("/")
    from_the_edge = stranger.request("POST", "/", data=b"x" * (400 * 1024))
    assert (from_the_site.status_code, from_the_edge.status_code) == (200, 413)
    for reply in (from_the_site, from_the_edge):
        for name in ("strict-transport-security", "x-content-type-options", "x-frame-options", "content-security-policy"):
            assert len(reply.raw.headers.getlist(name)) == 1, (reply.status_code, name)
        assert reply.headers["strict-transport-security"] == HSTS
        assert reply.headers["server"] == "nginx", "no version"


def test_query_strings_are_in_no_log_of_the_edge(composed):
    secret = "what-nobody-should-read"
    composed.stranger().get(f"/sign-in/callback?code={secret}&state={secret}", headers={"Referer": f"https://x/?{secret}"})
    wait_until("it is logged", lambda: any(line["path"] == "/sign-in/callback" for line in edge_log(composed)))
    everything = composed.host.docker("logs", "wardpost-edge-1")
    assert secret not in everything.stdout + everything.stderr
    assert all("?" not in line["path"] for line in edge_log(composed))
    line = edge_log(composed)[-1]
    assert {"timestamp", "ip", "method", "path", "status", "request_id", "tls"} <= set(line)


def test_a_live_update_is_there_before_the_connection_ends(composed):
    amina, tomas = composed.member("amina"), composed.member("tomas")
    newest = amina.audit()[-1]["id"]
    updates = amina.updates(f"/messages/updates?after={newest}")
    number = tomas.send("Seen at once")
    event = next(event for event in updates if event["event"] == "created" or "Seen at once" in event["data"])
    assert str(number) in event["data"]
    # The stream is still open: another message comes the same way.
    began = time.monotonic()
    tomas.send("And again")
    assert "And again" in next(updates)["data"]
    assert time.monotonic() - began < 5


def test_a_body_out_of_all_proportion_is_refused_and_the_largest_form_is_not(composed):
    reply = composed.stranger().request("POST", "/sign-out", data=b"x" * (256 * 1024))
    assert reply.status_code != 413 or "nginx" not in reply.text, "the site speaks for itself about forms"


def test_a_member_is_told_apart_from_the_neighbours_by_the_session(composed):
    """A whole clinic has one address: what a stranger there uses up is not taken from those who are signed in."""
    stranger = composed.stranger()
    replies = [stranger.get("/healthz") for _ in range(150)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused, "ten a second, and forty at once"
    assert {reply.status_code for reply in replies} == {200, 429}
    assert refused[0].headers["retry-after"] == "10" and "Too many requests" in refused[0].text
    assert composed.member("amina").get("/messages").status_code == 200


def test_signing_in_is_limited_to_a_few_a_minute(composed):
    stranger = composed.stranger()
    replies = [stranger.get("/sign-in/start") for _ in range(20)]
    codes = [reply.status_code for reply in replies]
    assert codes[-1] == 429 and codes.count(303) <= 11, codes
    assert stranger.get("/healthz").status_code in (200, 429), "only signing in is closed"


@pytest.mark.parametrize("version, agreed", [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_tls_is_spoken_in_its_last_two_versions(composed, version, agreed):
    context = ssl.create_default_context(cafile=composed.authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    chosen = getattr(ssl.TLSVersion, version)
    if agreed:
        context.minimum_version = context.maximum_version = chosen
    else:
        with pytest.warns(DeprecationWarning):
            context.minimum_version = context.maximum_version = chosen
    with connect(("127.0.0.1", 443), composed.host.pid) as connection:
        if agreed:
            with context.wrap_socket(connection, server_hostname="localhost") as spoken:
                assert spoken.version() == version.replace("_", ".")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(connection, server_hostname="localhost")


def test_testssl_finds_nothing_above_low(composed, tmp_path):
    """Not even about the certificate: it is told of the tests' authority, as browsers know a real one."""
    # All but the simulation of old browsers, which finds nothing that these do not.
    looks = ["--std", "--fs", "--protocols", "--server-preference", "--server-defaults", "--headers", "--vulnerable"]
    options = ["--quiet", "--color=0", "--fast", "--nodns=none", "--ip=127.0.0.1", f"--add-ca={composed.authority}"]
    # It does not wait for a ticket, which TLS 1.3 sends after the handshake: on a busy machine that check is not made at once.
    for number in range(3):
        found = tmp_path / f"testssl-{number}.json"
        done = composed.host.run_beside(
            "testssl", *options, f"--jsonfile={found}", *looks, "127.0.0.1:443", check=False, seconds=240
        )
        findings = json.loads(found.read_text())
        if not any(finding["finding"] == "check failed because of connect problem" for finding in findings):
            break
    named = {finding["id"] for finding in findings}
    # It asks by number, and the site answers for its own name alone; every header that it looks for is there all the same.
    refused = [finding for finding in findings if "421" in finding["finding"] and finding["id"] == "HTTP_status_code"]
    assert refused, "the site answered under a name that is not its own"
    findings = [finding for finding in findings if finding not in refused]
    looked = {"TLS1_3", "HSTS_time", "heartbleed", "cipherlist_NULL", "cert_chain_of_trust", "ROBOT", "LUCKY13"}
    assert looked <= named, done.stdout[-2000:]
    grave = [
        f"{finding['severity']} {finding['id']}: {finding['finding']}"
        for finding in findings
        if finding["severity"] not in ("OK", "INFO", "LOW")
        and not (finding["severity"] == "WARN" and finding["id"] in ABOUT_ITSELF)
    ]
    assert grave == []
