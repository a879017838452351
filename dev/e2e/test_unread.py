"""What is new to whom, who opened what, what is done: on the pages, and as the exported log alone has it."""

import html
import re
import secrets

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.people import PEOPLE
from test_conversations import reply_to, send_reply


def unread_of(visitor):
    """The conversations that the filter "Unread" shows, by number."""
    found, path = [], "/messages?show=unread"
    while path:
        page = visitor.get(path).text
        found += [int(number) for number in re.findall(r'id="message-(\d+)"', page)]
        older = re.search(r'href="([^"]*)" rel="next"', page)
        path = older and html.unescape(older[1])
    return sorted(found)


def tab(page, name):
    return page.get_by_role("navigation", name="Which conversations").get_by_role("link", name=name)


def test_a_message_is_new_until_it_is_opened_and_ones_own_never(window, visitor):
    visitor("tomas")
    page = sign_in(window(), "tomas", "/messages?show=unread")
    before = page.locator(".row").count()
    number = visitor("amina").send("Is it new?", "It is.")
    assert number not in unread_of(visitor("amina"))
    page.goto("/messages")
    news = row(page, "Is it new?")
    expect(news).to_have_class(re.compile(r"\bnew\b"))
    expect(news.get_by_text("New:")).to_be_attached()
    expect(page).to_have_title(re.compile(rf"^\({before + 1}\) Messages"))
    expect(tab(page, "Unread")).to_have_text(f"Unread {before + 1}")
    icon = page.locator("link#icon").get_attribute("href")
    assert page.request.get(icon).headers["content-type"] == "image/svg+xml"
    tab(page, "Unread").click()
    row(page, "Is it new?").get_by_role("link").click()
    page.goto("/messages?show=unread")
    expect(page.locator(".row")).to_have_count(before)
    page.goto(f"/messages/{number}")
    page.get_by_role("button", name="Mark unread").click()
    expect(page.get_by_text("Marked as unread.")).to_be_visible()
    expect(row(page, "Is it new?")).to_have_class(re.compile(r"\bnew\b"))


def test_what_arrives_live_is_new_and_counted(window, visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    number = tomas.send("Begun by Tomáš")
    page = sign_in(window(), "tomas", "/messages")
    expect(page.locator("#live")).to_have_text(re.compile("live", re.IGNORECASE))
    count = len(unread_of(tomas))
    reply_to(amina, number, "An answer")
    first = page.locator("#rows .row").first
    expect(first).to_have_class(re.compile(r"\bnew\b"))
    expect(first.locator(".tag")).to_have_text(["you"])
    expect(page).to_have_title(re.compile(rf"^\({count + 1}\) "))
    # A second reply to the same conversation makes it no newer.
    reply_to(amina, number, "Another answer")
    expect(first).to_contain_text("2 replies")
    expect(page).to_have_title(re.compile(rf"^\({count + 1}\) "))
    page.reload()
    expect(page).to_have_title(re.compile(rf"^\({count + 1}\) "))
    expect(page.locator("#rows .row").first.locator(".tag")).to_have_text(["you"])


def test_a_line_says_since_when_the_reader_has_not_looked(window, visitor):
    visitor("amina").send("Before she looked")
    visitor("noor").get("/messages")
    visitor("amina").send("After she looked")
    page = sign_in(window(), "noor", "/messages")
    line = page.locator(".since")
    expect(line).to_have_text(re.compile(r"^New since .*\d\d:\d\d"))
    lines = page.locator("#rows > li:not(.day)").all_inner_texts()
    at = next(index for index, text in enumerate(lines) if text.startswith("New since"))
    assert any("After she looked" in text for text in lines[:at])
    assert any("Before she looked" in text for text in lines[at:])


def test_no_line_stands_where_only_the_readers_own_came_since(window, visitor):
    visitor("amina").send("Before she looked")
    huong = visitor("huong")
    huong.get("/messages")
    # `send` would look at the list again.
    sent = huong.post("/messages", key=secrets.token_hex(16), subject="Her own is not new to her", body="A body.")
    assert sent.status_code == 303
    page = sign_in(window(), "huong", "/messages")
    expect(page.locator("#rows .row").first).to_contain_text("Her own is not new to her")
    expect(page.locator(".since")).to_have_count(0)


def test_under_each_message_stands_who_opened_it(window, visitor):
    number = visitor("amina").send("Who has read it?", "text")
    page = sign_in(window(), "amina", f"/messages/{number}")
    expect(page.locator(".readers")).to_contain_text("Opened by nobody yet")
    visitor("tomas").get(f"/messages/{number}")
    visitor("huong").get(f"/messages/{number}")
    page.reload()
    expect(page.locator(".readers")).to_contain_text(PEOPLE["tomas"].name)
    readers = page.locator(".readers bdi").all_inner_texts()
    assert readers == [PEOPLE["tomas"].name, PEOPLE["huong"].name]
    page.get_by_role("link", name="who, when").click()
    expect(page.locator(".sentence")).to_have_count(5)


def test_done_is_said_by_somebody_shown_to_everybody_at_once_and_undone_by_a_reply(window, visitor):
    number = visitor("amina").send("Fridge on ward 3", "It is warm.")
    onlooker = sign_in(window(), "huong", "/messages")
    expect(onlooker.locator("#live")).to_have_text(re.compile("live", re.IGNORECASE))
    page = sign_in(window(), "tomas", f"/messages/{number}")
    page.get_by_role("button", name="Conversation done", exact=True).click()
    expect(page.get_by_text("The conversation is done.")).to_be_visible()
    expect(row(page, "Fridge on ward 3").locator(".tag")).to_have_text(["done"])
    expect(row(onlooker, "Fridge on ward 3").locator(".tag")).to_have_text(["done"])
    tab(page, "Open").click()
    expect(row(page, "Fridge on ward 3")).to_have_count(0)
    page.goto(f"/messages/{number}")
    expect(page.locator(".done-by")).to_contain_text(PEOPLE["tomas"].name)
    send_reply(page, "Warm again.")
    expect(page.locator(".done-by")).to_have_count(0)
    page.goto("/messages?show=open")
    expect(row(page, "Fridge on ward 3")).to_be_visible()
    page.goto(f"/messages/{number}")
    page.get_by_role("button", name="Conversation done", exact=True).click()
    expect(page.get_by_text("The conversation is done.")).to_be_visible()
    page.goto(f"/messages/{number}")
    page.get_by_role("button", name="Open again").click()
    expect(page.get_by_role("button", name="Conversation done", exact=True)).to_be_visible()
    acts = [event["action"] for event in visitor("amina").audit() if event["action"].startswith("CONVERSATION")]
    assert acts[-3:] == ["CONVERSATION_DONE", "CONVERSATION_DONE", "CONVERSATION_REOPENED"]


@pytest.mark.parametrize("typed", ["{}", "#{}", " # {} "])
def test_a_message_is_reached_by_its_number(typed, window, visitor):
    amina = visitor("amina")
    number = amina.send("By its number")
    reply = reply_to(amina, number, "A reply")
    page = sign_in(window(), "tomas", "/messages")
    page.get_by_label("Go to message").fill(typed.format(reply))
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page).to_have_url(re.compile(rf"/messages/{number}#m{reply}$"))


