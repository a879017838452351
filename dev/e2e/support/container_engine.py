"""A Docker engine of the tests' own, with compose: started without a network, and gone with everything in it."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from .processes import ENDS_WITH_US, ROOT
from .waiting import wait_until

# Put there by dev/e2e/setup where the machine has no compose of its own.
OWN_COMPOSE = ROOT / "target" / "e2e-tools" / "docker-compose"
IMAGE = "wardpost-e2e-env"


def find_compose():
    """The command of a compose of version 2; version 1, which ended in 2023, reads env files in a way of its own."""
    for command in ([str(OWN_COMPOSE)], ["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]):
            version = subprocess.run([*command, "version"], capture_output=True, text=True)
            if re.search(r"version v?([2-9]|\d\d)\.", version.stdout):
                return command
    return None


class ContainerEngine:
    """`dockerd`, with an image that holds `env` and what it needs to run."""

    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("only root may start a container engine")
        self._compose = find_compose()
        if not shutil.which("dockerd") or not self._compose:
            pytest.skip("dockerd or a compose of version 2 is not here: dev/e2e/setup installs both")
        # A socket's path may have 108 characters at most: pytest's own folders are too deep.
        self._folder = Path(tempfile.mkdtemp(prefix="wardpost-engine-"))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "DOCKER_HOST": f"unix://{self._folder}/socket",
        }
        self._log = self._folder / "log"
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [
                    *ENDS_WITH_US,
                    "dockerd",
                    f"--host={self._environment['DOCKER_HOST']}",
                    f"--data-root={self._folder}/data",
                    f"--exec-root={self._folder}/exec",
                    f"--pidfile={self._folder}/pid",
                    # It changes nothing on this machine.
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                ],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until("the engine answers or ends", lambda: self._ended() or self._answers(), seconds=60)
            if self._ended():
                pytest.skip(f"no container engine runs here: {self._log.read_text(errors='replace')[-300:]}")
            self._make_image()
        except BaseException:
            self.stop()
            raise

    def _ended(self):
        return self._child.poll() is not None

    def _answers(self):
        return self._run(["docker", "version"]).returncode == 0

    def _run(self, command, **options):
        return subprocess.run(command, env=self._environment, capture_output=True, timeout=120, **options)

    def _make_image(self):
        """A whole distribution is not needed to print an environment."""
        program = shutil.which("env")
        libraries = re.findall(r"/\S+", subprocess.run(["ldd", program], capture_output=True, text=True).stdout)
        archive = self._folder / "image.tar"
        with tarfile.open(archive, "w", dereference=True) as tar:
            for inside, outside in [("/usr/bin/env", program), *zip(libraries, libraries)]:
                tar.add(os.path.realpath(outside), inside)
        made = self._run(["docker", "import", archive, IMAGE])
        assert made.returncode == 0, made.stderr.decode()

    def environment_from(self, env_file: Path):
        """What a compose service sees whose `env_file` this is, as text with a NUL after each variable."""
        compose_file = self._folder / "compose.yaml"
        compose_file.write_text(
            f"services:\n  show:\n    image: {IMAGE}\n    network_mode: none\n"
            f"    env_file: {env_file}\n    command: [/usr/bin/env, '-0']\n"
        )
        seen = self._run([*self._compose, "-p", "wardpost-e2e", "-f", compose_file, "run", "--rm", "-T", "show"])
        assert seen.returncode == 0, seen.stderr.decode(errors="replace")
        return seen.stdout.decode()

    def stop(self):
        self._child.terminate()
        self._child.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)
