#!/usr/bin/env python3
"""Pictures of every page, to look at and for the documents: light and dark, wide and narrow, with no, one and many rows.

    .venv/bin/python dev/e2e/screenshots.py FOLDER [PAGE ...]

FOLDER gets one PNG for each picture, named `page-scheme-width.png`. With names of pages, such as `inbox audit`, only those are
taken."""

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from support.browser import CHROMIUM, CHROMIUM_ARGUMENTS, Windows, begin_sign_in, sign_in
from support.site import Site
from support.visitor import Visitor

WIDTHS = (390, 1100)
SCHEMES = ("light", "dark")

# Subjects and texts as a clinic writes them, and some that find mistakes in a page.
MESSAGES = [
    ("tomas", "Fridge on ward 3 repaired", "The seal is new. Vaccines may go back in from noon."),
    ("huong", "Front desk closes at 17:30 on Friday", "Please send late patients to the side entrance."),
    ("noor", "جدول المناوبات للأسبوع القادم", "الرجاء مراجعة الجدول قبل يوم الخميس.\nشكراً لكم جميعاً."),
    ("amina", "Night shift: who can swap Tuesday for Thursday?", "My daughter has her school play.\n\nThank you!"),
    ("noor", "🩺 New stethoscopes are in the store room", "Two each, please sign the list. 👩🏽‍⚕️👨‍⚕️"),
    ("tomas", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2, "x" * 400),
    ("huong", "Parking", "The yellow van has its lights on."),
    ("amina", "Handover, room 12", "Everything is on the board.\n\n" + "The family visits at four, and would like to talk. " * 12),
]


def furnish(site):
    """Fills a site with a working week."""
    members = {person: Visitor(site, person) for person in ("amina", "tomas", "noor", "huong")}
    for number in range(60):
        author, subject, body = MESSAGES[number % len(MESSAGES)]
        members[author].post("/messages", key=f"{number:032x}", subject=subject, body=body)
    mistake = members["amina"].send("Sent to the wrong list")
    members["amina"].delete(mistake)
    for author, subject, body in MESSAGES:
        members[author].send(subject, body)
    return {
        "own": members["amina"].find("Handover, room 12"),
        "rtl": members["noor"].find("جدول المناوبات للأسبوع القادم"),
        "gone": mistake,
    }


def busy_pages(numbers):
    """Every page of a busy clinic: its name, and how to get there when signed in."""
    return {
        "inbox": lambda page: page.goto("/messages"),
        "inbox-older": lambda page: (page.goto("/messages"), page.get_by_role("link", name="Older messages").click()),
        "inbox-sent": lambda page: page.goto("/messages?notice=sent"),
        "message": lambda page: page.goto(f"/messages/{numbers['own']}"),
        "message-rtl": lambda page: page.goto(f"/messages/{numbers['rtl']}"),
        "tombstone": lambda page: page.goto(f"/messages/{numbers['gone']}"),
        "delete": lambda page: page.goto(f"/messages/{numbers['own']}/delete"),
        "compose": lambda page: page.goto("/messages/new"),
        "compose-errors": lambda page: (
            page.goto("/messages/new"),
            page.get_by_role("button", name="Send to all staff").click(),
        ),
        "audit": lambda page: page.goto("/audit"),
        "audit-filtered": lambda page: page.goto("/audit?action=MESSAGE_DELETE"),
        "audit-nothing": lambda page: page.goto("/audit?from=2001-01-01T00:00&to=2001-01-02T00:00"),
        "help": lambda page: page.goto("/help"),
        "me": lambda page: page.goto("/me"),
        "keys": lambda page: (page.goto("/messages"), page.keyboard.press("?")),
        "not-found": lambda page: page.goto("/messages/999999"),
    }


