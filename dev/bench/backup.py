"""What a backup takes: beside `sqlite3 .backup && gzip && upload` and beside Litestream's first snapshot, with and without
somebody who writes meanwhile, and what the site feels of it."""

import http.client
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import defaultdict
from contextlib import contextmanager, nullcontext
from secrets import token_hex
from statistics import median
from urllib.parse import urlsplit

import data
import load
import servers
from endpoint import CountingEndpoint
from figures import Floor, Section, Table, ratio, with_spread
from measured import middle
from measured import measure as run_to_end
from support.backups import BackupWorker
from support.processes import binary, clean_environment
from tools import TOOLS

FLOOR_MB, FLOOR_SIZE, FLOOR_SLOWER = 64, 1.3, 2
# A message with a body of 700 random bytes in hex, and its rows, takes about so much; such bodies halve under gzip.
BODY_BYTES, MESSAGE_BYTES = 700, 2520
# The busy writer commits so often. Ours gets its messages through the site.
WRITES_A_SECOND = 50
# `sqlite3 .backup` starts over whenever somebody else commits, and may never end beside a writer.
TIMEOUT_SECONDS = 30
OURS, GZIP, LITESTREAM = "backup-worker", ".backup, gzip, curl", "Litestream"


# Sections of their own, since the larger ones take long.
def measure_small(options, folder):
    return at_each_size([100], compare, Section("small-backup"), options, folder)


def measure(options, folder):
    return at_each_size(options.megabytes or ([30] if options.quick else [1_000]), compare, Section("backup"), options, folder)


def measure_large(options, folder):
    return at_each_size([4_000], compare, Section("large-backup"), options, folder)


def measure_felt(options, folder):
    """What the site feels of all of them."""
    return at_each_size(options.megabytes or ([30] if options.quick else [100, 1_000, 4_000]), felt_by_the_site, Section("felt"), options, folder)


