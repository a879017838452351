"""Each check of `dev/checks/run` finds what it is there for: something wrong is planted, and it says so."""

import os
import re
import shutil
import subprocess

import pytest

from support.processes import ROOT

TOOLS = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
DATABASE = "https://github.com/RustSec/advisory-db"
GIT = {
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@clinic.example", "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@clinic.example", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
}


def run(*command, cwd, **environment):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=120,
        env=os.environ | GIT | {"PATH": TOOLS} | environment,
    )
    return done.returncode, done.stdout + done.stderr


def commit(folder):
    """Everything in the folder, as a repository's newest commit."""
    for arguments in (("init", "--quiet", "--initial-branch=main"), ("add", "--all"), ("commit", "--quiet", "-m", "x")):
        code, said = run("git", *arguments, cwd=folder)
        assert code == 0, said


# ---- Dependencies ----------------------------------------------------------------------------------------------------
class Workspace:
    """This workspace's manifests, with programs that are empty."""

    def __init__(self, folder):
        self.folder = folder
        for manifest in [ROOT / "Cargo.toml", ROOT / "Cargo.lock", ROOT / "deny.toml", *ROOT.glob("*/Cargo.toml"), *ROOT.glob("*/*/Cargo.toml")]:
            copy = folder / manifest.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(manifest, copy)
            if manifest.parent != ROOT:
                sources = [*re.findall(r'path = "(src/[^"]+)"', manifest.read_text()), "src/lib.rs", "src/main.rs"]
                for source in sources:
                    (copy.parent / source).parent.mkdir(parents=True, exist_ok=True)
                    (copy.parent / source).write_text("fn main() {}")

    def depend(self, crate, line):
        """Gives one of the crates another dependency."""
        manifest = self.folder / crate / "Cargo.toml"
        text = manifest.read_text()
        assert "\n[dependencies]\n" in text
        manifest.write_text(text.replace("\n[dependencies]\n", f"\n[dependencies]\n{line}\n", 1))

    def make_crate(self, name, version, extra='license = "MIT"'):
        """A crate outside of the workspace, and how a manifest names it."""
        folder = self.folder.with_name(f"{self.folder.name}-{name}")
        (folder / "src").mkdir(parents=True)
        (folder / "src/lib.rs").write_text("")
        (folder / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2024"\n{extra}\n')
        return f'{name}-{version[0]} = {{ package = "{name}", path = "{folder}", version = "{version}" }}'

    def check(self, which, **environment):
        return run(
            "cargo", "deny", "--offline", "--log-level", "error", "check", "--hide-inclusion-graph", "--deny", "warnings", which,
            cwd=self.folder, **environment,
        )


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def test_the_dependencies_as_they_are_pass(workspace):
    for which in ("bans", "licenses", "sources"):
        code, said = workspace.check(which)
        assert code == 0, said


def test_a_crate_in_the_wrong_place_is_refused(workspace):
    wrong = {
        ("web", "rusqlite.workspace = true"): "direct parent 'wardpost-web = 0.1.0' of banned crate 'rusqlite = 0.41.0'",
        ("log-shipper", "warp.workspace = true"): "direct parent 'wardpost-log-shipper = 0.1.0' of banned crate 'warp = 0.4.3'",
        ("web", "openssl-sys.workspace = true"): "direct parent 'wardpost-web = 0.1.0' of banned crate 'openssl-sys",
        ("libs/store", 'rand = "0.8"'): "direct parent 'wardpost-store = 0.1.0' of banned crate 'rand",
        ("libs/store", 'rsa = "0.9.10"'): "direct parent 'wardpost-store = 0.1.0' of banned crate 'rsa",
    }
    for crate, line in wrong:
        workspace.depend(crate, line)
    code, said = workspace.check("bans")
    assert code != 0
    for wanted in wrong.values():
        assert wanted in said, said


def test_a_second_tls_stack_or_framework_is_refused(workspace):
    banned = ("native-tls", "openssl", "aws-lc-rs", "boring", "s2n-tls", "rustls-openssl", "axum", "actix-web", "env_logger")
    for name in banned:
        workspace.depend("libs/process", workspace.make_crate(name, "1.0.0"))
    code, said = workspace.check("bans")
    assert code != 0
    for name in banned:
        assert f"crate '{name} = 1.0.0' is explicitly banned" in said, said


def test_a_second_version_is_refused(workspace):
    workspace.depend("libs/process", workspace.make_crate("bytes", "9.0.0"))
    code, said = workspace.check("bans")
    assert code != 0 and "found 2 duplicate entries for crate 'bytes'" in said, said


def test_another_licence_is_refused(workspace):
    workspace.depend("libs/process", workspace.make_crate("copyleft", "1.0.0", 'license = "AGPL-3.0-only"'))
    code, said = workspace.check("licenses")
    assert code != 0 and "failed to satisfy license requirements" in said and "AGPL-3.0-only" in said, said


def test_another_source_is_refused(workspace, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "src").mkdir()
    (elsewhere / "src/lib.rs").write_text("")
    (elsewhere / "Cargo.toml").write_text('[package]\nname = "stray"\nversion = "1.0.0"\nedition = "2024"\nlicense = "MIT"\n')
    commit(elsewhere)
    workspace.depend("libs/process", f'stray = {{ git = "file://{elsewhere}" }}')
    # Offline is for registries: the repository is on this disk.
    run("cargo", "fetch", cwd=workspace.folder)
    code, said = workspace.check("sources")
    assert code != 0 and "source-not-allowed" in said, said


# ---- Advisories ------------------------------------------------------------------------------------------------------
ADVISORY = """```toml
[advisory]
id = "{number}"
package = "{package}"
date = "2026-01-01"
url = "https://clinic.example/"

[versions]
patched = []
```

# Planted

For a test.
"""


def advisories(folder, packages):
    """A database with these advisories, and how git is to be told that it is the real one."""
    for number, package in packages.items():
        (folder / "crates" / package).mkdir(parents=True, exist_ok=True)
        (folder / "crates" / package / f"{number}.md").write_text(ADVISORY.format(number=number, package=package))
    commit(folder)
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{folder}.insteadOf", "GIT_CONFIG_VALUE_0": DATABASE}


@pytest.mark.parametrize(
    ("number", "package", "passes"),
    [("RUSTSEC-2026-9999", "sha2", False), ("RUSTSEC-2026-9998", "nobody-has-it", True)],
    ids=["of a dependency", "of somebody else"],
)
def test_an_advisory(number, package, passes, workspace, tmp_path_factory):
    # The second is explained in deny.toml.
    database = advisories(tmp_path_factory.mktemp("database"), {number: package, "RUSTSEC-2023-0071": "rsa"})
    rules = workspace.folder / "deny.toml"
    rules.write_text(rules.read_text().replace("[advisories]\n", f'[advisories]\ndb-path = "{workspace.folder}/database"\n'))
    # Not offline, since the database is to be fetched; nothing else is.
    code, said = run(
        "cargo", "deny", "--log-level", "error", "check", "--hide-inclusion-graph", "--deny", "warnings", "advisories",
        cwd=workspace.folder, CARGO_NET_OFFLINE="true", **database,
    )
    assert (code == 0) == passes, said
    if not passes:
        assert "RUSTSEC-2026-9999" in said, said


def test_advisories_that_cannot_be_had_are_no_pass(tmp_path):
    code, said = run(ROOT / "dev/checks/run", "advisories", cwd=ROOT, ADVISORY_DATABASE=f"file://{tmp_path}/nothing")
    assert code == 0
    assert "NOT CHECKED: ADVISORIES" in said and "advisories: nothing found" not in said, said


# ---- Secrets ---------------------------------------------------------------------------------------------------------
# Put together here, since this file is searched too.
SECRETS = {
    "an AWS key": ("AWS_ACCESS_KEY_ID=" + "AKIA" + "Q3EGRZ7TLPOW5NXY", "AWS Access Key"),
    "an AWS secret key": ('aws_secret_access_key = "' + "wJalrXUtnFEMI/K7MDENG/" + 'bPxRfiCYzzzzzzzKEY"', "AWS Access Key"),
    "a Google client secret": ("GOOGLE_CLIENT_SECRET=" + "GOCSPX-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4", "Google client secret"),
    "a database key": ("DB_ENCRYPTION_KEY=" + "9f3a" * 16, "256 bits in hex"),
    "a database key in quotes": ('key = "' + "9f3a1c5e7b2d" * 5 + 'abcd"', "256 bits in hex"),
    "an age key": ("AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2, "age secret key"),
    "a private key": ("-----BEGIN EC " + "PRIVATE KEY-----", "Private Key"),
    "a password in an address": ("https://amina:" + "hunter2secret" + "@clinic.example/", "Basic Auth Credentials"),
    "a token": ("eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0" + ".c2lnbmF0dXJlLW9mLXRoaXM", "JSON Web Token"),
}


def find_secrets(folder):
    return run(ROOT / ".venv/bin/python", ROOT / "dev/checks/find_secrets.py", folder, cwd=ROOT)


def test_every_kind_of_secret_is_found(tmp_path):
    for name, (line, _) in SECRETS.items():
        (tmp_path / f"{name}.env").write_text(f"A=1\n{line}\n")
    code, said = find_secrets(tmp_path)
    assert code == 1
    for name, (line, kind) in SECRETS.items():
        assert re.search(f"^{name}.env: {kind}, beginning with .*not committed yet$", said, re.MULTILINE), f"{name}: {said}"
        assert line.split("=", 1)[-1].strip('" ') not in said, "what is found is not told on"


def test_a_secret_that_was_committed_once_is_found_after_it_went(tmp_path):
    kept = tmp_path / "settings.env"
    kept.write_text(SECRETS["a database key"][0])
    commit(tmp_path)
    kept.write_text("A=1\n")
    commit(tmp_path)
    code, said = find_secrets(tmp_path)
    assert code == 1 and re.search("settings.env: 256 bits in hex, .*since commit [0-9a-f]{7}", said), said


def test_an_explanation_that_explains_nothing_is_an_error(tmp_path):
    (tmp_path / "settings.env").write_text("A=1\n")
    code, said = find_secrets(tmp_path)
    assert code == 1 and "remove its entry" in said and "settings.env" not in said, said


# ---- Scripts and images ----------------------------------------------------------------------------------------------
@pytest.fixture
def checkout(tmp_path):
    """The checks and what they look at, in a folder that a test may spoil."""
    for path in ("dev/checks", "compose", "systemd"):
        shutil.copytree(ROOT / path, tmp_path / path, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def test_a_script_with_a_fault_is_found_whatever_its_name(checkout):
    (checkout / "systemd/wardpost").write_text("#!/bin/sh\nrm -rf $1/*\n")
    commit(checkout)
    code, said = run(checkout / "dev/checks/run", "shell", cwd=checkout)
    assert code == 1 and "SC2086" in said and "shell: FAILED" in said, said


def test_a_dockerfile_with_a_fault_is_found(checkout):
    dockerfile = checkout / "compose/Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}\nRUN sudo cd /somewhere\n")
    code, said = run(checkout / "dev/checks/run", "images", cwd=checkout)
    assert code == 1 and "DL3004" in said and "images: FAILED" in said, said
