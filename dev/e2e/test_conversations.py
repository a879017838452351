"""Replying: a message and its replies on one page, in order; the list by their last activity; a draft for each conversation."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.people import PEOPLE
from support.waiting import wait_until


def reply_box(page):
    return page.get_by_label(re.compile("^Reply to"))


def send_reply(page, text):
    reply_box(page).fill(text)
    page.get_by_role("button", name="Send reply to all staff").click()
    expect(page.locator(".conversation .body").filter(has_text=text)).to_be_visible()


def texts(page):
    return page.locator(".conversation .body").all_inner_texts()


def reply_to(visitor, number, text, key=None):
    """Sends a reply without a browser, and gives its number."""
    reply = visitor.post(f"/messages/{number}/replies", key=key or f"{number:08x}{abs(hash(text)):024x}"[:32], body=text, reply_to=str(number))
    assert reply.status_code == 303, reply.text
    return int(re.search(r"#m(\d+)$", reply.headers["Location"])[1])


def test_a_reply_is_sent_from_the_page_that_is_read_and_stands_below(window, visitor):
    number = visitor("amina").send("Ibuprofen with enoxaparin?", "Room 7 asks.")
    page = sign_in(window(), "tomas", f"/messages/{number}")
    send_reply(page, "Better not, bleeding risk.")
    expect(page.get_by_role("status").filter(has_text="Reply sent.")).to_be_visible()
    assert texts(page) == ["Room 7 asks.", "Better not, bleeding risk."]
    assert reply_box(page).input_value() == ""
    # Another at once, on the page as it is.
    send_reply(page, "Paracetamol is fine.")
    assert texts(page) == ["Room 7 asks.", "Better not, bleeding risk.", "Paracetamol is fine."]


def test_the_list_says_who_replied_and_moves_the_conversation_to_its_top_in_every_open_list(window, visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    number = amina.send("An older question")
    amina.send("A newer message")
    page = sign_in(window(), "huong", "/messages")
    expect(page.locator("#live")).to_have_text(re.compile("live", re.IGNORECASE))
    expect(page.locator("#rows .row").first).to_contain_text("A newer message")
    reply_to(tomas, number, "An answer")
    first = page.locator("#rows .row").first
    expect(first).to_contain_text("An older question")
    expect(first).to_contain_text(f"{PEOPLE['tomas'].name} replied · 1 reply")
    expect(row(page, "An older question")).to_have_count(1)
    expect(page.locator("#news")).to_contain_text(PEOPLE["tomas"].name)
    page.reload()
    expect(page.locator("#rows .row").first).to_contain_text("replied · 1 reply")


def test_a_conversation_opens_where_it_is_new_to_its_reader(window, visitor):
    amina, huong = visitor("amina"), visitor("huong")
    number = amina.send("Long, with news", "0")
    for count in range(1, 61):
        reply_to(amina, number, f"an old reply, number {count}")
    page = sign_in(window(), "huong", "/messages")
    row(page, "Long, with news").get_by_role("link").click()
    # All of it is new: from its first message on, and no line says where that begins.
    expect(page).to_have_url(re.compile(rf"/messages/{number}\?at=new$"))
    expect(page.locator(".conversation .since")).to_have_count(0)
    huong.get(f"/messages/{number}?page=2")
    news = reply_to(amina, number, "the news")
    reply_to(amina, number, "more of it")
    page.goto("/messages?show=unread")
    row(page, "Long, with news").get_by_role("link").click()
    expect(page).to_have_url(re.compile(rf"/messages/{number}\?page=2#m{news}$"))
    line = page.locator(".conversation .since")
    expect(line).to_have_text(re.compile(r"^New since .*\d\d:\d\d"))
    assert line.evaluate("line => line.nextElementSibling.firstElementChild.id") == f"m{news}"
    expect(page.locator(f"#m{news}")).to_be_in_viewport()
    page.reload()
    expect(line).to_have_count(0)
    page.get_by_role("link", name="Earlier").click()
    expect(page.locator(".conversation .body")).to_have_count(50)


def test_what_deletes_a_message_stands_below_its_text(window, visitor):
    number = visitor("amina").send("Below", "The text.")
    page = sign_in(window(), "amina", f"/messages/{number}")
    text = page.locator(".conversation .body").evaluate("body => body.getBoundingClientRect().left")
    link = page.get_by_role("link", name="Delete this message")
    left = "link => { const range = document.createRange(); range.selectNodeContents(link); return range.getBoundingClientRect().left; }"
    assert abs(link.evaluate(left) - text) < 1


def test_a_replys_own_address_leads_to_its_place(window, visitor):
    amina = visitor("amina")
    number = amina.send("Many replies", "0")
    numbers = [reply_to(amina, number, f"reply number {count}") for count in range(1, 61)]
    page = sign_in(window(), "tomas", f"/messages/{numbers[-1]}")
    expect(page).to_have_url(re.compile(rf"/messages/{number}\?page=2#m{numbers[-1]}$"))
    assert texts(page)[-1] == "reply number 60"
    page.get_by_role("link", name="Earlier").click()
    expect(page.locator(".conversation .body")).to_have_count(50)
    # One row says what was shown, by number.
    shown = visitor("huong").audit(action="MESSAGE_VIEW")[-1]["details"]
    assert shown["message_id"] == number and shown["messages"] == f"{number}-{numbers[48]}"


def test_a_half_written_reply_is_kept_for_its_conversation_and_no_other(window, visitor):
    amina = visitor("amina")
    one, other = amina.send("One conversation"), amina.send("Another conversation")
    page = sign_in(window(), "tomas", f"/messages/{one}")
    reply_box(page).fill("Half a thou")
    page.goto(f"/messages/{other}")
    assert reply_box(page).input_value() == ""
    # It is sent along as the page goes, and nobody waits for the answer.
    tomas = visitor("tomas")
    wait_until("the draft is stored", lambda: "Half a thou" in tomas.get(f"/messages/{one}").text)
    page.goto(f"/messages/{one}")
    expect(page.get_by_text("Your draft from")).to_be_visible()
    assert reply_box(page).input_value() == "Half a thou"
    send_reply(page, "Half a thought, ended.")
    page.goto(f"/messages/{one}")
    assert reply_box(page).input_value() == ""
    page.goto("/messages/new")
    assert page.get_by_label("Subject").input_value() == ""


def test_a_deleted_first_message_leaves_its_tombstone_and_its_replies(window, visitor):
    amina = visitor("amina")
    number = amina.send("Sent to the wrong room", "Mrs K.")
    reply_to(visitor("tomas"), number, "Which room?")
    amina.delete(number)
    page = sign_in(window(), "huong", "/messages")
    tombstone = page.locator(f"#message-{number}")
    expect(tombstone).to_contain_text("Deleted by its author")
    tombstone.get_by_role("link").click()
    expect(page.get_by_role("heading", name="This message was deleted")).to_be_visible()
    assert texts(page) == ["Which room?"]
    send_reply(page, "Room 8, I think.")


@pytest.mark.parametrize("text", ["", "   ", "y" * 20_001])
def test_a_reply_that_cannot_be_sent_comes_back_with_all_that_was_typed(text, window, visitor):
    number = visitor("amina").send("A question")
    page = sign_in(window(), "tomas", f"/messages/{number}")
    reply_box(page).fill(text)
    page.get_by_role("button", name="Send reply to all staff").click()
    expect(page.get_by_role("alert").filter(has_text="This reply was not sent")).to_be_visible()
    assert reply_box(page).input_value() == text


def test_a_reply_works_without_a_script(window, visitor):
    number = visitor("amina").send("A question", "?")
    page = sign_in(window(java_script_enabled=False), "tomas", f"/messages/{number}")
    reply_box(page).fill("An answer.")
    page.get_by_role("button", name="Send reply to all staff").click()
    assert texts(page) == ["?", "An answer."]


def test_replying_to_nothing_is_a_clear_404(visitor):
    reply = visitor("amina").post("/messages/999999/replies", key="0" * 32, body="text")
    assert reply.status_code == 404
