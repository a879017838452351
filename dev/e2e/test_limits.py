"""Asking too often: who has to wait, what is said, and what is never lost."""

import json
import re
import threading
from contextlib import contextmanager
from itertools import count

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.limits import DEFAULT_LIMITS, HIGH_LIMITS
from support.people import PEOPLE
from support.site import Site
from support.visitor import Visitor
from support.waiting import wait_until


@pytest.fixture
def limited(own_site):
    """Starts a site on which only the named limits are low; `""` is what nobody sets."""
    return lambda **limits: own_site(**HIGH_LIMITS | {f"WARDPOST_LIMIT_{name}": value for name, value in limits.items()})


def ask(site, path, ip="203.0.113.1", **headers):
    return site.get(path, headers={"X-Forwarded-For": ip, **headers})


def until_refused(request, tries=300):
    """A bucket gains a little while it is emptied."""
    for _ in range(tries):
        reply = request()
        if reply.status_code == 429:
            assert int(reply.headers["retry-after"]) >= 1
            return reply
    raise AssertionError(f"asked {tries} times, and never too often")


def test_a_site_that_nobody_configured_lets_five_sign_ins_a_minute_begin(own_site, windows):
    site = own_site(**DEFAULT_LIMITS)
    for _ in range(5):
        assert ask(site, "/sign-in/start").status_code == 303
    refused = ask(site, "/sign-in/start")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    assert ask(site, "/sign-in/start", ip="203.0.113.2").status_code == 303, "somebody else"
    assert ask(site, "/").status_code == 200

    page = windows.window(site)
    for _ in range(5):
        page.goto("/sign-in/start")
    page.goto("/")
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Too many sign-ins at once")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Your account is fine. Try again in (\d+ seconds|a second)\."))).to_be_visible()
    page.get_by_role("link", name="Go to the sign-in page").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


def test_a_whole_ipv6_network_of_a_customer_counts_as_one_address(limited):
    site = limited(SIGN_IN_PER_MINUTE="5")
    for number in range(5):
        assert ask(site, "/sign-in/start", ip=f"2001:db8:1:2::{number}").status_code == 303
    assert ask(site, "/sign-in/start", ip="2001:db8:1:2:ffff:ffff:ffff:ffff").status_code == 429
    assert ask(site, "/sign-in/start", ip="2001:db8:1:3::1").status_code == 303


def test_a_callback_too_many_keeps_its_sign_in_and_works_when_it_is_loaded_again(limited):
    site = limited(SIGN_IN_PER_MINUTE="60")
    visitor = Visitor(site)
    away = visitor.get("/sign-in/start").headers["location"]
    back = visitor.get(f"{away}&login_hint={PEOPLE['amina'].email}").headers["location"].removeprefix(site.address)
    until_refused(lambda: site.get("/sign-in/callback?code=x&state=y"))
    first = visitor.get(back)
    assert first.status_code in (303, 429), "a second may have passed"
    if first.status_code == 429:
        wait_until("there is room for a callback", lambda: visitor.get(back).status_code == 303)
    assert visitor.get("/messages").status_code == 200


def test_an_address_that_asks_for_too_much_waits_and_the_health_checks_never_do(limited):
    site = limited(REQUESTS_PER_SECOND="1")
    until_refused(lambda: ask(site, "/"))
    for path in ("/", "/static/nothing.css", "/no/such/page", "/sign-in/start", "/messages/updates"):
        until_refused(lambda path=path: ask(site, path))
    for _ in range(30):
        assert ask(site, "/healthz").status_code == 200
        assert ask(site, "/readyz").status_code == 200
    assert ask(site, "/", ip="203.0.113.2").status_code == 200
    stream = until_refused(lambda: ask(site, "/messages/updates", Accept="text/event-stream"))
    assert json.loads(stream.text)["error"] == "too_many_requests"


