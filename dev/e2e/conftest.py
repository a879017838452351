"""Fixtures: the browser, windows, and a site for each test module."""

import gc
import re
from contextlib import ExitStack
from itertools import count

import pytest
from playwright.sync_api import sync_playwright

from support import leftovers, shared, workers
from support.backups import BackupWorker
from support.browser import CHROMIUM, CHROMIUM_ARGUMENTS, Windows
from support.database_program import copy_database, seed
from support.site import Site
from support.visitor import Visitor


def pytest_collection_modifyitems(items):
    workers.sort(items)


def pytest_xdist_make_scheduler(config, log):
    return workers.Scheduling(config, log)


def _is_worker(config):
    return hasattr(config, "workerinput")


def pytest_configure(config):
    if not _is_worker(config):
        leftovers.adopt_orphans()


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_to_the_garbage_collector():
    """What a module leaves fails it, and not whichever runs when the collector comes by: ends after all that the module made."""
    yield
    gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session):
    yield
    if _is_worker(session.config):
        return
    left = leftovers.find()
    leftovers.end(left)
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for number, command in left.items():
            print(f"\nSTILL RUNNING after the tests, and ended now: {number} {command}")


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.call_failed = report.failed
    return report


@pytest.fixture
def windows(browser, request):
    """Opens windows. A test passes only if no page had an error, even one that the test was not about."""
    windows = Windows(browser)
    yield windows
    failed = getattr(request.node, "call_failed", True)
    if failed:
        windows.keep_pictures(re.sub(r"\W+", "-", request.node.name))
    windows.close()
    if not failed:
        assert not windows.errors, "\n".join(windows.errors)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A running site for one module's tests."""
    site = Site(tmp_path_factory.mktemp("site") / "demo")
    yield site
    site.stop()


@pytest.fixture
def own_site(tmp_path):
    """Starts a site for one test alone, with settings of its own."""
    with ExitStack() as started:
        numbers = count()

        def start(**options):
            site = Site(tmp_path / f"demo-{next(numbers)}", **options)
            started.callback(site.stop)
            return site

        yield start


@pytest.fixture(scope="module")
def seeded(request, tmp_path_factory):
    """A database with as many audit rows as the module's ROWS."""
    path = tmp_path_factory.mktemp("seeded") / "wardpost.db"
    rows = request.module.ROWS
    assert seed(path, rows - 2) == rows
    return path


@pytest.fixture
def database(seeded, tmp_path):
    """A copy of it for one test."""
    return copy_database(seeded, tmp_path / "wardpost.db")


@pytest.fixture
def worker(seeded, tmp_path):
    """backup-worker with a copy of the module's database, and a folder for its backups."""
    (tmp_path / "backups").mkdir()
    return BackupWorker(copy_database(seeded, tmp_path / "wardpost.db"), f"file://{tmp_path}/backups")


@pytest.fixture
def window(windows, site):
    """Opens windows on the module's site."""
    return lambda **options: windows.window(site, **options)


@pytest.fixture
def visitor(site):
    """Signs people in at the module's site without a browser."""
    return lambda person=None: Visitor(site, person)


@pytest.fixture
def composed(tmp_path_factory):
    """The site as `compose/` runs it."""
    return shared.COMPOSED.get(tmp_path_factory)


@pytest.fixture
def installed(tmp_path_factory):
    """The site on a machine of its own, booted once: a test that changes it puts it right again."""
    return shared.INSTALLED.get(tmp_path_factory)


@pytest.fixture
def applied(tmp_path_factory):
    """What `terraform/` makes, applied to a stand-in for AWS."""
    return shared.APPLIED.get(tmp_path_factory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    yield
    shared.stop_what_is_done(item, nextitem)
