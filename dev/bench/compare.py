"""What a change costs: two builds of `web` under the same load, in turns, on databases that are alike.

    target/bench/tools/venv/bin/python dev/bench/compare.py BEFORE/web AFTER/web [--rounds 5] [--seconds 5] [--connections 64] [--metrics-of-after]

dev/bench/setup brings wrk. On a machine that other work keeps busy, requests a second say little; the CPU time of the process for
each request says more, and both stand beside each other."""

import argparse
import tempfile
import threading
import urllib.request
from pathlib import Path
from statistics import median

from tools import OUT

import data
from load import put
from figures import spread
from servers import Server, free_port, site_environment
from support.processes import Process

MESSAGES = 10_000
LOADS = (("fixed reply", "get", "/healthz"), ("list of 50", "list", ""), ("nine lists to one send", "mix", ""), ("sending", "send", ""))


def read_metrics(port, stop):
    """Reads the numbers once a second, fifteen times as often as anybody would."""
    while not stop.wait(1):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20).read()


def turn(program, connections, seconds, metrics):
    """One start of one build under all loads."""
    with tempfile.TemporaryDirectory(dir=OUT) as folder:
        database, session = data.copy(Path(folder), MESSAGES)
        port, metrics_port, stop = free_port(), free_port(), threading.Event()
        environment = site_environment(database, port)
        if metrics:
            environment["WARDPOST_METRICS_LISTEN"] = f"127.0.0.1:{metrics_port}"
        process = Process([program], log=Path(folder) / "web.log", env=environment)
        with Server(str(program), process, port, session, "/readyz") as site:
            site.settle()
            if metrics:
                threading.Thread(target=read_metrics, args=(metrics_port, stop), daemon=True).start()
            try:
                return [put(site, kind, connections, seconds, target) for _, kind, target in LOADS]
            finally:
                stop.set()


parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("before", type=Path)
parser.add_argument("after", type=Path)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=int, default=5)
parser.add_argument("--connections", type=int, default=64)
parser.add_argument("--metrics-of-after", action="store_true", help="the second build tells its numbers, and they are read each second")
arguments = parser.parse_args()
runs = ([], [])
for number in range(arguments.rounds):
    # Who goes first takes turns, too.
    for which in (0, 1) if number % 2 == 0 else (1, 0):
        program = (arguments.before, arguments.after)[which]
        runs[which].append(turn(program.absolute(), arguments.connections, arguments.seconds, arguments.metrics_of_after and which == 1))
for place, (name, _, _) in enumerate(LOADS):
    for figure, unit in (("rate", "requests/s"), ("cpu", "µs of CPU each"), ("p99", "ms at the 99th percentile")):
        before, after = ([getattr(run[place], figure) for run in side] for side in runs)
        print(
            f"{name}: {median(before):.1f} -> {median(after):.1f} {unit}, ratio {median(after) / median(before):.3f}"
            f" (spread {spread(before):.0%} and {spread(after):.0%})"
        )
