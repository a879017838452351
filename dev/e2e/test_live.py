"""“Live” is true: a list whose connection is dead says so, since when, and catches up when it is back."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import SHOW, row, sign_in
from support.network import Network

TIME = r"\d\d:\d\d"


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


@pytest.fixture
def reader(window, network):
    page = window(proxy=network.proxy())
    page.clock.install()
    sign_in(page, "tomas")
    expect(live(page)).to_have_text("Live")
    return page


def live(page):
    return page.locator("#live")


def bar(page):
    return page.get_by_role("alert").filter(has_text="No connection")


def back(page):
    return page.get_by_role("status").filter(has_text="Connected again")


@pytest.mark.parametrize("how", ["stall", "cut"])
def test_a_dead_network_is_told_after_forty_seconds_and_what_came_meanwhile_is_shown(how, reader, network, visitor):
    amina = visitor("amina")
    getattr(network, how)()
    amina.send(f"While it was dead, {how}")
    since = reader.evaluate("new Date().toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })")
    reader.clock.fast_forward(20_000)
    expect(bar(reader)).to_have_count(0)
    reader.clock.fast_forward(21_000)
    expect(bar(reader)).to_have_text(re.compile(rf"^No connection since {TIME}\. Newer messages may be missing\.$"))
    told = bar(reader).inner_text()
    assert minutes_apart(since, re.search(TIME, told)[0]) <= 1
    expect(live(reader)).to_be_hidden()

    # However long it lasts, the bar says the same, and is read aloud once.
    reader.clock.fast_forward(120_000)
    expect(bar(reader)).to_have_text(told)

    network.restore()
    reader.clock.fast_forward(16_000)
    expect(row(reader, f"While it was dead, {how}")).to_have_count(1)
    expect(back(reader)).to_have_text(re.compile(rf"Connected again at {TIME}\. You see all messages\."))
    expect(bar(reader)).to_have_count(0)
    expect(live(reader)).to_have_text("Live")
    amina.send(f"After it was back, {how}")
    expect(row(reader, f"After it was back, {how}")).to_have_count(1)
    # It is said, and then it goes.
    reader.clock.fast_forward(31_000)
    expect(back(reader)).to_have_count(0)


def minutes_apart(one, other):
    def minutes(time):
        return int(time[:2]) * 60 + int(time[3:])

    return abs(minutes(one) - minutes(other)) % (24 * 60 - 1)


def test_a_quiet_night_is_no_dead_network(reader):
    reader.clock.fast_forward(30_000)
    # The site says at once that it is there, and then every ten seconds: what counts is when it was heard last.
    reader.evaluate(SHOW, False)
    reader.evaluate(SHOW, True)
    expect(live(reader)).to_have_text("Live")
    reader.clock.fast_forward(30_000)
    expect(live(reader)).to_have_text("Live")
    expect(bar(reader)).to_have_count(0)


def test_a_list_that_comes_to_the_front_says_live_only_when_it_is(reader, network):
    reader.evaluate(SHOW, False)
    network.stall()
    reader.evaluate(SHOW, True)
    expect(live(reader)).to_have_text("Connecting…")
    reader.clock.fast_forward(41_000)
    expect(bar(reader)).to_be_visible()
    network.restore()
    reader.clock.fast_forward(16_000)
    expect(live(reader)).to_have_text("Live")


def test_the_bar_is_in_sight_however_far_one_has_scrolled(reader, network, visitor):
    amina = visitor("amina")
    for number in range(40):
        amina.send(f"Row {number}")
    expect(row(reader, "Row 39")).to_have_count(1)
    reader.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    network.cut()
    reader.clock.fast_forward(41_000)
    expect(bar(reader)).to_be_in_viewport()
