#!/usr/bin/env python3
"""README's pictures, of the ward's day with which `make demo` opens.

    make demo ARGS='--port 8080 --data /tmp/pictures --reset'      # in another terminal
    .venv/bin/python dev/e2e/readme_pictures.py http://127.0.0.1:8080

docs/pictures gets a PNG for each page in each scheme, named `page-scheme.png`. The last ones are of something urgent, which is then
done."""

import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from support.browser import CHROMIUM, CHROMIUM_ARGUMENTS, row, sign_in
from support.people import PEOPLE

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SIZE = {"width": 1100, "height": 860}
# Sent today, and over.
URGENT = "Potassium 6.9, room 12"


def list_of_conversations(page):
    page.goto("/messages")
    expect(page.locator("#live.on")).to_be_visible()


def audit(page):
    """Of the message that was urgent, before anybody opens it for a picture."""
    page.goto("/messages")
    number = row(page, URGENT).get_attribute("id").removeprefix("message-")
    page.set_viewport_size(SIZE | {"height": 1040})
    page.goto(f"/audit?message={number}")
    expect(page.locator(".log .utc").first).to_be_visible()


def conversation(page):
    """The one that was urgent: whom it was for, what came of it, who opened it."""
    page.set_viewport_size(SIZE)
    page.goto("/messages")
    row(page, URGENT).get_by_role("link").first.click()
    expect(page.get_by_role("button", name="Send reply")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def urgent(page):
    """The list of somebody whom something urgent waits for."""
    list_of_conversations(page)
    expect(page.locator("#urgent-bars .bar")).to_be_visible()


PAGES = {"list": list_of_conversations, "audit": audit, "conversation": conversation}


def send_urgent(page):
    """For Amina, whose pictures these are."""
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Bed 4: saturation 86 %")
    page.get_by_label("Message", exact=True).fill("On two litres of oxygen, and falling. Please come.")
    page.locator("#for > summary").click()
    page.get_by_role("checkbox", name=PEOPLE["amina"].name, exact=True).check()
    page.get_by_role("checkbox", name="Urgent").check()
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.locator("#rows")).to_be_visible()


def main(url):
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)

        def window(person, scheme):
            page = browser.new_page(base_url=url, color_scheme=scheme, viewport=SIZE, locale="en-GB", timezone_id="Europe/Zurich")
            return sign_in(page, person)

        def take(page, name, scheme):
            page.screenshot(path=FOLDER / f"{name}-{scheme}.png")

        pages = {scheme: window("amina", scheme) for scheme in ("light", "dark")}
        for name, go in PAGES.items():
            for scheme, page in pages.items():
                go(page)
                take(page, name, scheme)
        send_urgent(window("noor", "light"))
        for scheme, page in pages.items():
            urgent(page)
            take(page, "urgent", scheme)
        page.locator("#urgent-bars").get_by_role("button", name="On my way").click()
        page.locator("#urgent-bars").get_by_role("button", name="Done").click()
        expect(page.locator("#urgent-bars .bar")).to_have_count(0)
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
