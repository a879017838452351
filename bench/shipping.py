"""How fast audit rows go from the database to an HTTP endpoint that only counts, and in how much memory.

    .venv/bin/python bench/shipping.py [--rows 300000] [--rounds 5]
"""

import argparse
import tempfile
from pathlib import Path

from endpoint import CountingEndpoint
from measured import measure, middle, spread

from support.database_program import seed
from support.processes import binary
from support.shipper import Shipper

FLOOR_ROWS_A_SECOND, FLOOR_MB = 20_000, 40


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=300_000)
    options.add_argument("--rounds", type=int, default=5)
    options = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="wardpost-bench-") as folder:
        database = Path(folder) / "wardpost.db"
        rows = seed(database, options.rows - 2)
        endpoint, runs = CountingEndpoint(), []
        for number in range(options.rounds):
            # A log group of its own has a cursor of its own, which begins with the first row.
            shipper = Shipper(database, f"cloudwatch://bench/{number}", **endpoint.settings())
            endpoint.events = endpoint.calls = 0
            runs.append(measure([binary("log-shipper"), "once"], shipper.environment()))
            assert endpoint.events == rows, f"{endpoint.events} events came, of {rows} rows"
        calls = endpoint.calls
        endpoint.stop()
    took = middle(runs)
    speed = rows / took.seconds
    print(f"{rows} rows in {calls} calls: {speed:,.0f} rows a second (floor {FLOOR_ROWS_A_SECOND:,}), "
          f"{took.seconds:.2f} s, {took.cpu_seconds:.2f} s of CPU, spread {spread([run.seconds for run in runs]):.0%}; "
          f"{took.peak_mb:.1f} MB at most (floor {FLOOR_MB})")
    if speed < FLOOR_ROWS_A_SECOND or took.peak_mb > FLOOR_MB:
        raise SystemExit("below the floor")


main()
