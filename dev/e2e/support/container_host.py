"""A Docker engine with real networks between its containers, in namespaces of its own: bridges, addresses and firewall
rules are made where nothing else is, and all of it ends with the engine's first process, however the tests end."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from .container_engine import find_compose
from .processes import ROOT
from .waiting import wait_until

# Made by dev/e2e/setup: a Debian for images to stand on, and nginx to put into it.
DEBIAN = ROOT / "target" / "e2e-tools" / "bookworm"
NGINX = ROOT / "target" / "e2e-tools" / "nginx"
# What a registry would be asked for.
BASE, EDGE_BASE = "wardpost-e2e/debian", "wardpost-e2e/debian-with-nginx"
# The engine's default bridge: the way from every container to the tests.
GATEWAY = "172.17.0.1"
# Nothing that runs in the images is in there.
LEFT_OUT = ("usr/share/*", "usr/lib/systemd", "var/lib/apt", "var/lib/dpkg/info", "var/cache", "var/log", "dev/*")


class ContainerHost:
    """`dockerd`, compose, and the base images."""

    def __init__(self):
        self.compose_program = find_compose()
        if os.geteuid() != 0:
            pytest.skip("only root may start a container engine")
        if not shutil.which("dockerd") or not self.compose_program or not DEBIAN.exists() or not NGINX.exists():
            pytest.skip(f"dockerd, a compose of version 2, {DEBIAN} or {NGINX} is not here: dev/e2e/setup brings them")
        # A socket's path may have 108 characters at most: pytest's own folders are too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="wardpost-host-"))
        self._socket = self.folder / "socket"
        self._child = None
        self._has_run = False
        self.start()
        try:
            self._import_bases()
        except BaseException:
            self.remove()
            raise

    def start(self):
        """Starts the engine; it knows again what it knew when it was stopped."""
        command = [
            "dockerd",
            f"--host=unix://{self._socket}",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
        ]
        alone = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        script = 'ip link set lo up && rm -f "$1"/pid "$1"/exec/containerd/containerd.pid && shift && exec "$@"'
        self._log = self.folder / "log"
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [*alone, "sh", "-c", script, "sh", self.folder, *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until("the engine answers or ends", lambda: self._child.poll() is not None or self._answers(), seconds=60)
        if self._child.poll() is not None:
            reason = self._log.read_text(errors="replace")[-600:]
            # Where it has run before, nothing is missing here: that it does not run again is a failure.
            assert not self._has_run, f"the engine did not start again: {reason}"
            shutil.rmtree(self.folder, ignore_errors=True)
            pytest.skip(f"no container engine with networks runs here: {reason}")
        self._has_run = True

    @property
    def environment(self):
        # The engine builds; compose's own builder would want a plugin.
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self._socket}",
            "DOCKER_BUILDKIT": "1",
        }

    @property
    def pid(self):
        """The engine's process: the child of `unshare`, in whose namespaces it runs."""
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().split()
        return int(children[0])

    def _answers(self):
        return self._socket.exists() and self.run("docker", "version", check=False).returncode == 0

    def run(self, *command, check=True, seconds=120, cwd=None, text=True, **options):
        """A command with this engine."""
        done = subprocess.run(
            list(map(str, command)),
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=text,
            timeout=seconds,
            **{"stdin": subprocess.DEVNULL} | options,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(map(str, command))}:\n{done.stdout}\n{done.stderr}"
        return done

    def docker(self, *arguments, **options):
        return self.run("docker", *arguments, **options)

    def inspect(self, *names):
        """What the engine tells of containers or images."""
        return json.loads(self.docker("inspect", *names).stdout)

    def run_beside(self, *command, **options):
        """A command in the engine's own namespaces, on its side of the ports and with its numbers of processes."""
        return self.run("nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", *command, **options)

    def outside_number(self, inside):
        """What this side calls a process that the engine knows by `inside`."""
        own = os.readlink(f"/proc/{self.pid}/ns/pid")
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                numbers = re.search(r"^NSpid:\s+(.*)$", (entry / "status").read_text(), re.MULTILINE)[1].split()
                # Containers have numbers of their own below the engine's.
                if inside > 0 and str(inside) in numbers[1:2] and self._is_below(entry, own):
                    return int(entry.name)
            except OSError:
                continue
        raise ProcessLookupError(f"the engine has no process {inside}")

    @staticmethod
    def _is_below(entry, namespace):
        """Whether a process descends from one in that namespace of processes."""
        while entry.name not in ("0", "1"):
            if os.readlink(entry / "ns" / "pid") == namespace:
                return True
            parent = re.search(r"^PPid:\s+(\d+)$", (entry / "status").read_text(), re.MULTILINE)[1]
            entry = entry.parent / parent
        return False

    def _import_bases(self):
        left_out = [f"--exclude=./{name}" for name in LEFT_OUT]
        debian = ["-C", DEBIAN, "."]
        # The program alone: the package's other files would lie over Debian's links.
        for image, parts in ((BASE, debian), (EDGE_BASE, [*debian, "-C", NGINX, "usr/sbin/nginx"])):
            packing = subprocess.Popen(["tar", "-c", *left_out, *parts], stdout=subprocess.PIPE)
            with packing.stdout as archive:
                done = subprocess.run(
                    ["docker", "import", "-", image],
                    stdin=archive,
                    env=self.environment,
                    capture_output=True,
                    timeout=120,
                )
            assert packing.wait() == 0 and done.returncode == 0, done.stderr.decode()

    def stop(self):
        if self._child.poll() is None:
            # Its first process, and with it everything in its namespaces.
            self.run("kill", "-TERM", self.pid, check=False)
            try:
                self._child.wait(60)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
