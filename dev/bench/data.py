"""Databases full of made-up messages: filled once through the store, kept in target/bench/data, copied for each run."""

import json
import shutil
import subprocess
from pathlib import Path

from support.processes import binary, clean_environment
from tools import OUT

# Guards nothing: the messages are made up.
KEY = "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f"
# A clinic's staff. The list's filter names all of them, and each has written a share of the messages.
PEOPLE = 40
# As many of the newest messages are for somebody who has not done it yet: ten for each.
FOR_SOMEBODY = 400


def filled(messages, random_bytes=0):
    """A closed database with so many messages, made when there is none. Bodies of `random_bytes` do not compress well."""
    # The schema's newest migration is in the name, so that another schema gets another file.
    schema = max(path.stem[:4] for path in Path(OUT.parents[1] / "libs" / "store" / "migrations").glob("*.sql"))
    kept = OUT / "data" / f"{messages}-{random_bytes}-{PEOPLE}-{FOR_SOMEBODY}-{schema}.db"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        print(f"storing {messages:,} messages ...", flush=True)
        seed(unfinished, messages, random_bytes)
        unfinished.rename(kept)
    return kept


def copy(folder: Path, messages, name="wardpost.db", random_bytes=0):
    """A copy of one of them to work on, and who is signed in to it: sessions as `seed` prints them."""
    target = folder / name
    shutil.copyfile(filled(messages, random_bytes), target)
    # Whatever comes next should not wait for these pages to reach the disk.
    subprocess.run(["sync", str(target)], check=True)
    return target, seed(target, 0)


def seed(path, messages, random_bytes=0, replies=0):
    """Adds so many messages by PEOPLE, who are signed in again, and a conversation of so many replies, where it is asked for."""
    command = [binary("seed"), "--db", path, "--messages", messages, "--people", PEOPLE, "--random-bytes", random_bytes]
    command += ["--for-somebody", FOR_SOMEBODY]
    if replies:
        command += ["--replies", replies]
    environment = clean_environment(DB_ENCRYPTION_KEY=KEY)
    return json.loads(subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True).stdout)
