"""`make install` into a folder, as a packager would, with the programs of the debug build."""

import os
import shutil
import subprocess

import pytest

from support.processes import BINARIES, ROOT

SETTINGS = "etc/wardpost/wardpost.env"
PROGRAMS = ["backup-worker", "log-shipper", "secrets-init", "web"]


def make(target, folder, *variables):
    command = ["make", target, f"DESTDIR={folder}", *variables]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def files(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("prefix", ["/usr/local", "/usr"])
def test_everything_is_where_systemd_looks_and_is_gone_again(tmp_path, prefix):
    variables = [f"PREFIX={prefix}", f"BINARIES={BINARIES}"]
    make("install", tmp_path, *variables)
    library = f"{prefix[1:]}/lib"
    units = ROOT / "systemd" / "units"
    expected = {f"{library}/systemd/system/{file.relative_to(units)}" for file in units.rglob("*") if file.is_file()}
    expected |= {f"{library}/wardpost/{program}" for program in [*PROGRAMS, "refuse-database-key"]}
    expected |= {f"{library}/{kind}.d/wardpost.conf" for kind in ("sysusers", "tmpfiles")}
    expected |= {f"{library}/systemd/system-generators/wardpost-credentials-generator"}
    expected |= {f"{prefix[1:]}/bin/wardpost", SETTINGS}
    installed = files(tmp_path)
    assert expected <= installed
    others = installed - expected
    assert all(file.startswith(f"{prefix[1:]}/share/doc/wardpost/") for file in others), others
    # What the units and the command start is what was installed.
    for file in (*(tmp_path / library / "systemd/system").rglob("*"), tmp_path / prefix[1:] / "bin/wardpost"):
        if file.is_file() and prefix == "/usr":
            assert "/usr/local" not in file.read_text(), file

    make("uninstall", tmp_path, *variables)
    assert files(tmp_path) == {SETTINGS}, "settings stay"


def test_an_upgrade_keeps_the_operator_s_settings(tmp_path):
    make("install", tmp_path, f"BINARIES={BINARIES}")
    settings = tmp_path / SETTINGS
    assert settings.stat().st_mode & 0o777 == 0o640
    settings.write_text("WARDPOST_PUBLIC_URL=https://messages.clinic.example\n")
    make("install", tmp_path, f"BINARIES={BINARIES}")
    assert settings.read_text() == "WARDPOST_PUBLIC_URL=https://messages.clinic.example\n"


def test_a_release_is_built_program_by_program_unless_others_are_named(tmp_path):
    """Built together, each would have the features that any of them asks for."""
    built = make("install", tmp_path, "--dry-run")
    assert "cargo build --release --locked --package wardpost-$program" in built
    assert "cargo build" not in make("install", tmp_path, f"BINARIES={BINARIES}", "--dry-run")


@pytest.mark.parametrize("target", ["install", "demo", "unit", "check", "e2e", "bench"])
def test_what_make_is_told_does_not_reach_cargo(tmp_path, target):
    """It would reach the make of OpenSSL's build script, which installs itself below a DESTDIR of ours and is not found."""
    tree, record = tmp_path / "tree", tmp_path / "environments"
    for folder in ("systemd", "docs", "compose/edge"):
        shutil.copytree(ROOT / folder, tree / folder)
    for file in ("Makefile", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / file, tree)
    # The least that stands for a build and for what the targets call beside it.
    programs = " ".join(PROGRAMS)
    for script, does in {
        tmp_path / "bin" / "cargo": f'env -0 >>{record}; mkdir -p target/release; cd target/release; touch {programs}',
        **{tree / name: "" for name in ("dev/e2e/setup", "dev/checks/run", "dev/bench/setup", ".venv/bin/python",
                                        "target/bench/tools/venv/bin/python")},
    }.items():
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!/bin/sh\n{does}\n")
        script.chmod(0o755)
    set_here = {"DESTDIR": tmp_path / "image", "PREFIX": "/usr", "BINARIES": "target/release", "INSTALL": "install -p", "V": "1", "ARGS": ""}
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "DESTDIR": "/elsewhere", "CFLAGS": "-O2"}
    command = ["make", "--keep-going", target, *(f"{name}={value}" for name, value in set_here.items())]
    made = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    variables = [entry.partition("=") for entry in record.read_text().split("\0") if entry]
    reached = {name for name, _, _ in variables}
    assert not reached & {*set_here, "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "GNUMAKEFLAGS"}
    assert ("CFLAGS", "=", "-O2") in variables, "what is set for compilers goes on"
    if target == "install":
        assert (tmp_path / "image/usr/lib/wardpost/web").exists()
