"""What the kernel's control group of a container says, in either version's place."""

from pathlib import Path

import pytest


def read(composed, service, controller, old_name, new_name):
    """The text of a file of the service's container: `old_name` where the controller has a hierarchy of its own."""
    process = composed.container(service)["State"]["Pid"]
    groups = composed.host.run_beside("cat", f"/proc/{process}/cgroup").stdout
    paths = {part: path for _, parts, path in (line.split(":", 2) for line in groups.splitlines()) for part in parts.split(",")}
    base = Path("/sys/fs/cgroup")
    file = base / controller / paths[controller].strip("/") / old_name if controller in paths else None
    file = file or base / paths[""].strip("/") / new_name
    if not file.exists():
        pytest.skip(f"the control groups of this kernel are not under {base}: {file}")
    return file.read_text()


def most_memory(composed, service):
    """Bytes that a container has had at most."""
    return int(read(composed, service, "memory", "memory.max_usage_in_bytes", "memory.peak"))


def killed_for_memory(composed, service):
    """How many of its processes the kernel has ended because there was no memory left for it."""
    told = read(composed, service, "memory", "memory.oom_control", "memory.events")
    return int(dict(line.split() for line in told.splitlines())["oom_kill"])
