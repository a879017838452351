"""A browser as a member of staff uses it."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from .people import PEOPLE
from .processes import ROOT
from .site import Site

CHROMIUM = "/usr/bin/chromium-headless-shell"
# Root needs --no-sandbox, and there is no GPU; the rest keeps Chromium from calling home.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
FAILURES = ROOT / "target" / "e2e-failures"
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}

# What a browser does to a page whose tab is put behind another (false), or brought to the front (true).
SHOW = """shown => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => !shown });
    document.dispatchEvent(new Event('visibilitychange'));
}"""

# Two cores run the browser, the site and a compiler at once.
expect.set_options(timeout=15_000)


class Windows:
    """Opens browser windows, each with cookies of its own, and watches what no page of this site may ever do: break
    the content security policy, throw, or fetch anything from elsewhere."""

    def __init__(self, browser: Browser):
        self._browser = browser
        self._contexts = []
        self._pages = []
        self.errors = []

    def window(self, site: Site, **options) -> Page:
        """A new window. `options` are Playwright's: java_script_enabled, color_scheme, viewport, timezone_id, ..."""
        options = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "Europe/Lisbon"} | options
        context = self._browser.new_context(base_url=site.address, **options)
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        own = {urlsplit(site.address).netloc, urlsplit(site.provider.address).netloc}
        context.on("page", self._watch)
        context.on("request", lambda request: self._check_address(request.url, own))
        return context.new_page()

    def _watch(self, page):
        self._pages.append(page)
        page.on("pageerror", lambda error: self.errors.append(f"{page.url} threw {error}"))
        page.on("console", lambda message: self._check_console(page, message))

    def _check_console(self, page, message):
        # The provider's page is not ours; everything ours says on the console about its policy is an error.
        if re.search(r"Content Security Policy|Refused to", message.text):
            self.errors.append(f"{page.url}: {message.text}")

    def _check_address(self, url, own):
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc not in own:
            self.errors.append(f"a page asked for {url}")

    def keep_pictures(self, name):
        """What a person would have seen when a test failed."""
        FAILURES.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(page for page in self._pages if not page.is_closed()):
            try:
                page.screenshot(path=FAILURES / f"{name}-{number}.png", full_page=True, timeout=5000)
            except PlaywrightError as error:
                # A page that hangs may be why the test failed; that it has no picture is no second failure.
                print(f"no picture of {page.url}: {error}")

    def close(self):
        for context in self._contexts:
            context.close()


def choose_person(page: Page, person):
    """On the demo provider's page."""
    page.get_by_role("button", name=re.compile(re.escape(PEOPLE[person].email))).click()


def begin_sign_in(page: Page, person, path="/"):
    """From the sign-in page through the provider, whatever comes of it."""
    page.goto(path)
    page.get_by_role("link", name="Sign in", exact=True).click()
    choose_person(page, person)


def sign_in(page: Page, person, path="/"):
    """Signs in, beginning at `path`."""
    begin_sign_in(page, person, path)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return page


def sign_out(page: Page):
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


def row(page: Page, subject):
    """The line of the list with this subject."""
    return page.get_by_role("listitem").filter(has_text=subject)


def write_message(page: Page, subject, body="A body."):
    """From any page of a member to the list with the sent message in it."""
    page.goto("/messages/new")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message", exact=True).fill(body)
    page.get_by_role("button", name="Send to all staff").click()
    expect(page).to_have_url(re.compile(r"/messages(\?|$)"))
