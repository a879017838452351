"""How a session ends by itself: the warning, the end, and what becomes of half-written text.

The site's clock and the page's clock are moved by hand; nobody waits for 24 minutes."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import Windows, choose_person, row, sign_in
from support.clock import Clock
from support.visitor import Visitor
from support.waiting import wait_until

IDLE = "You were signed out because nothing had happened here for 24 minutes."
ABSOLUTE = "You were signed out because your session had reached its longest time."


class Ward:
    """A site whose clock can be moved, and the windows on it."""

    def __init__(self, site, clock: Clock, windows: Windows):
        self.site, self.clock, self._windows = site, clock, windows
        self._pages = []
        self._minutes = 0.0

    def window(self, person="amina", path="/"):
        page = self._windows.window(self.site)
        page.clock.install()
        self._pages.append(page)
        return sign_in(page, person, path)

    def pass_time(self, minutes, seconds=0):
        """For the site first, as pages ask it when their time has come."""
        step = minutes + seconds / 60
        self._minutes += step
        self.clock.move(minutes=0, seconds=round(self._minutes * 60))
        for page in self._pages:
            page.clock.fast_forward(round(step * 60_000))

    def pass_time_on_the_site_alone(self, minutes):
        self._minutes += minutes
        self.clock.move(minutes=0, seconds=round(self._minutes * 60))


@pytest.fixture
def ward(own_site, windows, tmp_path):
    clock = Clock(tmp_path)
    return Ward(own_site(web_environment=clock.environment()), clock, windows)


def warning(page):
    return page.get_by_role("alertdialog")


def test_two_minutes_before_the_end_one_button_keeps_the_session(ward):
    page = ward.window()
    ward.pass_time(21, 55)
    expect(warning(page)).to_have_count(0)
    ward.pass_time(0, 10)
    expect(warning(page)).to_contain_text(re.compile(r"You will be signed out in 1:5\d"))
    stay = warning(page).get_by_role("button", name="Stay signed in")
    expect(stay).to_be_focused()
    stay.click()
    expect(warning(page)).to_have_count(0)

    ward.pass_time(20)
    expect(warning(page)).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()


def test_the_countdown_counts_and_then_nothing_is_left_on_the_screen(ward):
    Visitor(ward.site, "tomas").send("Not for passers-by")
    page = ward.window()
    expect(row(page, "Not for passers-by")).to_have_count(1)
    ward.pass_time(22, 5)
    expect(warning(page)).to_contain_text(re.compile(r"1:5\d"))
    ward.pass_time(1)
    expect(warning(page)).to_contain_text(re.compile(r"0:5\d"))
    ward.pass_time(1)
    expect(page.get_by_text(IDLE)).to_be_visible()
    expect(page.get_by_text("Not for passers-by")).to_have_count(0)
    page.goto("/")
    expect(page.get_by_text(IDLE)).to_be_visible()
    assert page.context.cookies(page.url) == []


def test_activity_in_another_tab_keeps_this_one_quiet(ward):
    page = ward.window()
    ward.pass_time(15)
    other = page.context.new_page()
    other.goto("/help")
    expect(other.get_by_role("heading", name="Help", level=1)).to_be_visible()
    ward.pass_time(8)
    # The page asks the site when it would warn; only then is there anything to be quiet about.
    expect(warning(page)).to_have_count(0)
    ward.pass_time(14, 5)
    expect(warning(page)).to_be_visible()


def test_the_site_alone_ends_an_idle_session_and_says_why_and_goes_on_where_one_was(ward):
    number = Visitor(ward.site, "tomas").send("Still to be read")
    page = ward.window()
    ward.pass_time_on_the_site_alone(23)
    page.goto(f"/messages/{number}")
    expect(page.get_by_role("heading", name="Still to be read")).to_be_visible()
    ward.pass_time_on_the_site_alone(23)
    page.reload()
    expect(page.get_by_role("heading", name="Still to be read")).to_be_visible()

    ward.pass_time_on_the_site_alone(24)
    page.reload()
    expect(page.get_by_text(IDLE)).to_be_visible()
    page.get_by_role("link", name="Sign in", exact=True).click()
    # The provider's ID tokens live for an hour of real time, and the site's clock is past that.
    expect(page.get_by_role("button", name=re.compile("amina@clinic.example"))).to_be_visible()


def test_signing_in_again_after_the_end_leads_back(ward):
    number = Visitor(ward.site, "tomas").send("Where one was")
    page = ward.window(path=f"/messages/{number}")
    expect(page.get_by_role("heading", name="Where one was")).to_be_visible()
    ward.pass_time_on_the_site_alone(25)
    page.reload()
    expect(page.get_by_text(IDLE)).to_be_visible()
    page.get_by_role("link", name="Sign in", exact=True).click()
    choose_person(page, "amina")
    expect(page.get_by_role("heading", name="Where one was")).to_be_visible()


def test_a_form_sent_after_the_end_is_kept_as_a_draft(ward):
    page = ward.window()
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Long in the making")
    page.get_by_label("Message", exact=True).fill("And nearly done.")
    ward.pass_time_on_the_site_alone(25)
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_text(IDLE)).to_be_visible()
    expect(page.get_by_text("What you were writing was kept.")).to_be_visible()

    page.get_by_role("link", name="Sign in", exact=True).click()
    choose_person(page, "amina")
    expect(page.get_by_text("Your draft from")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("Long in the making")
    expect(page.get_by_label("Message", exact=True)).to_have_value("And nearly done.")
    page.get_by_role("button", name="Send to all staff").click()
    expect(row(page, "Long in the making")).to_have_count(1)


def test_text_on_the_screen_when_time_runs_out_is_kept_and_taken_off_the_screen(ward):
    page = ward.window()
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Called away")
    page.get_by_label("Message", exact=True).fill("In the middle of a sentence")
    ward.pass_time(0, 30)
    expect(page.get_by_text("Draft saved")).to_be_visible()
    ward.pass_time(22, 5)
    expect(warning(page)).to_be_visible()
    ward.pass_time(2)
    expect(page.get_by_text(IDLE)).to_be_visible()
    expect(page.get_by_text("In the middle of a sentence")).to_have_count(0)

    page.get_by_role("link", name="Sign in", exact=True).click()
    choose_person(page, "amina")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto("/messages/new")
    expect(page.get_by_label("Message", exact=True)).to_have_value("In the middle of a sentence")


def test_watching_is_no_activity(ward):
    watcher = Visitor(ward.site, "amina")
    stream = watcher.updates("/messages/updates?after=0")
    for minutes in (8, 8, 7):
        ward.pass_time_on_the_site_alone(minutes)
        left = watcher.get("/session").json()
        assert left["absolute"] is False
    assert left["ends_in_seconds"] <= 60, "asking has not put the end off"
    Visitor(ward.site, "tomas").send("Comes in live")
    assert "Comes in live" in next(stream)["data"]
    ward.pass_time_on_the_site_alone(2)
    assert next(stream)["event"] == "ended"
    assert watcher.get("/session").status_code == 401

    tomas = Visitor(ward.site, "tomas")
    expired = wait_until(
        "the end is in the audit log", lambda: tomas.audit(action="SESSION_EXPIRED")
    )
    assert expired[0]["details"]["reason"] == "idle"


def test_the_longest_time_of_a_session_cannot_be_put_off(own_site, windows, tmp_path):
    clock = Clock(tmp_path)
    site = own_site(web_environment=clock.environment(), WARDPOST_SESSION_MAX_HOURS="1")
    ward = Ward(site, clock, windows)
    page = ward.window()
    for _ in range(2):
        ward.pass_time(20)
        page.goto("/messages")
        expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    ward.pass_time(18, 5)
    expect(warning(page)).to_contain_text("as long as one session may last")
    expect(warning(page).get_by_role("button", name="Stay signed in")).to_have_count(0)
    warning(page).get_by_role("button", name="I understand").click()
    expect(warning(page)).to_have_count(0)
    ward.pass_time(2)
    expect(page.get_by_text(ABSOLUTE)).to_be_visible()


def test_a_session_that_ended_does_not_come_back_when_the_clock_is_set_back(ward):
    amina = Visitor(ward.site, "amina")
    ward.pass_time_on_the_site_alone(25)
    assert amina.get("/messages").status_code == 303
    tomas = Visitor(ward.site, "tomas")
    wait_until("the end is written down", lambda: tomas.audit(action="SESSION_EXPIRED"))
    ward.pass_time_on_the_site_alone(-25)
    assert amina.get("/messages").status_code == 303
