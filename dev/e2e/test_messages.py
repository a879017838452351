"""Writing, reading, deleting, and lists that stay up to date, in one browser and between two."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in, sign_out, write_message
from support.main_job import send_and_read
from support.people import PEOPLE
from support.visitor import Visitor
from support.waiting import wait_until


def new_message(page, subject, body):
    page.goto("/messages/new")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message", exact=True).fill(body)


def send_button(page):
    return page.get_by_role("button", name="Send to all staff")


def news(page):
    """The region in which a screen reader hears of new messages."""
    return page.locator("#news")


def live(page):
    """Waits until the open list hears of new messages."""
    expect(page.locator("#live")).to_have_text(re.compile("live", re.IGNORECASE))
    return page


def test_a_sent_message_is_first_in_the_list_and_can_be_read(window):
    send_and_read(window())


def test_times_are_shown_in_the_zone_of_the_reader_and_name_it(window, visitor):
    visitor("amina").send("What time is it")
    shown = {}
    for zone in ("America/New_York", "Asia/Tokyo"):
        page = sign_in(window(timezone_id=zone), "tomas")
        time = row(page, "What time is it").locator("time").first
        expect(time).not_to_contain_text("UTC")
        shown[zone] = time.inner_text()
        assert re.search(r"\d{1,2}:\d\d", shown[zone])
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", time.get_attribute("datetime"))
    assert shown["America/New_York"] != shown["Asia/Tokyo"]


def test_opening_a_message_is_written_down(window, visitor):
    number = visitor("amina").send("Who reads this")
    page = sign_in(window(), "tomas")
    row(page, "Who reads this").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Who reads this")).to_be_visible()
    views = visitor("huong").audit(action="MESSAGE_VIEW")
    assert [view["details"]["message_id"] for view in views].count(number) == 1


@pytest.mark.parametrize(
    ("subject", "body", "label", "error"),
    [
        ("", "There is a text.", "Subject", "Write a subject"),
        ("   ", "There is a text.", "Subject", "Write a subject"),
        ("x" * 256, "There is a text.", "Subject", "255"),
        ("There is a subject", "", "Message", "Write"),
        ("There is a subject", "y" * 20_001, "Message", "1 too many"),
    ],
    ids=["no subject", "blank subject", "long subject", "no text", "long text"],
)
def test_a_bad_form_comes_back_with_what_was_typed_and_says_what_is_wrong_where_it_is(
    subject, body, label, error, window
):
    page = sign_in(window(), "amina")
    new_message(page, subject, body)
    send_button(page).click()

    field = page.get_by_label(label, exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page).to_have_title("Error: New message – Wardpost")
    described_by = field.get_attribute("aria-describedby").split()
    spoken = " ".join(page.locator(f"#{part}").inner_text() for part in described_by)
    assert error in spoken
    expect(page.get_by_role("alert")).to_contain_text("This message was not sent")
    assert page.get_by_label("Subject", exact=True).input_value() == subject
    assert page.get_by_label("Message", exact=True).input_value() == body

    # The summary leads to the field.
    page.get_by_role("alert").get_by_role("link").click()
    expect(field).to_be_focused()


def test_both_faults_of_a_form_are_told_at_once(window):
    page = sign_in(window(), "amina")
    new_message(page, "", "")
    send_button(page).click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(2)


def test_a_corrected_form_sends_one_message(window, visitor):
    page = sign_in(window(), "amina")
    new_message(page, "", "Corrected and sent.")
    send_button(page).click()
    expect(page.get_by_label("Subject")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Subject").fill("Corrected")
    send_button(page).click()
    expect(row(page, "Corrected")).to_have_count(1)


def test_the_longest_subject_and_text_are_taken_whole(window):
    subject, body = "s" * 254 + "é", "é" * 19_999 + "."
    page = sign_in(window(), "amina")
    new_message(page, subject, body)
    send_button(page).click()
    row(page, subject).get_by_role("link").click()
    expect(page.get_by_role("heading", name=subject)).to_be_visible()
    assert page.locator(".body").inner_text() == body


def test_a_second_click_while_a_message_is_on_its_way_sends_nothing(window):
    page = sign_in(window(), "amina")
    new_message(page, "Clicked twice", "By an impatient hand.")
    posted = []
    page.on("request", lambda request: request.method == "POST" and posted.append(request.url))
    send_button(page).evaluate("button => { button.click(); button.click(); }")
    expect(row(page, "Clicked twice")).to_have_count(1)
    assert len(posted) == 1


def test_a_double_click_sends_one_message(window):
    page = sign_in(window(), "amina")
    new_message(page, "Clicked double", "By an impatient hand.")
    send_button(page).dblclick()
    expect(row(page, "Clicked double")).to_have_count(1)
    page.reload()
    expect(row(page, "Clicked double")).to_have_count(1)


def test_a_form_that_is_sent_again_makes_no_second_message(visitor):
    amina = visitor("amina")
    form = {"key": "0123456789abcdef" * 2, "subject": "Sent by a retry", "body": "The reply was lost."}
    replies = [amina.post("/messages", **form) for _ in range(3)]
    assert {reply.status_code for reply in replies} == {303}
    assert amina.get("/messages").text.count("Sent by a retry") == 1

    other = amina.post("/messages", **form | {"body": "Another text."})
    assert other.status_code == 409
    assert "Another text." in other.text, "nothing that was typed is lost"


def test_sending_with_the_back_button_and_another_text_loses_neither(window):
    page = sign_in(window(), "amina")
    new_message(page, "Sent first", "One.")
    send_button(page).click()
    expect(row(page, "Sent first")).to_have_count(1)
    page.go_back()
    page.get_by_label("Subject").fill("Sent second")
    page.get_by_label("Message", exact=True).fill("Two.")
    send_button(page).click()
    # Either the browser reloaded the form, and it is sent, or it is the old form, and the page asks once more.
    page.wait_for_load_state()
    if page.get_by_role("alert").count():
        send_button(page).click()
    expect(row(page, "Sent second")).to_have_count(1)
    expect(row(page, "Sent first")).to_have_count(1)


def test_a_new_message_appears_in_an_open_list_and_is_announced_without_taking_focus(window):
    reader = sign_in(window(), "tomas")
    live(reader)
    filter_ = reader.get_by_label("From")
    filter_.focus()
    expect(news(reader)).to_have_attribute("role", "status")

    writer = sign_in(window(), "amina")
    write_message(writer, "Seen at once", "Without a reload.")

    first = reader.locator("#rows .row").first
    expect(first).to_contain_text("Seen at once")
    expect(first).to_contain_text(PEOPLE["amina"].name)
    expect(news(reader)).to_contain_text(PEOPLE["amina"].name)
    expect(news(reader)).not_to_contain_text("Seen at once")
    expect(filter_).to_be_focused()
    assert "Seen at once" not in reader.title()
    first.get_by_role("link").click()
    expect(reader.get_by_text("Without a reload.")).to_be_visible()


def test_focus_stays_on_the_row_it_was_on_when_rows_come_in_above(window, visitor):
    amina = visitor("amina")
    amina.send("The row with focus")
    reader = live(sign_in(window(), "tomas"))
    link = row(reader, "The row with focus").get_by_role("link")
    link.focus()
    for number in range(3):
        amina.send(f"Above it, {number}")
    expect(row(reader, "Above it, 2")).to_have_count(1)
    expect(link).to_be_focused()


# What a browser does to a page in a tab that is put behind another, or brought to the front.
SHOW = """shown => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => !shown });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_list_in_a_hidden_tab_catches_up_without_a_gap_or_a_double(window, visitor):
    amina = visitor("amina")
    reader = live(sign_in(window(), "tomas"))
    amina.send("While it was watched")
    expect(row(reader, "While it was watched")).to_have_count(1)
    reader.evaluate(SHOW, False)
    for number in range(3):
        amina.send(f"While it was hidden, {number}")
    expect(row(reader, "While it was hidden")).to_have_count(0)
    with reader.expect_request(re.compile("/messages/updates")):
        reader.evaluate(SHOW, True)
    amina.send("After it was shown")
    expect(row(reader, "After it was shown")).to_have_count(1)
    subjects = reader.locator("#rows a").all_inner_texts()[:5]
    hidden = [f"While it was hidden, {number}" for number in (2, 1, 0)]
    assert subjects == ["After it was shown", *hidden, "While it was watched"]


