"""A machine of its own: a real systemd, booted in a container on a disk that outlives it, with the package installed."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from .booted_systemd import TREE, require_systemd
from .processes import BINARIES, ENDS_WITH_US, ROOT
from .waiting import wait_until

BOOT_SECONDS = 120
# Many units start at once, as debug builds, on two cores.
UNIT_SECONDS = 90


class Machine:
    """Shares this machine's loopback, so that stand-ins for AWS and the provider need no network; nothing else is there. With
    `own_network` it has a loopback of its own, and systemd may keep units from addresses (`IPAddressDeny=`). With `install=False`,
    the product is not there either."""

    def __init__(self, *, install=True, own_network=False, disk=None):
        """`disk` is a block device that it has beside its own."""
        require_systemd()
        self._own_network = own_network
        self._devices = [disk] if disk else []
        self._folder = Path(tempfile.mkdtemp(prefix="wardpost-machine-"))
        self._console = self._folder / "console"
        self._nspawn = None
        self._leader = None
        self._has_booted = False
        try:
            self._make_disk()
            if install:
                self.install()
                self._here("systemctl", f"--root={self.root}", "enable", "wardpost.target")
        except BaseException:
            self.stop()
            raise

    def _make_disk(self):
        """An overlay in memory over the tree that all machines share."""
        disk = self._folder / "disk"
        self.root = self._folder / "root"
        for folder in (disk, self.root):
            folder.mkdir()
        self._mount("tmpfs", disk, "size=4g,mode=755", "tmpfs")
        for folder in ("upper", "work"):
            (disk / folder).mkdir()
        layers = f"lowerdir={TREE},upperdir={disk}/upper,workdir={disk}/work"
        self._mount("overlay", self.root, layers, "overlay")

    def _mount(self, kind, where, options, what):
        mounted = subprocess.run(["mount", "-t", kind, "-o", options, what, where], capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"{kind} cannot be mounted here: {mounted.stderr}")

    def install(self):
        """As a packager would: into a folder, with the programs of the debug build; over what may be there already."""
        self._here("make", "install", f"DESTDIR={self.root}", f"BINARIES={BINARIES}")
        self._here("systemd-sysusers", f"--root={self.root}")
        if self._leader:
            self.systemctl("daemon-reload")

    @staticmethod
    def _here(*command):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"

    def write(self, path, text, mode=0o644):
        """A file of the machine's disk, whether it runs or not."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=mode)
        file.chmod(mode)
        file.write_text(text)

    def drop_in(self, unit, text):
        """Changes a unit, as `systemctl edit` does; an empty text takes the change back."""
        path = self.root / f"etc/systemd/system/{unit}.d/override.conf"
        if text:
            self.write(f"/etc/systemd/system/{unit}.d/override.conf", text)
        else:
            path.unlink(missing_ok=True)
        if self._leader:
            self.run("systemctl", "daemon-reload")

    # ---- On and off ----------------------------------------------------------------------------------------------------

    def boot(self):
        """Switches it on, and comes back when systemd takes commands."""
        command = [
            *ENDS_WITH_US,
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.root}",
            f"--machine=wardpost-{os.getpid()}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--console=pipe",
            *(f"--bind={device}" for device in self._devices),
        ]
        environment = dict(os.environ)
        if self._own_network:
            # systemd filters packets with BPF, on control groups of version 2 alone.
            command += ["--private-network", "--capability=CAP_BPF,CAP_NET_ADMIN", "--system-call-filter=bpf"]
            environment["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
            self._control_group.mkdir()
            enter = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self._control_group)]
            command[len(ENDS_WITH_US) : len(ENDS_WITH_US)] = enter
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment
            )
        self._leader = wait_until("the container has a first process", self._find_leader, BOOT_SECONDS)
        wait_until("systemd takes commands", lambda: self._is_up(), BOOT_SECONDS)
        self._has_booted = True

    @property
    def leader(self):
        """Its first process, as it is numbered here."""
        return self._leader

    def _find_leader(self):
        if self._nspawn.poll() is not None:
            said = self.console()
            # A machine that has been up before lacks nothing: a later boot that fails is a failure.
            if "Operation not permitted" in said and not self._has_booted:
                pytest.skip(f"booting a systemd is not permitted here: {said[-300:]}")
            raise AssertionError(f"the container ended with {self._nspawn.returncode}:\n{said}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        # The child of nspawn that is the first process of a namespace of its own.
        for child in children:
            status = Path(f"/proc/{child}/status").read_text()
            if "NSpid:" in status and status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1":
                return int(child)
        return None

    def _is_up(self):
        assert self._nspawn.poll() is None, f"the container ended:\n{self.console()}"
        return self.run("systemctl", "show", "--property=Version", check=False).returncode == 0

    def console(self):
        """The last that was said on the console."""
        return self._console.read_text(errors="replace")[-4000:]

    def cut_power(self):
        """Everything on it ends at once, without being asked."""
        os.kill(self._leader, signal.SIGKILL)
        self._ended()

    def shut_down(self):
        """As `poweroff` does."""
        self.run("systemctl", "poweroff")
        self._ended()

    def _ended(self):
        self._nspawn.wait(UNIT_SECONDS)
        self._nspawn = self._leader = None
        self._remove_control_group()

    @property
    def _control_group(self):
        """Of this machine alone: a filter stays on a group, and would hold for the next machine's unit of the same name."""
        version_2 = Path("/sys/fs/cgroup/unified")
        return (version_2 if version_2.is_dir() else version_2.parent) / self._folder.name

    def _remove_control_group(self):
        def is_gone():
            try:
                for group in sorted(self._control_group.glob("**/"), reverse=True):
                    group.rmdir()
            except OSError:
                return False
            return True

        if self._control_group.exists():
            wait_until("the last process has left the machine's control group", is_gone, UNIT_SECONDS)

    def stop(self):
        """Switches it off for good, and leaves nothing of it."""
        if self._nspawn and self._nspawn.poll() is None:
            if self._leader:
                self.cut_power()
            else:
                self._nspawn.kill()
                self._ended()
        for mounted in (self.root, self._folder / "disk"):
            subprocess.run(["umount", "--lazy", mounted], capture_output=True)
        shutil.rmtree(self._folder)

    # ---- Commands ------------------------------------------------------------------------------------------------------

    def run(self, *command, check=True, of=None, text=True, **options):
        """Runs a command on it as root; `of` is a process whose view of the files it gets."""
        enter = ["nsenter", f"--target={of or self._leader}", "--mount", "--"]
        if of is None:
            enter[2:2] = ["--uts", "--ipc", "--pid", "--net"]
        done = subprocess.run(
            [*enter, *map(str, command)],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=text,
            errors="replace" if text else None,
            timeout=UNIT_SECONDS * 2,
            **options,
        )
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def systemctl(self, *arguments, **options):
        return self.run("systemctl", *arguments, **options).stdout

    def show(self, unit, name):
        """A property of a unit."""
        return self.systemctl("show", f"--property={name}", "--value", unit).strip()

    def main_pid(self, unit):
        """The main process of a unit, as it is numbered on the machine; none where it does not run."""
        return int(self.show(unit, "MainPID")) or None

    def outside_pid(self, pid):
        """The number that a process of the machine has here."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields["NSpid"].split()[1:] == [str(pid)] and self._is_ours(int(status.parent.name)):
                return int(status.parent.name)
        raise AssertionError(f"the machine has no process {pid}")

    def _is_ours(self, pid):
        while pid not in (self._leader, 0):
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        return pid == self._leader

    def kill(self, unit):
        """Ends the main process of a unit as a crash would; gives its number."""
        pid = self.main_pid(unit)
        self.systemctl("kill", "--kill-whom=main", "--signal=KILL", unit)
        return pid

    def wait_for(self, unit, *states, seconds=UNIT_SECONDS):
        """Waits until a unit is in one of these states (active, inactive, failed)."""

        def look():
            state = self.show(unit, "ActiveState")
            return state if state in states else None

        try:
            return wait_until(f"{unit} is {' or '.join(states)}", look, seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.status(unit)}") from None

    def fire(self, timer):
        """Lets a timer elapse now, and waits until the unit that it starts has ended; gives that unit's result."""
        unit = self.show(timer, "Unit")
        before = self.show(unit, "InvocationID")
        self.drop_in(timer, "[Timer]\nOnCalendar=\nOnUnitInactiveSec=\nOnActiveSec=\nOnActiveSec=0\nRandomizedDelaySec=0\n")
        self.systemctl("restart", timer)

        def has_ended():
            ran = self.show(unit, "InvocationID") not in ("", before)
            return ran and self.show(unit, "ActiveState") in ("inactive", "failed")

        wait_until(f"{timer} has run {unit}", has_ended, UNIT_SECONDS)
        self.drop_in(timer, "")
        self.systemctl("restart", timer)
        return self.show(unit, "Result")

    def status(self, unit):
        """What systemctl and the journal say about a unit, for a failure's message."""
        words = self.run("systemctl", "status", "--no-pager", "--lines=0", unit, check=False).stdout
        return words + self.journal("wardpost-*")[-6000:]

    def journal(self, *units):
        named = [f"--unit={unit}" for unit in units]
        return self.run("journalctl", "--no-pager", "--output=cat", "--all", *named, check=False).stdout
