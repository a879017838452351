"""The metadata service of a machine at AWS, which hands out the machine's role: who can ask it, and who cannot."""

import http.server
import threading

import pytest

from support.composed_site import PROGRAMS
from support.namespaces import connect, in_namespace_of
from support.processes import ROOT

ADDRESS = "169.254.169.254"


@pytest.fixture
def metadata(composed):
    """Something that answers there, behind the engine's machine as it is at AWS."""
    host = composed.host
    # A network of its own, which lives as long as this process.
    alone = host.outside_number(int(host.run_beside("sh", "-c", "unshare --net sleep infinity >/dev/null 2>&1 & echo $!").stdout))
    own = ["nsenter", f"--target={alone}", "--net", "--"]
    server = None
    try:
        host.run_beside("ip", "link", "add", "imds", "type", "veth", "peer", "name", "imds-far")
        host.run("nsenter", f"--target={host.pid}", "--net", "ip", "link", "set", "imds-far", "netns", alone)
        host.run_beside("sh", "-c", f"ip addr add 192.0.2.1/30 dev imds && ip link set imds up && ip route add {ADDRESS} dev imds")
        for command in ("addr add 192.0.2.2/30 dev imds-far", f"addr add {ADDRESS}/32 dev imds-far", "link set imds-far up"):
            host.run(*own, "ip", *command.split())
        server = in_namespace_of(alone, lambda: http.server.HTTPServer((ADDRESS, 80), http.server.BaseHTTPRequestHandler))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
    finally:
        if server:
            server.shutdown()
            server.server_close()
        host.run("kill", "-9", alone)
        host.run_beside("ip", "link", "del", "imds", check=False)


def may_ask(composed, service):
    process = composed.host.outside_number(composed.container(service)["State"]["Pid"])
    try:
        connect((ADDRESS, 80), process).close()
    except ConnectionRefusedError:
        return False
    return True


def test_the_site_and_the_edge_cannot_ask_for_the_machine_s_role(composed, metadata):
    assert all(may_ask(composed, service) for service in (*PROGRAMS, "edge")), "as the engine leaves it"
    for _ in range(2):
        # A second run finds its rules and adds none.
        composed.host.run_beside(ROOT / "compose" / "keep-metadata-from-site")
    rules = composed.host.run_beside("iptables", "-S", "DOCKER-USER").stdout
    assert rules.count(f"-d {ADDRESS}/32") == 1, rules
    allowed = {service: may_ask(composed, service) for service in (*PROGRAMS, "edge")}
    assert allowed == {"web": False, "edge": False, "log-shipper": True, "backup-worker": True}
