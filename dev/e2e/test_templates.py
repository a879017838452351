"""Templates: a form that all staff share, a row for each room; one send, one message for each row."""

import re
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from support.browser import NARROW, WIDE, choose_person, row, sign_in, sign_out
from support.clock import Clock
from support.network import Network
from support.people import PEOPLE
from support.visitor import Visitor
from support.waiting import wait_until
from test_accessibility import big_enough, check, fits
from test_keyboard import tab_to
from test_tampering import spoil, verify

ROWS = "Room 3 | pain, drains\nRoom 4\nBed 12 | family"


def template(page, name):
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def make(page, name="Handover Ward 3", rows=ROWS):
    page.goto("/templates/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Rows").fill(rows)
    page.get_by_role("button", name="Make the template").click()
    expect(page.get_by_role("status").filter(has_text="The template is made.")).to_be_visible()


def told(page, text):
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


def made(visitor, name, rows=ROWS):
    """The number of a template that a visitor has made."""
    reply = visitor.post("/templates", name=name, rows=rows)
    assert reply.status_code == 303, reply.text
    return int(re.search(r"#template-(\d+)", reply.headers["location"])[1])


def fields(labels, texts, subject="Evening", key=None):
    rows = {f"label-{at}": label for at, label in enumerate(labels, start=1)}
    rows |= {f"text-{at}": text for at, text in enumerate(texts, start=1)}
    return {"key": key or secrets.token_hex(16), "seen": "", "subject": subject, **rows}


def created(visitor):
    return len(visitor.audit(action="MESSAGE_CREATE"))


@pytest.mark.parametrize("javascript", [True, False])
def test_a_handover_is_written_row_by_row_and_sent_at_once(own_site, windows, javascript):
    site = own_site()
    amina = sign_in(windows.window(site, java_script_enabled=javascript), "amina")
    amina.get_by_role("link", name="New message").click()
    amina.get_by_role("link", name="template").click()
    expect(amina.get_by_text("There is no template yet")).to_be_visible()
    make(amina)

    tomas = sign_in(windows.window(site, java_script_enabled=javascript), "tomas", "/templates")
    expect(template(tomas, "Handover Ward 3")).to_contain_text(f"Changed by {PEOPLE['amina'].name}")
    template(tomas, "Handover Ward 3").get_by_role("link", name="Write").click()
    expect(tomas.get_by_text("pain, drains")).to_be_visible()
    expect(tomas.get_by_label("Subject, after the room or bed")).to_have_value("Handover Ward 3")
    tomas.get_by_label("Subject, after the room or bed").fill("Handover Ward 3, evening")
    tomas.get_by_label("Room 3").fill("Quiet.\nDrain out at six.")
    # Interrupted: it is kept, on the server alone.
    tomas.get_by_role("button", name="Save for later").click()
    told(tomas, "aved")
    tomas.goto("/templates")
    expect(template(tomas, "Handover Ward 3")).to_contain_text("Half written")
    template(tomas, "Handover Ward 3").get_by_role("link", name="Continue writing").click()
    expect(tomas.get_by_label("Room 3")).to_have_value("Quiet.\nDrain out at six.")
    tomas.get_by_label("Bed 12").fill("Daughter comes at eight.")
    tomas.get_by_role("button", name="Send to all staff").click()
    told(tomas, "All rows are sent.")
    subjects = ["Room 3: Handover Ward 3, evening", "Bed 12: Handover Ward 3, evening"]
    for subject in subjects:
        expect(row(tomas, subject)).to_have_count(1)
    expect(row(tomas, "Room 4")).to_have_count(0)
    row(tomas, subjects[0]).get_by_role("link").click()
    expect(tomas.get_by_text("Drain out at six.")).to_be_visible()
    tomas.goto("/templates")
    expect(template(tomas, "Handover Ward 3").get_by_role("link", name="Write", exact=True)).to_be_visible()

    # Anyone changes and deletes it, and each is written down.
    template(tomas, "Handover Ward 3").get_by_role("link", name="Change").click()
    expect(tomas.get_by_label("Rows")).to_have_value(ROWS)
    tomas.get_by_label("Rows").fill("Room 3")
    tomas.get_by_role("button", name="Save for everybody").click()
    told(tomas, "The template is changed for everybody.")
    template(tomas, "Handover Ward 3").get_by_role("link", name="Delete").click()
    expect(tomas.get_by_role("heading", name="Delete Handover Ward 3 for everybody?")).to_be_visible()
    tomas.get_by_role("button", name="Delete for everybody").click()
    told(tomas, "The template is deleted.")
    rows = Visitor(site, "noor").audit()
    acts = [line["action"] for line in rows if line["action"].startswith(("TEMPLATE", "MESSAGE_CREATE"))]
    assert acts == ["TEMPLATE_CREATED", "MESSAGE_CREATE", "MESSAGE_CREATE", "TEMPLATE_CHANGED", "TEMPLATE_DELETED"]
    tomas.goto("/audit?action=TEMPLATE_CHANGED")
    expect(tomas.locator(".sentence").first).to_have_text(f"{PEOPLE['tomas'].name} changed the template “Handover Ward 3”")