def at_each_size(sizes, measure_one, section, options, folder):
    endpoint = CountingEndpoint()
    try:
        for megabytes in sizes:
            place = folder / str(megabytes)
            place.mkdir()
            database, session = data.copy(place, megabytes * 1_000_000 // MESSAGE_BYTES, random_bytes=BODY_BYTES)
            measure_one(options, section, place, database, session, endpoint)
            shutil.rmtree(place)
    finally:
        endpoint.stop()
    return section


def compare(options, section, folder, database, session, endpoint):
    worker = worker_of(database, "s3://bucket/ours", endpoint)
    plain, manifest, at_home = in_plaintext(folder, database)
    name = f"{manifest['database_bytes'] / 1e6:,.0f} MB, {manifest['rows']['message']:,} messages"
    runs, sizes = defaultdict(list), defaultdict(list)
    for number in range(options.rounds):
        for busy in (False, True):
            ways = {
                OURS: lambda busy=busy: ours(worker, endpoint, folder, database, session, busy),
                GZIP: lambda busy=busy: gzip_and_curl(plain, folder, endpoint, busy),
                LITESTREAM: lambda busy=busy: litestream(plain, folder, busy),
            }
            for way in list(ways)[:: 1 if number % 2 == 0 else -1]:
                took, size = ways[way]()
                runs[way, busy].append(took)
                if took:
                    sizes[way].append(size)
                words = f"{took.seconds:.1f} s, {took.cpu_seconds:.1f} s of CPU, {took.peak_mb:.1f} MB" if took else "not done"
                print(f"  {name}, round {number + 1} of {options.rounds}, {way}{', beside a writer' if busy else ''}: {words}", flush=True)
    drill = run_to_end([binary("backup-worker"), "verify"], at_home.environment())
    table = Table(f"a backup of {name}", ["what", "writer", "seconds", "CPU s", "memory MB", "upload MB", "time beside ours"])
    for (way, busy), took in runs.items():
        ended = [one for one in took if one]
        row = [way, f"{WRITES_A_SECOND} commits/s" if busy else "none"]
        if len(ended) < len(took):
            row += [f"{len(took) - len(ended)} of {len(took)} not done after {TIMEOUT_SECONDS} s", "", "", "", ""]
        else:
            row += [with_spread([one.seconds for one in ended], "{:,.2f}"), f"{middle(ended).cpu_seconds:,.2f}", f"{middle(ended).peak_mb:.1f}",
                    f"{median(sizes[way]) / 1e6:,.1f}", f"{ratio([one.seconds for one in ended], [one.seconds for one in runs[OURS, busy]]):.2f}"]
        table.rows.append(row)
    table.rows.append(["backup-worker verify (the drill)", "none", f"{drill.seconds:,.2f}", f"{drill.cpu_seconds:,.2f}", f"{drill.peak_mb:.1f}", "", ""])
    table.note = ("The peers' database holds the same rows in plaintext: neither reads an encrypted one. Ours is encrypted, inspected and "
                  "checked against its manifest. Litestream writes its snapshot to a folder, the others upload to an endpoint that counts.")
    section.tables.append(table)
    section.samples |= {f"{name} / {way} / {'busy' if busy else 'quiet'}": [one and vars(one) for one in took] for (way, busy), took in runs.items()}
    mine, theirs = runs[OURS, False], runs[GZIP, False]
    section.floors += [
        Floor(f"time of a backup of {name} beside sqlite3, gzip, curl", ratio([one.seconds for one in mine], [one.seconds for one in theirs]), 1, "", at_most=True),
        Floor(f"archive of {name} beside gzip's", median(sizes[OURS]) / median(sizes[GZIP]), FLOOR_SIZE, "", at_most=True),
        Floor(f"memory of a backup or drill of {name}", max([one.peak_mb for one in mine] + [drill.peak_mb]), FLOOR_MB, " MB", at_most=True),
    ]


def worker_of(database, target, endpoint=None):
    return BackupWorker(database, target, DB_ENCRYPTION_KEY=data.KEY, **(endpoint.settings() if endpoint else {}))


def in_plaintext(folder, database):
    """The same rows as an ordinary SQLite database, out of a backup; its manifest; and the worker that made it."""
    (folder / "kept").mkdir()
    at_home = worker_of(database, f"file://{folder}/kept")
    manifest = at_home.now(seconds=900)
    (folder / "identity").write_text(at_home.run("identity", "--print").expect(0).out)
    plain = folder / "plain.sqlite"
    unpack = f"age -d -i {folder}/identity {folder}/kept/{manifest['name']} | gunzip > {plain}"
    subprocess.run(["bash", "-o", "pipefail", "-c", unpack], check=True)
    with sqlite3.connect(plain) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("CREATE TABLE busy (at REAL)")
    opened.close()
    return plain, manifest, at_home


def ours(worker, endpoint, folder, database, session, busy):
    endpoint.objects.clear()
    if busy:
        with servers.site(folder, database, session) as site:
            site.settle()
            with writing(lambda: sender(site)):
                took = run_to_end([binary("backup-worker"), "now"], worker.environment())
    else:
        took = run_to_end([binary("backup-worker"), "now"], worker.environment())
    return took, max(endpoint.objects.values())


def gzip_and_curl(plain, folder, endpoint, busy):
    """The three commands somebody would write, one after the other."""
    copy = folder / "copy.sqlite"
    script = (f"timeout {TIMEOUT_SECONDS} sqlite3 {plain} '.timeout 10000' '.backup {copy}' && gzip -c {copy} > {copy}.gz"
              f" && curl -sf -T {copy}.gz {endpoint.address}/theirs/theirs.gz")
    with writing(lambda: inserter(plain)) if busy else nullcontext():
        took = run_to_end(["bash", "-c", script], clean_environment(), may_end_with=124)
    size = endpoint.objects.pop("/theirs/theirs.gz", 0)
    for left in (copy, folder / "copy.sqlite.gz", folder / "copy.sqlite-journal"):
        left.unlink(missing_ok=True)
    return took, size


def litestream(plain, folder, busy):
    """A first snapshot: nothing of an earlier one is left."""
    replica, own = folder / "replica", plain.with_name(f".{plain.name}-litestream")
    command = [TOOLS / "venv" / "bin" / "litestream", "replicate", "-once", "-force-snapshot", plain, f"file://{replica}"]
    with writing(lambda: inserter(plain)) if busy else nullcontext():
        took = run_to_end(command, clean_environment())
    size = sum(file.stat().st_size for file in replica.rglob("*") if file.is_file())
    shutil.rmtree(replica)
    shutil.rmtree(own, ignore_errors=True)
    return took, size


@contextmanager
def writing(make):
    """Somebody who commits WRITES_A_SECOND times a second, beside what is measured."""
    stop, failed = threading.Event(), []

    def write():
        try:
            commit = make()
            while not stop.wait(1 / WRITES_A_SECOND):
                commit()
        except Exception as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
    if failed:
        raise SystemExit(f"the busy writer failed: {failed[0]!r}")


def inserter(plain):
    database = sqlite3.connect(plain, isolation_level=None, timeout=60, check_same_thread=False)
    database.execute("PRAGMA synchronous = FULL")
    return lambda: database.execute("INSERT INTO busy VALUES (?)", (time.time(),))


def sender(site):
    """Sends messages through the site."""
    connection = http.client.HTTPConnection(urlsplit(site.address).netloc, timeout=60)
    headers = {"Cookie": site.cookie, "Content-Type": "application/x-www-form-urlencoded"}

    def send():
        connection.request("POST", "/messages", f"csrf={site.csrf}&key={token_hex(16)}&subject=Busy&body=Busy", headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 303:
            raise RuntimeError(f"a message was answered by {answer.status}")

    return send


def felt_by_the_site(options, section, folder, database, session, endpoint):
    """The site's p99 beside backups and without, in turns. A backup that takes longer than the loads is met at another part of its
    way in each round; the loads do not wait for its end."""
    worker = worker_of(database, "s3://bucket/ours", endpoint)
    start = time.monotonic()
    name = f"{worker.now(seconds=900)['database_bytes'] / 1e6:,.0f} MB"
    by_itself = time.monotonic() - start
    seconds, connections = options.seconds * 5, 16
    kinds = {"list": "the list", "send": "sending"}
    alone, beside, ended = defaultdict(list), defaultdict(list), 0
    with servers.site(folder, database, session) as site:
        site.settle()
        for number in range(options.rounds):
            order = list(kinds)[:: 1 if number % 2 == 0 else -1]
            for kind in order:
                alone[kind].append(load.put(site, kind, connections, seconds))
            with backups_without_end(worker) as backups:
                time.sleep(max(0, by_itself - seconds) * number / options.rounds)
                for kind in order:
                    beside[kind].append(load.put(site, kind, connections, seconds))
            ended += backups.ended
            print(f"  {name}, felt by the site: round {number + 1} of {options.rounds}", flush=True)
        stored = load.newest_message(site)
    table = Table(f"what the site feels of backups of {name}",
                  ["load", "p99 ms alone", "p99 ms beside", "times", "requests/s alone", "requests/s beside", "backups ended meanwhile"])
    for kind, words in kinds.items():
        slower = ratio([one.p99 for one in beside[kind]], [one.p99 for one in alone[kind]])
        table.rows.append([words, with_spread([one.p99 for one in alone[kind]], "{:,.1f}"), with_spread([one.p99 for one in beside[kind]], "{:,.1f}"),
                           f"{slower:.2f}", with_spread([one.rate for one in alone[kind]]), with_spread([one.rate for one in beside[kind]]), ended])
        section.floors.append(Floor(f"p99 of {words} beside backups of {name}", slower, FLOOR_SLOWER, " times", at_most=True))
        section.samples |= {f"{name} / {words} alone": [vars(one) for one in alone[kind]], f"{name} / {words} beside": [vars(one) for one in beside[kind]]}
    table.note = f"{connections} connections. The loads that send left {stored:,} messages at the end."
    section.tables.append(table)


class BackupsWithoutEnd:
    """Makes one backup after the other until it is told to stop, and then breaks off the one that is under way."""

    def __init__(self, worker):
        self.ended, self.failure = 0, None
        self._worker, self._stopping = worker, threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep_on)
        self._thread.start()

    def _start(self):
        return subprocess.Popen([binary("backup-worker"), "now"], env=self._worker.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def _keep_on(self):
        while True:
            errors = self._process.communicate()[1]
            if self._stopping.is_set():
                return
            if self._process.returncode:
                self.failure = errors.decode(errors="replace")[-2000:]
                return
            self.ended += 1
            self._process = self._start()

    def stop(self):
        self._stopping.set()
        # Until the thread has ended: it may just have begun another one.
        while self._thread.is_alive():
            self._process.terminate()
            self._thread.join(0.5)


@contextmanager
def backups_without_end(worker):
    backups = BackupsWithoutEnd(worker)
    try:
        yield backups
    finally:
        backups.stop()
    if backups.failure:
        raise SystemExit(f"a backup beside the site failed: {backups.failure}")
