"""What pages say: days and times, where one stands after an error, and which words."""

import re
import secrets

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in, write_message


@pytest.mark.parametrize("javascript", [True, False])
def test_a_page_that_says_no_keeps_the_navigation_of_a_member(window, javascript):
    page = sign_in(window(java_script_enabled=javascript), "amina")
    for path, heading in (
        ("/messages/999999", "There is no such page"), ("/no/such/page", "There is no such page"),
        ("/messages?author=x", "That request makes no sense here"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.get_by_role("navigation", name="Main").get_by_role("link")).to_have_text(["Messages", "Teams", "Audit log", "Help"])
    expect(page.get_by_text("This link does not work. Choose a person in the list.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


def test_who_is_signed_out_sees_no_navigation_on_an_error(window):
    page = window()
    page.goto("/no/such/page")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_times_stand_under_their_day_in_the_readers_zone(window, visitor):
    """The same moment is today's for one and yesterday's or tomorrow's for another."""
    number = visitor("tomas").send("Under its day")
    clocks = set()
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        page = sign_in(window(timezone_id=zone), "amina")
        expect(page.locator("#rows > .day").first).to_have_text("Today")
        time = row(page, "Under its day").locator("time")
        expect(time).to_have_text(re.compile(r"^\d\d:\d\d$"))
        expect(time).to_have_attribute("title", re.compile(r"^\d+ \w{3} 20\d\d, \d\d:\d\d "))
        clocks.add(time.inner_text())
        page.goto(f"/messages/{number}")
        expect(page.locator("#conversation > .day")).to_have_text(["Today"])
        # A day later, by the page's own clock, it is no longer today's.
        page.clock.install()
        page.goto("/messages")
        page.clock.fast_forward("24:00:00")
        expect(page.locator("#rows > .day").first).to_have_text("Yesterday")
    assert len(clocks) == 2, "25 hours apart: the time of day differs by one"
    assert len(clocks) == 2, "25 hours apart: the time of day differs by one"
    plain = sign_in(window(java_script_enabled=False), "amina")
    expect(plain.locator("#rows > .day").first).to_have_text(re.compile(r"^\w+day \d+ \w+ 20\d\d$"))
    expect(row(plain, "Under its day").locator("time")).to_have_text(re.compile(r"^\d\d:\d\d UTC$"))


def test_a_message_that_arrives_stands_below_todays_heading(window, visitor):
    page = sign_in(window(), "huong")
    page.locator("#live.on").wait_for()
    visitor("noor").send("It has just come")
    expect(page.locator("#rows > li").nth(0)).to_have_text("Today")
    expect(page.locator("#rows > li").nth(1)).to_contain_text("It has just come")
    expect(page.locator("#rows > .day", has_text="Today")).to_have_count(1)


def test_a_draft_is_continued_with_the_cursor_at_its_end(window, visitor):
    visitor("noor").post("/draft", key=secrets.token_hex(16), subject="Half", body="Half a message", seen="")
    page = sign_in(window(), "noor")
    expect(page.get_by_role("status").filter(has_text="is kept.")).to_have_text(re.compile(r"^Your draft from \d\d:\d\d is kept\. Continue writing$"))
    page.get_by_role("link", name="Continue writing").click()
    # What is typed before the page is there would go to the one that is left.
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type(", and the rest")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Half a message, and the rest")
    page.get_by_label("Message", exact=True).press("Control+Enter")
    expect(row(page, "Half")).to_have_count(1)


def test_who_deletes_is_told_of_backups_and_titles_have_numbers(window):
    page = sign_in(window(), "amina")
    write_message(page, "To be deleted")
    row(page, "To be deleted").get_by_role("link").click()
    number = page.url.split("/")[-1].partition("?")[0]
    expect(page).to_have_title(f"Message {number} – Wardpost")
    page.get_by_role("link", name="Delete this message").click()
    expect(page).to_have_title(f"Delete message {number} – Wardpost")
    page.get_by_role("button", name="Delete for everyone").click()
    expect(page.get_by_text("Backups keep copies until they expire.")).to_be_visible()


def test_on_a_phone_send_stays_in_sight_and_live_stands_beside_the_title(window, visitor):
    page = window(viewport={"width": 390, "height": 420}, has_touch=True, is_mobile=True)
    sign_in(page, "tomas")
    title = page.get_by_role("heading", name="Messages", level=1)
    button = page.get_by_role("link", name="New message")
    before = button.bounding_box()
    page.locator("#live.on").wait_for()
    live, heading = page.locator("#live").bounding_box(), title.bounding_box()
    assert live["y"] < heading["y"] + heading["height"] and live["y"] + live["height"] > heading["y"], "on one line"
    assert button.bounding_box() == before, "nothing moved when it came"
    page.goto("/messages/new")
    page.get_by_label("Message", exact=True).fill("A long text.\n" * 60)
    expect(page.get_by_role("button", name="Send to all staff")).to_be_in_viewport(ratio=1)
    page.get_by_label("Subject").fill("")
    page.get_by_label("Message", exact=True).fill("")
