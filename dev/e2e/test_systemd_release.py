"""A release on a machine of its own: installed, upgraded and removed as docs/INSTALL.md has it, once from the Debian package and
once from the tarball.

The releases are two packings of the debug build, of which the older one has an earlier version. E2E_RELEASES names two
folders of real ones instead, the older first: `make dist` made them (docs/RELEASING.md has such a run)."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.booted_systemd import require_systemd
from support.installed_site import EVERYTHING, PROGRAMS, InstalledSite
from support.processes import BINARIES, ROOT
from support.steady_askers import SteadyAskers
from support.visitor import Visitor

NAMES = ["web", "secrets-init", "log-shipper", "backup-worker"]
PAGE = (ROOT / "docs" / "INSTALL.md").read_text()
LIBRARY = "usr/local/lib/wardpost"


class Release:
    """The files of a release, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        (self.deb,) = folder.glob("*.deb")
        self.version = self.deb.name.split("_")[1]
        (tarball,) = folder.glob("*.tar.gz")
        listed = subprocess.run(["tar", "--list", "-vzf", tarball, "--utc", "--full-time"], capture_output=True, text=True, check=True).stdout
        # Every file of a release has the time of its commit.
        (self.made,) = {" ".join(line.split()[3:5]) for line in listed.splitlines()}

    def run(self, machine, *lines):
        """Lines of the page, typed in the folder on the machine where the files were downloaded to."""
        here = machine.root / "root" / self.folder.name
        if not here.exists():
            shutil.copytree(self.folder, here)
        typed = "\n".join(lines).replace("VERSION", self.version)
        return machine.run("sh", "-euxc", f"cd /root/{self.folder.name}\n{typed}")


def lines_after(words):
    """The indented lines of the page that follow a line with these words."""
    (after,) = re.findall(rf"^.*{re.escape(words)}.*\n\n((?:    .*\n)+)", PAGE, re.MULTILINE)
    return [line.strip() for line in after.splitlines()]


RESTART = "systemctl restart wardpost-web wardpost-log-shipper wardpost-backup-worker"
BACK = "apt-get install --allow-downgrades ./wardpost_VERSION_amd64.deb"


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """An older one and a newer one."""
    require_systemd()
    if named := os.environ.get("E2E_RELEASES"):
        return [Release(Path(folder).resolve()) for folder in named.split(":")]
    stripped, made = tmp_path_factory.mktemp("stripped"), []
    for program in NAMES:
        subprocess.run(["strip", "-o", stripped / program, BINARIES / program], check=True)
    for version, when in (("0.0.1", "1790000000"), ("0.0.2", "1790000060")):
        folder = tmp_path_factory.mktemp(version)
        environment = os.environ | {"BINARIES": str(stripped), "SOURCE_DATE_EPOCH": when, "GZIP_LEVEL": "1"}
        subprocess.run([ROOT / "dev/dist/package", version, folder], env=environment, check=True)
        subprocess.run("sha256sum -- wardpost* >SHA256SUMS", shell=True, cwd=folder, check=True)
        made.append(Release(folder))
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A booted machine with stand-ins for AWS and the provider, and nothing of ours on it."""
    site = InstalledSite(tmp_path_factory.mktemp("release"), install=False)
    # Nobody is there to answer apt's questions.
    site.machine.write("/etc/apt/apt.conf.d/yes", 'APT::Get::Assume-Yes "true";\n')
    yield site
    site.stop()


def is_installed(machine, release):
    """Every file is the release's, by the time that it has, and each program runs from it."""
    for program in NAMES:
        said = machine.run("stat", "--format=%y", f"/{LIBRARY}/{program}").stdout
        assert said.startswith(release.made), f"{program} is of {said} and not of {release.made}"
    for unit in PROGRAMS:
        machine.wait_for(unit, "active")
        executed = machine.run("readlink", f"/proc/{machine.main_pid(unit)}/exe").stdout.strip()
        assert executed == f"/{LIBRARY}/{unit.removeprefix('wardpost-').removesuffix('.service')}", "not a file that is gone"


