"""The images of `compose/`, compiled from source in containers. The bases that a registry would give are made here, under
the tags that the Dockerfile names: Debian from the tree that dev/e2e/setup makes, and the same with this machine's compiler."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .container_engine import find_compose
from .container_host import DEBIAN
from .processes import ENDS_WITH_US, ROOT
from .waiting import wait_until

SECONDS = 2 * 60 * 60
# Authorities that this machine trusts besides Debian's: the way to the registry may have one of its own.
OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")


def tag(name):
    """What the Dockerfile asks a registry for."""
    return re.search(rf"^ARG {name}=(\S+)$", (ROOT / "compose" / "Dockerfile").read_text(), re.MULTILINE)[1]


class SourceBuild:
    """An engine whose containers have this machine's network, since they fetch packages and crates."""

    def __init__(self):
        # A socket's path may have 108 characters at most.
        self.folder = Path(tempfile.mkdtemp(prefix="wardpost-source-"))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self.folder}/socket",
            "DOCKER_BUILDKIT": "1",
        }
        self._child = subprocess.Popen(
            [*ENDS_WITH_US, "nice", "dockerd", f"--host=unix://{self.folder}/socket", f"--data-root={self.folder}/data"]
            + [f"--exec-root={self.folder}/exec", f"--pidfile={self.folder}/pid"]
            + ["--bridge=none", "--iptables=false", "--ip6tables=false"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until("the engine answers", lambda: self.run("docker", "version", check=False).returncode == 0, 60)
        except BaseException:
            self.stop()
            raise

    def run(self, *command, check=True, cwd=None, **options):
        done = subprocess.run(
            list(map(str, command)), env=self._environment, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, **options
        )
        assert not check or done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def make_bases(self):
        packing = subprocess.Popen(["tar", "-c", "--exclude=./dev/*", "-C", DEBIAN, "."], stdout=subprocess.PIPE)
        with packing.stdout as archive:
            self.run("docker", "import", "-", "tree", stdin=archive)
        assert packing.wait() == 0
        debian, rust = self.folder / "debian", self.folder / "rust"
        debian.mkdir()
        shutil.copytree(OWN_AUTHORITIES, debian / "authorities")
        self._build(debian, tag("BASE"), "FROM tree\nCOPY authorities /usr/local/share/ca-certificates\nRUN update-ca-certificates\n")
        sysroot = Path(subprocess.run(["rustc", "--print", "sysroot"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip())
        for part in ("bin", "lib", "libexec"):
            shutil.copytree(sysroot / part, rust / "toolchain" / part, symlinks=True)
        self._build(
            rust,
            tag("RUST"),
            f"FROM {tag('BASE')}\n"
            "RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev\n"
            "COPY toolchain /toolchain\nENV PATH=/toolchain/bin:/usr/bin:/bin:/usr/sbin:/sbin\n",
        )

    def _build(self, folder, name, dockerfile):
        """By compose, whose own way to the engine's builder needs no plugin."""
        (folder / "Dockerfile").write_text(dockerfile)
        service = {"image": name, "build": {"context": str(folder), "network": "host"}}
        (folder / "compose.yaml").write_text(json.dumps({"services": {"base": service}}))
        self.run(*find_compose(), "build", cwd=folder)

    def compose_build(self):
        """What the runbook says, on a clean copy of the sources."""
        project = self.folder / "project"
        project.mkdir()
        self.run("sh", "-c", f"git -C {ROOT} archive HEAD | tar -x -C {project}")
        compose = project / "compose"
        shutil.copy(compose / ".env.example", compose / ".env")
        with (compose / ".env").open("a") as settings:
            settings.write("COMPOSE_PROFILES=edge\nCOMPOSE_FILE=compose.yaml:network.yaml\n")
        services = json.loads(self.run(*find_compose(), "-f", "compose.yaml", "config", "--format", "json", cwd=compose).stdout)["services"]
        network = {name: {"build": {"network": "host"}} for name, service in services.items() if "build" in service}
        (compose / "network.yaml").write_text(json.dumps({"services": network}))
        self.run(*find_compose(), "build", cwd=compose)

    def in_image(self, image, *command):
        return self.run("docker", "run", "--rm", "--network", "none", "--read-only", f"wardpost/{image}", *command, check=False)

    def stop(self):
        self._child.terminate()
        self._child.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
