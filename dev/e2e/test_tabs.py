"""Whatever ends a session clears every tab of the browser at once, and each says why."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import SHOW, choose_person, sign_in, sign_out
from support.clock import Clock
from support.network import Network
from support.visitor import SESSION_COOKIE, Visitor

SECRET = "Mr Okafor, bed 4: the biopsy was positive"
BODY = "He has not been told yet."

SESSION = "Number(document.body.dataset.session)"
# Tells all tabs of the browser, as one of them would.
TELL = "news => new BroadcastChannel('wardpost').postMessage(news)"


@pytest.fixture
def message(visitor):
    """The number of a message that no passer-by may read."""
    return visitor("tomas").send(SECRET, BODY)


@pytest.fixture
def tabs(window, message):
    """Two tabs of one browser: the list, and beside it the message."""
    first = sign_in(window(), "amina")
    return first, another_tab(first, message)


def another_tab(page, message):
    tab = page.context.new_page()
    tab.goto(f"/messages/{message}")
    expect(tab.get_by_text(BODY)).to_be_visible()
    return tab


def cleared(tab, why):
    """Nothing of the message is left, not even out of sight, and the tab says why."""
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(tab.get_by_text(why)).to_be_visible()
    assert gone(tab)


def gone(tab):
    html = tab.content()
    return SECRET not in html and BODY not in html and "Amina" not in html


def test_signing_out_clears_every_other_tab(tabs, message):
    first, second = tabs
    third = another_tab(first, message)
    sign_out(first)
    for tab in (second, third):
        cleared(tab, "You signed out in another tab.")
    # From there one goes on where one was.
    second.get_by_role("link", name="Sign in", exact=True).click()
    choose_person(second, "amina")
    expect(second.get_by_text(BODY)).to_be_visible()


def test_a_tab_that_was_told_why_says_so_though_another_was_not(tabs):
    first, second = tabs
    session = second.evaluate(SESSION)
    # It asks the site, and hears from a tab that was quicker before the answer is there.
    second.route("**/session", lambda route: None)
    with second.expect_request("**/session"):
        first.evaluate(TELL, {"signedOut": "You signed out in another tab."})
    first.evaluate(TELL, {"ended": "Your session has ended in this browser.", "session": session})
    cleared(second, "You signed out in another tab.")


def test_a_reason_that_proved_wrong_is_not_told_at_the_later_end(tabs):
    first, second = tabs
    session = second.evaluate(SESSION)
    # The session lives, so the page comes back.
    with second.expect_response("**/session"):
        first.evaluate(TELL, {"signedOut": "You signed out in another tab."})
    expect(second.get_by_text(BODY)).to_be_visible()
    first.evaluate(TELL, {"ended": "Your session has ended in this browser.", "session": session})
    cleared(second, "Your session has ended in this browser.")


def test_a_live_list_that_hears_of_the_end_first_says_why_as_well(tabs, site):
    first, second = tabs
    expect(first.get_by_text("Live", exact=True)).to_be_visible()
    # As signing out does, slowly: the cookie goes, the session ends, and only then comes the sign-in page.
    hand = Visitor(site)
    hand.cookies = {cookie["name"]: cookie["value"] for cookie in first.context.cookies()}
    token = hand.csrf
    first.context.clear_cookies()
    hand.request("POST", "/sign-out", data={"csrf": token})
    cleared(first, "Your session has ended in this browser.")
    second.goto("/?ended=signed-out")
    expect(first.get_by_text("You signed out in another tab.")).to_be_visible()


def test_a_cleared_tab_is_told_to_a_screen_reader_and_its_title_is_of_nobody(tabs):
    first, second = tabs
    sign_out(first)
    cleared(second, "You signed out in another tab.")
    expect(second.get_by_role("heading", name="You are signed out")).to_be_focused()
    expect(second).to_have_title("Signed out – Wardpost")
    expect(second.get_by_role("main").get_by_role("alert")).to_have_text("You signed out in another tab.")


def test_signing_out_without_the_script_is_noticed_within_fifteen_seconds(window, visitor, message):
    """As a browser does whose script did not load: only the cookie is gone."""
    page = window()
    page.clock.install()
    sign_in(page, "amina")
    page.goto(f"/messages/{message}")
    expect(page.get_by_text(BODY)).to_be_visible()
    page.context.clear_cookies()
    page.clock.fast_forward(15_100)
    cleared(page, "Your session has ended in this browser.")


def test_a_session_that_is_ended_elsewhere_clears_every_tab(tabs, visitor):
    visitor("amina").post("/me/sessions/end-others")
    # The open list hears of it, and tells the message beside it.
    for tab in tabs:
        cleared(tab, "You were signed out because you ended this session from another device.")


def test_a_message_alone_hears_of_the_end_when_its_tab_is_shown(window, visitor, message):
    page = sign_in(window(), "amina")
    # A hidden tab would be told at once.
    page.route("**/messages/updates*", lambda route: route.abort())
    page.goto(f"/messages/{message}")
    expect(page.get_by_text(BODY)).to_be_visible()
    page.evaluate(SHOW, False)
    visitor("amina").post("/me/sessions/end-others")
    page.clock.install()
    # Asked at once, and covered until there is an answer.
    with page.expect_request("**/session"):
        page.clock.fast_forward(60_000)
        page.evaluate(SHOW, True)
    cleared(page, "You were signed out because you ended this session from another device.")


def test_an_account_that_is_switched_off_is_off_the_screen_at_once(own_site, windows):
    site = own_site()
    number = Visitor(site, "tomas").send(SECRET, BODY)
    first = sign_in(windows.window(site), "amina")
    second = another_tab(first, number)
    done = site.command("staff", "disable", "amina@clinic.example")
    assert done.returncode == 0, done.stderr
    for tab in (first, second):
        cleared(tab, "You were signed out because an administrator has switched off your account.")


def test_time_that_runs_out_is_told_in_every_tab(own_site, windows, tmp_path):
    clock = Clock(tmp_path)
    site = own_site(web_environment=clock.environment())
    number = Visitor(site, "tomas").send(SECRET, BODY)
    first = sign_in(windows.window(site), "amina")
    second = another_tab(first, number)
    clock.move(minutes=25)
    for tab in (first, second):
        cleared(tab, "You were signed out because nothing had happened here for 24 minutes.")


def test_somebody_else_who_signs_in_clears_what_was_open_before(tabs):
    first, second = tabs
    first.goto("/sign-in/start")
    choose_person(first, "noor")
    expect(first.get_by_role("button", name="Sign out")).to_be_visible()
    cleared(second, "Somebody else has signed in in another tab.")
    second.get_by_role("link", name="Go to messages").click()
    expect(second.get_by_role("link", name=re.compile("نور"))).to_be_visible()


def test_what_was_being_written_when_somebody_else_signed_in_is_said_to_be_lost(window):
    page = sign_in(window(), "huong", "/messages/new")
    page.get_by_label("Message", exact=True).fill("Not for the next one to keep.")
    other = page.context.new_page()
    other.goto("/sign-in/start")
    choose_person(other, "noor")
    expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_text("Somebody else has signed in in another tab.")).to_be_visible()
    expect(page.get_by_text("What you wrote since the last time it was saved could not be kept.")).to_be_visible()


def test_the_same_person_who_signs_in_again_goes_on_in_every_tab(window, visitor):
    page = sign_in(window(), "huong")
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Begun before")
    page.get_by_label("Message", exact=True).fill("Sent after.")
    token = page.locator("input[name=csrf]").first.input_value()
    other = page.context.new_page()
    other.goto("/sign-in/start")
    choose_person(other, "huong")
    expect(other.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.locator("input[name=csrf]").first).not_to_have_value(token)
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("listitem").filter(has_text="Begun before")).to_have_count(1)


def test_a_page_from_the_browsers_history_shows_nothing_of_a_session_that_is_over(tabs, visitor):
    _, second = tabs
    restored = "() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    # As a page that heard nothing while the browser kept it.
    second.evaluate("() => new BroadcastChannel('wardpost').close()")
    second.route("**/session", lambda route: route.abort())
    second.evaluate(restored)
    expect(second.get_by_text(BODY)).to_be_hidden()
    visitor("amina").post("/me/sessions/end-others")
    second.unroute("**/session")
    cleared(second, "You were signed out because you ended this session from another device.")


def test_a_tab_whose_time_ran_out_while_it_slept_shows_nothing_though_no_site_answers(window, message):
    network = Network()
    page = window(proxy=network.proxy())
    page.clock.install()
    sign_in(page, "amina")
    page.goto(f"/messages/{message}")
    expect(page.get_by_text(BODY)).to_be_visible()
    network.stall()
    # A computer that sleeps runs no timer: its clock is simply later when it wakes.
    page.clock.fast_forward(25 * 60_000)
    expect(page.get_by_text(BODY)).to_be_hidden()
    page.clock.fast_forward(11_000)
    cleared(page, "Your session has ended in this browser.")
    network.close()


def test_asking_tells_nobody_who_is_not_signed_in_more_than_that(site, visitor):
    stranger = Visitor(site)
    reply = stranger.get("/session")
    assert (reply.status_code, reply.json()) == (401, {"signed_in": False})
    stranger.cookies[SESSION_COOKIE] = "0" * 64
    assert stranger.get("/session").json() == {"signed_in": False}

    amina = visitor("amina")
    told = amina.get("/session").json()
    assert set(told) == {"session", "person", "csrf", "ends_in_seconds", "absolute"}
    assert told["csrf"] == amina.csrf
    token = dict(amina.cookies)
    amina.post("/sign-out")
    amina.cookies = token
    assert amina.get("/session").json() == {"signed_in": False, "ended": "You signed out in another tab."}
