"""How fast audit rows go from the database to an HTTP endpoint that only counts, and in how much memory; beside Python's
watchtower, and beside reading the rows and doing nothing with them."""

import sys
from collections import defaultdict
from statistics import median

import data
from endpoint import CountingEndpoint
from figures import Floor, Section, Table, ratio, with_spread
from measured import measure as run_to_end
from measured import middle
from support.processes import BINARIES, binary, clean_environment
from support.shipper import Shipper
from tools import HERE

FLOOR_ROWS_A_SECOND, FLOOR_MB = 20_000, 40
# watchtower takes its time: it gets so many of the rows.
THEIR_ROWS = 20_000


def measure(options, folder):
    messages = 100_000 if options.quick else 1_000_000
    database, _ = data.copy(folder, messages)
    key = {"DB_ENCRYPTION_KEY": data.KEY}
    endpoint, runs, rows = CountingEndpoint(), defaultdict(list), {"watchtower": THEIR_ROWS}
    try:
        theirs = [sys.executable, HERE / "peers" / "watchtower_ship.py", database, THEIR_ROWS]
        for number in range(options.rounds):
            # A log group of its own has a cursor of its own, which begins with the first row.
            shipper = Shipper(database, f"cloudwatch://bench/{number}", **endpoint.settings(), **key)
            endpoint.events = 0
            runs["log-shipper"].append(run_to_end([binary("log-shipper"), "once"], shipper.environment()))
            rows["log-shipper"] = endpoint.events
            if endpoint.events <= messages:
                raise SystemExit(f"{endpoint.events} events came, of {messages} messages and what else is in the log")
            endpoint.events = 0
            runs["watchtower"].append(run_to_end(theirs, clean_environment(**endpoint.settings(), AWS_DEFAULT_REGION="eu-central-1", **key)))
            if endpoint.events != THEIR_ROWS:
                raise SystemExit(f"watchtower delivered {endpoint.events} of {THEIR_ROWS} rows")
            raw = [BINARIES / "examples" / "raw_rates", "reads", database]
            runs["reading alone"].append(run_to_end(raw, clean_environment(**key)))
            rows["reading alone"] = rows["log-shipper"]
    finally:
        endpoint.stop()
    rates = {name: [rows[name] / one.seconds for one in took] for name, took in runs.items()}
    table = Table("audit rows to an endpoint that counts", ["what", "rows", "rows/s", "CPU µs each", "memory MB", "rate beside log-shipper's"])
    for name, took in runs.items():
        cpu = [one.cpu_seconds / rows[name] * 1e6 for one in took]
        table.rows.append([name, f"{rows[name]:,}", with_spread(rates[name]), with_spread(cpu, "{:,.1f}"), f"{middle(took).peak_mb:.1f}",
                           f"{ratio(rates[name], rates['log-shipper']):.2f}"])
    table.note = "The endpoint is a Python process on the same cores."
    floors = [
        Floor("shipping", median(rates["log-shipper"]), FLOOR_ROWS_A_SECOND, " rows/s"),
        Floor("memory of log-shipper", max(one.peak_mb for one in runs["log-shipper"]), FLOOR_MB, " MB", at_most=True),
    ]
    return Section("shipping", [table], floors, {name: [vars(one) for one in took] for name, took in runs.items()})
