"""Fixtures: the browser, windows, and a site for each test module."""

import re

import pytest
from playwright.sync_api import sync_playwright

from support.backups import BackupWorker
from support.browser import CHROMIUM, CHROMIUM_ARGUMENTS, Desk
from support.composed_site import ComposedSite
from support.container_host import ContainerHost
from support.database_program import copy_database, seed
from support.installed_site import InstalledSite
from support.site import Site
from support.visitor import Visitor


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
def desk(browser, request):
    """Opens windows. A test passes only if no page complained, even one that the test was not about."""
    desk = Desk(browser)
    yield desk
    failed = getattr(request.node, "call_failed", True)
    if failed:
        desk.keep_pictures(re.sub(r"\W+", "-", request.node.name))
    desk.close()
    if not failed:
        assert not desk.complaints, "\n".join(desk.complaints)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A running site for one module's tests."""
    site = Site(tmp_path_factory.mktemp("site") / "demo")
    yield site
    site.stop()


@pytest.fixture
def own_site(tmp_path):
    """Starts a site for one test alone, with settings of its own."""
    started = []

    def start(**options):
        site = Site(tmp_path / f"demo-{len(started)}", **options)
        started.append(site)
        return site

    yield start
    for site in started:
        site.stop()


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
def window(desk, site):
    """Opens windows on the module's site."""
    return lambda **options: desk.window(site, **options)


@pytest.fixture
def visitor(site):
    """Signs people in at the module's site without a browser."""
    return lambda person=None: Visitor(site, person)


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The site on a machine of its own, booted once: whoever changes it puts it right again."""
    installed = InstalledSite(tmp_path_factory.mktemp("installed"))
    yield installed
    installed.stop()


class Composed:
    """One engine and one project for all tests that use them. They cost most of a minute, and cores while they are up:
    started for the first of those tests, and stopped after the last in a row."""

    def __init__(self):
        self._site = self._why_skipped = self._why_failed = None

    def site(self, folder):
        # Nobody waits for the same refusal once for each test.
        if self._why_skipped:
            pytest.skip(self._why_skipped)
        if self._why_failed:
            pytest.fail(f"the site under compose did not start before: {self._why_failed}")
        if not self._site:
            try:
                host = ContainerHost()
            except pytest.skip.Exception as skipped:
                self._why_skipped = str(skipped)
                raise
            try:
                self._site = ComposedSite(host, folder())
            except BaseException as error:
                self._why_failed = str(error)[-2000:]
                host.remove()
                raise
        return self._site

    def stop(self):
        if self._site:
            self._site.stop()
            self._site.host.remove()
            self._site = None


_composed = Composed()


@pytest.fixture
def composed(tmp_path_factory):
    """The site as `compose/` runs it."""
    return _composed.site(lambda: tmp_path_factory.mktemp("composed"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    yield
    if "composed" in item.fixturenames and "composed" not in getattr(nextitem, "fixturenames", ()):
        _composed.stop()
