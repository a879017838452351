"""A real systemd, booted in a container without a network: what reads an `EnvironmentFile=` for real."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .processes import ROOT

# Made by dev/e2e/setup.
TREE = ROOT / "target" / "e2e-tools" / "bookworm"
BOOT_SECONDS = 90
NAME = "wardpost-e2e.service"


def require_systemd():
    """Skips the test where no systemd can be booted."""
    if os.geteuid() != 0:
        pytest.skip("only root may boot a systemd in a container")
    if not shutil.which("systemd-nspawn") or not TREE.exists():
        pytest.skip(f"systemd-nspawn or the tree {TREE} is not here: dev/e2e/setup makes both")


def boot(folder: Path, service):
    """Boots a systemd that starts one service and ends with it; gives what was said on its console. `folder` is /shared
    in there; `service` are the lines of the unit's [Service] section."""
    require_systemd()
    unit = folder / NAME
    unit.write_text(
        "[Unit]\nDefaultDependencies=no\nSuccessAction=exit\nFailureAction=exit\n"
        f"[Service]\nType=oneshot\n{service}\nSuccessExitStatus=0\n"
    )
    command = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={TREE}",
        # Nothing of a boot stays, and tests may boot it at the same time.
        "--volatile=overlay",
        f"--machine=wardpost-e2e-{os.getpid()}",
        "--private-network",
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        f"--bind={folder}:/shared",
        f"--bind-ro={unit}:/etc/systemd/system/{NAME}",
        f"systemd.unit={NAME}",
    ]
    booted = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=BOOT_SECONDS)
    said = booted.stdout + booted.stderr
    if "Operation not permitted" in said:
        pytest.skip(f"booting a systemd is not permitted here: {said[-300:]}")
    return said
