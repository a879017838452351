"""axe-core finds nothing to object to on any page, in light and dark, wide and narrow, with no, one and many rows."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.browser import NARROW, WIDE, choose_person, sign_in
from support.network import Network
from support.site import Site
from support.visitor import Visitor
from test_conversations import reply_to

# WCAG 2.2 AA and what axe counts as good practice.
AXE_OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = [(scheme, size) for scheme in ("light", "dark") for size in (WIDE, NARROW)]


def check(page, what):
    """No violation; a failure says where and why."""
    violations = Axe().run(page, options=AXE_OPTIONS).response["violations"]
    told = [
        f"{violation['id']} ({violation['help']}): {node['html'][:200]}\n    {node.get('failureSummary', '')}"
        for violation in violations
        for node in violation["nodes"]
    ]
    assert not told, f"{what}, {page.url}:\n" + "\n".join(told)


def fits(page):
    """Nothing sticks out to the side."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window, f"{page.url} is {wide} wide in a window of {window}"


def big_enough(page):
    """Every target is 24 by 24 pixels or more, with its label, or stands in a line of text (WCAG 2.2, 2.5.8)."""
    small = page.evaluate(
        """() => [...document.querySelectorAll('a, button, select, input:not([type=hidden])')]
            .filter(element => element.checkVisibility() && !element.closest('p, .sentence') && !element.closest('.skip'))
            .map(element => [element.outerHTML.slice(0, 120), (element.closest('label') ?? element).getBoundingClientRect()])
            .filter(([, box]) => box.width > 0 && (box.width < 24 || box.height < 24))
            .map(([html, box]) => `${html} is ${box.width} by ${box.height}`)"""
    )
    assert not small, "\n".join(small)


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]['width']}")
def look(request):
    scheme, size = request.param
    return {"color_scheme": scheme, "viewport": size}


def visit(page, path, what):
    page.goto(path)
    expect(page.get_by_role("main")).to_be_visible()
    check(page, what)
    fits(page)
    big_enough(page)


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory):
    """A site on which nothing was ever sent."""
    site = Site(tmp_path_factory.mktemp("empty") / "demo")
    yield site
    site.stop()


@pytest.fixture(scope="module")
def furnished(site):
    """A site with all that a page can show: many rows, a tombstone, strange texts, a refused sign-in."""
    amina = Visitor(site, "amina")
    deleted = amina.send("Soon gone")
    amina.delete(deleted)
    noor = Visitor(site, "noor")
    strange = noor.send("موعد فحص الغد 🩺", "يرجى الحضور.\nLongword" + "x" * 300)
    for number in range(60):
        amina.post("/messages", key=f"{number:032x}", subject=f"Message {number}", body="Text.")
    own = amina.send("Mine", "Mine to delete.")
    conversation = noor.send("Ibuprofen with enoxaparin?", "Room 7 asks.")
    for author, text in (("tomas", "Better not."), ("noor", "شكراً"), ("amina", "Paracetamol is fine.")):
        reply_to(Visitor(site, author), conversation, text)
    # More readers than stand there at once.
    for reader in ("amina", "tomas", "huong"):
        Visitor(site, reader).get(f"/messages/{conversation}")
    team = re.search(r"#team-(\d+)", amina.post("/teams", name="Ward 3").headers["location"])[1]
    handover = amina.post("/templates", name="Handover Ward 3", rows="Room 1\nRoom 2")
    template = re.search(r"#template-(\d+)", handover.headers["location"])[1]
    return {
        "conversation": conversation,
        "deleted": deleted,
        "own": own,
        "strange": strange,
        "team": team,
        "template": template,
    }


def test_signed_out_pages(look, windows, site):
    page = windows.window(site, **look)
    visit(page, "/", "the sign-in page")
    visit(page, "/?ended=signed-out", "the sign-in page after signing out")
    visit(page, "/no/such/page", "the page for a wrong address")
    visit(page, "/sign-in/callback?code=x&state=y", "the page for a sign-in that began elsewhere")
    page.goto("/sign-in/start")
    choose_person(page, "outsider")
    expect(page.get_by_role("heading", name="This account cannot sign in here")).to_be_visible()
    check(page, "the page for a refused account")


def test_pages_of_an_emergency(look, windows, site):
    Visitor(site, "amina")
    done = site.command("emergency-access", "grant", "amina@clinic.example", "--reason", "x", "--minutes", "9", "--json")
    link = json.loads(done.stdout)["link"]
    page = windows.window(site, **look)
    visit(page, "/emergency-access", "the page for a code")
    page.get_by_label("One-time code").fill("mistyped")
    page.get_by_role("button", name="Start emergency access").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody was let in")
    check(page, "the page after a wrong code")
    fits(page)
    page.goto(link)
    page.get_by_role("button", name="Start emergency access").click()
    expect(page.get_by_role("complementary", name="Emergency access")).to_be_visible()
    for path in ("/messages", "/messages/new", "/audit", "/no/such/page", "/emergency-access"):
        visit(page, path, "under an emergency access")


def test_pages_with_nothing_to_show(look, windows, empty_site):
    page = sign_in(windows.window(empty_site, **look), "amina")
    visit(page, "/messages", "an empty list")
    visit(page, "/audit?action=MESSAGE_DELETE", "a log in which nothing fits")
    visit(page, "/teams", "no teams")
    visit(page, "/templates", "no templates")


