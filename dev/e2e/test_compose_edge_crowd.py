"""The edge and a thousand requests that never end, from the address of a clinic that has a thousand connections itself."""

import secrets
import time

from support import control_groups
from support.crowd import Client, Crowd, ended_streams, unfinished_streams
from support.waiting import wait_until

# The edge takes 100 requests a second from one address, and 400 at once: nothing is refused for coming too fast.
CLINIC_PER_SECOND, PER_SECOND, HTTP2_PER_SECOND = 120, 70, 0.2
STREAMS, IDLE = 40, 960
STEADY, TRICKLING, SILENT = 16, 384, 400
CONNECTIONS, STREAMS_EACH = 2, 100
# As large as the edge lets one be.
FORM = 320 * 1024
# The site gives a whole form 20 s, and 10 s for 4 KiB of it; then there is what is read after the answer.
LONGEST_SECONDS = 20 + 5 + 3
# What the edge may come to, of the 384 MiB that it has.
MOST_MEMORY = 96 << 20


def head(composed, method, path, session, more=""):
    host = composed.address.removeprefix("https://")
    cookie = f"Cookie: __Host-wardpost={session}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}{more}\r\n".encode()


def form(composed, sent, announced):
    """A form of which some bytes have not come yet. A made-up session is counted by itself."""
    more = (
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {announced}\r\n"
        f"Origin: {composed.address}\r\nSec-Fetch-Site: same-origin\r\n"
    )
    return head(composed, "POST", "/sign-out", secrets.token_hex(32), more) + b"x" * sent


def clinic(composed):
    """Who only looks and pauses, and lists that are open."""
    session = "__Host-wardpost"
    listening = [composed.member(person).cookies[session] for person in ("amina", "tomas")] * (STREAMS // 2)
    idle = [Client(head(composed, "GET", "/healthz", secrets.token_hex(32))) for _ in range(IDLE)]
    return idle, [Client(head(composed, "GET", "/messages/updates", session)) for session in listening]


def attackers(composed):
    steady = [Client(form(composed, 0, FORM), b"x" * 1024) for _ in range(STEADY)]
    trickling = [Client(form(composed, FORM - 1000, FORM), b"x", every=2) for _ in range(TRICKLING)]
    silent = [Client(form(composed, FORM - 1, FORM)) for _ in range(SILENT)]
    return steady + [client for pair in zip(trickling, silent) for client in pair] + silent[TRICKLING:]


def attackers_over_http2(composed):
    host = composed.address.removeprefix("https://")

    def headers(_):
        return (
            (":method", "POST"), (":scheme", "https"), (":authority", host), (":path", "/sign-out"),
            ("content-type", "application/x-www-form-urlencoded"), ("content-length", str(FORM)),
            ("origin", composed.address), ("sec-fetch-site", "same-origin"),
            ("cookie", f"__Host-wardpost={secrets.token_hex(32)}"),
        )  # fmt: skip

    return [Client(unfinished_streams(headers, b"x" * 1024, STREAMS_EACH)) for _ in range(CONNECTIONS)]


def all_streams_ended(client):
    return len(ended_streams(client.reply)) == STREAMS_EACH


def test_a_thousand_forms_that_never_end_take_nothing_from_the_clinic_at_the_same_address(composed):
    amina = composed.member("amina")
    amina.send("Before all of them")
    edge = composed.container("edge")["State"]
    with Crowd(composed) as crowd:
        idle, listening = clinic(composed)
        crowd.come(listening + idle, CLINIC_PER_SECOND)
        wait_until("a clinic is there", lambda: all(client.reply for client in idle + listening), 60)
        refused = [client.status for client in idle + listening if client.status != 200]
        assert not refused, "a clinic of a thousand is let in"

        over_http2 = attackers_over_http2(composed)
        one_by_one = attackers(composed)
        crowd.come(one_by_one, PER_SECOND)
        crowd.come(over_http2, HTTP2_PER_SECOND, "h2")
        sent = 0
        deadline = time.monotonic() + len(one_by_one) / PER_SECOND + LONGEST_SECONDS
        while not (all(client.ended for client in one_by_one) and all(map(all_streams_ended, over_http2))):
            left = [client for client in one_by_one if not client.ended]
            assert time.monotonic() < deadline, f"{len(left)} forms are still on their way"
            amina.send(f"In the middle of it, {sent}")
            sent += 1
            # Sending and looking are two of the ten requests a second that a session has.
            time.sleep(0.5)
        assert sent > 5

        longest = max(client.ended - client.began for client in one_by_one)
        assert longest < LONGEST_SECONDS, "each form has its time, however steadily it comes"
        # Their own connections are all there, and do what they are for.
        assert not [client for client in idle + listening if client.ended]
        amina.send("After all of them")
        wait_until("open lists get it", lambda: all(b"After all of them" in client.reply for client in listening))
        before = [len(client.reply) for client in idle[:50]]
        for client in idle[:50]:
            crowd.send(client, client.first)
        wait_until("the others still ask", lambda: all(len(client.reply) > had for client, had in zip(idle, before)))

    for service in ("edge", "web"):
        assert control_groups.killed_for_memory(composed, service) == 0, service
    assert composed.container("edge")["State"]["StartedAt"] == edge["StartedAt"]
    most = control_groups.most_memory(composed, "edge")
    assert most < MOST_MEMORY, f"{most >> 20} MiB"
