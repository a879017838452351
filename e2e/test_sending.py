"""A message that cannot be sent is not lost: the page stays, says why, and sends it as soon as it can, once."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
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


def test_a_page_with_an_unsent_message_is_not_left_without_a_question(window, network):
    page = window(proxy=network.proxy())
    page.clock.install()
    sign_in(page, "amina")
    write(page, "Nearly left behind")
    network.cut()
    send(page)
    expect(unsent(page)).to_be_visible()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="All messages").click(no_wait_after=True)
    wait_until("the browser has asked", lambda: page.evaluate("1") and asked)
    assert asked == ["beforeunload"]
    still_there(page, "Nearly left behind")


# ---- Two tabs with one draft


def other(page):
    return page.locator("#other")


def draft_of(visitor):
    page = visitor.get("/messages/new").text
    return re.search(r'<textarea id="body"[^>]*>\n?([^<]*)</textarea>', page)[1]


def save(page):
    page.clock.fast_forward(20_500)


@pytest.fixture
def huong(visitor):
    huong = visitor("huong")
    huong.post("/draft/discard")
    return huong


@pytest.fixture
def writing(window):
    """Opens pages that write: tabs of one browser, or another browser."""

    def open_(beside=None):
        page = beside.context.new_page() if beside else window()
        page.clock.install()
        if beside:
            page.goto("/messages/new")
        else:
            sign_in(page, "huong", "/messages/new")
        return page

    return open_


@pytest.mark.parametrize("where", ["tab", "browser"])
def test_two_pages_with_one_draft_notice_each_other(where, writing, huong):
    first = writing()
    second = writing(first if where == "tab" else None)
    body = lambda page: page.get_by_label("Message", exact=True)  # noqa: E731
    body(first).fill("Written in the first")
    body(second).fill("Written in the second")
    save(first)
    expect(first.locator("#saved")).to_contain_text("Draft saved")
    # A tab is told at once, another browser when it would overwrite.
    if where == "browser":
        save(second)
    expect(other(second).get_by_role("alert")).to_contain_text("You are writing in another tab or browser, too.")
    assert draft_of(huong) == "Written in the first"

    # Both texts can be looked at before one is kept; nothing is saved meanwhile.
    other(second).get_by_role("button", name="Show the other one").click()
    expect(body(second)).to_have_value("Written in the first")
    other(second).get_by_role("button", name="Show the other one").click()
    expect(body(second)).to_have_value("Written in the second")
    save(second)
    assert draft_of(huong) == "Written in the first"

    other(second).get_by_role("button", name="Keep this one").click()
    expect(other(second)).to_be_hidden()
    expect(second.locator("#saved")).to_contain_text("Draft saved")
    assert draft_of(huong) == "Written in the second"

    # Now it is the first that would overwrite.
    body(first).fill("Written in the first, and longer")
    save(first)
    expect(other(first)).to_be_visible()
    other(first).get_by_role("button", name="Show the other one").click()
    other(first).get_by_role("button", name="Keep this one").click()
    expect(body(first)).to_have_value("Written in the second")
    assert draft_of(huong) == "Written in the second"


def test_a_draft_that_was_sent_from_another_tab_is_not_kept_as_if_it_were_not(writing, huong):
    huong.post("/draft", key="ab" * 16, subject="Sent twice?", body="Once.")
    first = writing()
    second = writing(first)
    first.get_by_role("button", name="Send to all staff").click()
    expect(row(first, "Sent twice?")).to_have_count(1)
    expect(other(second).get_by_role("alert")).to_contain_text("This message was sent from another tab or browser.")
    other(second).get_by_role("button", name="Keep this as a new message").click()
    second.get_by_label("Subject").fill("A second message")
    second.get_by_role("button", name="Send to all staff").click()
    expect(row(second, "A second message")).to_have_count(1)
    expect(row(second, "Sent twice?")).to_have_count(1)


def test_a_draft_that_another_page_has_changed_is_not_discarded(window, huong):
    """Without JavaScript, too."""
    huong.post("/draft", key="cd" * 16, subject="Kept", body="The old text")
    page = sign_in(window(java_script_enabled=False), "huong", "/messages/new")
    huong.post("/draft", key="cd" * 16, subject="Kept", body="The newer text")
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_role("status").filter(has_text="was changed in another tab or browser")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("The newer text")
    page.get_by_role("button", name="Discard the draft").click()
    expect(page.get_by_role("status").filter(has_text="Draft discarded.")).to_be_visible()


def test_an_answer_that_was_lost_is_no_other_tab(writing, huong):
    page = writing()
    page.get_by_label("Message", exact=True).fill("First words")
    page.route("**/draft", lambda route: (route.fetch(), route.abort()), times=1)
    save(page)
    expect(page.locator("#saved")).to_contain_text("could not be saved")
    page.get_by_label("Message", exact=True).fill("First words, and more")
    save(page)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    page.route("**/draft", lambda route: (route.fetch(), route.abort()), times=1)
    page.get_by_label("Message", exact=True).fill("First words, and more, and more")
    save(page)
    expect(page.locator("#saved")).to_contain_text("could not be saved")
    page.get_by_label("Message", exact=True).fill("All words")
    save(page)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    expect(other(page)).to_be_hidden()
    assert draft_of(huong) == "All words"