def test_a_form_that_is_sent_twice_makes_no_message_twice(visitor):
    noor = visitor("noor")
    number = made(noor, "Sent twice")
    form = fields(["Room 3", "Room 4"], ["Quiet.", "Restless."])
    before = created(noor)
    for _ in range(2):
        assert noor.post(f"/templates/{number}/send", **form).headers["location"] == "/messages?notice=rows-sent"
    assert created(noor) == before + 2
    # Back, and a row more: that one alone is new.
    noor.post(f"/templates/{number}/send", **form | {"label-3": "Bed 12", "text-3": "New."})
    assert created(noor) == before + 3
    # Back, and one changed: the form comes back with it, and without what was sent.
    again = noor.post(f"/templates/{number}/send", **form | {"text-1": "Not so quiet."})
    assert again.status_code == 409 and "This form was sent before" in again.text
    assert "Not so quiet." in again.text and "Restless." not in again.text
    assert created(noor) == before + 3


def test_a_form_that_comes_twice_at_the_same_time_makes_no_message_twice(visitor):
    """As after a double click, where the browser sends both."""
    noor = visitor("noor")
    number = made(noor, "At the same time")
    form = fields([f"Room {at}" for at in range(1, 11)], ["Quiet."] * 10)
    before = created(noor)
    senders = [visitor("amina") for _ in range(4)]
    # Each has its token before they begin.
    assert all(sender.csrf for sender in senders)
    with ThreadPoolExecutor(len(senders)) as threads:
        replies = list(threads.map(lambda sender: sender.post(f"/templates/{number}/send", **form), senders))
    assert [reply.status_code for reply in replies] == [303] * len(senders)
    assert created(noor) == before + 10


@pytest.mark.parametrize("javascript", [True, False])
def test_a_form_with_a_fault_comes_back_as_it_was(window, visitor, javascript):
    number = made(visitor("noor"), f"With faults {javascript}")
    page = sign_in(window(java_script_enabled=javascript), "amina", f"/templates/{number}/write")
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("alert").filter(has_text="Nothing was sent")).to_contain_text("Write into at least one row")
    page.get_by_label("Room 3").fill("Quiet.")
    page.get_by_label("Room 4").fill("x" * 20_001)
    page.get_by_role("button", name="Send to all staff").click()
    alert = page.get_by_role("alert").filter(has_text="Nothing was sent")
    expect(alert.get_by_role("link")).to_have_text("Room 4: The message may have 20,000 characters; this one has 20,001.")
    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.get_by_label("Room 3")).to_have_value("Quiet.")
    page.get_by_label("Room 4").fill("Shorter.")
    page.get_by_role("button", name="Send to all staff").click()
    told(page, "All rows are sent.")


