"""The site does its whole job without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in, sign_out, write_message
from support.people import PEOPLE


@pytest.fixture
def page(window):
    return sign_in(window(java_script_enabled=False), "amina")


def test_a_message_is_written_read_filtered_and_deleted(page):
    write_message(page, "Plain HTML", "Still here.")
    expect(page.get_by_role("status").filter(has_text="Message sent.")).to_be_visible()
    expect(row(page, "Plain HTML").locator("time")).to_contain_text("UTC")

    page.get_by_label("From").select_option(label=PEOPLE["amina"].name)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(r"author=\d+"))
    row(page, "Plain HTML").get_by_role("link").click()
    expect(page.get_by_text("Still here.")).to_be_visible()
    page.get_by_role("link", name="Delete this message").click()
    page.get_by_role("button", name="Delete for everyone").click()
    expect(page.get_by_text("Deleted by its author")).to_be_visible()


def test_a_bad_form_comes_back_as_it_was(page):
    page.goto("/messages/new")
    page.get_by_label("Message", exact=True).fill("A text without a subject")
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("alert")).to_contain_text("This message was not sent")
    expect(page.get_by_label("Message", exact=True)).to_have_value("A text without a subject")
    page.get_by_label("Subject").fill("Now with one")
    page.get_by_role("button", name="Send to all staff").click()
    expect(row(page, "Now with one")).to_have_count(1)


def test_the_log_is_filtered_and_exported(page):
    page.get_by_role("link", name="Audit log").click()
    page.get_by_label("Action").select_option("LOGIN")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile("action=LOGIN"))
    assert set(page.locator(".fine code").all_text_contents()) == {"LOGIN"}
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert "LOGIN" in started.value.path().read_text(encoding="utf-8-sig")


def test_the_help_is_there_and_sign_out_works(page):
    page.get_by_role("link", name="Help").click()
    expect(page.get_by_role("heading", name="Help", level=1)).to_be_visible()
    sign_out(page)
    expect(page.get_by_text("You have signed out.")).to_be_visible()


# What does nothing by itself: a button or a field of no form or without a name, and a button that its form is not sent by. What
# styles alone answer to is none of them.
FIELDS = [f"{field}:not({which})" for field in ("input", "select", "textarea") for which in (f"form {field}", "[name]")]
IDLE = ", ".join(["button:not(form button)", "button[type=button]", *(f"{field}:not(#show-hashes)" for field in FIELDS)])


def visit(page, path, heading):
    """The page is there, and all that it offers works without a script."""
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("alertdialog")).to_have_count(0)
    for summary in page.locator("main details > summary").all():
        if summary.is_visible() and summary.locator("..").get_attribute("open") is None:
            summary.click()
    idle = page.locator(IDLE).locator("visible=true")
    assert idle.count() == 0, f"{path} offers {[one.inner_text() or one.get_attribute('id') for one in idle.all()]}"


def test_every_page_is_there_and_nothing_that_needs_a_script_is_on_show(page, visitor):
    amina = visitor("amina")
    visitor("tomas").post("/teams", name="Pharmacy")
    message = amina.send("Looked at")
    team = re.search(r"#team-(\d+)", amina.post("/teams", name="Ward 3").headers["location"])[1]
    template = re.search(r"#template-(\d+)", amina.post("/templates", name="Handover", rows="Room 1\nRoom 2").headers["location"])[1]
    visit(page, "/messages", "Messages")
    visit(page, "/messages/new", "New message")
    visit(page, f"/messages/{message}", "Looked at")
    visit(page, f"/messages/{message}/delete", "Delete this message for everyone?")
    visit(page, "/urgent", "Urgent")
    visit(page, "/teams", "Teams")
    visit(page, f"/teams/{team}/leave", "Leave Ward 3 empty?")
    visit(page, "/templates", "Templates")
    visit(page, "/templates/new", "New template")
    visit(page, f"/templates/{template}/edit", "Change the template")
    visit(page, f"/templates/{template}/delete", "Delete Handover for everybody?")
    visit(page, f"/templates/{template}/write", "Handover")
    visit(page, "/audit", "Audit log")
    visit(page, "/me", "Your account")
    visit(page, "/help", "Help")
