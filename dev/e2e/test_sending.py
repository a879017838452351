"""A message that cannot be sent is not lost: the page stays, says why, and sends it as soon as it can, once."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.held_form import Held
from support.network import Network
from support.waiting import wait_until


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


def write(page, subject, body="A text that took long to write."):
    page.goto("/messages/new")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message", exact=True).fill(body)


def send(page):
    page.get_by_role("button", name="Send to all staff").click()


def unsent(page):
    return page.get_by_role("alert").filter(has_text="Not sent")


def still_there(page, subject, body="A text that took long to write."):
    expect(page.get_by_label("Subject")).to_have_value(subject)
    expect(page.get_by_label("Message", exact=True)).to_have_value(body)


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_without_a_network_the_page_stays_and_sends_once_it_is_back(how, window, network, visitor):
    page = window(proxy=network.proxy())
    page.clock.install()
    sign_in(page, "amina")
    subject = f"Sent from the lift, {how}"
    write(page, subject)
    getattr(network, how)()
    send(page)
    if how == "stall":
        expect(page.locator("#saved")).to_have_text("Sending…")
    page.clock.fast_forward(31_000)
    expect(unsent(page)).to_have_text("Not sent: no connection. Trying again.")
    still_there(page, subject)
    page.clock.fast_forward(60_000)
    expect(unsent(page)).to_have_text("Not sent: no connection. Trying again.")

    network.restore()
    page.clock.fast_forward(31_000)
    expect(page.get_by_role("status").filter(has_text="Message sent.")).to_be_visible()
    expect(row(page, subject)).to_have_count(1)
    assert visitor("tomas").get("/messages").text.count(subject) == 1


def test_a_lost_answer_makes_no_second_message(window, visitor):
    page = window()
    page.clock.install()
    sign_in(page, "amina")
    write(page, "Arrived at once")
    tries = []

    def lose_the_first_answer(route):
        tries.append(route.fetch(max_redirects=0).status)
        route.abort() if len(tries) == 1 else route.continue_()

    page.route("**/messages", lambda route: lose_the_first_answer(route) if route.request.method == "POST" else route.continue_())
    send(page)
    expect(unsent(page)).to_be_visible()
    page.clock.fast_forward(31_000)
    expect(page.get_by_role("status").filter(has_text="Message sent.")).to_be_visible()
    assert len(tries) == 2
    assert visitor("tomas").get("/messages").text.count("Arrived at once") == 1


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (413, "Not sent: it is too long. Make it shorter, or send it in parts."),
        (415, "Not sent: the site refused it (415). What you wrote is still here."),
        (408, "Not sent: the connection is too slow. Trying again."),
        (429, "Not sent: the site was asked too often. Trying again."),
        (500, "Not sent: something went wrong on the site. Trying again."),
        (502, "Not sent: the site is not ready. Trying again."),
        (503, "Not sent: the site is not ready. Trying again."),
    ],
)
def test_whatever_is_answered_the_text_stays(status, told, window):
    page = window()
    page.clock.install()
    sign_in(page, "amina")
    subject = f"Answered with {status}"
    write(page, subject)
    refuse = lambda route: route.fulfill(status=status, body="<h1>A proxy's own page</h1>", content_type="text/html")  # noqa: E731
    page.route(re.compile("/messages$"), refuse, times=1)
    send(page)
    expect(unsent(page)).to_have_text(told)
    still_there(page, subject)
    expect(page.get_by_role("heading", name="New message")).to_be_visible()
    if "Trying again" in told:
        page.clock.fast_forward(31_000)
    else:
        page.clock.fast_forward(120_000)
        still_there(page, subject)
        send(page)
    expect(row(page, subject)).to_have_count(1)


def test_what_is_changed_while_the_page_tries_again_is_sent_by_its_author_alone(window, network, visitor):
    page = window(proxy=network.proxy())
    page.clock.install()
    sign_in(page, "amina")
    write(page, "Half changed")
    network.cut()
    send(page)
    expect(unsent(page)).to_contain_text("Trying again")
    page.get_by_label("Message", exact=True).press_sequentially("And")
    expect(unsent(page)).to_have_text("Not sent: you have changed it. Send it when it is ready.")
    network.restore()
    page.clock.fast_forward(120_000)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    assert "Half changed" not in visitor("tomas").get("/messages").text
    page.get_by_label("Message", exact=True).fill("And now whole.")
    send(page)
    expect(row(page, "Half changed")).to_have_count(1)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "body": "<h1>Accept the rules of this network</h1>", "content_type": "text/html"},
        {"status": 302, "headers": {"location": "/sign-in"}},
    ],
    ids=["a page", "a redirection"],
)
def test_an_answer_of_something_in_between_is_not_taken_for_the_sites(answer, window):
    page = window()
    page.clock.install()
    sign_in(page, "amina")
    subject = f"Answered by something in between: {answer['status']}"
    write(page, subject)
    page.route(re.compile("/messages$"), lambda route: route.fulfill(**answer), times=1)
    send(page)
    expect(unsent(page)).to_have_text("Not sent: no connection. Trying again.")
    still_there(page, subject)
    page.clock.fast_forward(31_000)
    expect(row(page, subject)).to_have_count(1)


@pytest.fixture
def on_its_way(window):
    """A page whose message is on its way, and what holds it there."""

    def begin(subject):
        page = window()
        page.clock.install()
        sign_in(page, "amina")
        write(page, subject)
        held = Held(page, "/messages")
        send(page)
        held.wait()
        return page, held

    return begin


def test_what_is_typed_while_a_message_is_on_its_way_is_not_lost_when_it_arrives(on_its_way):
    page, held = on_its_way("Typed on, and it arrived")
    page.get_by_label("Message", exact=True).fill("A text that took long to write. And more.")
    held.let_go()
    expect(page.locator("#other").get_by_role("alert")).to_contain_text("This message has already been sent.")
    still_there(page, "Typed on, and it arrived", "A text that took long to write. And more.")
    page.locator("#other").get_by_role("button", name="Keep this as a new message").click()
    send(page)
    expect(row(page, "Typed on, and it arrived")).to_have_count(2)


def test_what_is_typed_while_a_message_is_on_its_way_is_not_sent_by_the_page_when_it_does_not(on_its_way, visitor):
    page, held = on_its_way("Typed on, and it did not arrive")
    page.get_by_label("Message", exact=True).fill("Half a")
    held.lose()
    expect(unsent(page)).to_have_text("Not sent: you have changed it. Send it when it is ready.")
    page.clock.fast_forward(31_000)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    assert "Typed on, and it did not arrive" not in visitor("tomas").get("/messages").text
    visitor("amina").post("/draft/discard")


def test_a_page_whose_message_is_on_its_way_is_not_left_without_a_question(on_its_way):
    page, held = on_its_way("Left on its way")
    asked_before_leaving(page)
    held.let_go()
    expect(row(page, "Left on its way")).to_have_count(1)


def test_a_message_whose_answers_are_lost_is_not_told_to_be_from_another_tab(window):
    page = window()
    page.clock.install()
    sign_in(page, "amina")
    write(page, "Arrived, but nobody knows")
    lost = []

    def lose_the_answer(route):
        if route.request.method == "POST":
            route.fetch(max_redirects=0)
            route.abort()
            lost.append(1)
        else:
            route.continue_()

    saved = []
    page.on("request", lambda request: request.url.endswith("/draft") and saved.append(request.url))
    page.route(re.compile("/messages$"), lose_the_answer)
    send(page)
    # The pauses grow to 16 seconds; 20 seconds after the first loss it would be time to save a draft.
    for tries, pause in enumerate((2_500, 4_500, 8_500, 6_000), start=1):
        wait_until("an answer was lost", lambda: page.evaluate("1") and len(lost) >= tries)
        expect(unsent(page)).to_have_text("Not sent: no connection. Trying again.")
        expect(page.locator("#saved")).to_have_text("")
        page.clock.fast_forward(pause)
    page.unroute_all()
    page.clock.fast_forward(31_000)
    expect(row(page, "Arrived, but nobody knows")).to_have_count(1)
    assert not saved, "the site would say that it was sent from elsewhere"


def asked_before_leaving(page):
    """Wants to go to another page, is asked, and stays."""
    asked = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="All messages").click(no_wait_after=True)
    wait_until("the browser has asked", lambda: page.evaluate("1") and asked)
    assert asked == ["beforeunload"]


def test_a_page_with_an_unsent_message_is_not_left_without_a_question(window, network):
    page = window(proxy=network.proxy())
    page.clock.install()
    sign_in(page, "amina")
    write(page, "Nearly left behind")
    network.cut()
    send(page)
    expect(unsent(page)).to_be_visible()
    asked_before_leaving(page)
    still_there(page, "Nearly left behind")