def pages_in_need(site):
    """A list and a message without a network, two drafts, and a tab after signing out in another."""

    def two_drafts(page):
        page.goto("/messages/new")
        page.clock.install()
        page.get_by_label("Subject").fill("Handover, room 12")
        page.get_by_label("Message", exact=True).fill("Written at the desk.")
        Visitor(site, "huong").post("/draft", key="ab" * 16, subject="Handover", body="Written on the phone.")
        page.clock.fast_forward(20_500)
        page.locator("#other").wait_for()

    def not_sent(page):
        page.goto("/messages/new")
        page.get_by_label("Subject").fill("Bed 4 is free")
        page.get_by_label("Message", exact=True).fill("From noon on.")
        page.route("**/messages", lambda route: route.abort())
        page.get_by_role("button", name="Send to all staff").click()
        page.locator("#unsent").wait_for()

    def lost(page):
        page.unroute_all()
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/messages")
        page.locator("#live.on").wait_for()
        page.route("**/messages/updates*", lambda route: route.abort())
        page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.evaluate("delete document.hidden")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.clock.fast_forward(41_000)
        page.locator("#lost:not([hidden])").wait_for()

    def back(page):
        page.unroute_all()
        page.clock.fast_forward(16_000)
        page.locator("#back:not([hidden])").wait_for()

    def cleared(page):
        other = page.context.new_page()
        other.goto("/help")
        other.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="You are signed out").wait_for()

    return {"two-drafts": two_drafts, "not-sent": not_sent, "connection-lost": lost, "connection-back": back, "cleared-tab": cleared}


def signed_out_pages():
    return {
        "sign-in": lambda page: page.goto("/"),
        "signed-out": lambda page: page.goto("/?ended=signed-out"),
        "provider": lambda page: page.goto("/sign-in/start"),
        "refused": lambda page: begin_sign_in(page, "outsider"),
        "emergency": lambda page: page.goto("/emergency-access"),
        "emergency-refused": lambda page: (
            page.goto("/emergency-access"),
            page.get_by_label("One-time code").fill("mistyped"),
            page.get_by_role("button", name="Start emergency access").click(),
        ),
    }


def emergency_pages(site):
    """What somebody sees who came in by a one-time link."""

    def come_in(page):
        done = site.command("emergency-access", "grant", "amina@clinic.example", "--reason", "x", "--minutes", "30", "--json")
        page.goto(json.loads(done.stdout)["link"])
        page.get_by_role("button", name="Start emergency access").click()
        page.get_by_role("button", name="Sign out").wait_for()

    return {
        "emergency-inbox": come_in,
        "emergency-compose": lambda page: page.goto("/messages/new"),
        "emergency-audit": lambda page: page.goto("/audit"),
        "emergency-not-found": lambda page: page.goto("/no/such/page"),
    }


def take(windows, site, folder, prefix, pages, person, wanted):
    """One picture of each page in each look."""
    pages = {f"{prefix}{name}": go for name, go in pages.items()}
    pages = {name: go for name, go in pages.items() if not wanted or name in wanted}
    if not pages:
        return
    for scheme in SCHEMES:
        for width in WIDTHS:
            page = windows.window(site, color_scheme=scheme, viewport={"width": width, "height": 860})
            if person:
                sign_in(page, person)
            for name, go in pages.items():
                go(page)
                page.wait_for_load_state("load")
                page.screenshot(path=folder / f"{name}-{scheme}-{width}.png")


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder, wanted = Path(sys.argv[1]), set(sys.argv[2:])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        windows = Windows(browser)
        site = Site(Path(data) / "demo")
        lists = {"inbox": lambda page: page.goto("/messages"), "audit": lambda page: page.goto("/audit")}
        try:
            take(windows, site, folder, "", signed_out_pages(), None, wanted)
            take(windows, site, folder, "empty-", lists, "amina", wanted)
            Visitor(site, "tomas").send("The first message of all", "Hello everybody.")
            take(windows, site, folder, "one-", lists, "amina", wanted)
            take(windows, site, folder, "", busy_pages(furnish(site)), "amina", wanted)
            take(windows, site, folder, "", pages_in_need(site), "huong", wanted)
            take(windows, site, folder, "", emergency_pages(site), None, wanted)
        finally:
            windows.close()
            browser.close()
            site.stop()
    if windows.errors:
        sys.exit("\n".join(windows.errors))
    print(f"{len(list(folder.glob('*.png')))} pictures are in {folder}")


if __name__ == "__main__":
    main()
