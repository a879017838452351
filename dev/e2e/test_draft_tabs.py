"""Two tabs with one draft: each notices what the other has saved, sent or discarded, and neither takes an answer that was lost for another."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import SHOW, row, sign_in
from support.held_form import Held
from support.waiting import wait_until


def other(page):
    return page.locator("#other")


def draft_of(visitor):
    page = visitor.get("/messages/new").text
    return re.search(r'<textarea id="body"[^>]*>\n?([^<]*)</textarea>', page)[1]


def save(page):
    page.clock.fast_forward(20_500)


@pytest.fixture
def huong(visitor):
    huong = visitor("huong")
    huong.post("/draft/discard")
    return huong


@pytest.fixture
def writing(window):
    """Opens pages that write: tabs of one browser, or another browser."""

    def open_(beside=None):
        page = beside.context.new_page() if beside else window()
        page.clock.install()
        if beside:
            page.goto("/messages/new")
        else:
            sign_in(page, "huong", "/messages/new")
        return page

    return open_


@pytest.mark.parametrize("where", ["tab", "browser"])
def test_two_pages_with_one_draft_notice_each_other(where, writing, huong):
    first = writing()
    second = writing(first if where == "tab" else None)
    body = lambda page: page.get_by_label("Message", exact=True)  # noqa: E731
    body(first).fill("Written in the first")
    # Tabs of one browser share the test's clock: the first has to be due while the second is not.
    first.clock.fast_forward(8_000)
    body(second).fill("Written in the second")
    first.clock.fast_forward(12_500)
    expect(first.locator("#saved")).to_contain_text("Draft saved")
    # A tab is told at once, another browser when it would overwrite.
    if where == "browser":
        save(second)
    expect(other(second).get_by_role("alert")).to_contain_text("You are writing in another tab or browser, too.")
    assert draft_of(huong) == "Written in the first"

    # Both texts can be looked at before one is kept; nothing is saved meanwhile.
    other(second).get_by_role("button", name="Show the other one").click()
    expect(body(second)).to_have_value("Written in the first")
    other(second).get_by_role("button", name="Show the other one").click()
    expect(body(second)).to_have_value("Written in the second")
    save(second)
    assert draft_of(huong) == "Written in the first"

    other(second).get_by_role("button", name="Keep this one").click()
    expect(other(second)).to_be_hidden()
    expect(second.locator("#saved")).to_contain_text("Draft saved")
    assert draft_of(huong) == "Written in the second"

    # Now it is the first that would overwrite.
    body(first).fill("Written in the first, and longer")
    save(first)
    expect(other(first)).to_be_visible()
    other(first).get_by_role("button", name="Show the other one").click()
    other(first).get_by_role("button", name="Keep this one").click()
    expect(body(first)).to_have_value("Written in the second")
    assert draft_of(huong) == "Written in the second"


def test_a_draft_that_was_sent_from_another_tab_is_not_kept_as_if_it_were_not(writing, huong):
    huong.post("/draft", key="ab" * 16, subject="Sent twice?", body="Once.")
    first = writing()
    second = writing(first)
    first.get_by_role("button", name="Send to all staff").click()
    expect(row(first, "Sent twice?")).to_have_count(1)
    expect(other(second).get_by_role("alert")).to_contain_text("This message has already been sent.")
    other(second).get_by_role("button", name="Keep this as a new message").click()
    second.get_by_label("Subject").fill("A second message")
    second.get_by_role("button", name="Send to all staff").click()
    expect(row(second, "A second message")).to_have_count(1)
    expect(row(second, "Sent twice?")).to_have_count(1)


def test_a_draft_that_another_page_has_changed_is_not_discarded(window, huong):
    """Without JavaScript, too."""
    huong.post("/draft", key="cd" * 16, subject="Kept", body="The old text")
    page = sign_in(window(java_script_enabled=False), "huong", "/messages/new")
    huong.post("/draft", key="cd" * 16, subject="Kept", body="The newer text")
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_role("status").filter(has_text="was changed in another tab or browser")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("The newer text")
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_role("status").filter(has_text="Draft discarded.")).to_be_visible()


def test_an_answer_that_was_lost_is_no_other_tab(writing, huong):
    page = writing()
    page.get_by_label("Message", exact=True).fill("First words")
    page.route("**/draft", lambda route: (route.fetch(), route.abort()), times=1)
    save(page)
    expect(page.locator("#saved")).to_contain_text("could not be saved")
    page.get_by_label("Message", exact=True).fill("First words, and more")
    save(page)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    page.route("**/draft", lambda route: (route.fetch(), route.abort()), times=1)
    page.get_by_label("Message", exact=True).fill("First words, and more, and more")
    save(page)
    expect(page.locator("#saved")).to_contain_text("could not be saved")
    page.get_by_label("Message", exact=True).fill("All words")
    save(page)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    expect(other(page)).to_be_hidden()
    assert draft_of(huong) == "All words"


def test_a_save_that_is_slow_does_not_overtake_a_later_one(writing, huong):
    page = writing()
    page.get_by_label("Message", exact=True).fill("First words")
    held = Held(page, "/draft")
    save(page)
    held.wait()
    page.get_by_label("Message", exact=True).fill("First words, and the last ones")
    # The page would save now, as it is put behind another.
    page.evaluate(SHOW, False)
    page.evaluate(SHOW, True)
    held.let_go()
    wait_until("all is saved", lambda: page.evaluate("1") and draft_of(huong) == "First words, and the last ones")
    expect(other(page)).to_be_hidden()
