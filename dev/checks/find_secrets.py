"""Looks for secrets in every file here and in everything that was ever committed, with detect-secrets and a few shapes of
our own; known fakes are explained in dev/checks/known-fakes.toml. Exit code 1 when something is found, or when an explanation
explains nothing any more. `dev/checks/find_secrets.py FOLDER` looks at another checkout."""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

HERE = Path(__file__).resolve().parent
OWN_SHAPES = HERE / "secret_shapes.py"
SETTINGS = {
    "plugins_used": [
        {"name": "AWSKeyDetector"},
        {"name": "PrivateKeyDetector"},
        {"name": "BasicAuthDetector"},
        {"name": "JwtTokenDetector"},
        {"name": "Base64HighEntropyString", "limit": 4.5},
        {"name": "HexHighEntropyString", "limit": 3.0},
        # Not KeywordDetector: the tests are full of made-up words behind `secret =`.
        *({"name": name, "path": OWN_SHAPES.as_uri()} for name in ("GoogleClientSecret", "AgeSecretKey", "HexKey")),
    ],
    "filters_used": [],
}
# Machines write these: checksums of packages, which are published, and seeds of cases that a property test once failed.
WRITTEN_BY_MACHINES = ("Cargo.lock", "package-lock.json", "proptest-regressions")


def git(folder, *arguments, stdin=None):
    """Its output, or None where there is no repository."""
    done = subprocess.run(["git", "-C", folder, *arguments], input=stdin, capture_output=True)
    if done.returncode:
        return None
    return done.stdout


def committed(folder):
    """Every version of every file as (path, bytes)."""
    listed = git(folder, "rev-list", "--objects", "--all")
    if listed is None:
        return
    named = [line.split(" ", 1) for line in listed.decode().splitlines() if " " in line]
    packed = git(folder, "cat-file", "--batch", stdin="\n".join(name for name, _ in named).encode())
    position = 0
    for _, path in named:
        end_of_head = packed.index(b"\n", position)
        _, kind, size = packed[position:end_of_head].split()
        start = end_of_head + 1
        position = start + int(size) + 1
        if kind == b"blob":
            yield path, packed[start : start + int(size)]


def present(folder):
    """Every file that is, or would be, committed; where there is no repository, every file."""
    listed = git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = listed.decode().split("\0") if listed is not None else [
        str(path)
        for path in (found.relative_to(folder) for found in folder.rglob("*"))
        if path.parts[0] != "target" and not {".venv", "node_modules"} & set(path.parts)
    ]
    for path in paths:
        if path and (folder / path).is_file():
            yield path, (folder / path).read_bytes()


def lines(folder):
    """For each path the lines that ever stood there, each line of text once."""
    seen, by_path = set(), {}
    for source in (present(folder), committed(folder)):
        for path, content in source:
            if b"\0" in content or set(WRITTEN_BY_MACHINES) & set(Path(path).parts):
                continue
            for line in content.decode(errors="replace").splitlines():
                if line not in seen:
                    seen.add(line)
                    by_path.setdefault(path, []).append(line)
    return by_path


def found(by_path):
    """What looks like a secret: (path, kind, value)."""
    with tempfile.TemporaryDirectory() as folder, transient_settings(SETTINGS):
        for path, texts in by_path.items():
            copy = Path(folder) / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text("\n".join(texts) + "\n")
            for secret in scan_file(str(copy)):
                yield path, secret.type, secret.secret_value


def main(folder):
    fakes = tomllib.loads((HERE / "known-fakes.toml").read_text())["fake"]
    used = set()
    leaks = set()
    for path, kind, value in found(lines(folder)):
        explaining = [
            number for number, fake in enumerate(fakes)
            if value.startswith(fake["starts"]) and f"/{path}".endswith("/" + fake.get("path", path))
        ]
        used.update(explaining)
        if not explaining:
            leaks.add((path, kind, value))
    for path, kind, value in sorted(leaks):
        where = git(folder, "log", "--all", "--format=%h", "--reverse", f"-S{value}", "--", path)
        commits = (where or b"").decode().split()
        when = f"since commit {commits[0]}" if commits else "not committed yet"
        print(f"{path}: {kind}, beginning with {value[:4]}, {when}")
    idle = [fake for number, fake in enumerate(fakes) if number not in used]
    for fake in idle:
        print(f"known-fakes.toml: nothing begins with {fake['starts']} any more: remove its entry")
    if leaks:
        print(
            "A real secret is no longer one: change it (docs/KEY-ROTATION.md), then take it out of the history. A fake goes into "
            "dev/checks/known-fakes.toml with its reason.",
        )
    return 1 if leaks or idle else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1]))
