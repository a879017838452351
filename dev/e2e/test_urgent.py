"""Something urgent, in two browsers: from the one who sends it to the one who has done it, whatever page that one is on."""

import datetime
import re

import pytest
from playwright.sync_api import expect

from support.browser import NARROW, SHOW, WIDE, sign_in
from support.clock import Clock
from support.network import Network
from support.people import PEOPLE
from support.processes import ROOT
from support.waiting import wait_until
from test_accessibility import LOOKS, big_enough, check, fits
from test_duties import furnish, send_for
from test_keyboard import tab_to

AMINA, TOMAS, NOOR, HUONG = (PEOPLE[person].name for person in ("amina", "tomas", "noor", "huong"))

# Keeps everything that a screen reader is told at once.
LISTEN = """() => {
    window.told = [];
    const said = document.getElementById('urgent-said');
    new MutationObserver(() => { if (said.textContent) window.told.push(said.textContent); })
        .observe(said, { childList: true, characterData: true, subtree: true });
}"""


@pytest.fixture
def site(own_site):
    """One for each test: what is urgent stands on every page of it."""
    return own_site()


@pytest.fixture
def clinic(site):
    return furnish(site)


def send_urgent(visitor, subject, names=(), **fields):
    """To these people; what the page asks before (who cannot be reached) is answered."""
    return send_for(visitor, subject, names, urgent="1", policy="fast", aware=everybody(visitor), **fields)


def everybody(visitor):
    form = visitor.get("/messages/new").text
    return " ".join(re.findall(r'name="person" value="(\d+)"', form))


def bar(page, text=""):
    return page.locator("#urgent-bars .bar").filter(has_text=text)


def press(page, button):
    page.locator("#urgent-bars").get_by_role("button", name=button).click()


def icon(page):
    return page.locator("link#icon")


def test_a_bar_appears_by_itself_is_said_once_and_is_quiet_after_on_my_way(clinic, site, windows):
    tomas = sign_in(windows.window(site), "tomas", "/help")
    other = sign_in(windows.window(site), "noor", "/me")
    expect(bar(tomas)).to_have_count(0)
    expect(tomas.get_by_role("link", name="Urgent", exact=True)).to_be_hidden()
    tomas.evaluate(LISTEN)
    number = send_urgent(clinic["amina"], "Room 7", team=clinic["ward"])
    said = f"Urgent for you from {AMINA}, for Ward 3, since"
    expect(bar(tomas, said)).to_be_visible()
    expect(tomas).to_have_title("‼ Urgent – Help – Wardpost")
    expect(icon(tomas)).to_have_attribute("href", re.compile("icon-urgent"))
    expect(tomas.get_by_role("link", name="Urgent", exact=True)).to_be_visible()
    assert "Room 7" not in tomas.locator("#urgent-bars").inner_text()
    expect(tomas.locator("#urgent-said")).to_contain_text(said)
    # However often the page asks, and wherever one goes, it is said once.
    for _ in range(2):
        with tomas.expect_response("**/urgent/bar"):
            tomas.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    assert len(tomas.evaluate("told")) == 1, tomas.evaluate("told")
    tomas.goto("/teams")
    tomas.evaluate(LISTEN)
    with tomas.expect_response("**/urgent/bar"):
        pass
    assert tomas.evaluate("told") == []

    press(tomas, "On my way")
    expect(tomas).to_have_url(re.compile("/teams$"))
    expect(bar(tomas, f"You are on the way: urgent from {AMINA}")).to_be_visible()
    expect(tomas).to_have_title("Teams – Wardpost")
    expect(icon(tomas)).not_to_have_attribute("href", re.compile("urgent"))
    expect(bar(other, f"{TOMAS} is on the way")).to_be_visible()
    expect(other.locator("#urgent-bars").get_by_role("button")).to_have_count(0)
    press(tomas, "Done")
    expect(bar(tomas)).to_have_count(0)
    expect(bar(other)).to_have_count(0)
    expect(other.get_by_role("link", name="Urgent", exact=True)).to_be_hidden()
    actions = [row["action"] for row in clinic["amina"].audit(message=number)]
    assert actions == ["MESSAGE_CREATE", "URGENT_ON_MY_WAY", "DUTY_DONE"]