def test_pages_of_a_busy_clinic(look, windows, site, furnished):
    page = sign_in(windows.window(site, **look), "amina")
    visit(page, "/messages", "a full list")
    visit(page, "/messages?notice=sent", "a list with a notice")
    page.get_by_role("link", name="Older messages").click()
    check(page, "the second page of the list")
    visit(page, f"/messages/{furnished['own']}", "one's own message")
    visit(page, f"/messages/{furnished['conversation']}", "a conversation")
    page.get_by_role("button", name="Send reply to all staff").click()
    expect(page.get_by_role("alert")).to_contain_text("This reply was not sent")
    check(page, "a reply with errors")
    page.goto(f"/messages/{furnished['conversation']}")
    page.get_by_role("button", name="Conversation done", exact=True).click()
    expect(page.get_by_text("The conversation is done.")).to_be_visible()
    visit(page, f"/messages/{furnished['conversation']}", "a conversation that is done")
    page.get_by_role("button", name="Open again").click()
    visit(page, f"/messages/{furnished['strange']}", "a right-to-left message")
    visit(page, f"/messages/{furnished['deleted']}", "a deleted message")
    visit(page, f"/messages/{furnished['own']}/delete", "the question before deleting")
    visit(page, "/messages/new", "writing")
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("alert")).to_contain_text("This message was not sent")
    check(page, "a form with errors")
    visit(page, "/audit", "the log")
    page.get_by_label("Show hashes").check()
    check(page, "the log with its hashes")
    fits(page)
    visit(page, f"/audit?message={furnished['conversation']}", "the log of one message")
    visit(page, "/audit?from=yesterday", "a filter that makes no sense")
    visit(page, "/urgent", "the board with nothing on it")
    visit(page, "/teams", "teams")
    visit(page, f"/teams/{furnished['team']}/leave", "the question before a team stands empty")
    visit(page, "/templates", "templates")
    visit(page, "/templates/new", "a new template")
    visit(page, f"/templates/{furnished['template']}/edit", "a template to be changed")
    visit(page, f"/templates/{furnished['template']}/delete", "the question before a template goes")
    visit(page, f"/templates/{furnished['template']}/write", "a template's form")
    visit(page, "/help", "help")
    Visitor(site, "amina")
    visit(page, "/me", "one's sessions")
    page.get_by_role("button", name="End all others").click()
    expect(page.get_by_role("status").filter(has_text="All your other sessions have ended.")).to_be_visible()
    check(page, "one's only session, with a notice")
    visit(page, "/messages/999999", "the page for a message that never was")


def test_a_list_of_one(look, windows, own_site):
    site = own_site()
    Visitor(site, "amina").send("The only one")
    page = sign_in(windows.window(site, **look), "amina")
    check(page, "a list of one")
    visit(page, "/audit", "a short log")


def test_dialogs(look, windows, site, furnished):
    page = sign_in(windows.window(site, **look), "amina")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    check(page, "the list of keys")


def test_what_a_lost_connection_looks_like(look, windows, site, furnished):
    network = Network()
    page = windows.window(site, proxy=network.proxy(), **look)
    page.clock.install()
    sign_in(page, "amina")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    writing = page.context.new_page()
    writing.goto("/messages/new")
    writing.get_by_label("Subject").fill("On its way")
    writing.get_by_label("Message", exact=True).fill("Not yet.")
    network.cut()
    writing.get_by_role("button", name="Send to all staff").click()
    expect(writing.get_by_role("alert").filter(has_text="Not sent")).to_be_visible()
    page.clock.fast_forward(41_000)
    expect(page.get_by_role("alert").filter(has_text="No connection")).to_be_visible()
    for tab, what in ((page, "a list without a connection"), (writing, "a message that is not sent")):
        check(tab, what)
        fits(tab)
        big_enough(tab)
    network.close()


def test_two_tabs_and_their_end(look, windows, site, furnished):
    page = sign_in(windows.window(site, **look), "noor", "/messages/new")
    page.clock.install()
    page.get_by_label("Message", exact=True).fill("Written here")
    Visitor(site, "noor").post("/draft", key="ef" * 16, subject="", body="Written on another device")
    page.clock.fast_forward(20_500)
    expect(page.get_by_role("alert").filter(has_text="another tab or browser")).to_be_visible()
    check(page, "two drafts")
    fits(page)
    big_enough(page)
    other = page.context.new_page()
    other.goto("/help")
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    check(page, "a tab that was cleared")
    fits(page)
    big_enough(page)
    Visitor(site, "noor").post("/draft/discard")


# A window of 1280 pixels at 400 % and at 200 %.
@pytest.mark.parametrize("size", [320, 640])
def test_nothing_sticks_out_on_a_small_screen(size, windows, site, furnished):
    page = sign_in(windows.window(site, viewport={"width": size, "height": 640}), "amina")
    conversation, strange = f"/messages/{furnished['conversation']}", f"/messages/{furnished['strange']}"
    for path in ("/messages", conversation, strange, "/messages/new", "/audit", "/help", "/me"):
        page.goto(path)
        fits(page)


def test_pages_hold_in_forced_colours_and_with_reduced_motion(windows, site, furnished):
    page = sign_in(windows.window(site, forced_colors="active", reduced_motion="reduce"), "amina")
    for path in ("/messages", f"/messages/{furnished['conversation']}", "/messages/new", "/audit", "/me"):
        visit(page, path, "forced colours")
