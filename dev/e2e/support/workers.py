"""Which tests share a worker process of pytest-xdist, and in which order the workers begin them.

A module's tests stay together, since they share a site. So do all tests of what is started once and costs most of a minute:
the booted machine, the container engine, and what Terraform applied. (pytest-xdist's own marks for this have no effect under pytest 9.2.)"""

import re

from xdist.scheduler import LoadScopeScheduling

# The files of a group. What takes longest begins first, so that no worker is left alone with it at the end.
LONGEST_FIRST = {
    "compose": r"test_compose_(?!source)\w+\.py",
    "systemd": r"test_(systemd\w*|application_logs)\.py",
    "terraform": r"test_terraform_\w+\.py",
}


def group(nodeid):
    """The name of what goes to one worker as a whole."""
    file = nodeid.partition("::")[0].rpartition("/")[2]
    return next((name for name, files in LONGEST_FIRST.items() if re.fullmatch(files, file)), file)


def sort(items):
    """In the order of the groups; within one the order stays."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(group(item.nodeid), len(ranks)))


class Scheduling(LoadScopeScheduling):
    """Hands whole groups to workers."""

    def _split_scope(self, nodeid):
        return group(nodeid)