def is_removed(machine):
    """Nothing runs, nothing is left but what the operator and the clinic wrote; the system's folders are as they were."""
    assert machine.systemctl("list-units", "--all", "--no-legend", "--plain", "--state=active", "wardpost*") == ""
    assert machine.systemctl("list-unit-files", "--no-legend", "wardpost*", check=False) == ""
    left = machine.run("find", "/usr/local", "/etc/systemd/system", "-name", "*wardpost*", "!", "-name", "*.socket.d", check=False).stdout
    assert left == ""
    assert {"bin", "lib", "share"} <= {path.name for path in (machine.root / "usr/local").iterdir()}
    assert (machine.root / "var/lib/wardpost/wardpost.db").stat().st_size > 0
    assert (machine.root / "etc/wardpost/aws.env").exists()


def written_before(site, text):
    amina = Visitor(site, "amina")
    return amina, amina.send(text)


def test_the_debian_package_is_installed_upgraded_taken_back_and_removed(site, releases):
    machine, (older, newer) = site.machine, releases
    (install,) = lines_after("**Debian 12 or newer**")
    (remove,) = lines_after("Settings and data stay. The package:")
    assert BACK in PAGE
    assert "OK" in older.run(machine, *lines_after("the release's:")).stdout
    older.run(machine, install)
    assert machine.show("wardpost.target", "ActiveState") == "inactive", "nothing is started before it has settings"
    assert (machine.root / "etc/wardpost/wardpost.env").stat().st_mode & 0o777 == 0o640
    site.set_up()
    is_installed(machine, older)
    amina, number = written_before(site, "Written under the package before")
    settings = (machine.root / "etc/wardpost/wardpost.env").read_text()

    with SteadyAskers(f"{site.address}/") as askers:
        askers.wait_for_more()
        newer.run(machine, install)
        is_installed(machine, newer)
        askers.wait_for_more()
        older.run(machine, BACK)
        is_installed(machine, older)
        askers.wait_for_more()
    askers.check()
    # What was stopped stays so.
    machine.systemctl("stop", "wardpost.target", "wardpost-*")
    newer.run(machine, install)
    assert machine.systemctl("list-units", "--no-legend", "--plain", "--state=active", "wardpost*") == ""
    machine.systemctl("start", "wardpost.target")
    is_installed(machine, newer)
    assert (machine.root / "etc/wardpost/wardpost.env").read_text() == settings
    assert amina.get(f"/messages/{number}").status_code == 200, "the message and the session are there"

    newer.run(machine, remove)
    is_removed(machine)
    assert (machine.root / "etc/wardpost/wardpost.env").read_text() == settings
    purged = newer.run(machine, remove.replace("remove", "purge"))
    is_removed(machine)
    assert not (machine.root / "etc/wardpost/wardpost.env").exists()
    for kept in ("/var/lib/wardpost", "/etc/wardpost"):
        assert f"wardpost: {kept} stays: it may hold data of the clinic." in purged.stdout


def test_the_tarball_is_installed_upgraded_and_removed(site, releases):
    machine, (older, newer) = site.machine, releases
    install = lines_after("**Any other system**")
    remove = lines_after("The tarball (`make uninstall` does the same):")
    assert RESTART in lines_after("After the others:")
    modes = {folder: (machine.root / folder).stat().st_mode for folder in ("", "etc", "usr", "usr/local", "usr/local/bin")}
    older.run(machine, *install)
    assert modes == {folder: (machine.root / folder).stat().st_mode for folder in modes}
    assert machine.show("wardpost.target", "ActiveState") == "inactive", "nothing is started before it has settings"
    assert (machine.root / "etc/wardpost/wardpost.env").stat().st_mode & 0o777 == 0o640
    site.set_up()
    is_installed(machine, older)
    amina, number = written_before(site, "Written under the tarball before")
    settings = (machine.root / "etc/wardpost/wardpost.env").read_text()

    with SteadyAskers(f"{site.address}/") as askers:
        askers.wait_for_more()
        newer.run(machine, *install, RESTART)
        is_installed(machine, newer)
        askers.wait_for_more()
    askers.check()
    assert (machine.root / "etc/wardpost/wardpost.env").read_text() == settings
    assert amina.get(f"/messages/{number}").status_code == 200, "the message and the session are there"
    for unit in EVERYTHING:
        machine.wait_for(unit, "active")

    newer.run(machine, *remove)
    is_removed(machine)
    assert (machine.root / "etc/wardpost/wardpost.env").read_text() == settings