def test_a_message_too_many_stays_on_the_screen_and_is_sent_a_little_later(limited, windows):
    # One at once and then one a minute: the page has to hold the text until then, whatever is pressed.
    site = limited(SEND_PER_MINUTE="1")
    page = windows.window(site)
    page.clock.install()
    sign_in(page, "amina")
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("The first")
    page.get_by_label("Message", exact=True).fill("Text.")
    page.get_by_role("button", name="Send to all staff").click()
    expect(row(page, "The first")).to_have_count(1)

    page.goto("/messages/new")
    page.get_by_label("Subject").fill("Not to be lost")
    page.get_by_label("Message", exact=True).fill("Half a night's work.")
    with page.expect_response(lambda reply: reply.request.method == "POST" and reply.url.endswith("/messages")) as sent:
        page.get_by_role("button", name="Send to all staff").click()
    assert sent.value.status == 429
    expect(page.get_by_role("alert")).to_contain_text("You have sent many messages in a short time")
    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"is not sent yet\. Trying again\.$"))
    expect(page.get_by_label("Subject")).to_have_value("Not to be lost")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Half a night's work.")

    # And it becomes her draft, should she be called away now.
    page.clock.fast_forward(20_500)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    page.goto("/messages/new")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Half a night's work.")


@contextmanager
def flood(site):
    """The ward's other computers have the same address, and leave nothing of what it may ask for."""
    enough = threading.Event()

    def ask_on():
        while not enough.is_set():
            site.get("/")

    until_refused(lambda: site.get("/"))
    asking = threading.Thread(target=ask_on)
    asking.start()
    try:
        yield
    finally:
        enough.set()
        asking.join()


def test_a_message_from_an_address_that_asks_too_often_is_not_lost_either(limited, windows):
    site = limited(REQUESTS_PER_SECOND="1")
    page = sign_in(windows.window(site), "amina")

    def refused():
        """Now and then the page's request comes first to what the address has gained; then it is sent."""
        wait_until("the address may ask again", lambda: page.goto("/messages/new").status == 200)
        page.get_by_label("Subject").fill("Not to be lost")
        page.get_by_label("Message", exact=True).fill("Half a night's work.")
        posted = page.expect_response(lambda reply: reply.request.method == "POST" and reply.url.endswith("/messages"))
        with flood(site), posted as sent:
            page.get_by_role("button", name="Send to all staff").click()
        return sent.value.status == 429

    wait_until("a message is refused", refused, seconds=60)
    expect(page.get_by_label("Message", exact=True)).to_have_value("Half a night's work.")


def test_a_draft_that_may_not_be_saved_yet_is_saved_later(limited, windows):
    site = limited(REQUESTS_PER_SECOND="2")
    page = windows.window(site)
    page.clock.install()
    sign_in(page, "amina", "/messages/new")
    message, saved = page.get_by_label("Message", exact=True), page.locator("#saved")
    texts = (f"Half a night's work, {number} times over." for number in count())

    def refused_by_now():
        """Now and then the page's request comes first to what the address has gained; then there is more to save."""
        saved.evaluate("note => { note.textContent = ''; }")
        message.fill(next(texts))
        page.clock.fast_forward(20_500)
        expect(saved).not_to_be_empty()
        return "could not be saved. What you wrote is still here" in saved.text_content()

    with flood(site):
        wait_until("a draft is refused", refused_by_now, seconds=60)

    def saved_by_now():
        page.clock.fast_forward(20_500)
        return "Draft saved" in saved.text_content()

    wait_until("the draft is saved", saved_by_now)


def test_a_page_that_asked_too_often_asks_again_by_itself_when_it_may(window):
    page = sign_in(window(), "amina")
    page.clock.install()
    asked = []

    def refuse_once(route):
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": "too_many_requests"})
        else:
            route.continue_()

    page.route("**/draft", refuse_once)
    page.goto("/messages/new")
    page.get_by_label("Message", exact=True).fill("Half a night's work.")
    page.clock.fast_forward(20_500)
    expect(page.locator("#saved")).to_contain_text("Draft saved")
    assert len(asked) == 2


def test_a_flood_of_refused_forms_is_counted_and_is_a_few_lines_in_the_log(limited):
    """As a page of another site sends them, each from the same browser."""
    site = limited(REQUESTS_PER_SECOND="")
    headers = {"X-Forwarded-For": "203.0.113.1", "Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"}
    stranger = Visitor(site)
    statuses = [stranger.request("POST", "/messages", headers=headers, data="subject=s").status_code for _ in range(400)]
    assert set(statuses) == {403, 429}
    refused = statuses.count(403)
    assert 100 <= refused < 300, "the bucket, and what it gained meanwhile"

    def lines():
        told = [json.loads(line) for line in site.log_text().splitlines() if line.startswith("{")]
        return [line for line in told if line["message"] == "a form was refused" or line.get("kind") == "foreign_form"]

    def summed():
        return sum(line.get("times", 1) for line in lines()) == refused and lines()

    told = wait_until("all of them are told", summed, seconds=30)
    assert len(told) <= 1 + 1 + 400 // 40, "a line, and a number every ten seconds"


