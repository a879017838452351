"""What is loaded: the site, the same server with a fixed reply, and the site as PHP. Each is a context, on a free port."""

import os
import socket
import subprocess
import time
from pathlib import Path

import data
from load import newest_message, wait_until_idle
from peers.php import peer
from support.processes import BINARIES, Process, binary, clean_environment
from tools import tool, tool_environment


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Processes under one, that answer at `address` with the member's `cookie`, and with the `cookies` of all members."""

    is_site = True

    def __init__(self, name, process, port, session, ready):
        self.name = name
        self.address = f"http://127.0.0.1:{port}"
        self.cookie, self.csrf = session["cookie"], session["csrf"]
        sessions = session.get("sessions", [session])
        self.cookies, self.csrfs = [one["cookie"] for one in sessions], [one["csrf"] for one in sessions]
        self.newest = 0
        self._processes = process if isinstance(process, list) else [process]
        deadline = time.monotonic() + 60
        while subprocess.run(["curl", "-fso", "/dev/null", self.address + ready]).returncode:
            if not self._processes[0].running() or time.monotonic() > deadline:
                raise SystemExit(f"{name} does not serve; it said:\n{self.log_text()[-4000:]}")
            time.sleep(0.002)

    @property
    def pids(self):
        return [process.pid for process in self._processes]

    def log_text(self):
        return "".join(process.log_text() for process in self._processes)

    def settle(self):
        """Waits for the work of a start, and sees that the member is signed in."""
        wait_until_idle(self.pids)
        if self.is_site:
            self.newest = newest_message(self)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.stop()


def site_environment(database, port):
    """Limits are high rather than off, so that counting is in the figures; all comes from one address and few members."""
    return clean_environment(
        DB_ENCRYPTION_KEY=data.KEY,
        APP_SECRET=data.KEY[::-1],
        GOOGLE_CLIENT_ID="bench",
        GOOGLE_CLIENT_SECRET="bench",
        WARDPOST_ENV_FILE="",
        WARDPOST_DB=str(database),
        WARDPOST_LISTEN=f"127.0.0.1:{port}",
        WARDPOST_PUBLIC_URL=f"http://127.0.0.1:{port}",
        WARDPOST_OIDC_ISSUER="http://127.0.0.1:1",
        WARDPOST_STAFF_DOMAINS="clinic.example",
        WARDPOST_SESSION_IDLE_MINUTES="30",
        WARDPOST_LIMIT_REQUESTS_PER_SECOND="1000000",
        WARDPOST_LIMIT_DRAFT_PER_MINUTE="1000000",
        WARDPOST_LIMIT_SEND_PER_MINUTE="1000000",
    )


def site(folder: Path, database, session, name="Wardpost"):
    """The release build on `database`."""
    port = free_port()
    process = Process([binary("web")], log=folder / f"web-{port}.log", env=site_environment(database, port))
    return Server(name, process, port, session, "/readyz")


def fixed_reply(folder: Path, size):
    """The site's server, whose every answer is the same `size` bytes."""
    port = free_port()
    command = [BINARIES / "examples" / "fixed_reply", str(size)]
    process = Process(command, log=folder / f"fixed-{port}.log", env=site_environment(folder / "fixed.db", port))
    server = Server(f"fixed reply of {size:,} bytes", process, port, {"cookie": "none=0", "csrf": "0"}, "/")
    server.is_site = False
    return server


def php(folder: Path, messages):
    """nginx and php-fpm with a database of their own; see peers/php."""
    port = free_port()
    session = peer.prepare(folder, port, messages, data.PEOPLE, workers=4 * len(os.sched_getaffinity(0)))
    environment = tool_environment(PHP_INI_SCAN_DIR="", TMPDIR=str(folder))
    fpm = [tool("usr/sbin/php-fpm8.2"), "--nodaemonize", "--fpm-config", folder / "php-fpm.conf", "-c", folder / "php.ini"]
    if os.geteuid() == 0:
        fpm.append("--allow-to-run-as-root")
    nginx = [tool("usr/sbin/nginx"), "-c", folder / "nginx.conf", "-p", folder]
    processes = [
        Process(fpm, log=folder / "fpm.log", env=environment),
        Process(nginx, log=folder / "nginx.log", env=environment),
    ]
    return Server("nginx + PHP", processes, port, session, "/")
