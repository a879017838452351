"""A clock of the site's own: libfaketime moves the site's time while its timers and sockets run on real time."""

import glob
from pathlib import Path


def hurried(factor):
    """What a program has to be started with so that its clock and its timers run so many times as fast."""
    return {"LD_PRELOAD": library(), "FAKETIME": f"+0 x{factor}"}


def library():
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert libraries, "libfaketime is not installed: dev/e2e/setup installs it"
    return libraries[0]


class Clock:
    """The site's wall clock, a file that libfaketime reads at every look at the time."""

    def __init__(self, folder: Path):
        self._file = folder / "clock"
        self._library = library()
        self.move(minutes=0)

    def environment(self):
        """What the program has to be started with."""
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # Timeouts and file times stay as they are.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def move(self, *, minutes, seconds=0):
        """How far the site's clock is ahead of the real one, from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"+{minutes * 60 + seconds}")
        # In one step: the site may be reading.
        new.replace(self._file)
