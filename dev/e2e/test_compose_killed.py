"""Programs killed, stopped and started again under compose; and a reboot."""

import json
import re
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

import pytest

from support.composed_site import PROGRAMS, UP_SECONDS
from support.namespaces import connect
from support.processes import ROOT
from support.secrets_init import parse_env
from support.visitor import TLS_SESSION_COOKIE
from support.waiting import wait_until

# What a container with a health check goes through before it counts as healthy, on two busy cores.
BACK_SECONDS = 60


def kill(composed, service):
    """kill -9 of the container's first process, as by the kernel's own hand: `docker kill` would be taken for a wish."""
    before = composed.container(service)
    composed.host.run_beside("kill", "-9", before["State"]["Pid"])
    return before


@pytest.mark.parametrize("service", [*PROGRAMS, "edge"])
def test_a_killed_program_comes_back_and_loses_nothing(composed, service):
    amina = composed.member("amina")
    number = amina.send(f"Before {service} is killed")
    before = kill(composed, service)
    wait_until(
        f"{service} is back",
        lambda: composed.container(service)["State"]["Pid"] not in (0, before["State"]["Pid"]) and composed.healthy(service),
        BACK_SECONDS,
    )
    after = composed.container(service)
    assert after["RestartCount"] == before["RestartCount"] + 1
    # The same session, the same message, and its row on its way again.
    assert amina.find(f"Before {service} is killed") == number
    wait_until(
        "every row is shipped",
        lambda: json.loads(composed.run_in("log-shipper", "log-shipper", "status", "--json").stdout)["lag_rows"] == 0,
        BACK_SECONDS,
    )


def test_the_keeper_killed_takes_no_secret_with_it(composed):
    """Its readers hold their own memory in place while they run."""
    before = kill(composed, "secrets-keeper")
    wait_until(
        "it is back", lambda: composed.container("secrets-keeper")["State"]["Pid"] not in (0, before["State"]["Pid"])
    )
    kill(composed, "web")
    wait_until("web is back", lambda: composed.healthy("web"), BACK_SECONDS)


def test_while_the_site_is_away_the_edge_says_so_and_when_to_ask_again(composed):
    composed.compose("stop", "web")
    reply = composed.stranger().get("/")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5") and "nginx" not in reply.text
    composed.up()
    assert composed.member("amina").get("/messages").status_code == 200


