"""Load on a server, by wrk with one thread, and what the server used meanwhile."""

import json
import os
import re
import secrets
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tools import HERE, tool, tool_environment

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Requests a second, milliseconds, the server's microseconds of CPU for each request, and its memory in MB: what is
    its own plus its part of what it shares (PSS), over all of its processes."""

    rate: float
    p50: float
    p99: float
    cpu: float
    memory: float


def put(server, kind, connections, seconds, target=""):
    """Loads `server` with requests of a kind, a `get` of the target; see load.lua. Whatever is no success fails the bench."""
    settings = {"KIND": kind, "TARGET": target, "COOKIES": " ".join(server.cookies), "CSRFS": " ".join(server.csrfs)}
    settings |= {"NEWEST": str(server.newest), "PREFIX": secrets.token_hex(4)}
    command = [tool("usr/bin/wrk"), "--latency", "-t", "1", "-c", connections, "-d", f"{seconds}s", "-s", HERE / "load.lua", server.address]
    before, sent_before = cpu_seconds(server.pids), settled_newest(server) if kind == "send" else 0
    ran = subprocess.run(list(map(str, command)), env=tool_environment(**settings), check=True, capture_output=True, text=True)
    used = cpu_seconds(server.pids) - before
    said = json.loads(ran.stdout.splitlines()[-1])
    if said["refused"] or said["broken"] or not said["requests"]:
        raise SystemExit(f"{server.name}, {kind}, {connections} connections: {said['refused']} of {said['requests']} requests were "
                         f"refused and {said['broken']} connections broke\n{server.log_text()[-2000:]}")
    if kind == "send":
        # wrk leaves what is on its way at the end.
        stored = newest_message(server) - sent_before
        if not said["requests"] <= stored <= said["requests"] + connections:
            raise SystemExit(f"{server.name}: {said['requests']} sends were answered, and {stored} messages are stored")
    if server.is_site:
        # wrk counts no redirect as refused, and one to the sign-in page would be fast.
        for cookie in server.cookies:
            get(server, "/messages", cookie)
    return Load(
        rate=said["requests"] / said["microseconds"] * 1e6,
        p50=said["p50"] / 1000,
        p99=said["p99"] / 1000,
        cpu=used / said["requests"] * 1e6,
        memory=memory_mb(server.pids),
    )


def get(server, path, cookie=None):
    """One page for the member with that cookie, or for the first one, which must be there."""
    request = urllib.request.Request(server.address + path, headers={"Cookie": cookie or server.cookie})
    with urllib.request.urlopen(request, timeout=60) as answer:
        if answer.status != 200 or answer.url != server.address + path:
            raise SystemExit(f"{server.name}: {path} gives {answer.status} from {answer.url}: the figures mean nothing")
        return answer.read()


def newest_message(server):
    """The number of the newest message of the list, which proves that the member is still signed in."""
    return int(re.search(rb'id="message-(\d+)"', get(server, "/messages"))[1])


def settled_newest(server):
    """The same, once what an earlier load left on its way is stored."""
    newest = None
    while newest != (newest := newest_message(server)):
        time.sleep(0.1)
    return newest


def family(pids):
    """Processes and all that come from them."""
    found = list(pids)
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def cpu_seconds(pids):
    """Used so far by processes and those that come from them and live."""
    total = 0
    for member in family(pids):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mb(pids):
    """PSS of processes and those that come from them."""
    total = 0
    for member in family(pids):
        total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{member}/smaps_rollup").read_text(), re.MULTILINE)[1])
    return total / 1024


def wait_until_idle(pids, seconds=300):
    """Waits until processes have used next to nothing for two seconds on end: what they do at their start is over. Shorter
    would take one for idle that a busy machine keeps waiting."""
    deadline, quiet = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        before = cpu_seconds(pids)
        time.sleep(0.5)
        quiet = quiet + 1 if cpu_seconds(pids) - before <= 0.02 else 0
        if quiet == 4:
            return
    raise SystemExit(f"processes {pids} were still busy {seconds} s after its start")