@pytest.mark.parametrize("typed", ["999999", "seven", "0", "-1"])
def test_a_number_of_no_message_is_said_to_be_none(typed, window):
    page = sign_in(window(), "tomas", "/messages")
    page.get_by_label("Go to message").fill(typed)
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("There is no message with that number.")).to_be_visible()


def test_one_goes_from_a_conversation_to_the_next(window, visitor):
    amina = visitor("amina")
    numbers = [amina.send(f"Neighbour {count}") for count in range(3)]
    page = sign_in(window(), "tomas", f"/messages/{numbers[1]}")
    page.get_by_role("link", name="Older conversation").click()
    expect(page.get_by_role("heading", name="Neighbour 0")).to_be_visible()
    page.get_by_role("link", name="Newer conversation").click()
    page.get_by_role("link", name="Newer conversation").click()
    expect(page.get_by_role("heading", name="Neighbour 2")).to_be_visible()
    expect(page.get_by_role("link", name="Newer conversation")).to_have_count(0)


def test_a_reply_that_arrives_is_announced_and_opened_by_the_click_alone(window, visitor):
    amina = visitor("amina")
    number = amina.send("Being read", "text")
    page = window()
    sign_in(page, "tomas", "/help")
    with page.expect_response(lambda reply: "/messages/updates" in reply.url):
        page.goto(f"/messages/{number}")
    page.get_by_label(re.compile("^Reply to")).fill("Half a thou")
    first = reply_to(amina, number, "The first answer")
    expect(page.locator("#arrived")).to_have_text("1 new reply. Show")
    reply_to(amina, number, "The second answer")
    expect(page.locator("#arrived")).to_have_text("2 new replies. Show")
    assert "answer" not in page.locator("main").inner_text()
    opened = [event for event in visitor("huong").audit(action="MESSAGE_VIEW") if event["details"]["message_id"] == number]
    assert all("messages" not in event["details"] for event in opened)
    page.get_by_role("link", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(rf"#m{first}$"))
    expect(page.locator(".conversation .body")).to_have_text(["text", "The first answer", "The second answer"])
    expect(page.get_by_label(re.compile("^Reply to"))).to_have_value("Half a thou")


