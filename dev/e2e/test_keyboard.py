"""The whole day without a mouse."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in

# More stops than any of these pages has.
MOST_TABS = 40


# The width of the outline around an element, or around what it draws over its whole row.
OUTLINE = """element => Math.max(...[null, '::after'].map(part => {
    const style = getComputedStyle(element, part);
    return style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth);
}))"""


def tab_to(page, target):
    """Presses Tab until `target` has the focus, and sees to it that the focus can be seen there."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            outline = target.evaluate(OUTLINE)
            assert outline >= 2, f"the focus on {target} shows in an outline of {outline} px"
            return
    raise AssertionError(f"{MOST_TABS} times Tab does not reach {target} on {page.url}")


@pytest.fixture
def page(window, visitor):
    amina = visitor("amina")
    for subject in ("Oldest row", "Middle row", "Newest row"):
        amina.send(subject)
    return sign_in(window(), "amina")


def test_sign_in_write_read_delete_and_sign_out(window):
    page = window()
    page.goto("/")
    tab_to(page, page.get_by_role("link", name="Sign in", exact=True))
    page.keyboard.press("Enter")
    amina = page.get_by_role("button", name=re.compile("amina@clinic.example"))
    expect(amina).to_be_visible()
    amina.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()

    tab_to(page, page.get_by_role("link", name="New message"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New message")).to_be_visible()
    tab_to(page, page.get_by_label("Subject"))
    page.keyboard.type("Written by hand")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("And not by mouse.")
    page.keyboard.press("Tab")
    expect(page.locator("#for > summary")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send to all staff")).to_be_focused()
    page.keyboard.press("Enter")

    link = row(page, "Written by hand").get_by_role("link")
    expect(link).to_be_visible()
    tab_to(page, link)
    page.keyboard.press("Enter")
    expect(page.get_by_text("And not by mouse.")).to_be_visible()
    tab_to(page, page.get_by_role("link", name="Delete this message"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Delete for everyone")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Delete for everyone"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Message deleted.")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Sign out"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("You have signed out.")).to_be_visible()


def test_a_conversation_is_answered_done_and_found_again(page, visitor):
    number = visitor("tomas").send("For the keyboard", "Who has the key?")
    page.reload()
    tab_to(page, row(page, "For the keyboard").get_by_role("link"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Who has the key?")).to_be_visible()
    tab_to(page, page.get_by_label("Reply to"))
    page.keyboard.type("It hangs at the door.")
    page.keyboard.press("Tab")
    expect(page.locator("#for > summary")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send reply to all staff")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".body").filter(has_text="It hangs at the door.")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Conversation done", exact=True))
    page.keyboard.press("Enter")
    expect(row(page, "For the keyboard").locator(".tag").filter(has_text="done")).to_be_visible()
    tab_to(page, page.get_by_label("Go to message"))
    page.keyboard.type(f"#{number}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Mark unread"))
    page.keyboard.press("Enter")
    expect(row(page, "For the keyboard").get_by_text("New:")).to_be_attached()
    page.keyboard.press("j")
    expect(row(page, "For the keyboard").get_by_role("link")).to_be_focused()


def test_the_first_tab_offers_to_skip_to_the_content(page):
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_c_begins_a_message(page):
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="New message")).to_be_visible()


def test_j_and_k_walk_the_list_and_enter_opens(page):
    link = lambda subject: row(page, subject).get_by_role("link").first  # noqa: E731
    page.keyboard.press("j")
    expect(link("Newest row")).to_be_focused()
    page.keyboard.press("j")
    expect(link("Middle row")).to_be_focused()
    page.keyboard.press("k")
    expect(link("Newest row")).to_be_focused()
    page.keyboard.press("k")
    expect(link("Newest row")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Middle row")).to_be_visible()


def test_slash_goes_to_the_filter_on_both_lists(page):
    page.keyboard.press("/")
    expect(page.get_by_label("From")).to_be_focused()
    page.goto("/audit")
    page.keyboard.press("/")
    expect(page.get_by_label("Person")).to_be_focused()


def test_question_mark_shows_the_keys_and_escape_closes_them(page):
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys).to_be_visible()
    page.keyboard.press("c")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def test_letters_are_letters_in_a_text_field(page):
    page.goto("/messages/new")
    for label in ("Subject", "Message"):
        field = page.get_by_label(label, exact=True)
        field.focus()
        page.keyboard.type("cjk/?")
        expect(field).to_have_value("cjk/?")
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", name="New message")).to_be_visible()


def test_keys_rest_in_a_drop_down_list_and_with_a_modifier(page):
    page.get_by_label("From").focus()
    page.keyboard.press("c")
    page.get_by_label("From").blur()
    for combination in ("Control+c", "Alt+c", "Meta+c"):
        page.keyboard.press(combination)
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    # What would have navigated has had its chance once another key has been answered.
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/messages$"))


def test_ctrl_enter_sends_what_is_written(page):
    page.keyboard.press("c")
    page.get_by_label("Subject").fill("Sent with two keys")
    page.get_by_label("Message", exact=True).fill("Quick.")
    page.keyboard.press("Control+Enter")
    expect(row(page, "Sent with two keys")).to_have_count(1)


def test_the_keys_are_told_on_the_help_page(page):
    page.goto("/help")
    main = page.get_by_role("main")
    for key in ("c", "j", "k", "/", "?"):
        expect(main.locator("kbd", has_text=re.compile(f"^{re.escape(key)}$"))).to_have_count(1)
