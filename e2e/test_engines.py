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


def test_a_member_signs_in_sends_is_seen_at_once_looks_at_the_log_and_signs_out(open_window, site):
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

    amina.click("//nav//a[.='Audit log']")
    sent = "//tr[contains(., 'MESSAGE_CREATE') and contains(., '{}') and contains(., '{}')]"
    amina.find(sent.format(PEOPLE["amina"].name, subject))

    amina.click("//button[.='Sign out']")
    amina.find("//a[.='Sign in']")
    assert amina.cookies() == []
    amina.open(f"{site.address}/messages")
    amina.find("//a[.='Sign in']")
