"""`secrets-init` as a child process, with the promise that holds for all of its runs: it says no value of a secret."""

import json
import os
import re
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .processes import binary

REQUIRED = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "APP_SECRET", "DB_ENCRYPTION_KEY")
NAME = "wardpost/app-secrets"
ADDRESS = f"aws-secretsmanager://{NAME}"
REGION = "eu-central-1"
# Beside the secret's own names in the env file.
VERSION = "WARDPOST_SECRET_VERSION"
# A shorter line of a value may stand in an honest message by chance.
SHORTEST_SEARCHED = 6

DONE, FAILED, UNAVAILABLE, CONFIGURATION = 0, 1, 69, 78


def good_secret(**changes):
    """Four values that are right, and like no other run's; a change to None leaves the key out."""
    secret = {
        "GOOGLE_CLIENT_ID": f"{secrets.token_hex(6)}.apps.example",
        "GOOGLE_CLIENT_SECRET": f"GOCSPX-{secrets.token_urlsafe(18)}",
        "APP_SECRET": secrets.token_hex(32),
        "DB_ENCRYPTION_KEY": secrets.token_hex(32),
    } | changes
    return {key: value for key, value in secret.items() if value is not None}


def parse_env(text):
    """The settings of an env file, by a reader of our own: a second opinion on what was written."""
    line = r'(?P<key>[A-Za-z_]\w*)=(?:"(?P<quoted>(?:[^"\\$]|\\["\\$])*)"|(?P<plain>[^\s"\'\\$#]*))\n|#[^\n]*\n|\n'
    settings, position = {}, 0
    while position < len(text):
        found = re.compile(line).match(text, position)
        assert found, f"the env file has a line that is none, {text.count(chr(10), 0, position) + 1}"
        position = found.end()
        if key := found["key"]:
            assert key not in settings, f"{key} comes twice"
            quoted = found["quoted"]
            settings[key] = found["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return settings


@dataclass(frozen=True)
class Run:
    """What one run came to."""

    code: int
    out: str
    err: str

    @property
    def said(self):
        return self.out + self.err

    def expect(self, code, *words):
        """Fails, showing what was said, unless it ended so and said all of `words`."""
        assert self.code == code, f"ended with {self.code}, not {code}:\n{self.said}"
        for word in words:
            assert word in self.said, f"`{word}` is not in what it said:\n{self.said}"
        return self


class SecretsInit:
    """The program with a folder and settings of its own."""

    def __init__(self, folder: Path, **settings):
        self.env_file = folder / "run" / "env"
        self.env_file.parent.mkdir(parents=True, exist_ok=True)
        self.source = folder / "secret.json"
        self._settings = {
            "PATH": os.environ["PATH"],
            # Nobody's AWS profile belongs in a test.
            "HOME": str(folder),
            "WARDPOST_SECRET": f"file://{self.source}",
            "WARDPOST_ENV_FILE": str(self.env_file),
            "WARDPOST_SECRET_DEADLINE_SECONDS": "20",
        } | settings
        self._never_said = set()

    def hide(self, *values):
        """From now on, no run may say any of these, nor any line of them, in any spelling."""
        for value in values:
            lines = [value, *value.split("\n")]
            for line in (line for line in lines if len(line) >= SHORTEST_SEARCHED):
                self._never_said |= {line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1]}

    def hide_secret(self, secret):
        """The same for all values of a secret."""
        self.hide(*(value for value in secret.values() if isinstance(value, str)))
        return secret

    def provide(self, secret):
        """Puts a secret where a file source is read."""
        self.hide_secret(secret)
        self.provide_text(json.dumps(secret))

    def provide_text(self, text):
        self.source.unlink(missing_ok=True)
        self.source.touch(mode=0o600)
        self.source.write_text(text, encoding="utf-8")

    def environment(self, **settings):
        return {name: value for name, value in (self._settings | settings).items() if value is not None}

    def start(self, *arguments, wrapper=(), **settings):
        """Starts it under `wrapper`; the caller hands it to `finish`."""
        return subprocess.Popen(
            [*map(str, wrapper), str(binary("secrets-init")), *map(str, arguments)],
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def finish(self, child, seconds=90):
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise AssertionError(f"it did not end within {seconds} s; it said:\n{out}{err}") from None
        self.check_silence(out, "standard output")
        self.check_silence(err, "the log")
        return Run(child.returncode, out, err)

    def run(self, *arguments, wrapper=(), seconds=90, **settings):
        """One run to its end."""
        return self.finish(self.start(*arguments, wrapper=wrapper, **settings), seconds)

    def check_silence(self, text, where):
        for value in self._never_said:
            # Not an `assert text not in`: the failure's own words would go on to say it.
            if value in text:
                raise AssertionError(f"a value of {len(value)} characters that begins with {value[:3]!r} is in {where}")

    def written(self):
        """The settings in the env file, without the version of the secret that they are."""
        settings = parse_env(self.env_file.read_text(encoding="utf-8"))
        settings.pop(VERSION, None)
        return settings

    def written_version(self):
        return parse_env(self.env_file.read_text(encoding="utf-8"))[VERSION]

    def left_beside(self):
        """Names in the env file's folder, the env file aside."""
        return sorted(entry.name for entry in self.env_file.parent.iterdir() if entry != self.env_file)


def log_lines(text):
    """The lines of a log that are JSON."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
