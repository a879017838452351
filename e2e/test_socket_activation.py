"""The site started with a socket that somebody else keeps open, as systemd does: a restart drops no connection."""

import secrets
import socket
import threading

import requests

from support.processes import Process, binary, clean_environment
from support.waiting import wait_until

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
        answers, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    # A connection of its own each time: one that is kept may be closed by the drain, and says so.
                    answers.append(requests.get(address, headers={"Connection": "close"}, timeout=60).status_code)
                except requests.RequestException as fault:
                    answers.append(repr(fault))

        site = start(tmp_path, listener, 0)
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for number in range(1, 4):
                count = len(answers)
                wait_until("the site answers", lambda: len(answers) > count + 50, seconds=90)
                assert site.stop() == 0
                site = start(tmp_path, listener, number)
            count = len(answers)
            wait_until("the last one answers", lambda: len(answers) > count + 50, seconds=90)
        finally:
            stop.set()
            for asker in askers:
                asker.join()
            site.stop()
        assert set(answers) == {200}, [answer for answer in answers if answer != 200][:5]
