"""What the site is for, as a member of staff does it in a browser."""

import re

from playwright.sync_api import expect

from .browser import sign_in, write_message
from .people import PEOPLE


def send_and_read(page):
    """Signs in, sends a message, finds it first in the list and reads it."""
    sign_in(page, "amina")
    write_message(page, "Fridge alarm on ward 3", "It rang at four.\n\nSomebody must look at the seal.")
    expect(page.get_by_role("status").filter(has_text="Message sent.")).to_be_visible()
    first = page.locator("#rows .row").first
    expect(first).to_contain_text("Fridge alarm on ward 3")
    expect(first).to_contain_text(PEOPLE["amina"].name)
    expect(first.get_by_text("you", exact=True)).to_be_visible()
    first.get_by_role("link").click()
    expect(page).to_have_title(re.compile(r"^Message \d+ – Wardpost$"))
    expect(page.get_by_role("heading", name="Fridge alarm on ward 3", level=1)).to_be_visible()
    expect(page.get_by_text(PEOPLE["amina"].email)).to_be_visible()
    text = page.get_by_text("It rang at four.")
    assert text.inner_text() == "It rang at four.\n\nSomebody must look at the seal."
