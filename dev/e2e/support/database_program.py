"""A program beside the site, with a database of its own that the tests filled."""

import json
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import sqlcipher3

from .processes import Process, binary, clean_environment

# What the tests give as DB_ENCRYPTION_KEY; a secret like any other, so no output may show it.
KEY = secrets.token_hex(32)


def seed(path, messages, *, random_bytes=0):
    """A database with so many messages (more), written through the store; gives the number of its newest audit row, if it
    was not there before. Bodies of `random_bytes` do not compress well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = clean_environment(DB_ENCRYPTION_KEY=KEY)
    command = [binary("seed"), "--db", path, "--messages", str(messages), "--random-bytes", str(random_bytes)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    # The database's first row, the seed's sign-in, and a row a message.
    return messages + 2


def copy_database(source, target):
    """A copy of a database that nobody has open."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target


def open_database(path, key=KEY, *, guarded=False):
    """The file, with the triggers that guard it taken away, if not `guarded`: an intruder with the key would do the same."""
    connection = sqlcipher3.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{key}'\"")
    if not guarded:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def select(path, statement, *values):
    """What a database says, also one that is in use."""
    connection = sqlcipher3.connect(f"file:{path}?mode=ro", uri=True)
    connection.execute(f"PRAGMA key = \"x'{KEY}'\"")
    rows = connection.execute(statement, values).fetchall()
    connection.close()
    return rows


@dataclass(frozen=True)
class Run:
    """What one run came to."""

    code: int
    out: str
    err: str

    def expect(self, code, *words):
        """Fails, showing what was said, unless it ended so and said all of `words`."""
        said = self.out + self.err
        assert self.code == code, f"ended with {self.code}, not {code}:\n{said}"
        for word in words:
            assert word in said, f"`{word}` is not in what it said:\n{said}"
        return self

    @property
    def json(self):
        return json.loads(self.out)


class DatabaseProgram:
    """A program with a database and settings of its own."""

    def __init__(self, name, database: Path, **settings):
        self.name = name
        self.database = database
        self.folder = database.parent
        self._count = 0
        self._settings = {
            "DB_ENCRYPTION_KEY": KEY,
            "HOME": str(self.folder),
            "WARDPOST_ENV_FILE": "",
            "WARDPOST_DB": str(database),
        } | settings

    def environment(self, **settings):
        own = {name: value for name, value in (self._settings | settings).items() if value is not None}
        return clean_environment(**own)

    def run(self, *arguments, seconds=120, through=(), **settings):
        """One run of a command to its end; `through` is a command that starts it."""
        ended = subprocess.run(
            [*through, binary(self.name), *map(str, arguments)],
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            # As in `Process`.
            start_new_session=True,
        )
        for text in (ended.stdout, ended.stderr):
            check_silence(text)
        return Run(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments, **settings):
        """The service; the caller stops it."""
        self._count += 1
        log = self.folder / f"{self.name}-{self._count}.log"
        return Process([binary(self.name), *arguments], log=log, env=self.environment(**settings))


def check_silence(text):
    if KEY in text:
        raise AssertionError("the database key is in what it said")
    assert "\x1b" not in text, "it commands a terminal where there is none"


def error_lines(log):
    """The lines of a log at the level ERROR."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "ERROR"]


def database_id(path):
    connection = sqlcipher3.connect(str(path))
    connection.execute(f"PRAGMA key = \"x'{KEY}'\"")
    (found,) = connection.execute("SELECT value FROM meta WHERE name = 'database_id'").fetchone()
    connection.close()
    assert re.fullmatch("[0-9a-f]{32}", found)
    return found
