"""The way through the site in the engines that other tests leave out: Firefox's, and WebKit, which Safari has."""

import pytest

from support.engines import Firefox, Outside, WebKit, Window
from support.people import PEOPLE


@pytest.fixture(params=[Firefox, WebKit], ids=lambda engine: engine.name)
def open_window(request):
    """Opens windows of an engine; a test passes only if none of them asked for anything outside."""
    engine, outside, windows = request.param(), Outside(), []

    def open_one():
        windows.append(Window(engine, outside))
        return windows[-1]

    try:
        yield open_one
    finally:
        for window in windows:
            window.close()
        engine.stop()
        outside.stop()
    assert not outside.asked, sorted(set(outside.asked))


def sign_in(window, site, person):
    window.open(site.address)
    window.click("//a[.='Sign in']")
    window.click(f"//button[contains(., '{PEOPLE[person].email}')]")
    window.find("//h1[.='Messages']")


# In Firefox a driver's script has a view of the page that the page does not share, unless it asks for the page's own.
PAGE = "const page = window.wrappedJSObject ?? window;"
# From here on the page's clock runs twenty times as fast, so that nobody waits for what happens after 40 seconds.
FAST = PAGE + """
    const [timeout, now] = [page.setTimeout.bind(page), page.Date.now];
    const begun = now();
    page.setTimeout = (act, wait, ...rest) => timeout(act, wait / 20, ...rest);
    page.Date.now = () => begun + (now() - begun) * 20;
"""
# What happens when its tab is put behind another, or brought to the front.
HIDE, SHOW = (
    f"""{PAGE}
    Object.defineProperty(page.document, 'hidden', {{ configurable: true, get: () => {hidden} }});
    page.document.dispatchEvent(new page.Event('visibilitychange'));
    """
    for hidden in ("true", "false")
)


def test_a_member_signs_in_sends_is_answered_looks_at_the_log_and_signs_out(open_window, site):
    tomas, amina = open_window(), open_window()
    sign_in(tomas, site, "tomas")
    sign_in(amina, site, "amina")
    tomas.run("window.stillTheSamePage = true")

    subject = f"Seen at once in {amina.version}"
    amina.click("//a[.='New message']")
    amina.type("//input[@id='subject']", subject)
    amina.type("//textarea[@id='body']", "Before your round.\nThank you.")
    amina.click("//button[.='Send to all staff']")
    amina.find(f"//ol[@id='rows']/li[contains(., '{subject}')]")

    tomas.find(f"//ol[@id='rows']/li[contains(., '{subject}')]")
    assert tomas.run("return window.stillTheSamePage"), "the list was not loaded again"

    tomas.click_until(f"//a[.='{subject}']", "//ol[@id='conversation']")
    tomas.type("//textarea[@id='body']", "On my way.")
    tomas.click("//button[.='Send reply to all staff']")
    tomas.find("//div[@class='body' and .='On my way.']")
    answered = f"//ol[@id='rows']/li[contains(., '{subject}') and contains(., '{PEOPLE['tomas'].name} replied')]"
    amina.find(answered)
    amina.click_until(f"{answered}//a", "//ol[@id='conversation']")
    amina.find("//div[@class='body' and .='On my way.']")
    amina.find(f"//article[contains(., 'Before your round.')]//p[contains(., 'Opened by {PEOPLE['tomas'].name}')]")
    amina.click("//button[.='Conversation done']")
    amina.find(f"//ol[@id='rows']/li[contains(., '{subject}')]//span[.='done']")

    amina.click("//nav//a[.='Audit log']")
    sent = "//tr[contains(., 'MESSAGE_CREATE') and contains(., '{} sent message')]"
    amina.find(sent.format(PEOPLE["amina"].name))

    amina.click("//button[.='Sign out']")
    amina.find("//a[.='Sign in']")
    assert amina.cookies() == []
    amina.open(f"{site.address}/messages")
    amina.find("//a[.='Sign in']")


def test_signing_out_in_one_tab_clears_the_other(open_window, site):
    window = open_window()
    sign_in(window, site, "amina")
    first = window.tab()
    window.open_tab(f"{site.address}/messages")
    window.click("//button[.='Sign out']")
    window.find("//a[.='Sign in']")
    window.drive(first)
    window.find("//h1[.='You are signed out']")
    window.find("//p[.='You signed out in another tab.']")
    assert "Amina" not in window.run("return document.documentElement.outerHTML")


def test_a_list_and_a_message_without_a_connection_say_so_and_nothing_is_lost(open_window, site):
    reader, writer = open_window(), open_window()
    sign_in(reader, site, "tomas")
    reader.find("//p[.='Live']")
    sign_in(writer, site, "amina")
    subject = f"Not lost in {writer.version}"
    writer.click("//a[.='New message']")
    writer.type("//input[@id='subject']", subject)
    writer.type("//textarea[@id='body']", "Before your round.")
    with site.unreachable():
        for window in (reader, writer):
            window.run(FAST)
        # Its timers run in the old time until it listens again.
        reader.run(HIDE)
        reader.run(SHOW)
        reader.find("//p[starts-with(., 'No connection since ') and contains(., 'Newer messages may be missing.')]")
        writer.click("//button[.='Send to all staff']")
        writer.find("//p[.='Not sent: no connection. Trying again.']")
    for window in (reader, writer):
        window.find(f"//ol[@id='rows']/li[contains(., '{subject}')]")
    reader.find("//p[.='Live']")
    sent = writer.run(f"return document.body.innerText.split('{subject}').length - 1")
    assert sent == 1, "it was sent once"


def test_two_tabs_with_one_draft_notice_each_other(open_window, site, visitor):
    visitor("noor").post("/draft/discard")
    window = open_window()
    sign_in(window, site, "noor")
    first = window.tab()
    window.open(f"{site.address}/messages/new")
    window.open_tab(f"{site.address}/messages/new")
    second = window.tab()
    window.drive(first)
    window.type("//textarea[@id='body']", "Written in the first")
    window.run(HIDE)
    window.find("//p[starts-with(., 'Draft saved ')]")
    window.drive(second)
    window.type("//textarea[@id='body']", "Written in the second")
    window.find("//p[contains(., 'You are writing in another tab or browser, too.')]")
    window.click("//button[.='Show the other one']")
    assert window.run("return document.getElementById('body').value") == "Written in the first"