def half_a_message(composed, subject):
    """A form that is on its way to the site when it is asked to stop; gives the connection and what is still to come."""
    amina = composed.member("amina")
    body = f"csrf={amina.csrf}&key={'0' * 31}1&subject={subject}&body=Sent+in+two+halves".encode()
    head = (
        f"POST /messages HTTP/1.1\r\nHost: {urlsplit(composed.address).netloc}\r\n"
        f"Cookie: {TLS_SESSION_COOKIE}={amina.cookies[TLS_SESSION_COOKIE]}\r\nOrigin: {composed.address}\r\n"
        "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    # Past the edge, which would keep the form until it has all of it.
    connection = connect(("127.0.0.1", 8080), composed.host.pid)
    connection.settimeout(20)
    connection.sendall(head.encode() + body[:40])
    return connection, body[40:]


def listens(composed):
    """Whether web takes connections, asked in its own network; the engine's port would answer for it."""
    try:
        connect(("127.0.0.1", 8080), web_pid(composed)).close()
    except (OSError, ValueError):
        return False
    return True


def web_pid(composed):
    """Web's process as this side numbers it."""
    inside = composed.container("web")["State"]["Pid"]
    return composed.host.outside_number(inside)


def test_a_stop_lets_an_answer_in_flight_finish_and_everything_ends_by_itself(composed):
    assert listens(composed)
    connection, rest = half_a_message(composed, "drained")
    began = time.monotonic()
    stopping = threading.Thread(target=composed.compose, args=("stop",), kwargs={"seconds": 90})
    stopping.start()
    with connection:
        wait_until("web takes no more connections", lambda: not listens(composed))
        assert composed.container("web")["State"]["Running"], "it waits for what is in flight"
        connection.sendall(rest)
        reply = connection.recv(65536)
    assert reply.startswith(b"HTTP/1.1 303 "), reply[:200]
    stopping.join()
    assert time.monotonic() - began < 20, "nothing waited for its grace period to end"
    ended = {service: composed.container(service)["State"]["ExitCode"] for service in (*PROGRAMS, "edge")}
    assert set(ended.values()) == {0}, ended

    composed.up()
    assert composed.member("amina").find("drained")


def test_the_edge_is_stopped_although_somebody_watches_the_list(composed):
    """An open list would last for as long as a session."""
    tomas = composed.member("tomas")
    updates = tomas.updates(f"/messages/updates?after={tomas.audit()[-1]['id']}")
    composed.member("amina").send("Seen before the edge stops")
    assert any("Seen before the edge stops" in event["data"] for event in updates), "it is open"
    composed.compose("stop", "edge", seconds=90)
    assert composed.container("edge")["State"]["ExitCode"] == 0, "nobody had to kill it"
    updates.close()
    composed.up()


def serial(composed):
    """The number of the certificate that the edge shows."""
    context = ssl.create_default_context(cafile=composed.authority)
    port = urlsplit(composed.address).port
    with socket.create_connection(("localhost", port), timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]


def settled_serial(composed, before):
    """The number of another certificate than `before`, once it is shown to everybody: while nginx is told to read its
    files again, workers of before still answer."""

    def seen():
        shown = {serial(composed) for _ in range(10)}
        return shown.pop() if len(shown) == 1 and before not in shown else None

    return wait_until("the edge shows the new one", seen, BACK_SECONDS)


def test_a_new_certificate_is_taken_over_without_a_restart(composed):
    """As docs/INSTALL.md has it, under "A new certificate"."""
    page = (ROOT / "docs" / "INSTALL.md").read_text()
    command = re.search("docker compose (exec edge nginx .* -s reload)", page)[1].split()
    before, began = serial(composed), composed.container("edge")["State"]["StartedAt"]
    composed.renew_certificate()
    assert serial(composed) == before, "nobody has told nginx"
    composed.compose(*command)
    good = settled_serial(composed, before)
    assert composed.container("edge")["State"]["StartedAt"] == began

    chain = composed.certificates / "fullchain.pem"
    text = chain.read_text()
    chain.write_text("no certificate\n")
    try:
        assert composed.compose(*command, check=False).returncode != 0
        assert serial(composed) == good, "a bad file changes nothing"
    finally:
        chain.write_text(text)


def test_a_rotated_secret_is_taken_over(composed):
    """As the runbook has it: secrets-init once more, then the readers."""
    composed.change_secret(APP_SECRET="f" * 63 + "0")
    composed.compose("restart", *PROGRAMS)
    wait_until("all are back", lambda: all(map(composed.healthy, PROGRAMS)), BACK_SECONDS)
    written = composed.host.run_beside("cat", f"/proc/{composed.container('web')['State']['Pid']}/root/run/wardpost/env")
    # Not an `assert ==`: the failure's own words would say it.
    if parse_env(written.stdout).get("APP_SECRET") != composed.secret["APP_SECRET"]:
        raise AssertionError("web's env file holds the old secret")
    assert composed.member("amina").get("/messages").status_code == 200, "sessions do not hang on it"


def test_after_a_reboot_everything_is_as_it_was(composed):
    """Memory is empty then, and the engine starts containers in no order: the unit that compose/ brings calls `up`."""
    number = composed.member("amina").find("drained")
    composed.host.stop()
    composed.host.start()
    composed.reconnect()
    commands = re.findall("^ExecStart(?:Pre)?=(.*)$", (ROOT / "compose" / "wardpost-compose.service").read_text(), re.MULTILINE)
    assert len(commands) == 3, commands
    for command in commands:
        program, *arguments = command.replace("/opt/wardpost", str(composed.project.parent)).split()
        if program == "docker":
            composed.compose(*arguments[1:], seconds=UP_SECONDS)
        else:
            composed.host.run_beside(program, *arguments)
    assert all(map(composed.healthy, (*PROGRAMS, "edge")))
    assert "169.254.169.254" in composed.host.run_beside("iptables", "-S", "DOCKER-USER").stdout
    # Other tests find the rules as the engine leaves them.
    composed.host.run_beside("iptables", "--flush", "DOCKER-USER")
    assert composed.member("amina").find("drained") == number
    assert composed.member("amina").send("After the reboot")
    composed.run_in("web", "web", "audit", "verify")
    composed.run_in("log-shipper", "log-shipper", "verify")
