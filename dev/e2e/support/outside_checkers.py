"""Checkers that others have written, against a running site: wapiti, a web scanner, and drHEADer, which judges headers."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .processes import ROOT

SCANNERS = ROOT / "target" / "e2e-tools" / "scanners" / "bin"
# Everything of wapiti's that asks nobody but the site. Left out, because they would ask others or fetch lists from them:
# cms, htp, network_device, nikto, wapp and wp_enum (databases of products), log4shell, ssrf and xxe (an outside endpoint that
# waits for calls), takeover (name servers). Left out, because there is nothing for them here: brute_login_form (no password is
# asked for), buster (a list of file names; the route table is tested whole), https_redirect and ssl (the edge's, in
# test_compose_edge.py), ldap (it guesses from two pages that differ, and a list of messages differs as the scan goes on).
MODULES = (
    "backup", "cookieflags", "crlf", "csp", "csrf", "exec", "file", "htaccess", "http_headers", "methods", "permanentxss",
    "redirect", "shellshock", "spring4shell", "sql", "timesql", "upload", "xss",
)
INFORMATIONAL = 0


@dataclass(frozen=True)
class Finding:
    """What a scanner has against an address."""

    kind: str
    level: int
    path: str
    parameter: str
    text: str


class Scan:
    """One run of wapiti over a site, as the person of the cookie."""

    def __init__(self, address, folder: Path, *, cookies=None, start=(), exclude=(), modules=MODULES, seconds=60, attack_seconds=15):
        report = folder / "report.json"
        command = [SCANNERS / "python", Path(__file__).with_name("wapiti.py"), "--url", f"{address}/", "--scope", "folder", "--module", ",".join(modules)]
        command += ["--depth", "6", "--max-scan-time", str(seconds), "--max-attack-time", str(attack_seconds), "--timeout", "10"]
        command += ["--store-session", folder / "session", "--store-config", folder / "config", "--no-bugreport", "--flush-session"]
        command += ["--verbose", "1", "--format", "json", "--output", report]
        # Its log4shell module looks this name up even if it is not to run.
        command += ["--dns-endpoint", "127.0.0.1"]
        if cookies:
            # As a header: its own jar would take over what the pages set.
            command += ["--header", "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items())]
        # Another token is always refused, whatever else a form holds: that has tests of its own, and costs a third of the time.
        command += ["--skip", "csrf"]
        for path in start:
            command += ["--start", address + path]
        for path in exclude:
            command += ["--exclude", address + path]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=seconds + 30 * attack_seconds,
        )
        self.said = done.stdout + done.stderr
        assert done.returncode == 0 and report.exists(), self.said[-4000:]
        self.report = json.loads(report.read_text())

    def findings(self):
        """All of them, the informational ones too."""
        return {
            Finding(kind, entry["level"], entry["path"], entry["parameter"], entry["info"])
            for part in ("vulnerabilities", "anomalies", "additionals")
            for kind, entries in self.report[part].items()
            for entry in entries
        }


def judge_headers(replies):
    """What drHEADer has against each of the replies: a list of (rule, severity, message) for each."""
    headers = [list(reply.raw.headers.items()) for reply in replies]
    done = subprocess.run(
        [SCANNERS / "python", Path(__file__).with_name("drheader_report.py")],
        input=json.dumps(headers), capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [[(found["rule"], found["severity"], found["message"]) for found in judged] for judged in json.loads(done.stdout)]
