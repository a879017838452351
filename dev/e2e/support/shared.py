"""What is started once for all tests that use it: the booted machine, the container engine with the project in it, and what
Terraform applied. They cost a minute or more, and cores while they are up: started for the first of those tests, stopped
after the last in a row."""

import pytest

from . import processes
from .applied_terraform import AppliedTerraform
from .composed_site import ComposedSite
from .container_host import ContainerHost
from .installed_site import InstalledSite


class Shared:
    """`start(folder)` gives something with a `stop()`."""

    def __init__(self, name, start):
        self._name, self._start = name, start
        self._running = self._why_skipped = self._why_failed = None
        # What it has started, which may outlive the module that was the first to need it.
        self.processes = frozenset()

    def get(self, tmp_path_factory):
        """The one that runs. One that did not start fails or skips every test that needs it, and is not tried again."""
        if self._why_skipped:
            pytest.skip(self._why_skipped)
        if self._why_failed:
            pytest.fail(f"the {self._name} did not start before: {self._why_failed}")
        if not self._running:
            before = frozenset(processes.RUNNING)
            try:
                self._running = self._start(tmp_path_factory.mktemp(self._name))
            except pytest.skip.Exception as skipped:
                self._why_skipped = str(skipped)
                raise
            except BaseException as error:
                self._why_failed = str(error)[-2000:]
                raise
            self.processes = frozenset(processes.RUNNING) - before
        return self._running

    def stop(self):
        if self._running:
            running, self._running, self.processes = self._running, None, frozenset()
            running.stop()


COMPOSED = Shared("composed", lambda folder: ComposedSite(ContainerHost(), folder))
INSTALLED = Shared("installed", InstalledSite)
APPLIED = Shared("applied", AppliedTerraform)


def stop_what_is_done(item, nextitem):
    """Called after each test, with the one that comes next: nothing outlives the module that started it but what others
    share."""
    for fixture, shared in (("composed", COMPOSED), ("installed", INSTALLED), ("applied", APPLIED)):
        if fixture in item.fixturenames and fixture not in getattr(nextitem, "fixturenames", ()):
            shared.stop()
    if nextitem is None or nextitem.module is not item.module:
        processes.stop_running(kept=COMPOSED.processes | INSTALLED.processes | APPLIED.processes)
