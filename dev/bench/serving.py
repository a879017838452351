"""The site under load, beside what it replaces and beside its limits."""

import json
import subprocess
from collections import defaultdict
from contextlib import ExitStack
from statistics import median

import data
import load
import servers
import streams
from figures import Floor, Section, Table, ratio, with_spread
from support.processes import BINARIES, clean_environment

# What is asked, of which servers, and how a reader calls it.
PAGES = {
    "list": ("list", "small", "list of 50, 10,000 stored"),
    "list-million": ("list", "million", "list of 50, {million:,} stored"),
    "open": ("open", "small", "one message, with its durable MESSAGE_VIEW row"),
    "send": ("send", "written", "sending: durable, with its audit row"),
    "mix": ("mix", "written", "nine lists to one send"),
}
# The connections at which floors are checked.
FLOORS_AT = 64


def measure(options, folder):
    section = Section("site")
    with ExitStack() as stack:
        ours, theirs, fixed, sizes = start(options, folder, stack)
        samples, raw = rounds(options, folder, ours, theirs, fixed)
        section.samples = {" / ".join(map(str, key)): [vars(one) for one in runs] for key, runs in samples.items()}
        section.samples |= {f"raw commits / {batch} a commit": rates for batch, rates in raw.items()}
        section.tables += tables(options, samples, raw, sizes)
        section.floors += floors(samples, raw)
        streams.measure(options, ours["written"], section)
    return section


def start(options, folder, stack):
    """Every server that is loaded, side by side. Lists and opens go to some whose list stays as it is, sends and the mix to
    others."""
    ours, theirs = {}, {}
    for place, messages in (("small", 10_000), ("million", options.million), ("written", 10_000)):
        database, session = data.copy(folder, messages, f"{place}.db")
        ours[place] = stack.enter_context(servers.site(folder, database, session)).settle()
        theirs[place] = stack.enter_context(servers.php(folder / f"php-{place}", messages)).settle()
    sizes = [len(load.get(server["small"], "/messages")) for server in (ours, theirs)]
    fixed = stack.enter_context(servers.fixed_reply(folder, sizes[0])).settle()
    return ours, theirs, fixed, sizes


def rounds(options, folder, ours, theirs, fixed):
    """Every cell once in each round; what is compared stands next to each other, and takes turns at being first."""
    samples, raw = defaultdict(list), defaultdict(list)
    raw_database, _ = data.copy(folder, 10_000, "raw.db")
    for number in range(options.rounds):
        for connections in options.connections:
            for page, (kind, place, _) in PAGES.items():
                cells = [("ours", ours[place]), ("PHP", theirs[place])]
                if page == "list":
                    cells.append(("fixed", fixed))
                for who, server in cells if number % 2 == 0 else cells[::-1]:
                    samples[page, who, connections].append(load.put(server, kind, connections, options.seconds))
                if page == "send":
                    raw[connections].append(raw_commits(raw_database, connections, options.seconds))
            print(f"  round {number + 1} of {options.rounds}, {connections} connections", flush=True)
    return samples, raw


def raw_commits(database, batch, seconds):
    """Messages a second that the database takes, `batch` to a commit, with nothing of ours around it."""
    command = [BINARIES / "examples" / "raw_rates", "commits", database, batch, seconds]
    ran = subprocess.run(list(map(str, command)), env=clean_environment(DB_ENCRYPTION_KEY=data.KEY), check=True, capture_output=True)
    said = json.loads(ran.stdout)
    return said["rows"] / said["seconds"]


def tables(options, samples, raw, sizes):
    def rates(*key):
        return [one.rate for one in samples[key]]

    def middle(field, *key):
        return median(getattr(one, field) for one in samples[key])

    found = []
    for page, (_, _, name) in PAGES.items():
        limit = {"list": "of the fixed reply", "send": "of the raw commits"}.get(page)
        heads = ["connections", "requests/s", "p50 ms", "p99 ms", "CPU µs each", "memory MB"]
        heads += ["PHP requests/s", "p50 ms", "p99 ms", "CPU µs each", "memory MB", "times PHP"] + ([limit] if limit else [])
        table = Table(name.format(million=options.million), heads)
        for connections in options.connections:
            row = [connections]
            for who in ("ours", "PHP"):
                key = page, who, connections
                row += [with_spread(rates(*key))]
                row += [f"{middle(field, *key):,.{digits}f}" for field, digits in (("p50", 2), ("p99", 2), ("cpu", 0), ("memory", 1))]
            mine = rates(page, "ours", connections)
            row.append(f"{ratio(mine, rates(page, 'PHP', connections)):.1f}")
            if page == "list":
                limits = rates("list", "fixed", connections)
                row.append(f"{ratio(mine, limits):.0%} of {with_spread(limits)} ({middle('cpu', 'list', 'fixed', connections):,.0f} µs each)")
            if page == "send":
                row.append(f"{ratio(mine, raw[connections]):.0%} of {with_spread(raw[connections])}")
            table.rows.append(row)
        found.append(table)
    found[0].note = f"Our page is {sizes[0]:,} bytes long, PHP's {sizes[1]:,}; the fixed reply is as long as ours."
    return found


def floors(samples, raw):
    """Rates at FLOORS_AT connections, or the nearest that were measured; shares of a limit at every number of connections."""
    nearest = min(raw, key=lambda count: abs(count - FLOORS_AT))
    at = f" at {nearest} connections"

    def rates(page, who="ours", connections=nearest):
        return [one.rate for one in samples[page, who, connections]]

    def least(page, limit):
        return min(ratio(rates(page, "ours", connections), limit(connections)) for connections in raw)

    most = max(one.memory for (_, who, _), runs in samples.items() if who == "ours" for one in runs)
    return [
        Floor("list of 50" + at, median(rates("list")), 15_000, "/s"),
        Floor("list of 50 beside the fixed reply, the least", least("list", lambda count: rates("list", "fixed", count)), 0.4),
        Floor("sending" + at, median(rates("send")), 5_000, "/s"),
        Floor("sending beside raw commits, the least", least("send", raw.get), 0.5),
        Floor("opening a message" + at, median(rates("open")), 3_000, "/s"),
        Floor("memory of the site, all loads", most, 64, " MB", at_most=True),
    ]
