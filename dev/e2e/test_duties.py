"""Messages that are for somebody: choosing whom, doing it, and answering what is urgent."""

import datetime
import re
import secrets

import pytest
from playwright.sync_api import expect

from support.browser import NARROW, WIDE, row, sign_in
from support.people import PEOPLE
from support.visitor import Visitor
from test_accessibility import big_enough, check, fits
from test_conversations import send_reply
from test_keyboard import tab_to
from test_unread import tab

AMINA, TOMAS, NOOR, HUONG = (PEOPLE[person].name for person in ("amina", "tomas", "noor", "huong"))


def furnish(site):
    """Everybody has signed in once; Tomáš and Noor are in "Ward 3", and nobody else is in Amina's "Pharmacy"."""
    members = {person: Visitor(site, person) for person in ("amina", "tomas", "noor", "huong")}
    members["tomas"].post("/teams", name="Ward 3")
    (ward,) = re.findall(r'action="/teams/(\d+)/leave"', members["tomas"].get("/teams").text)
    members["noor"].post(f"/teams/{ward}/join")
    members["amina"].post("/teams", name="Pharmacy")
    members["ward"] = ward
    return members


@pytest.fixture(scope="module")
def clinic(site):
    return furnish(site)


def person_number(visitor, name):
    """As the form has it."""
    form = visitor.get("/messages/new").text
    return re.search(rf'name="person" value="(\d+)"[^<]*> <span><bdi>{re.escape(name)}</bdi>', form)[1]


def send_for(visitor, subject, names, **fields):
    """A message for people, by name; gives its number."""
    numbers = [person_number(visitor, name) for name in names]
    fields = {"key": secrets.token_hex(16), "subject": subject, "body": "Please.", "person": numbers, **fields}
    reply = visitor.post("/messages", **fields)
    assert reply.status_code == 303, reply.text
    return visitor.find(subject)


def choosing(page):
    """The list of whom a message can be for, opened."""
    if page.locator("#for").get_attribute("open") is None:
        page.locator("#for > summary").click()
    return page.locator("#for")


def write(page, subject):
    page.goto("/messages/new")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message", exact=True).fill("Please look after it.")


def send(page):
    page.get_by_role("button", name="Send to all staff").click()


def duties(page, number):
    return page.get_by_role("region", name=f"Whom message {number} is for")


def press(page, number, button):
    duties(page, number).get_by_role("button", name=button).click()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_message_for_a_team_and_somebody_is_taken_done_and_replied_to(javascript, clinic, window):
    subject = f"For a team, script {javascript}"
    amina = sign_in(window(java_script_enabled=javascript), "amina")
    write(amina, subject)
    chooser = choosing(amina)
    expect(chooser.get_by_label("Ward 3")).to_be_visible()
    expect(chooser.locator("label", has_text="Ward 3")).to_contain_text(f"now: {TOMAS}, {NOOR}")
    expect(chooser.get_by_label("Pharmacy")).to_be_disabled()
    expect(chooser.locator("label", has_text="Pharmacy")).to_contain_text("nobody else is in it")
    chooser.get_by_label("Ward 3").check()
    chooser.get_by_label(HUONG, exact=True).check()
    expect(amina.get_by_text("Everybody on staff can read it, also where it is for somebody in particular.")).to_be_visible()
    send(amina)
    expect(row(amina, subject)).to_have_count(1)
    expect(row(amina, subject).get_by_text("for you")).to_have_count(0)
    number = clinic["amina"].find(subject)

    noor = sign_in(window(java_script_enabled=javascript), "noor")
    expect(row(noor, subject).get_by_text("for you")).to_be_visible()
    tab(noor, "For me").click()
    expect(tab(noor, "For me")).to_have_text(re.compile(r"For me \d+"))
    asked = noor.get_by_role("navigation", name="Main").get_by_role("link", name="for me")
    expect(asked).to_have_text(re.compile(r"\d+ for me"))
    row(noor, subject).get_by_role("link").click()
    expect(duties(noor, number)).to_contain_text(f"For Ward 3, {HUONG}")
    expect(noor.locator(".readers")).to_contain_text(f"not yet: {HUONG}, {TOMAS}")
    press(noor, number, "I take it")
    expect(noor.get_by_role("status").filter(has_text="You have taken it.")).to_be_visible()
    expect(duties(noor, number)).to_contain_text(f"{NOOR} took it")
    expect(duties(noor, number).get_by_role("button", name="I take it")).to_have_count(0)

    tomas = sign_in(window(java_script_enabled=javascript), "tomas", f"/messages/{number}")
    expect(duties(tomas, number)).to_contain_text(f"{NOOR} took it")
    expect(duties(tomas, number).get_by_role("button")).to_have_count(0)
    # What ends the conversation for everybody is called otherwise, to see and to hear.
    expect(noor.get_by_role("button", name="Done", exact=True)).to_have_count(0)
    expect(noor.get_by_role("button", name="Conversation done", exact=True)).to_have_count(1)
    expect(duties(noor, number).get_by_role("button", name=re.compile(rf"^Done ?: what message {number} asks$"))).to_have_count(1)
    press(noor, number, "Done")
    expect(duties(noor, number)).to_contain_text(f"Done by {NOOR}")
    noor.goto("/messages?show=for-me")
    expect(row(noor, subject)).to_have_count(0)

    huong = sign_in(window(java_script_enabled=javascript), "huong", f"/messages/{number}")
    send_reply(huong, "It is done.")
    expect(duties(huong, number)).to_contain_text(f"{HUONG} replied")
    huong.goto("/messages?show=for-me")
    expect(row(huong, subject)).to_have_count(0)