def test_what_is_written_is_saved_by_itself_and_by_another_tab_is_not_replaced(window, visitor):
    number = made(visitor("noor"), "Two tabs")
    page = window()
    page.clock.install()
    sign_in(page, "huong", f"/templates/{number}/write")
    other = page.context.new_page()
    other.goto(f"/templates/{number}/write")
    page.get_by_label("Room 3").fill("From the first tab")
    page.clock.fast_forward(21_000)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    other.get_by_label("Room 4").fill("From the second")
    other.get_by_role("button", name="Save for later").click()
    expect(other.get_by_role("alert").filter(has_text="another tab or browser")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Room 3")).to_have_value("From the first tab")
    other.get_by_role("button", name="Save for later").click()
    expect(other.locator("#saved")).to_contain_text("Draft saved")
    page.reload()
    expect(page.get_by_label("Room 4")).to_have_value("From the second")
    page.get_by_role("button", name="Discard it").click()
    told(page, "discarded")


def test_a_page_that_is_left_keeps_what_was_written(window, visitor):
    number = made(visitor("noor"), "Left")
    page = sign_in(window(), "noor", f"/templates/{number}/write")
    page.get_by_label("Room 3").fill("Half a sentence")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/templates")

    def is_kept():
        page.goto(f"/templates/{number}/write")
        return page.get_by_label("Room 3").input_value() == "Half a sentence"

    # It is on its way when the page is gone.
    wait_until("what was written is kept", is_kept)


def test_without_a_connection_nothing_is_lost(site, windows, visitor):
    noor = visitor("noor")
    number = made(noor, "No connection")
    before = created(noor)
    network = Network()
    page = sign_in(windows.window(site, proxy=network.proxy()), "tomas", f"/templates/{number}/write")
    page.get_by_label("Room 3").fill("Not lost")
    network.cut()
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("alert").filter(has_text="Not sent: no connection.")).to_be_visible()
    expect(page.get_by_label("Room 3")).to_have_value("Not lost")
    network.restore()
    page.get_by_role("button", name="Send to all staff").click()
    told(page, "All rows are sent.")
    assert created(noor) == before + 1
    network.close()


def test_who_signs_out_finds_the_form_again(window, visitor):
    number = made(visitor("noor"), "Called away")
    page = sign_in(window(), "amina", f"/templates/{number}/write")
    page.get_by_label("Room 3").fill("Typed before signing out")
    sign_out(page)
    sign_in(page, "amina", f"/templates/{number}/write")
    expect(page.get_by_label("Room 3")).to_have_value("Typed before signing out")