@pytest.mark.parametrize("choice", ["Keep the draft", "Discard it", "Go on writing"])
def test_cancel_asks_what_becomes_of_the_text(choice, window):
    page = sign_in(window(), "huong", "/messages/new")
    page.get_by_label("Subject").fill("Half a message")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name=choice).click()
    if choice == "Go on writing":
        expect(page.get_by_label("Subject")).to_have_value("Half a message")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Discard it").click()
    page.wait_for_url(re.compile(r"/messages(\?.*)?$"))
    page.goto("/messages/new")
    expect(page.get_by_label("Subject")).to_have_value("Half a message" if choice == "Keep the draft" else "")
    if choice == "Keep the draft":
        page.get_by_role("button", name="Discard the draft").click()


def test_without_a_script_cancel_keeps_the_text(window):
    page = sign_in(window(java_script_enabled=False), "huong", "/messages/new")
    page.get_by_label("Message", exact=True).fill("Half a message")
    page.get_by_role("button", name="Cancel").click()
    page.goto("/messages/new")
    assert page.get_by_label("Message", exact=True).input_value() == "Half a message"
    page.get_by_role("button", name="Discard the draft").click()


def test_after_sending_and_after_back_the_list_stands_where_it_stood(window, visitor):
    amina = visitor("amina")
    for count in range(40):
        amina.send(f"A long list {count}")
    page = sign_in(window(), "amina", "/messages?show=open")
    page.get_by_text("A long list 5", exact=True).scroll_into_view_if_needed()
    top = page.evaluate("scrollY")
    assert top > 300
    row(page, "A long list 5").get_by_role("link").click()
    page.wait_for_url(re.compile(r"/messages/\d+\?at=new$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"show=open"))
    page.wait_for_function("top => Math.abs(scrollY - top) < 5", arg=top)
    # By way of the form, and back to the same list.
    page.keyboard.press("c")
    page.get_by_label("Subject").fill("Sent from further down")
    page.get_by_label("Message", exact=True).fill("text")
    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_text("Message sent.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"show=open"))
    page.wait_for_function("top => Math.abs(scrollY - top) < 5", arg=top)


def test_unread_and_who_opened_what_follow_from_the_exported_log_alone(site, visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    one, other = amina.send("From the log"), tomas.send("Another from the log")
    reply_to(tomas, one, "a reply")
    reply_to(amina, other, "a reply")
    tomas.get(f"/messages/{one}")
    amina.get(f"/messages/{other}")
    tomas.post(f"/messages/{one}/unread")
    people = {person: visitor(person) for person in ("amina", "tomas", "huong")}
    rows = amina.audit()
    read = ReadByTheLog(rows)
    numbers = {entry["personal"]["email"]: entry["user_id"] for entry in rows if entry["action"] == "LOGIN"}
    names = {numbers[person.email]: person.name for person in PEOPLE.values() if person.email in numbers}
    for person, member in people.items():
        expected = sorted({read.root[message] for message in read.unread(numbers[PEOPLE[person].email])})
        assert unread_of(member) == expected, person
    page = people["huong"].get(f"/messages/{one}").text
    shown = re.findall(r"<bdi>([^<]*)</bdi> <time[^>]*datetime=\"([^\"]*)\"", page.split('class="readers"')[1].split("</div>")[0])
    told = [(names[person], at) for person, at in read.openers(one) if names[person] != PEOPLE["huong"].name]
    assert shown == told


class ReadByTheLog:
    """What is new to whom and who opened what, by the rows of the log alone."""

    def __init__(self, rows):
        self.root, self.sent_by, self.deleted, self.known, self.opened = {}, {}, set(), {}, {}
        for entry in rows:
            self.take(entry["action"], entry["user_id"], entry["details"], entry["timestamp"])

    def take(self, action, person, details, at):
        message = details.get("message_id")
        if action == "LOGIN":
            self.known.setdefault(person, set(self.root))
        elif action == "MESSAGE_CREATE":
            self.root[message] = details.get("reply_to", message)
            self.sent_by[message] = person
            self.known[person].add(message)
        elif action == "MESSAGE_DELETE":
            self.deleted.add(message)
        elif action == "MESSAGE_VIEW":
            for number in numbers_in(details.get("messages", str(message))):
                self.known[person].add(number)
                self.opened.setdefault(number, {}).setdefault(person, at)
        elif action == "MESSAGE_MARKED_UNREAD":
            self.known[person].discard(message)

    def unread(self, person):
        return set(self.root) - self.deleted - self.known[person]

    def openers(self, message):
        return [(person, at) for person, at in self.opened.get(message, {}).items() if person != self.sent_by[message]]


def numbers_in(text):
    """The numbers in "3, 5-9"."""
    for part in text.split(", "):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
