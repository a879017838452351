"""Teams: made, named, joined and left by anyone on staff, each with its row."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from support.browser import NARROW, WIDE, sign_in
from support.people import PEOPLE
from support.visitor import Visitor
from test_accessibility import big_enough, check, fits
from test_keyboard import tab_to
from test_tampering import spoil, verify


def team(page, name):
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def make(page, name):
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make the team").click()


def leave(page, name):
    team(page, name).get_by_role("button", name="Leave").click()


def told(page, text):
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_team_is_made_joined_renamed_and_left(own_site, windows, javascript):
    site = own_site()
    amina = sign_in(windows.window(site, java_script_enabled=javascript), "amina")
    amina.get_by_role("link", name="Teams").click()
    expect(amina.get_by_text("There is no team yet")).to_be_visible()
    make(amina, "Ward 3")
    told(amina, "The team is made, and you are in it.")
    expect(team(amina, "Ward 3")).to_contain_text(PEOPLE["amina"].name)
    expect(team(amina, "Ward 3").get_by_text("you are in it")).to_be_visible()

    tomas = sign_in(windows.window(site, java_script_enabled=javascript), "tomas", "/teams")
    team(tomas, "Ward 3").get_by_role("button", name="Join").click()
    told(tomas, "You are in the team.")
    team(tomas, "Ward 3").locator("summary").filter(has_text="Rename").click()
    team(tomas, "Ward 3").get_by_label("New name").fill("Ward 3 north")
    team(tomas, "Ward 3").get_by_role("button", name="Save the name").click()
    expect(team(tomas, "Ward 3 north")).to_be_visible()

    amina.reload()
    expect(team(amina, "Ward 3 north").get_by_role("listitem").filter(has_text=PEOPLE["tomas"].name)).to_be_visible()
    leave(amina, "Ward 3 north")
    told(amina, "You have left the team.")
    team(amina, "Ward 3 north").locator("summary").filter(has_text="Who was in it").click()
    former = team(amina, "Ward 3 north").get_by_role("listitem").filter(has_text="until")
    expect(former).to_have_text(re.compile(rf"^{PEOPLE['amina'].name} from .*\d\d:\d\d.* until .*\d\d:\d\d"))
    # The last one is asked.
    tomas.goto("/teams")
    leave(tomas, "Ward 3 north")
    expect(tomas.get_by_role("heading", name="Leave Ward 3 north empty?")).to_be_visible()
    tomas.get_by_role("link", name="Stay").click()
    expect(team(tomas, "Ward 3 north").get_by_text("you are in it")).to_be_visible()
    leave(tomas, "Ward 3 north")
    tomas.get_by_role("button", name="Leave it empty").click()
    expect(team(tomas, "Ward 3 north")).to_contain_text("nothing can be sent for it until somebody joins")

    acts = [row["action"] for row in Visitor(site, "noor").audit() if row["action"].startswith("TEAM")]
    assert acts == ["TEAM_CREATED", "TEAM_JOINED", "TEAM_JOINED", "TEAM_RENAMED", "TEAM_LEFT", "TEAM_LEFT"]
    amina.goto("/audit?action=TEAM_RENAMED")
    expect(amina.locator(".sentence").first).to_have_text(f"{PEOPLE['tomas'].name} named a team “Ward 3 north”")


@pytest.mark.parametrize(
    "name, error",
    [("   ", "Write the team's name."), ("x" * 41, "this one has 41"), ("WARD 7", "Another team has this name")],
)
def test_a_name_that_cannot_be_comes_back_with_what_is_wrong(name, error, window):
    page = sign_in(window(), "amina", "/teams")
    if team(page, "Ward 7").count() == 0:
        make(page, "Ward 7")
        expect(team(page, "Ward 7")).to_be_visible()
    make(page, name)
    expect(page.get_by_text(error)).to_be_visible()
    expect(page).to_have_title(re.compile("^Error: Teams"))
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)
    expect(page.get_by_label("Name", exact=True)).to_be_focused()


def test_a_new_name_that_another_team_has_is_refused_beside_its_field(window, visitor):
    noor = visitor("noor")
    for name in ("Stores", "Kitchen"):
        noor.post("/teams", name=name)
    page = sign_in(window(), "amina", "/teams")
    team(page, "Kitchen").locator("summary").filter(has_text="Rename").click()
    team(page, "Kitchen").get_by_label("New name").fill("stores")
    team(page, "Kitchen").get_by_role("button", name="Save the name").click()
    expect(team(page, "Kitchen").get_by_text("Another team has this name")).to_be_visible()
    expect(team(page, "Kitchen").get_by_label("New name")).to_have_value("stores")


def test_a_name_that_looks_like_markup_is_text(window):
    page = sign_in(window(), "amina", "/teams")
    make(page, "<b>x</b> \u202e")
    expect(page.get_by_role("heading", name="<b>x</b> [U+202E]")).to_be_visible()


def test_since_when_is_told_by_the_readers_clock(window, visitor):
    visitor("noor").post("/teams", name="By the clock")
    zone = "Asia/Kathmandu"
    page = sign_in(window(timezone_id=zone), "noor", "/teams")
    time = team(page, "By the clock").locator("time")
    moment = datetime.fromisoformat(time.get_attribute("datetime"))
    assert moment.utcoffset() == timedelta(0)
    local = moment.astimezone(ZoneInfo(zone))
    expect(time).to_have_text(f"{local:%H:%M}")
    expect(time).to_have_attribute("title", re.compile(rf"^{local.day} \w+ {local.year}, {local:%H:%M} "))


def test_two_who_leave_at_once_cannot_both_leave_it_without_being_asked(visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    address = re.search(r"#team-(\d+)", amina.post("/teams", name="On call tonight").headers["location"])[1]
    tomas.post(f"/teams/{address}/join")
    assert amina.post(f"/teams/{address}/leave").headers["location"].startswith("/teams?notice=left")
    assert tomas.post(f"/teams/{address}/leave").headers["location"] == f"/teams/{address}/leave"


def test_without_a_mouse(window, visitor):
    visitor("tomas").post("/teams", name="Reached by keys")
    page = sign_in(window(), "huong", "/teams")
    row = team(page, "Reached by keys")
    for button in ("Join", "Leave"):
        page.goto("/teams")
        tab_to(page, row.get_by_role("button", name=button))
        page.keyboard.press("Enter")
        told(page, "the team.")
    page.goto("/teams")
    tab_to(page, row.locator("summary").filter(has_text="Rename"))
    page.keyboard.press("Enter")
    tab_to(page, row.get_by_label("New name"))
    page.keyboard.press("End")
    page.keyboard.type(" alone")
    page.keyboard.press("Enter")
    expect(team(page, "Reached by keys alone")).to_be_visible()


@pytest.mark.parametrize("look", [(scheme, size) for scheme in ("light", "dark") for size in (WIDE, NARROW)], ids=str)
def test_axe_has_nothing_to_object_to(look, own_site, windows):
    scheme, size = look
    site = own_site()
    page = sign_in(windows.window(site, color_scheme=scheme, viewport=size), "amina", "/teams")
    check(page, "no team")
    make(page, "On call")
    Visitor(site, "noor").post("/teams", name="A name of forty characters, as they come")
    tomas = Visitor(site, "tomas")
    tomas.post("/teams", name="Left by all")
    address = re.search(r'action="/teams/(\d+)/leave"', tomas.get("/teams").text)[1]
    tomas.post(f"/teams/{address}/leave", sure="yes")
    page.goto("/teams")
    for summary in page.locator("summary").all():
        summary.click()
    for what in ("teams", "a name that is refused"):
        check(page, what)
        fits(page)
        big_enough(page)
        make(page, "on call")
        expect(page.get_by_text("Another team has this name")).to_be_visible()
    page.goto("/teams")
    leave(page, "On call")
    expect(page.get_by_role("heading", name="Leave On call empty?")).to_be_visible()
    check(page, "the question before a team is empty")
    fits(page)


def test_a_team_that_was_changed_in_the_file_is_named(own_site):
    site = own_site()
    Visitor(site, "amina").post("/teams", name="On call")
    site.stop()
    assert verify(site.data)[0] == 0
    row = spoil(site.data, "UPDATE team SET name = 'Off call' WHERE :row > 0", row_of="TEAM_CREATED")
    code, verdict = verify(site.data)
    assert (code, verdict.get("first_bad_row")) == (1, row), verdict
    assert verdict["fault"].startswith("team 1 has another name")
