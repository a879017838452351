#!/usr/bin/env python3
"""README's pictures, of the ward's day with which `make demo` opens.

    make demo ARGS='--port 8080 --data /tmp/pictures --reset'      # in another terminal
    .venv/bin/python dev/e2e/readme_pictures.py http://127.0.0.1:8080

docs/pictures gets a PNG for each page in each scheme, named `page-scheme.png`."""

import re
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from support.browser import CHROMIUM, CHROMIUM_ARGUMENTS, sign_in

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"


def list_of_conversations(page):
    page.goto("/messages")
    expect(page.locator("#live.on")).to_be_visible()


def conversation(page):
    """The one with the most replies."""
    page.goto("/messages")
    rows = page.locator("#rows > .row")
    counts = [int((re.search(r"(\d+) repl", text) or [0, 0])[1]) for text in rows.all_inner_texts()]
    rows.nth(counts.index(max(counts))).get_by_role("link").first.click()
    expect(page.get_by_role("button", name="Send reply")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def audit(page):
    """Of the first message of that conversation."""
    conversation(page)
    page.get_by_role("link", name="who, when").first.click()
    expect(page.locator(".log .utc").first).to_be_visible()


PAGES = {"list": list_of_conversations, "conversation": conversation, "audit": audit}


def main(url):
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        for scheme in ("light", "dark"):
            page = browser.new_page(base_url=url, color_scheme=scheme, viewport={"width": 1100, "height": 860}, timezone_id="Europe/Zurich")
            sign_in(page, "amina")
            for name, go in PAGES.items():
                go(page)
                page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