def test_a_stream_that_was_cut_off_goes_on_after_the_last_update_that_arrived(visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    start = int(re.search(r"updates\?after=(\d+)", tomas.get("/messages").text)[1])
    for number in range(3):
        amina.send(f"Numbered update {number}")

    path = f"/messages/updates?after={start}"
    first = next(update["id"] for update in tomas.updates(path) if "Numbered update 0" in update["data"])
    later = tomas.updates(path, **{"Last-Event-ID": first})
    assert "Numbered update 1" in next(later)["data"]
    assert "Numbered update 2" in next(later)["data"]


def test_a_message_is_deleted_after_a_question_and_leaves_a_tombstone(window, visitor):
    page = sign_in(window(), "amina")
    write_message(page, "Sent by mistake", "Not for everybody.")
    reader = live(sign_in(window(), "tomas"))
    expect(row(reader, "Sent by mistake")).to_have_count(1)
    number = visitor("amina").find("Sent by mistake")

    row(page, "Sent by mistake").get_by_role("link").click()
    page.get_by_role("link", name="Delete this message").click()
    expect(page.get_by_role("heading", name="Delete this message for everyone?")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    expect(page.get_by_text("Not for everybody.")).to_be_visible()
    page.get_by_role("link", name="Delete this message").click()
    page.get_by_role("button", name="Delete for everyone").click()

    expect(page.get_by_role("status").filter(has_text="Message deleted.")).to_be_visible()
    for window_ in (page, reader):
        tombstone = window_.locator(f"#message-{number}")
        expect(tombstone).to_contain_text("Deleted by its author")
        expect(tombstone).to_contain_text(PEOPLE["amina"].name)
        expect(tombstone.get_by_role("link")).to_have_count(0)
        expect(window_.get_by_text("Sent by mistake")).to_have_count(0)
    reader.goto(f"/messages/{number}")
    expect(reader.get_by_role("heading", name="This message was deleted")).to_be_visible()
    expect(reader.get_by_text("Not for everybody.")).to_have_count(0)


def test_somebody_elses_message_cannot_be_deleted(window, visitor):
    number = visitor("amina").send("Only its author deletes it")
    page = sign_in(window(), "tomas")
    page.goto(f"/messages/{number}")
    expect(page.get_by_role("link", name="Delete this message")).to_have_count(0)
    assert page.goto(f"/messages/{number}/delete").status == 403
    expect(page.get_by_role("heading", name="This message is somebody else's")).to_be_visible()
    assert visitor("tomas").post(f"/messages/{number}/delete").status_code == 403
    assert "Only its author deletes it" in visitor("huong").get("/messages").text


@pytest.mark.parametrize("path", ["/messages/999999", "/messages/999999/delete", "/messages/0", "/messages/-1", "/messages/abc", "/messages/1%27", "/messages/99999999999999999999"])
def test_a_message_that_never_was_is_a_clear_404(path, window):
    page = sign_in(window(), "amina")
    assert page.goto(path).status == 404
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="Go to messages").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()


def test_an_address_with_nonsense_in_it_is_a_clear_400(visitor):
    amina = visitor("amina")
    for path in ("/messages?before=abc", "/messages?author=x%27%20OR%201=1", "/messages?before=-1"):
        reply = amina.get(path)
        assert reply.status_code == 400, path
        assert "OR 1=1" not in reply.text


STRANGE_TEXTS = {
    "html": ("<img src=x onerror=alert(1)> & \"quotes\" 'too'", "<script>document.title = 'owned'</script>\n<b>not bold</b> &amp;"),
    "right to left": ("موعد فحص الغد 08:30", "يرجى الحضور قبل الموعد بنصف ساعة.\nمع بطاقة التأمين (رقم 12)."),
    "emoji": ("🩺 👩🏽‍⚕️ check-up 🏳️‍🌈", "👨‍👩‍👧‍👦 family room is free 🎉"),
    "long words": ("Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 4, "x" * 600),
    # What turns text round by force is written out instead: test_hostile_text.py.
    "joiners and isolates": ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u2066A-12\u2069", "\u0915\u094d\u200d\u0937 \u2067abc\u2069"),
}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", STRANGE_TEXTS)
def test_any_text_is_shown_as_it_was_typed_and_breaks_no_page(kind, width, window, visitor):
    subject, body = STRANGE_TEXTS[kind]
    number = visitor("amina").send(subject, body)
    page = sign_in(window(viewport={"width": width, "height": 800}), "tomas")
    entry = page.locator(f"#message-{number} a")
    assert entry.inner_text() == subject
    fits(page)
    entry.click()
    expect(page).to_have_title(f"Message {number} – Wardpost")
    assert page.get_by_role("heading", level=1).inner_text() == subject
    assert page.locator(".body").inner_text() == body
    fits(page)
    if kind == "right to left":
        assert page.locator(".body").evaluate("element => getComputedStyle(element).direction") == "rtl"


def fits(page):
    """Nothing sticks out to the side."""
    width = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1], f"{page.url} is {width[0]} wide in a window of {width[1]}"


def test_a_list_of_120_messages_is_paged_without_a_gap_or_a_double(own_site, windows):
    site = own_site()
    amina, tomas = Visitor(site, "amina"), Visitor(site, "tomas")
    for number in range(1, 121):
        author = tomas if number % 40 == 0 else amina
        reply = author.post("/messages", key=f"{number:032x}", subject=f"Message number {number:03}", body="Text.")
        assert reply.status_code == 303, reply.text

    page = sign_in(windows.window(site), "huong")
    subjects = []
    for more in (True, True, False):
        subjects += page.locator("#rows a").all_inner_texts()
        older = page.get_by_role("link", name="Older messages")
        expect(older).to_have_count(1 if more else 0)
        if more:
            older.click()
            expect(page).to_have_url(re.compile("before="))
            expect(page.get_by_text(subjects[-1])).to_have_count(0)
    assert subjects == [f"Message number {number:03}" for number in range(120, 0, -1)]

    page.get_by_role("link", name="Newest messages").click()
    expect(page.get_by_text("Message number 120")).to_be_visible()

    page.get_by_label("From").select_option(label=PEOPLE["tomas"].name)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile("author="))
    assert page.locator("#rows a").all_inner_texts() == [f"Message number {n:03}" for n in (120, 80, 40)]
    page.get_by_role("link", name="Show everyone").click()
    expect(page.get_by_text("Message number 119")).to_be_visible()

    # The form's own word for everyone is an address that works, too.
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("Message number 119")).to_be_visible()