def test_who_is_signed_out_by_time_finds_the_form_again(own_site, windows, tmp_path):
    """The page hands in what it has, and the site takes it with the token of the session that has just ended."""
    clock = Clock(tmp_path)
    site = own_site(web_environment=clock.environment())
    number = made(Visitor(site, "noor"), "Signed out")
    page = windows.window(site)
    page.clock.install()
    sign_in(page, "amina", f"/templates/{number}/write")
    page.get_by_label("Room 3").fill("Typed before the end")
    clock.move(minutes=25, seconds=0)
    page.clock.fast_forward(25 * 60_000)
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    expect(page.get_by_text("What you were writing was kept.")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    choose_person(page, "amina")
    expect(page).to_have_url(re.compile(f"/templates/{number}/write"))
    expect(page.get_by_label("Room 3")).to_have_value("Typed before the end")


def test_a_template_that_changes_or_goes_meanwhile_takes_nothing_along(window, visitor):
    noor = visitor("noor")
    number = made(noor, "Changing")
    page = sign_in(window(java_script_enabled=False), "amina", f"/templates/{number}/write")
    page.get_by_label("Room 4").fill("Of a room that goes")
    page.get_by_role("button", name="Save for later").click()
    seen = re.search(r'name="seen" value="(\d+)"', noor.get(f"/templates/{number}/edit").text)[1]
    noor.post(f"/templates/{number}/edit", name="Changing", rows="Bed 1\nRoom 3", seen=seen)
    page.reload()
    assert page.locator("form .field label").all_inner_texts()[1:] == ["Bed 1", "Room 3", "Room 4"]
    expect(page.get_by_label("Room 4")).to_have_value("Of a room that goes")
    stale = noor.post(f"/templates/{number}/edit", name="Changing", rows="Bed 9", seen=seen)
    assert stale.status_code == 422 and "has changed this template meanwhile" in stale.text

    noor.post(f"/templates/{number}/delete")
    page.goto("/templates")
    page.get_by_role("link", name="What you wrote is still here").click()
    page.get_by_role("button", name="Send to all staff").click()
    expect(row(page, "Room 4: Changing")).to_have_count(1)
    page.goto("/templates")
    expect(page.get_by_text("What you wrote is still here")).to_have_count(0)


@pytest.mark.parametrize("javascript", [True, False])
def test_a_template_that_is_deleted_while_somebody_writes_in_its_form_loses_no_text(window, visitor, javascript):
    noor = visitor("noor")
    name = f"Going {javascript}"
    number = made(noor, name)
    page = sign_in(window(java_script_enabled=javascript), "amina", f"/templates/{number}/write")
    page.get_by_label("Room 3").fill("Written before it went")
    noor.post(f"/templates/{number}/delete")
    page.get_by_label("Room 4").fill("x" * 20_001)
    page.get_by_role("button", name="Send to all staff").click()
    # Also with a fault the form comes back as it was typed, and it can still be kept.
    expect(page.get_by_role("alert").filter(has_text="Nothing was sent")).to_contain_text("Room 4")
    expect(page.get_by_role("heading", name="A template that was deleted")).to_be_visible()
    expect(page.get_by_label("Room 3")).to_have_value("Written before it went")
    page.get_by_label("Room 4").fill("")
    page.get_by_role("button", name="Save for later").click()
    told(page, "aved")
    page.goto(f"/templates/{number}/write")
    expect(page.get_by_label("Room 3")).to_have_value("Written before it went")
    page.get_by_role("button", name="Send to all staff").click()
    told(page, "All rows are sent. Somebody has deleted their template meanwhile.")
    expect(row(page, f"Room 3: {name}")).to_have_count(1)


def test_a_number_that_no_template_ever_had_takes_nothing(visitor):
    amina = visitor("amina")
    before = created(amina)
    for fault in ({}, {"key": ""}):
        form = fields(["Room 3"], ["Quiet."]) | fault
        assert amina.post("/templates/4711/send", **form).status_code == 404
        assert amina.post("/templates/4711/draft", **fields(["Room 3"], ["Quiet."])).status_code == 404
    assert amina.get("/templates/4711/write").status_code == 404
    assert created(amina) == before


@pytest.mark.parametrize(
    "name, rows, error",
    [
        (" ", "Room 3", "Write the template's name."),
        ("Empty", " \n", "Write a row"),
        ("Twice", "Room 3\nroom 3", "Line 2 has the same room or bed"),
        ("Many", "\n".join(f"Room {number}" for number in range(41)), "this one has 41"),
    ],
)
def test_a_template_that_cannot_be_comes_back_as_it_was_typed(name, rows, error, window):
    page = sign_in(window(), "amina", "/templates/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Rows").fill(rows)
    page.get_by_role("button", name="Make the template").click()
    expect(page.get_by_role("alert")).to_contain_text(error)
    expect(page.get_by_label("Rows")).to_have_value(rows)


def test_without_a_mouse(window, visitor):
    made(visitor("tomas"), "By keys")
    page = sign_in(window(), "noor", "/templates")
    tab_to(page, template(page, "By keys").get_by_role("link", name="Write"))
    page.keyboard.press("Enter")
    for label in ("Room 3", "Room 4", "Bed 12"):
        tab_to(page, page.get_by_label(label))
        page.keyboard.type(f"By hand in {label}.")
    page.keyboard.press("Control+Enter")
    told(page, "All rows are sent.")
    for label in ("Room 3", "Room 4", "Bed 12"):
        expect(row(page, f"{label}: By keys")).to_have_count(1)


@pytest.mark.parametrize("look", [(scheme, size) for scheme in ("light", "dark") for size in (WIDE, NARROW)], ids=str)
def test_axe_has_nothing_to_object_to(look, own_site, windows):
    scheme, size = look
    site = own_site()
    noor = Visitor(site, "noor")
    page = sign_in(windows.window(site, color_scheme=scheme, viewport=size), "amina", "/templates")
    check(page, "no template")
    page.goto("/templates/new")
    page.get_by_role("button", name="Make the template").click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page, "a template with errors")
    fits(page)
    number = made(noor, "Handover Ward 3", ROWS + "\n" + "\n".join(f"A room with a long name, number {at:02}" for at in range(30)))
    page.goto(f"/templates/{number}/write")
    check(page, "a form")
    fits(page)
    big_enough(page)
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("alert").filter(has_text="Nothing was sent")).to_be_visible()
    page.get_by_label("Room 3").fill("Half")
    page.get_by_role("button", name="Save for later").click()
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    check(page, "a form with errors, saved")
    for path, what in (("/templates", "templates"), (f"/templates/{number}/edit", "changing one"), (f"/templates/{number}/delete", "deleting one")):
        page.goto(path)
        check(page, what)
        fits(page)
        big_enough(page)


def test_a_template_that_was_changed_in_the_file_is_named(own_site):
    site = own_site()
    made(Visitor(site, "amina"), "Handover")
    site.stop()
    assert verify(site.data)[0] == 0
    line = spoil(site.data, "UPDATE template SET rows = replace(rows, 'pain', 'no pain') WHERE :row > 0", row_of="TEMPLATE_CREATED")
    code, verdict = verify(site.data)
    assert (code, verdict.get("first_bad_row")) == (1, line), verdict
    assert verdict["fault"].startswith("template 1 is not what the log says")
