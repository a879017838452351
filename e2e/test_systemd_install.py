"""`make install` into a folder, as a packager would, with the programs of the debug build."""

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