@pytest.mark.parametrize("where", ["a new message", "a reply"])
def test_an_answer_keeps_what_is_half_written_on_its_page(where, clinic, site, windows):
    number = clinic["noor"].send("A conversation")
    page = sign_in(windows.window(site), "amina", "/messages/new" if where == "a new message" else f"/messages/{number}")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    box = page.locator("#body")
    box.fill("Half a thought")
    send_urgent(clinic["tomas"], "Bed 4", [AMINA])
    press(page, "On my way")
    expect(bar(page, "You are on the way")).to_be_visible()
    expect(box).to_have_value("Half a thought")
    box.fill("Half a thought, and more")
    press(page, "Done")
    expect(bar(page)).to_have_count(0)
    expect(box).to_have_value("Half a thought, and more")
    assert not asked, "nothing was about to be lost"


def test_a_tab_behind_others_shows_it_in_title_and_icon_and_says_it_when_somebody_comes_back(clinic, site, windows):
    tomas = windows.window(site)
    tomas.clock.install()
    sign_in(tomas, "tomas", "/messages")
    tomas.evaluate(LISTEN)
    tomas.evaluate(SHOW, False)
    send_urgent(clinic["amina"], "Room 7", [TOMAS])
    expect(tomas).to_have_title(re.compile(r"^‼ Urgent – "))
    expect(icon(tomas)).to_have_attribute("href", re.compile("icon-urgent"))
    # Later than it would have been said.
    tomas.clock.fast_forward(1_000)
    assert tomas.evaluate("told") == []
    tomas.evaluate(SHOW, True)
    expect(tomas.locator("#urgent-said")).to_contain_text("Urgent for you")
    assert len(tomas.evaluate("told")) == 1, tomas.evaluate("told")


def still(page):
    """Timers of its browser stand still, as if a browser had slowed them: what its pages learn from here on, the site has told them."""
    page.clock.pause_at(datetime.datetime.now() + datetime.timedelta(seconds=2))


def of_hidden_tabs(request):
    """Whether it asks for the stream that hidden tabs of one browser share."""
    return "only=duties" in request.url


def watching(page):
    """The streams that hidden tabs of its browser have opened."""
    opened = []
    page.context.on("request", lambda request: opened.append(request.url) if of_hidden_tabs(request) else None)
    return opened


def test_hidden_tabs_are_told_though_their_timers_stand_still_by_one_stream_for_all(clinic, site, windows):
    first = windows.window(site)
    first.clock.install()
    opened = watching(first)
    sign_in(first, "tomas", "/help")
    tabs = [first, first.context.new_page(), first.context.new_page()]
    tabs[1].goto("/messages")
    tabs[1].locator("#live.on").wait_for()
    tabs[2].goto("/me")
    still(first)
    assert opened == []
    # A list that nobody asks the browser about is not filled: Playwright gives its events only while it is waited in.
    with first.context.expect_event("request", of_hidden_tabs):
        for page in tabs:
            page.evaluate(SHOW, False)
    number = send_urgent(clinic["amina"], "Room 7", [TOMAS])
    for page in tabs:
        expect(page).to_have_title(re.compile(r"^‼ Urgent – "))
    assert len(opened) == 1, opened
    # The one who has it gives it to the next.
    first.close()
    clinic["tomas"].post(f"/messages/{number}/urgent/on-my-way")
    for page in tabs[1:]:
        expect(page).not_to_have_title(re.compile("Urgent"))
    assert len(opened) == 2, opened
    tabs[1].evaluate(SHOW, True)
    tabs[2].evaluate(SHOW, True)
    locks = "async () => { const { held, pending } = await navigator.locks.query(); return held.length + pending.length; }"
    wait_until("nobody keeps it", lambda: tabs[1].evaluate(locks) == 0)


