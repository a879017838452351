"""What a change costs: two builds of `web` under the same load, in turns, on databases that are alike.

    .venv/bin/python bench/compare.py BEFORE/web AFTER/web [--rounds 5] [--seconds 5] [--metrics-of-after]

Needs wrk, and `seed` of the release build. On a machine that other work keeps busy, requests a second say little; the CPU
time of the process for each request says more, and both stand beside each other."""

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median

from measured import spread

ROOT = Path(__file__).resolve().parents[1]
PORT, METRICS_PORT = 8098, 8097
TICKS = os.sysconf("SC_CLK_TCK")
LOADS = (("fixed reply", "get.lua", "/healthz"), ("list of 50", "get.lua", "/messages"), ("sending", "send.lua", "/messages"))


def settings(database):
    """All that a site needs, and limits that count and never refuse."""
    address = f"127.0.0.1:{PORT}"
    return os.environ | {
        "DB_ENCRYPTION_KEY": KEY, "APP_SECRET": secrets.token_hex(32), "GOOGLE_CLIENT_ID": "bench",
        "GOOGLE_CLIENT_SECRET": "bench", "WARDPOST_DB": str(database), "WARDPOST_LISTEN": address,
        "WARDPOST_PUBLIC_URL": f"http://{address}", "WARDPOST_OIDC_ISSUER": "http://127.0.0.1:1",
        "WARDPOST_LIMIT_REQUESTS_PER_SECOND": "1000000", "WARDPOST_LIMIT_SEND_PER_MINUTE": "1000000",
        "WARDPOST_STAFF_DOMAINS": "clinic.example", "WARDPOST_SESSION_IDLE_MINUTES": "30",
    }


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(pid, script, path, session, seconds):
    """Requests a second, and microseconds of the process's CPU for each."""
    before = cpu_seconds(pid)
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", "64", "-d", f"{seconds}s", "-s", ROOT / "bench" / script, f"http://127.0.0.1:{PORT}{path}"],
        env=os.environ | {"COOKIE": session["cookie"], "CSRF": session["csrf"]}, capture_output=True, text=True, check=True,
    ).stdout
    used = cpu_seconds(pid) - before
    if "Non-2xx" in done:
        raise SystemExit(f"{path} was refused: {done}")
    count = int(re.search(r"(\d+) requests in", done)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]), used / count * 1e6


def read_metrics(stop):
    """Reads the numbers once a second, fifteen times as often as anybody would."""
    while not stop.wait(1):
        urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=20).read()


def turn(binary, database, session, seconds, metrics):
    """One start of one build under all loads."""
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        copy = Path(folder) / "wardpost.db"
        shutil.copy(database, copy)
        environment = settings(copy)
        if metrics:
            environment["WARDPOST_METRICS_LISTEN"] = f"127.0.0.1:{METRICS_PORT}"
        site = subprocess.Popen([binary], env=environment, stderr=subprocess.DEVNULL)
        stop = threading.Event()
        try:
            for _ in range(500):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5)
                    break
                except OSError:
                    time.sleep(0.02)
            if metrics:
                threading.Thread(target=read_metrics, args=(stop,), daemon=True).start()
            return [load(site.pid, script, path, session, seconds) for _, script, path in LOADS]
        finally:
            stop.set()
            site.terminate()
            site.wait(30)


parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("before", type=Path)
parser.add_argument("after", type=Path)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=int, default=5)
parser.add_argument("--metrics-of-after", action="store_true", help="the second build tells its numbers, and they are read each second")
arguments = parser.parse_args()
KEY = secrets.token_hex(32)
with tempfile.TemporaryDirectory(dir=ROOT / "target") as folder:
    database = Path(folder) / "wardpost.db"
    seeded = subprocess.run(
        [ROOT / "target" / os.environ.get("E2E_PROFILE", "release") / "seed", "--db", database, "--messages", "10000"],
        env=os.environ | {"DB_ENCRYPTION_KEY": KEY}, capture_output=True, text=True, check=True,
    )
    session = json.loads(seeded.stdout)
    runs = {arguments.before: [], arguments.after: []}
    for number in range(arguments.rounds):
        # Who goes first takes turns, too.
        order = list(runs) if number % 2 == 0 else list(reversed(runs))
        for binary in order:
            metrics = arguments.metrics_of_after and binary == arguments.after
            runs[binary].append(turn(binary, database, session, arguments.seconds, metrics))
for place, (name, _, _) in enumerate(LOADS):
    for figure, unit in enumerate(("requests/s", "µs of CPU each")):
        before, after = ([run[place][figure] for run in runs[binary]] for binary in (arguments.before, arguments.after))
        print(
            f"{name}: {median(before):.1f} -> {median(after):.1f} {unit}, ratio {median(after) / median(before):.3f}"
            f" (spread {spread(before):.0%} and {spread(after):.0%})"
        )
