"""Runs in the scanners' own Python: JSON in, a list of lists of [name, value]; JSON out, for each what drHEADer has against it."""

import json
import sys

from drheader import Drheader


def judged(headers):
    # drHEADer takes each header once, and cookies as a list.
    table = {name.lower(): value for name, value in headers}
    cookies = [value for name, value in headers if name.lower() == "set-cookie"]
    checker = Drheader(headers=table | {"set-cookie": cookies} if cookies else table)
    return [{"rule": found.rule, "severity": found.severity, "message": found.message}
            for found in checker.analyze(cross_origin_isolated=True)]


json.dump([judged(headers) for headers in json.load(sys.stdin)], sys.stdout)
