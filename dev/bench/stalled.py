#!/usr/bin/env python3
"""What clients that send half a request do to a server that has this crate's bounds, and to one that has none:

    cargo build --release --package wardpost-http-server --example stalled_clients
    dev/bench/stalled.py

Each server may open 1,024 files. Prints, with 2,000 such clients: how long somebody else waits for an answer, at most 30 s,
and the server's memory. Stands on Python's own library."""

import resource
import socket
import subprocess
import time
from pathlib import Path

SERVER = Path(__file__).resolve().parents[2] / "target/release/examples/stalled_clients"
CLIENTS, OPEN_FILES, LONGEST = 2_000, 1_024, 30


def ask(address):
    """Seconds until an answer, or None."""
    start = time.monotonic()
    while time.monotonic() - start < LONGEST:
        try:
            with socket.create_connection(address, timeout=LONGEST) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
                if b"here" in connection.recv(1000) + connection.recv(1000):
                    return time.monotonic() - start
        except OSError:
            time.sleep(0.05)
    return None


def measure(mode):
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))  # noqa: E731
    server = subprocess.Popen([SERVER, mode], stdout=subprocess.PIPE, text=True, preexec_fn=limit)
    try:
        host, port = server.stdout.readline().strip().rsplit(":", 1)
        stalled = []
        for _ in range(CLIENTS):
            client = socket.socket()
            client.settimeout(0.5)
            try:
                client.connect((host, int(port)))
                client.sendall(b"GET / HTTP/1.1\r\nHost:")
            except OSError:
                pass
            stalled.append(client)
        waits = [ask((host, int(port))) for _ in range(5)]
        memory = next(line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        answered = [wait for wait in waits if wait is not None]
        worst = f"{max(answered) * 1000:.0f} ms" if len(answered) == len(waits) else f"{len(waits) - len(answered)} of {len(waits)} not answered in {LONGEST} s"
        print(f"{mode:8} {worst:40} {memory.split(':')[1].strip()}")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    for mode in ("bounded", "plain"):
        measure(mode)