@pytest.mark.parametrize("how", ["stall", "cut"])
def test_every_page_says_since_when_it_has_no_connection(how, clinic, site, windows):
    network = Network()
    page = windows.window(site, proxy=network.proxy())
    page.clock.install()
    sign_in(page, "tomas", "/help")
    with page.expect_response("**/urgent/bar"):
        page.clock.fast_forward(5_000)
    getattr(network, how)()
    send_urgent(clinic["amina"], "While it was dead", [TOMAS])
    lost = page.get_by_role("alert").filter(has_text="No connection")
    for _ in range(3):
        page.clock.run_for(10_000)
    expect(lost).to_have_count(0)
    for _ in range(4):
        page.clock.run_for(10_000)
    expect(lost).to_have_text(re.compile(r"^No connection since \d\d:\d\d\. Urgent messages may be missing\.$"))
    check(page, "a page without a connection")
    network.restore()
    page.clock.run_for(16_000)
    expect(page.get_by_role("status").filter(has_text=re.compile(r"^Connected again at \d\d:\d\d\.$"))).to_be_visible()
    expect(lost).to_have_count(0)
    expect(bar(page, "Urgent for you")).to_be_visible()
    network.close()


def test_who_cannot_hands_it_to_the_teammate_and_on_to_everyone(clinic, site, windows):
    tomas, noor, huong = (sign_in(windows.window(site), person, "/help") for person in ("tomas", "noor", "huong"))
    send_urgent(clinic["amina"], "Room 7", [TOMAS])
    press(tomas, "Cannot: next, please")
    expect(bar(tomas)).to_have_count(0)
    expect(bar(noor, "teammates were asked")).to_be_visible()
    expect(bar(huong)).to_have_count(0)
    press(noor, "Cannot: next, please")
    for page in (tomas, noor, huong):
        expect(bar(page, "Urgent for everyone on staff")).to_be_visible()
        expect(page.locator("#urgent-bars").get_by_role("button", name="Cannot")).to_have_count(0)
    press(huong, "On my way")
    expect(bar(tomas)).to_have_count(0)


def test_each_step_comes_in_its_minute_and_is_said_once(own_site, windows, tmp_path):
    clock = Clock(tmp_path)
    site = own_site(web_environment=clock.environment())
    clinic = furnish(site)
    tomas = sign_in(windows.window(site), "tomas", "/help")
    send_urgent(clinic["amina"], "Room 7", [TOMAS])
    expect(bar(tomas, "next reminder at")).to_be_visible()
    expect(tomas.locator("#urgent-said")).to_contain_text("Urgent for you")
    tomas.evaluate(LISTEN)
    clock.move(minutes=2, seconds=5)
    expect(bar(tomas, "reminded once")).to_be_visible()
    clock.move(minutes=5, seconds=5)
    expect(bar(tomas, "reminded twice")).to_be_visible()
    expect(tomas.locator("#urgent-said")).to_contain_text("reminded twice")
    assert [("once" in said, "twice" in said) for said in tomas.evaluate("told")] == [(True, False), (False, True)]
    # The clock goes back: nothing is carried out again.
    clock.move(minutes=3)
    clock.move(minutes=15, seconds=5)
    expect(bar(tomas, "teammates were asked")).to_be_visible()
    steps = [row["details"]["step"] for row in clinic["huong"].audit(action="URGENT_STEP")]
    assert steps == [1, 2, 4]


def test_withdrawn_is_told_to_whom_it_was_for(clinic, site, windows):
    tomas = sign_in(windows.window(site), "tomas", "/help")
    number = send_urgent(clinic["amina"], "Room 7", [TOMAS])
    expect(bar(tomas, "Urgent for you")).to_be_visible()
    clinic["amina"].delete(number)
    expect(bar(tomas, f"Withdrawn by {AMINA}")).to_be_visible()
    expect(tomas).to_have_title("Help – Wardpost")
    press(tomas, "Understood")
    expect(bar(tomas)).to_have_count(0)


