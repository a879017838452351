"""The numbers about a site, as a scraper reads them."""

import re
import subprocess
from pathlib import Path

import requests

from .processes import ROOT

PROMTOOL = ROOT / "target" / "e2e-tools" / "promtool"


class Metrics:
    """Where a site tells its numbers: WARDPOST_METRICS_LISTEN is on this port."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"

    def text(self):
        reply = requests.get(f"http://{self.address}/metrics", timeout=30)
        assert reply.status_code == 200, reply.text
        return reply.text

    def value(self, series):
        """The value of one series, written as in the text, such as `wardpost_refusals_total{reason="busy"}`."""
        values = dict(line.rsplit(" ", 1) for line in self.text().splitlines() if not line.startswith("#"))
        return float(values[series])


def names_of(text):
    """The names of all series in an answer."""
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


def promtool(*arguments, text=None):
    """Runs Prometheus' own checker, which dev/e2e/setup has fetched; what it finds is the failure's text."""
    program = PROMTOOL if PROMTOOL.exists() else Path("promtool")
    done = subprocess.run([program, *map(str, arguments)], input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
