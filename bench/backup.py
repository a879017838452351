"""What a backup takes, beside `sqlite3 .backup && gzip && upload` of the same content, and what the site feels of it.

    .venv/bin/python bench/backup.py [--megabytes 300] [--rounds 3] [--site]
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path

from endpoint import CountingEndpoint
from measured import measure, middle, spread

from support.backups import BackupWorker
from support.database_program import KEY
from support.processes import ROOT, binary, clean_environment
from support.waiting import wait_until

FLOOR_MB, FLOOR_SIZE, FLOOR_SLOWER = 64, 1.3, 2
# A message with a body of 700 random bytes in hex, and its rows, takes about so much; such bodies halve under gzip.
BODY_BYTES, MESSAGE_BYTES = 700, 2600


def fill(database, messages):
    environment = clean_environment(DB_ENCRYPTION_KEY=KEY)
    command = [binary("seed"), "--db", database, "--messages", str(messages), "--random-bytes", str(BODY_BYTES)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def others_way(plain, folder, endpoint):
    """The three commands somebody would write, one after the other. The database is in clear: sqlite3 cannot read ours."""
    copy = folder / "copy.sqlite"
    script = (
        f"sqlite3 {plain} '.backup {copy}' && gzip -c {copy} > {copy}.gz"
        f" && curl -sf -T {copy}.gz {endpoint.address}/bucket/theirs.gz"
    )
    took = measure(["bash", "-c", script], clean_environment())
    size = Path(f"{copy}.gz").stat().st_size
    copy.unlink()
    Path(f"{copy}.gz").unlink()
    return took, size


def compare(options, folder, database, endpoint):
    worker = BackupWorker(database, "s3://bucket/ours", **endpoint.settings())
    (folder / "kept").mkdir()
    at_home = BackupWorker(database, f"file://{folder}/kept")
    manifest = at_home.now()
    (folder / "identity").write_text(at_home.run("identity", "--print").expect(0).out)
    plain = folder / "plain.sqlite"
    unpack = f"age -d -i {folder}/identity {folder}/kept/{manifest['name']} | gunzip > {plain}"
    subprocess.run(["bash", "-o", "pipefail", "-c", unpack], check=True)
    drill = measure([binary("backup-worker"), "verify"], at_home.environment())
    ours, theirs, sizes = [], [], []
    for _ in range(options.rounds):
        ours.append(measure([binary("backup-worker"), "now"], worker.environment()))
        took, size = others_way(plain, folder, endpoint)
        theirs.append(took)
        sizes.append(manifest["archive_bytes"] / size)
    plain.unlink()
    mine, other = middle(ours), middle(theirs)
    print(f"a database of {manifest['database_bytes'] / 1e6:,.0f} MB, {manifest['rows']['message']:,} messages, {options.rounds} rounds")
    for name, took, runs in (("backup-worker now", mine, ours), ("sqlite3, gzip, curl", other, theirs)):
        print(f"  {name:20} {took.seconds:7.2f} s  {took.cpu_seconds:7.2f} s of CPU  {took.peak_mb:6.1f} MB at most"
              f"  spread {spread([run.seconds for run in runs]):.0%}")
    print(f"  backup-worker verify {drill.seconds:7.2f} s  {drill.cpu_seconds:7.2f} s of CPU  {drill.peak_mb:6.1f} MB at most")
    print(f"  time {mine.seconds / other.seconds:.2f} of theirs (floor 1), archive {max(sizes):.2f} of their gzip (floor {FLOOR_SIZE})")
    if mine.seconds > other.seconds or max(sizes) > FLOOR_SIZE or max(mine.peak_mb, drill.peak_mb) > FLOOR_MB:
        raise SystemExit("below the floor")


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def load(site, script, path, seconds, environment):
    command = ["wrk", "--latency", "-t", "1", "-c", "16", "-d", f"{seconds}s", "-s", str(ROOT / "bench" / script), site + path]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return milliseconds(re.search(r"99%\s+(\S+)", said)[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])


def on_the_site(options, folder, database, session, endpoint):
    """The site's p99 while backups are made one after the other, and without any, in turns."""
    port = 8097
    address = f"http://127.0.0.1:{port}"
    environment = clean_environment(
        DB_ENCRYPTION_KEY=KEY, APP_SECRET=KEY[::-1], GOOGLE_CLIENT_ID="bench", GOOGLE_CLIENT_SECRET="bench", WARDPOST_ENV_FILE="",
        WARDPOST_DB=str(database), WARDPOST_LISTEN=f"127.0.0.1:{port}", WARDPOST_PUBLIC_URL=address,
        WARDPOST_OIDC_ISSUER="http://127.0.0.1:1", WARDPOST_STAFF_DOMAINS="clinic.example", WARDPOST_SESSION_IDLE_MINUTES="30",
        WARDPOST_LIMIT_REQUESTS_PER_SECOND="1000000", WARDPOST_LIMIT_SEND_PER_MINUTE="1000000",
        COOKIE=session["cookie"], CSRF=session["csrf"],
    )
    worker = BackupWorker(database, "s3://bucket/ours", **endpoint.settings())
    with (folder / "web.log").open("wb") as log:
        site = subprocess.Popen([binary("web")], env=environment, stderr=log, stdout=log)
    try:
        wait_until("the site serves", lambda: subprocess.run(["curl", "-fso", "/dev/null", address + "/readyz"]).returncode == 0)
        for what, script in (("the list", "get.lua"), ("sending", "send.lua")):
            alone, beside, made = [], [], []
            for _ in range(options.rounds):
                alone.append(load(address, script, "/messages", options.seconds, environment))
                stop = threading.Event()

                def keep_making():
                    while not stop.is_set():
                        made.append(measure([binary("backup-worker"), "now"], worker.environment()))

                maker = threading.Thread(target=keep_making)
                maker.start()
                beside.append(load(address, script, "/messages", options.seconds, environment))
                stop.set()
                maker.join()
            p99 = [sorted(run[0] for run in runs)[len(runs) // 2] for runs in (alone, beside)]
            rate = [sorted(run[1] for run in runs)[len(runs) // 2] for runs in (alone, beside)]
            print(f"{what}: p99 {p99[0]:.1f} ms alone, {p99[1]:.1f} ms during {len(made)} backups of {middle(made).seconds:.1f} s: "
                  f"{p99[1] / p99[0]:.2f} times (floor {FLOOR_SLOWER}); {rate[0]:,.0f} and {rate[1]:,.0f} requests a second")
    finally:
        site.terminate()
        site.wait()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--megabytes", type=int, default=300)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=8, help="of each load on the site")
    options.add_argument("--site", action="store_true", help="measure the site beside backups instead")
    options = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="wardpost-bench-", dir=os.environ.get("BENCH_FOLDER")) as folder:
        folder = Path(folder)
        database = folder / "wardpost.db"
        session = fill(database, options.megabytes * 1_000_000 // MESSAGE_BYTES)
        endpoint = CountingEndpoint()
        try:
            if options.site:
                on_the_site(options, folder, database, session, endpoint)
            else:
                compare(options, folder, database, endpoint)
        finally:
            endpoint.stop()


main()