def test_the_board_is_live_and_answers_from_it_come_back_to_it(clinic, site, windows):
    huong = sign_in(windows.window(site), "huong", "/urgent")
    expect(huong.get_by_role("heading", name="Nothing is urgent")).to_be_visible()
    send_urgent(clinic["amina"], "Room 7 does not breathe well", [TOMAS])
    entry = huong.locator(".board-row")
    expect(entry).to_contain_text("Room 7 does not breathe well")
    expect(entry).to_contain_text(f"Urgent from {AMINA}, for {TOMAS}, since")
    expect(entry).to_contain_text("next reminder at")
    # By key: a click this soon after the board has moved counts as aimed at something else.
    entry.get_by_role("button", name="On my way").press("Enter")
    expect(huong).to_have_url(re.compile("/urgent$"))
    expect(entry).to_contain_text("You are on the way")
    entry.get_by_role("button", name="Done").click()
    # Who was named says so too.
    expect(entry).to_contain_text("Done by")
    tomas = sign_in(windows.window(site), "tomas", "/help")
    press(tomas, "Done")
    expect(huong.get_by_role("heading", name="Nothing is urgent")).to_be_visible()


def test_with_the_keyboard_alone(clinic, site, windows):
    tomas = sign_in(windows.window(site), "tomas", "/help")
    send_urgent(clinic["amina"], "Room 7", [TOMAS])
    expect(bar(tomas, "Urgent for you")).to_be_visible()
    tab_to(tomas, tomas.locator("#urgent-bars").get_by_role("button", name="On my way"))
    tomas.keyboard.press("Enter")
    expect(bar(tomas, "You are on the way")).to_be_visible()
    tab_to(tomas, tomas.locator("#urgent-bars").get_by_role("button", name="Done"))
    # What is new takes the focus from nobody.
    send_urgent(clinic["amina"], "Room 8", [TOMAS])
    expect(bar(tomas, "Urgent for you")).to_be_visible()
    expect(tomas.locator("#urgent-bars").get_by_role("button", name="Done")).to_be_focused()
    tomas.keyboard.press("Enter")
    expect(bar(tomas)).to_have_count(1)


def test_without_javascript(clinic, site, windows):
    tomas = sign_in(windows.window(site, java_script_enabled=False), "tomas", "/help")
    number = send_urgent(clinic["amina"], "Room 7", [TOMAS])
    tomas.reload()
    expect(tomas).to_have_title("‼ Urgent – Help – Wardpost")
    expect(icon(tomas)).to_have_attribute("href", re.compile("icon-urgent"))
    press(tomas, "On my way")
    expect(tomas).to_have_url(re.compile("/help$"))
    expect(bar(tomas, "You are on the way")).to_be_visible()
    tomas.get_by_role("link", name="Urgent", exact=True).click()
    tomas.locator(".board-row").get_by_role("button", name="Done").click()
    expect(tomas.get_by_role("heading", name="Nothing is urgent")).to_be_visible()
    assert clinic["amina"].get(f"/messages/{number}").status_code == 200


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look[0]}-{look[1]['width']}")
def test_axe_has_nothing_to_say_and_nothing_sticks_out(look, clinic, site, windows):
    scheme, size = look
    send_urgent(clinic["amina"], "Room 7 does not breathe well", team=clinic["ward"])
    own_way = send_urgent(clinic["amina"], "Bed 4", [TOMAS])
    gone = send_urgent(clinic["amina"], "Bed 5", [TOMAS])
    clinic["amina"].delete(gone)
    clinic["tomas"].post(f"/messages/{own_way}/urgent/on-my-way")
    pictures = ROOT / "target" / "urgent-pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for person in ("tomas", "huong"):
        page = sign_in(windows.window(site, color_scheme=scheme, viewport=size), person)
        for path in ("/messages", "/help", "/urgent", "/messages/new"):
            page.goto(path)
            check(page, f"{path} with bars, for {person}")
            fits(page)
            big_enough(page)
            name = path.strip("/").replace("/", "-")
            page.screenshot(path=pictures / f"{name}-{person}-{scheme}-{size['width']}.png")


def test_a_bar_stays_in_sight_however_far_one_has_scrolled(clinic, site, windows):
    for size in (WIDE, NARROW):
        tomas = sign_in(windows.window(site, viewport=size), "tomas", "/help")
        send_urgent(clinic["amina"], f"Room {size['width']}", [TOMAS])
        expect(bar(tomas).first).to_be_visible()
        tomas.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(bar(tomas).first).to_be_in_viewport()
        assert tomas.locator(".pinned").bounding_box()["height"] <= 0.46 * size["height"]
