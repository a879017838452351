"""All that is measured, in one run: see README.md here.

    make bench                            everything, two hours or so; rewrites the tables in docs/PERFORMANCE.md
    make bench ARGS='--quick'             ten minutes or so, to see whether something moved; writes no documents
    make bench ARGS='--only site,start'   some sections
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tools import OUT, ROOT

import machine

# The sections, and what measures them.
SECTIONS = {
    "site": "serving.measure",
    "small-backup": "backup.measure_small",
    "backup": "backup.measure",
    "large-backup": "backup.measure_large",
    "felt": "backup.measure_felt",
    "shipping": "shipping.measure",
    "start": "start.measure",
    "growth": "growth.measure",
}
# What a quick run leaves out: its one size of backup is in the section `backup`.
NOT_QUICK = ("small-backup", "large-backup")
DOCUMENT = ROOT / "docs" / "PERFORMANCE.md"
BEGIN, END = "<!-- written by dev/bench/run.py: {} -->", "<!-- end of {} -->"


def parse():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="short loads, fewer connections, small databases")
    options.add_argument("--only", help="sections, with commas between them")
    options.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the documents want five at least")
    options.add_argument("--seconds", type=int, help="of each load")
    options.add_argument("--connections", help="with commas between them")
    options.add_argument("--megabytes", type=lambda text: [int(size) for size in text.split(",")], help="sizes for the sections backup and felt, such as 100,200")
    options.add_argument("--huge", action="store_true", help="growth to 10,000,000 messages")
    options.add_argument("--json", type=Path, default=OUT / "figures.json", help="where every sample is written")
    options = options.parse_args()
    usual = [name for name in SECTIONS if not (options.quick and name in NOT_QUICK)]
    options.sections = options.only.split(",") if options.only else usual
    if unknown := set(options.sections) - set(SECTIONS):
        raise SystemExit(f"there is no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    options.seconds = options.seconds or (1 if options.quick else 2)
    default = "64" if options.quick else "1,16,64,256"
    options.connections = [int(count) for count in (options.connections or default).split(",")]
    options.million = 100_000 if options.quick else 1_000_000
    return options


def main():
    options = parse()
    # A run that is told to stop stops its servers, too, and clears up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    OUT.mkdir(parents=True, exist_ok=True)
    described = machine.describe(OUT)
    print("\n".join(f"{name}: {value}" for name, value in described.items()), flush=True)
    found = []
    for name in options.sections:
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=OUT))
        try:
            module, function = SECTIONS[name].split(".")
            section = getattr(importlib.import_module(module), function)(options, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print("\n" + "\n\n".join(table.plain() for table in section.tables))
        print(f"  took {time.monotonic() - started:.0f} s", flush=True)
        found.append(section)
        write(options, described, found)
    below = [floor for section in found for floor in section.floors if not floor.held]
    for section in found:
        for floor in section.floors:
            print(f"{'held ' if floor.held else 'BELOW'} {floor.label()}")
    sys.exit(1 if below else 0)


def write(options, described, found):
    """All samples as JSON after each section; and where the run counts, its tables in the document."""
    samples = {section.name: {"floors": [vars(one) | {"held": one.held} for one in section.floors], "samples": section.samples} for section in found}
    options.json.write_text(json.dumps({"machine": described, "rounds": options.rounds, "sections": samples}, indent=1, default=str))
    if options.quick or options.rounds < 5:
        return
    text = DOCUMENT.read_text()
    for name, body in [("machine", machine_text(described)), *((section.name, section_text(section, options, described)) for section in found)]:
        begin, end = BEGIN.format(name), END.format(name)
        if begin not in text or end not in text:
            raise SystemExit(f"{DOCUMENT} has no place for {name}: it wants the lines\n{begin}\n{end}")
        text = text[: text.index(begin) + len(begin)] + f"\n{body}\n" + text[text.index(end):]
    unfinished = DOCUMENT.with_suffix(".unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, DOCUMENT)


def machine_text(described):
    return "\n".join(f"- {name}: {value}" for name, value in described.items())


def section_text(section, options, described):
    floors = [f"| {one.what} | {one.value:,.2f}{one.unit} | {one.bound:,.2f}{one.unit} {'at most' if one.at_most else 'at least'} "
              f"| {'held' if one.held else '**below**'} |" for one in section.floors]
    run = f"{options.rounds} rounds, revision {described['revision']}."
    tables = "\n\n".join([run, *(table.markdown() for table in section.tables)])
    if not floors:
        return tables
    return tables + "\n\n" + "\n".join(["| floor | measured | bound | |", "|---|---|---|---|", *floors])


if __name__ == "__main__":
    main()
