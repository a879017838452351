"""The site started with a socket that somebody else keeps open, as systemd does: a restart drops no connection."""

import secrets
import socket

from support.processes import Process, binary, clean_environment
from support.steady_askers import SteadyAskers

# systemd names the process that the socket is for, which only that process itself can do here.
TAKES_OVER = ["sh", "-c", 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0"']


def start(folder, listener, number):
    environment = clean_environment(
        WARDPOST_ENV_FILE=str(folder / "env"),
        WARDPOST_DB=str(folder / "wardpost.db"),
        WARDPOST_PUBLIC_URL="http://127.0.0.1:1",
        # Nobody could listen there: the socket handed over is what counts.
        WARDPOST_LISTEN="192.0.2.1:1",
        WARDPOST_STAFF_DOMAINS="clinic.example",
        WARDPOST_OIDC_ISSUER="http://127.0.0.1:1",
    )
    log = folder / f"web-{number}.log"
    return Process([*TAKES_OVER, binary("web")], log=log, env=environment, handed_over=listener)


def test_no_request_is_lost_while_the_site_is_started_again(tmp_path):
    env_file = tmp_path / "env"
    env_file.touch(mode=0o600)
    names = ["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "APP_SECRET", "DB_ENCRYPTION_KEY"]
    env_file.write_text("".join(f'{name}="{secrets.token_hex(32)}"\n' for name in names))
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
        site = start(tmp_path, listener, 0)
        try:
            with SteadyAskers(address) as askers:
                for number in range(1, 4):
                    askers.wait_for_more()
                    assert site.stop() == 0
                    site = start(tmp_path, listener, number)
                askers.wait_for_more()
        finally:
            site.stop()
        askers.check()