def test_whom_it_is_for_is_chosen_without_a_mouse(clinic, window):
    page = sign_in(window(), "amina")
    write(page, "By keys alone")
    tab_to(page, page.locator("#for > summary"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Find a person or team"))
    # Without the accents.
    page.keyboard.type("tomas")
    expect(page.locator("#find-said")).to_have_text("2 found")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#find-said")).to_have_text(f"{TOMAS} chosen, 1 in all")
    expect(page.locator("#for > summary")).to_contain_text("(1 chosen)")
    page.keyboard.press("Escape")
    page.keyboard.type("huong")
    page.keyboard.press("Enter")
    expect(page.locator("#find-said")).to_have_text(f"{HUONG} chosen, 2 in all")
    expect(page.get_by_label("Find a person or team")).to_have_value("")
    page.keyboard.type("nobody of this name")
    expect(page.locator("#find-said")).to_have_text("Nobody of this name")
    page.keyboard.press("Escape")
    chips = page.get_by_role("list", name="Chosen")
    expect(chips.get_by_role("listitem")).to_have_count(2)
    remove = page.get_by_role("button", name=f"Remove {TOMAS}")
    remove.focus()
    page.keyboard.press("Enter")
    expect(chips.get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_role("button", name=f"Remove {HUONG}")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(row(page, "By keys alone")).to_have_count(1)
    number = clinic["amina"].find("By keys alone")
    huong = sign_in(window(), "huong", f"/messages/{number}")
    tab_to(huong, duties(huong, number).get_by_role("button", name="Done"))
    huong.keyboard.press("Enter")
    expect(duties(huong, number)).to_contain_text(f"Done by {HUONG}")


@pytest.mark.parametrize("javascript", [True, False])
def test_something_urgent_asks_first_and_goes_through_its_answers(javascript, own_site, windows):
    site = own_site()
    members = furnish(site)
    members["huong"].post("/sign-out")

    def window():
        return windows.window(site, java_script_enabled=javascript)

    amina = sign_in(window(), "amina")
    write(amina, "Bed 4, now")
    choosing(amina).get_by_label("Urgent: repeat until somebody answers").check()
    send(amina)
    expect(amina.get_by_role("alert")).to_contain_text("An urgent message has to be for somebody")
    chooser = choosing(amina)
    expect(chooser.get_by_label("Urgent: repeat until somebody answers")).to_be_checked()
    expect(chooser.get_by_label("Reminders after 2, 5 and 10 minutes")).to_be_checked()
    chooser.get_by_label("Ward 3").check()
    chooser.get_by_label(HUONG, exact=True).check()
    chooser.get_by_label("Reminders after 5, 15 and 30 minutes").check()
    send(amina)
    expect(amina.get_by_role("alert")).to_contain_text(f"{HUONG} cannot be reached now: no open session.")
    expect(choosing(amina).get_by_label("Reminders after 5, 15 and 30 minutes")).to_be_checked()
    amina.get_by_role("button", name="Send anyway").click()
    expect(row(amina, "Bed 4, now").locator(".tag.urgent")).to_have_text("urgent")
    number = members["amina"].find("Bed 4, now")

    tomas = sign_in(window(), "tomas")
    expect(row(tomas, "Bed 4, now").locator(".tag")).to_have_text(["urgent", "for you"])
    tomas.goto(f"/messages/{number}")
    expect(duties(tomas, number)).to_contain_text("Nobody is on the way yet.")
    expect(duties(tomas, number)).to_contain_text("those whom it is for are reminded")
    press(tomas, number, "Cannot: next, please")
    expect(duties(tomas, number)).to_contain_text(re.compile(rf"{TOMAS}: cannot, .*before any reminder"))
    noor = sign_in(window(), "noor", f"/messages/{number}")
    press(noor, number, "On my way")
    expect(duties(noor, number)).to_contain_text(f"On the way: {NOOR}.")
    amina.goto("/messages")
    expect(row(amina, "Bed 4, now").locator(".tag.urgent")).to_have_count(0)
    press(noor, number, "Done")
    expect(duties(noor, number)).to_contain_text(re.compile(rf"{NOOR}: done"))
    expect(duties(noor, number)).to_contain_text("Done.")
    amina.goto(f"/audit?message={number}")
    told = amina.locator(".sentence").all_text_contents()
    assert any(f"{NOOR} is on the way for message {number}" in one for one in told), told


def test_an_urgent_message_that_is_deleted_is_withdrawn(own_site, windows):
    site = own_site()
    members = furnish(site)
    number = send_for(members["amina"], "Sent in error", [TOMAS], urgent="1", policy="fast")
    members["amina"].delete(number)
    page = sign_in(windows.window(site), "tomas", f"/messages/{number}")
    expect(duties(page, number)).to_contain_text("Withdrawn by its author.")
    press(page, number, "I have seen it")
    expect(duties(page, number).get_by_role("button")).to_have_count(0)


def test_a_draft_keeps_whom_it_is_for_and_a_form_that_comes_back_its_ticks(clinic, window):
    page = sign_in(window(), "amina")
    page.goto("/messages/new")
    choosing(page).get_by_label("Ward 3").check()
    # Whom alone is no draft.
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    write(page, "Kept with its people")
    choosing(page).get_by_label("Ward 3").check()
    choosing(page).get_by_label(TOMAS, exact=True).check()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep the draft").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    page.goto("/messages/new")
    expect(choosing(page).get_by_label("Ward 3")).to_be_checked()
    expect(page.get_by_role("list", name="Chosen").get_by_role("listitem")).to_have_count(2)
    # A change of whom it is for alone is kept as well.
    choosing(page).get_by_label(TOMAS, exact=True).uncheck()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep the draft").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    page.goto("/messages/new")
    expect(choosing(page).get_by_label("Ward 3")).to_be_checked()
    expect(choosing(page).get_by_label(TOMAS, exact=True)).not_to_be_checked()
    page.get_by_label("Subject").fill("")
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("This message was not sent")
    expect(choosing(page).get_by_label("Ward 3")).to_be_checked()
    page.get_by_label("Subject").fill("Kept with its people, again")
    send(page)
    expect(row(page, "Kept with its people, again")).to_have_count(1)


def test_two_tabs_with_other_people_for_one_draft_notice_each_other(clinic, window):
    first = sign_in(window(), "tomas", "/messages/new")
    second = first.context.new_page()
    second.goto("/messages/new")
    for page, person in ((first, AMINA), (second, HUONG)):
        page.get_by_label("Subject").fill("The same words")
        choosing(page).get_by_label(person, exact=True).check()
    first.get_by_role("button", name="Cancel").click()
    first.get_by_role("button", name="Keep the draft").click()
    expect(first.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    expect(second.get_by_role("button", name="Show the other one")).to_be_visible()
    second.get_by_role("button", name="Show the other one").click()
    expect(choosing(second).get_by_label(AMINA, exact=True)).to_be_checked()
    expect(choosing(second).get_by_label(HUONG, exact=True)).not_to_be_checked()
    expect(second.get_by_role("list", name="Chosen").get_by_role("listitem")).to_have_text([re.compile(AMINA)])
    clinic["tomas"].post("/draft/discard")


@pytest.mark.parametrize("javascript", [True, False])
def test_somebody_who_is_switched_off_meanwhile_is_refused_by_name(javascript, own_site, windows):
    site = own_site()
    members = furnish(site)
    number = send_for(members["amina"], "Asked before", [NOOR])
    page = sign_in(windows.window(site, java_script_enabled=javascript), "amina")
    write(page, "Too late")
    choosing(page).get_by_label(NOOR, exact=True).check()
    choosing(page).get_by_label(TOMAS, exact=True).check()
    off = site.command("staff", "disable", PEOPLE["noor"].email)
    assert (off.returncode, f"No longer for them: message {number}." in off.stdout) == (0, True), off.stdout
    send(page)
    expect(page.get_by_role("alert")).to_contain_text(f"{NOOR} may not sign in any more")
    expect(choosing(page).get_by_label(NOOR, exact=True)).to_have_count(0)
    expect(choosing(page).get_by_label(TOMAS, exact=True)).to_be_checked()
    send(page)
    expect(row(page, "Too late")).to_have_count(1)
    # What was hers is her team's now.
    page.goto(f"/messages/{number}")
    expect(duties(page, number)).to_contain_text(re.compile(rf"{NOOR} was switched off .*: now for Ward 3"))


def asked(page):
    """What the navigation says of what is for me."""
    return page.locator("#asked")


def test_the_navigation_of_an_open_page_counts_what_is_for_me_up_and_down(own_site, windows):
    site = own_site()
    members = furnish(site)
    help_page = sign_in(windows.window(site), "tomas", "/help")
    listed = help_page.context.new_page()
    listed.goto("/messages")
    expect(asked(help_page)).to_be_hidden()
    expect(tab(listed, "For me")).to_have_text("For me")

    def told(count):
        for page in (help_page, listed):
            expect(asked(page)).to_be_visible()
            expect(asked(page)).to_have_text(f"{count} for me")
        expect(tab(listed, "For me")).to_have_text(f"For me {count}")

    by_name = send_for(members["amina"], "By name", [TOMAS])
    told(1)
    of_the_team = send_for(members["amina"], "Of the team", [], team=members["ward"])
    # For him by name and as one of the team: one message.
    deleted = send_for(members["amina"], "Sent in error", [TOMAS], team=members["ward"])
    told(3)
    # What is for somebody else alone counts nothing here, no matter who sends it.
    send_for(members["amina"], "For another", [HUONG])
    members["amina"].delete(deleted)
    told(2)
    # Somebody else answers for the team.
    members["noor"].post(f"/messages/{of_the_team}/duty/take")
    told(1)
    members["tomas"].post(f"/messages/{by_name}/duty/done")
    for page in (help_page, listed):
        expect(asked(page)).to_be_hidden()
    expect(tab(listed, "For me")).to_have_text("For me")


def test_without_a_script_each_page_has_the_count_of_what_is_for_me(own_site, windows):
    site = own_site()
    members = furnish(site)
    number = send_for(members["amina"], "By name", [TOMAS])
    page = sign_in(windows.window(site, java_script_enabled=False), "tomas", "/help")
    expect(asked(page)).to_have_text("1 for me")
    asked(page).click()
    expect(asked(page)).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("link", name="Messages", exact=True)).not_to_have_attribute("aria-current", "page")
    expect(row(page, "By name")).to_have_count(1)
    row(page, "By name").get_by_role("link").click()
    press(page, number, "Done")
    expect(asked(page)).to_be_hidden()
    page.goto("/messages?show=for-me")
    expect(page.get_by_role("link", name="Messages", exact=True)).to_have_attribute("aria-current", "page")


def test_what_arrives_is_marked_for_whom_it_is(clinic, window):
    page = sign_in(window(), "huong")
    page.locator("#live.on").wait_for()
    number = send_for(clinic["amina"], "Just come, for you", [HUONG], urgent="1", policy="once")
    expect(row(page, "Just come, for you").locator(".tag")).to_have_text(["urgent", "for you"])
    clinic["tomas"].post(f"/messages/{number}/replies", key=secrets.token_hex(16), body="I see it")
    expect(row(page, "Just come, for you")).to_contain_text("1 reply")
    expect(row(page, "Just come, for you").locator(".tag")).to_have_text(["urgent", "for you"])
    clinic["huong"].post(f"/messages/{number}/duty/done")


def still(page):
    """Its timers stand still: what the page learns from here on, the site has told it."""
    page.clock.pause_at(datetime.datetime.now() + datetime.timedelta(seconds=2))


def test_the_marks_of_an_open_list_go_with_the_duty_wherever_it_ends(clinic, windows, site):
    page = windows.window(site)
    page.clock.install()
    sign_in(page, "noor")
    page.locator("#live.on").wait_for()
    still(page)
    asked = page.locator("#asked")
    before = int(asked.text_content().split()[0])

    def sent(subject, **fields):
        number = send_for(clinic["amina"], subject, [] if "team" in fields else [NOOR], **fields)
        expect(row(page, subject).locator(".tag.mine")).to_have_count(1)
        expect(asked).to_have_text(f"{before + 1} for me")
        expect(tab(page, "For me")).to_have_text(f"For me {before + 1}")
        return number

    def is_over(subject):
        expect(row(page, subject).locator(".tag.mine")).to_have_count(0)
        expect(row(page, subject).locator(".tag.urgent")).to_have_count(0)
        expect(asked).to_have_text(f"{before} for me")

    number = sent("Ends by done")
    clinic["noor"].post(f"/messages/{number}/duty/done")
    is_over("Ends by done")
    number = sent("Ends by a reply")
    clinic["noor"].post(f"/messages/{number}/replies", key=secrets.token_hex(16), body="I see it")
    is_over("Ends by a reply")
    number = sent("Ends by who takes it", team=clinic["ward"])
    clinic["tomas"].post(f"/messages/{number}/duty/take")
    is_over("Ends by who takes it")
    clinic["tomas"].post(f"/messages/{number}/duty/done")
    number = sent("Ends by a teammate", team=clinic["ward"], urgent="1", policy="once")
    expect(row(page, "Ends by a teammate").locator(".tag")).to_have_text(["urgent", "for you"])
    clinic["tomas"].post(f"/messages/{number}/urgent/on-my-way")
    expect(row(page, "Ends by a teammate").locator(".tag")).to_have_text(["for you"])
    clinic["tomas"].post(f"/messages/{number}/duty/done")
    is_over("Ends by a teammate")
    number = sent("Ends in another tab")
    other = page.context.new_page()
    other.goto(f"/messages/{number}")
    press(other, number, "Done")
    is_over("Ends in another tab")
    # A list without live updates asks, as every page does.
    page.clock.resume()
    number = sent("On the list of what is for me")
    other.goto("/messages?show=for-me")
    expect(row(other, "On the list of what is for me").locator(".tag.mine")).to_have_count(1)
    clinic["noor"].post(f"/messages/{number}/duty/done")
    expect(row(other, "On the list of what is for me").locator(".tag.mine")).to_have_count(0)


@pytest.mark.parametrize("look", [(scheme, size) for scheme in ("light", "dark") for size in (WIDE, NARROW)], ids=str)
def test_axe_has_nothing_to_object_to(look, clinic, window):
    scheme, size = look
    options = {"color_scheme": scheme, "viewport": size}
    number = send_for(clinic["amina"], f"Looked at, {look}", [TOMAS, NOOR], team=clinic["ward"], urgent="1", policy="fast")
    clinic["noor"].post(f"/messages/{number}/urgent/cannot")
    page = sign_in(window(**options), "tomas")
    tab(page, "For me").click()
    check(page, "the list of what is for me")
    fits(page)
    page.goto(f"/messages/{number}")
    choosing(page).get_by_label(AMINA, exact=True).check()
    page.get_by_label("Urgent: repeat until somebody answers").check()
    for what in ("a conversation", "what was answered"):
        check(page, what)
        fits(page)
        big_enough(page)
        if what == "a conversation":
            press(page, number, "On my way")
            expect(duties(page, number)).to_contain_text(f"On the way: {TOMAS}.")
    write(page, "Urgent for nobody")
    choosing(page)
    page.get_by_label("Urgent: repeat until somebody answers").check()
    send(page)
    expect(page.get_by_role("alert")).to_be_visible()
    check(page, "errors of whom it is for")
    fits(page)
    big_enough(page)