def test_an_empty_list_helps_to_begin(own_site, windows):
    page = sign_in(windows.window(own_site()), "amina")
    expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    page.get_by_role("link", name="Write the first message").click()
    expect(page.get_by_role("heading", name="New message")).to_be_visible()


def test_the_first_message_replaces_the_empty_list_live(own_site, windows):
    site = own_site()
    reader = live(sign_in(windows.window(site), "tomas"))
    write_message(sign_in(windows.window(site), "amina"), "The very first", "Hello.")
    expect(row(reader, "The very first")).to_have_count(1)
    expect(reader.get_by_role("heading", name="No messages yet")).to_be_hidden()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_enter_in_the_subject_discards_no_draft(script, window, visitor):
    huong = visitor("huong")
    assert huong.post("/draft", key="ce" * 16, subject="Begun elsewhere", body="").status_code == 204
    page = sign_in(window(java_script_enabled=script), "huong", "/messages/new")
    expect(page.get_by_label("Subject")).to_have_value("Begun elsewhere")
    page.get_by_label("Subject").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="This message was not sent")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("Begun elsewhere")
    assert "Begun elsewhere" in huong.get("/messages/new").text
    huong.post("/draft/discard")


def test_what_is_half_written_is_kept_when_its_author_signs_out(window):
    page = sign_in(window(), "huong")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    new_message(page, "Called away", "To be continued")
    sign_out(page)
    sign_in(page, "huong", "/messages/new")
    expect(page.get_by_text("Your draft from")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("Called away")
    expect(page.get_by_label("Message", exact=True)).to_have_value("To be continued")
    assert not asked, "nothing was about to be lost"
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_role("status").filter(has_text="Draft discarded.")).to_be_visible()


def test_who_signs_out_is_asked_first_where_what_is_half_written_cannot_be_kept(window):
    page = sign_in(window(), "huong")
    new_message(page, "Not to be lost", "To be continued")
    page.route("**/draft", lambda route: route.abort())
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("button", name="Sign out").click(no_wait_after=True)
    wait_until("the browser has asked", lambda: page.evaluate("1") and asked)
    assert asked == ["beforeunload"]
    expect(page.locator("#saved")).to_contain_text("The draft could not be saved.")
    expect(page.get_by_label("Subject")).to_have_value("Not to be lost")


def test_what_is_being_written_is_kept_as_a_draft_and_found_again(window, visitor):
    page = sign_in(window(), "huong")
    new_message(page, "Half a thought", "To be continued")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep the draft").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    huong = visitor("huong")
    wait_until("the draft is stored", lambda: "Half a thought" in huong.get("/messages/new").text)

    page.goto("/messages/new")
    expect(page.get_by_text("Your draft from")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("Half a thought")
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_role("status").filter(has_text="Draft discarded.")).to_be_visible()
    page.goto("/messages/new")
    expect(page.get_by_label("Subject")).to_have_value("")