def test_exports_are_limited_by_member(own_site):
    site = own_site(**DEFAULT_LIMITS)
    amina, tomas = Visitor(site, "amina"), Visitor(site, "tomas")
    for _ in range(6):
        assert amina.get("/audit/export.csv").status_code == 200
    assert amina.get("/audit/export.jsonl").status_code == 429
    assert tomas.get("/audit/export.csv").status_code == 200


def failed_sign_in(site, ip):
    visitor = Visitor(site)
    headers = {"X-Forwarded-For": ip}
    away = visitor.get("/sign-in/start", headers=headers).headers["location"]
    back = visitor.get(f"{away}&login_hint={PEOPLE['amina'].email}").headers["location"]
    assert visitor.get(back.removeprefix(site.address), headers=headers).status_code == 403


def test_ten_failed_sign_ins_from_one_address_raise_an_alert_in_the_log_and_in_the_record(site):
    tomas = Visitor(site, "tomas")
    site.provider.script("wrong_nonce")
    try:
        for number in range(11):
            failed_sign_in(site, f"2001:db8:7:7::{number}")
            failed_sign_in(site, f"198.51.100.{number}")
    finally:
        site.provider.script("none")
    alerts = tomas.audit(action="SECURITY_ALERT")
    assert [alert["details"].get("address") for alert in alerts] == ["2001:db8:7:7::/64"]
    failures = [row for row in tomas.audit(action="LOGIN_FAILED") if row["id"] < alerts[0]["id"]]
    assert sum(row["ip_address"].startswith("2001:db8:7:7:") for row in failures) == 10

    def alarms():
        lines = [json.loads(line) for line in site.log_text().splitlines() if '"SECURITY_ALERT"' in line]
        return [line for line in lines if line.get("alarm") == "SECURITY_ALERT"]

    (alarm,) = wait_until("the log says so", alarms)
    assert str(alarm["row"]) == str(alerts[0]["id"])
    assert alarm["level"] == "ERROR"


def test_ten_refusals_of_one_account_raise_an_alert_that_names_it_wherever_they_come_from(site):
    tomas = Visitor(site, "tomas")
    for number in range(11):
        visitor, headers = Visitor(site), {"X-Forwarded-For": f"192.0.2.{number}"}
        away = visitor.get("/sign-in/start", headers=headers).headers["location"]
        back = visitor.get(f"{away}&login_hint={PEOPLE['outsider'].email}").headers["location"]
        assert visitor.get(back.removeprefix(site.address), headers=headers).status_code == 403
    alerts = tomas.audit(action="SECURITY_ALERT")
    accounts = [alert["personal"]["account"]["email"] for alert in alerts if "personal" in alert]
    assert accounts == [PEOPLE["outsider"].email]


def test_a_restart_forgets_no_failure(tmp_path):
    def on_a_site(act):
        site = Site(tmp_path / "demo")
        try:
            return act(site)
        finally:
            site.stop()

    def fail(site, times):
        site.provider.script("wrong_nonce")
        for _ in range(times):
            failed_sign_in(site, "203.0.113.9")
        site.provider.script("none")
        return Visitor(site, "tomas").audit(action="SECURITY_ALERT")

    assert on_a_site(lambda site: fail(site, 9)) == []
    assert len(on_a_site(lambda site: fail(site, 1))) == 1
    assert len(on_a_site(lambda site: fail(site, 12))) == 1, "the alert stands over a restart, too"


def test_the_alert_stands_on_the_audit_page(window, site):
    failing = Visitor(site, "tomas").audit(action="SECURITY_ALERT")
    assert failing, "the tests before this one have raised some"
    page = sign_in(window(), "tomas")
    page.goto("/audit?action=SECURITY_ALERT")
    row_of_alert = page.locator(f"#row-{failing[0]['id']}")
    expect(row_of_alert).to_contain_text("Security alert: 10 sign-ins failed within 5 minutes")
    expect(row_of_alert).to_contain_text("failures: 10")
