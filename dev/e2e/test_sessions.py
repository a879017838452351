"""Where a member is signed in, and ending it."""

import re

from playwright.sync_api import expect

from support.browser import choose_person, sign_in
from support.visitor import Visitor

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
ELSEWHERE = "You were signed out because you ended this session from another device."


def devices(page):
    return page.get_by_role("main").get_by_role("listitem")


def device(page, name):
    return devices(page).filter(has=page.get_by_role("heading", name=name))


def open_sessions(page):
    """As a member finds the page: through her name, on any other."""
    page.get_by_role("banner").get_by_role("link", name=re.compile("your sessions and your data")).click()
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()


def test_a_member_finds_out_where_she_is_signed_in_and_ends_what_she_left_open(window, visitor, site):
    ward = sign_in(window(), "amina")
    phone = sign_in(window(user_agent=IPHONE), "amina")
    open_sessions(phone)
    expect(devices(phone)).to_have_count(2)
    this = device(phone, "Safari on an iPhone")
    expect(this).to_contain_text("this device")
    expect(this).to_contain_text("127.0.0.1")
    expect(this.get_by_role("button")).to_have_count(0)
    left_open = device(phone, re.compile("Chrome on"))
    for told in ("Signed in", "Last active", "Expires"):
        expect(left_open).to_contain_text(told)

    # The list on the ward's screen goes at once, without anybody touching it.
    expect(ward.get_by_text("Live", exact=True)).to_be_visible()
    left_open.get_by_role("button", name="End").click()
    expect(phone.get_by_text("That session has ended.")).to_be_visible()
    expect(devices(phone)).to_have_count(1)
    expect(phone.get_by_text("You are signed in here and nowhere else.")).to_be_visible()
    expect(ward.get_by_text(ELSEWHERE)).to_be_visible()
    ward.goto("/")
    expect(ward.get_by_text(ELSEWHERE)).to_be_visible()
    assert ward.context.cookies(ward.url) == []

    ended = visitor("tomas").audit(action="SESSION_ENDED")[-1]
    assert ended["details"]["reason"] == "elsewhere"
    assert ended["details"]["by_session"] != ended["details"]["session"]
    assert ended["user_id"] == visitor("amina").audit(action="LOGIN")[-1]["user_id"]


def test_all_other_sessions_end_with_one_button(window, visitor):
    others = [visitor("huong") for _ in range(3)]
    tomas = visitor("tomas")
    page = sign_in(window(), "huong", "/me")
    open_sessions(page)
    expect(devices(page)).to_have_count(4)
    expect(devices(page).first).to_contain_text("this device")
    page.get_by_role("button", name="End all others").click()
    expect(page.get_by_text("All your other sessions have ended.")).to_be_visible()
    expect(devices(page)).to_have_count(1)
    expect(page.get_by_role("button", name="End all others")).to_have_count(0)
    for other in others:
        assert other.get("/messages").status_code == 303
        assert other.request("POST", "/messages", data={"csrf": "x"}).status_code == 401
    assert tomas.get("/messages").status_code == 200, "others' sessions go on"
    page.get_by_role("link", name="Messages", exact=True).click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()


def test_nothing_sent_after_the_end_reaches_an_open_stream(visitor):
    left_open, here, tomas = visitor("noor"), visitor("noor"), visitor("tomas")
    stream = left_open.updates("/messages/updates?after=0")
    tomas.send("Before the end")
    while "Before the end" not in next(stream)["data"]:
        pass
    here.post("/me/sessions/end-others")
    tomas.send("After the end")
    assert [event["event"] for event in stream] == ["ended"]


def test_what_is_half_written_on_a_session_that_is_ended_leaves_the_screen(window, visitor):
    here = visitor("amina")
    page = sign_in(window(), "amina")
    page.goto("/messages/new")
    page.get_by_label("Message", exact=True).fill("Half a sentence")
    here.post("/me/sessions/end-others")
    page.get_by_label("Subject").fill("Unfinished")
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_text(ELSEWHERE)).to_be_visible()
    expect(page.get_by_text("Half a sentence")).to_have_count(0)
    assert "Unfinished" not in here.get("/messages").text


def test_signing_in_again_in_the_same_browser_replaces_its_session(window):
    page = sign_in(window(), "tomas")
    open_sessions(page)
    before = devices(page).count()
    page.goto("/sign-in/start?next=%2Fme")
    choose_person(page, "tomas")
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    expect(devices(page)).to_have_count(before)


def test_another_members_session_cannot_be_ended(visitor, site):
    amina, tomas = visitor("amina"), visitor("tomas")
    number = re.search(r'id="session-(\d+)"', tomas.get("/me").text)[1]
    assert amina.post(f"/me/sessions/{number}/end").status_code == 404
    assert tomas.get("/me").status_code == 200
    stranger = Visitor(site)
    assert stranger.request("POST", f"/me/sessions/{number}/end", data={"csrf": "x"}).status_code == 401
    foreign = {"Origin": "https://evil.example"}
    assert tomas.request("POST", "/me/sessions/end-others", data={"csrf": tomas.csrf}, headers=foreign).status_code == 403


def test_the_page_is_used_by_keyboard_and_without_javascript(window, visitor):
    visitor("noor")
    page = window(java_script_enabled=False)
    sign_in(page, "noor", "/me")
    open_sessions(page)
    before = devices(page).count()
    end = devices(page).nth(1).get_by_role("button", name="End")
    end.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("That session has ended.")).to_be_visible()
    expect(devices(page)).to_have_count(before - 1)
