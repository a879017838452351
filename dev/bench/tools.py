"""Where `setup` has put the tools and peers, and how they are run from there."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "target" / "bench"
TOOLS = OUT / "tools"
DEBIAN = TOOLS / "debian"

# The bench shares the tests' way of starting programs and of waiting; what it starts is the release build.
os.environ.setdefault("E2E_PROFILE", "release")
sys.path.insert(0, str(ROOT / "dev" / "e2e"))


def tool(path):
    """A program of an unpacked Debian package: `usr/bin/wrk`."""
    return DEBIAN / path


def tool_environment(**settings):
    """Unpacked programs find their libraries beside them."""
    from support.processes import clean_environment

    return clean_environment(LD_LIBRARY_PATH=str(DEBIAN / "usr/lib/x86_64-linux-gnu"), **settings)
