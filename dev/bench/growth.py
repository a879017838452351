"""What a growing database costs: the same acts at 10,000, 100,000 and 1,000,000 messages."""

from collections import defaultdict
from contextlib import ExitStack
from statistics import median

import data
import load
import servers
from figures import Section, Table, with_spread
from measured import measure as run_to_end
from support.processes import binary

CONNECTIONS = 4
PERSON = 1
# Each database gets a short conversation and a long one.
REPLIES = {"short": 10, "long": 10_000}
ACTS = {
    "list": ("list", "/messages"),
    "list of one author": ("get", f"/messages?author={PERSON}"),
    "list, far back": ("get", "/messages?before=5000"),
    "list, what is new": ("get", "/messages?show=unread"),
    "list, what is open": ("get", "/messages?show=open"),
    "open": ("open", ""),
    "conversation of 10 replies": ("get", "/messages/{short}"),
    "conversation of 10,000 replies": ("get", "/messages/{long}"),
    "send": ("send", ""),
    "audit": ("get", "/audit"),
    "audit, one person": ("get", f"/audit?person={PERSON}"),
    "audit, one action": ("get", "/audit?action=MESSAGE_CREATE"),
    "audit, person and action": ("get", f"/audit?person={PERSON}&action=MESSAGE_CREATE"),
    "audit, a time": ("get", "/audit?from=2026-01-01T00:00"),
}


def measure(options, folder):
    sizes = [10_000, 100_000] if options.quick else [10_000, 100_000, 1_000_000]
    if options.huge:
        sizes.append(10_000_000)
    samples, chains, memory = defaultdict(list), defaultdict(list), defaultdict(list)
    with ExitStack() as stack:
        sites, conversations = {}, {}
        for size in sizes:
            database, session = data.copy(folder, size, f"{size}.db")
            conversations[size] = {name: data.seed(database, 0, replies=replies)["conversation"] for name, replies in REPLIES.items()}
            sites[size] = database, stack.enter_context(servers.site(folder, database, session)).settle()
        for number in range(options.rounds):
            for act, (kind, target) in ACTS.items():
                for size in sizes if number % 2 == 0 else sizes[::-1]:
                    address = target.format_map(conversations[size])
                    samples[act, size].append(load.put(sites[size][1], kind, CONNECTIONS, options.seconds, address))
        for size in sizes:
            memory[size] = load.memory_mb(sites[size][1].pids)
    for _ in range(options.rounds if not options.quick else 1):
        for size in sizes:
            database, server = sites[size]
            took = run_to_end([binary("web"), "audit", "verify"], servers.site_environment(database, 1))
            chains[size].append(took)
    table = Table(
        "what stays flat while the database grows",
        ["act", *(f"{size:,}: µs of CPU each, p50 ms, p99 ms" for size in sizes), "CPU at most / at least"],
    )
    for act in ACTS:
        cells, cpus = [], []
        for size in sizes:
            runs = samples[act, size]
            cpus.append(median(one.cpu for one in runs))
            cells.append(f"{with_spread([one.cpu for one in runs])}, {median(one.p50 for one in runs):.2f}, {median(one.p99 for one in runs):.1f}")
        table.rows.append([act, *cells, f"{max(cpus) / min(cpus):.2f}"])
    table.rows.append(["memory of the site after it, MB", *(f"{memory[size]:.1f}" for size in sizes), ""])
    table.note = f"{CONNECTIONS} connections. Every audit page writes its AUDIT_VIEW row and checks the rows that are new."
    verified = Table("verifying the whole chain, which grows with it", ["messages", "seconds", "memory MB"])
    for size in sizes:
        runs = chains[size]
        verified.rows.append([f"{size:,}", with_spread([one.seconds for one in runs], "{:,.2f}"), f"{max(one.peak_mb for one in runs):.1f}"])
    kept = {f"{act} / {size}": [vars(one) for one in runs] for (act, size), runs in samples.items()}
    kept |= {f"chain / {size}": [vars(one) for one in runs] for size, runs in chains.items()}
    return Section("growth", [table, verified], [], kept)
