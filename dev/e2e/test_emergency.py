"""Emergency access: the identity provider is down, and an operator lets a member in."""

import json
import re

import pytest
from playwright.sync_api import expect

from support.browser import row, write_message
from support.clock import Clock
from support.visitor import SESSION_COOKIE, Visitor
from support.waiting import wait_until

EMAIL = "amina@clinic.example"
ENDED = "You were signed out because your emergency access had reached its end."
TAKEN_BACK = "You were signed out because your emergency access was taken back."


def grant(site, *, email=EMAIL, minutes=30, reason="provider down since 08:10"):
    done = site.command("emergency-access", "grant", email, "--reason", reason, "--minutes", str(minutes), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def grants(site):
    return json.loads(site.command("emergency-access", "list", "--json").stdout)


def banner(page):
    return page.get_by_role("complementary", name="Emergency access")


def come_in(page, link):
    page.goto(link)
    expect(page.get_by_label("One-time code")).to_have_value(re.compile(r"^[0-9A-Z]{4}(-[0-9A-Z]{4}){5}$"))
    assert "#" not in page.url, "the code is still in the address"
    page.get_by_role("button", name="Start emergency access").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    return page


def form_token(visitor):
    """The token of the form that is sent without a session."""
    return re.search(r'name="csrf" value="([0-9a-f]{64})"', visitor.get("/emergency-access").text)[1]


def enter(visitor, code):
    origin = {"Origin": visitor.site.address, "Sec-Fetch-Site": "same-origin"}
    return visitor.request("POST", "/emergency-access", data={"csrf": form_token(visitor), "code": code}, headers=origin)


def known(site, *people):
    """The members have signed in before; then the provider goes away."""
    for person in people or ("amina",):
        Visitor(site, person)


def test_a_member_comes_in_by_the_link_while_the_provider_is_down(own_site, windows):
    site = own_site()
    tomas = Visitor(site, "tomas")
    known(site)
    site.provider.script("token500")
    with pytest.raises(AssertionError, match="Signing in did not work"):
        Visitor(site, "amina")
    given = grant(site)
    page = come_in(windows.window(site), given["link"])
    expect(banner(page)).to_contain_text("Emergency access until")
    write_message(page, "Sent in an emergency")
    expect(row(page, "Sent in an emergency")).to_have_count(1)
    for path in ("/messages", "/audit", "/help", "/me", "/no/such/page", "/emergency-access"):
        page.goto(path)
        expect(banner(page)).to_be_visible()
    [listed] = grants(site)
    assert (listed["state"], listed["email"], listed["reason"]) == ("in_use", EMAIL, "provider down since 08:10")

    page.goto("/messages")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    rows = tomas.audit()
    trail = [line for line in rows if line["action"].startswith(("EMERGENCY_ACCESS", "SECURITY_ALERT"))]
    expected = ["EMERGENCY_ACCESS_GRANTED", "SECURITY_ALERT", "EMERGENCY_ACCESS_USED", "SECURITY_ALERT", "EMERGENCY_ACCESS_ENDED"]
    assert [line["action"] for line in trail] == expected
    assert trail[-1]["details"]["reason"] == "signed_out"
    assert trail[0]["personal"]["operator"] and trail[0]["details"]["minutes"] == 30
    alarms = wait_until("both alarms are in the log", lambda: len(alarm_lines(site)) == 2 and alarm_lines(site))
    assert [line["kind"] for line in alarms] == ["emergency_access_granted", "emergency_access_used"]
    everything = site.log_text() + json.dumps(rows)
    assert given["code"] not in everything and given["code"].replace("-", "") not in everything
    assert site.command("audit", "verify").returncode == 0


def alarm_lines(site):
    lines = [json.loads(line) for line in site.log_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("alarm") == "SECURITY_ALERT" or line.get("fields", {}).get("alarm") == "SECURITY_ALERT"]


def test_a_scanner_that_fetches_the_link_uses_nothing_up(site, visitor, windows):
    known(site)
    link = grant(site)["link"]
    scanner = visitor()
    for _ in range(3):
        assert scanner.get(link.removeprefix(site.address).split("#")[0]).status_code == 200
    page = windows.window(site)
    page.goto(link)
    page.goto("/")
    come_in(windows.window(site), link)
    assert grants(site)[0]["state"] == "in_use"


def test_without_a_script_the_code_is_pasted(site, windows):
    known(site)
    given = grant(site)
    page = windows.window(site, java_script_enabled=False)
    page.goto(given["link"])
    page.get_by_label("One-time code").fill(given["code"].lower())
    page.get_by_role("button", name="Start emergency access").click()
    expect(banner(page)).to_be_visible()


def test_a_link_works_once(site, visitor, windows):
    known(site)
    given = grant(site)
    assert enter(visitor(), given["code"]).status_code == 303
    page = windows.window(site)
    page.goto(given["link"])
    page.get_by_role("button", name="Start emergency access").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody was let in")
    assert SESSION_COOKIE not in [cookie["name"] for cookie in page.context.cookies(page.url)]


def test_taking_it_back_ends_the_session_and_its_open_list_at_once(site, visitor, windows):
    known(site)
    given = grant(site)
    page = come_in(windows.window(site), given["link"])
    watcher = visitor()
    assert enter(watcher, grant(site)["code"]).status_code == 303
    stream = watcher.updates("/messages/updates?after=0")
    for listed in grants(site)[:2]:
        done = site.command("emergency-access", "revoke", str(listed["grant"]), "--json")
        assert (done.returncode, json.loads(done.stdout)["revoked"]) == (0, True)
    events = (event["event"] for event in stream)
    assert "ended" in events
    expect(page.get_by_text(TAKEN_BACK)).to_be_visible()
    assert watcher.get("/messages").status_code == 303
    assert {listed["state"] for listed in grants(site)[:2]} == {"ended"}
    unused = grant(site)
    assert site.command("emergency-access", "revoke", str(unused["grant"])).returncode == 0
    assert enter(visitor(), unused["code"]).status_code == 403
    again = site.command("emergency-access", "revoke", str(unused["grant"]))
    assert again.returncode == 0 and "already" in again.stdout
    assert site.command("emergency-access", "revoke", "9999").returncode == 1


def test_who_is_switched_off_or_never_came_gets_nothing(site, visitor):
    known(site, "huong")
    email = "huong@clinic.example"
    code = grant(site, email=email)["code"]
    assert site.command("staff", "disable", email).returncode == 0
    refused = site.command("emergency-access", "grant", email, "--reason", "x", "--minutes", "5")
    assert refused.returncode == 1 and "switched off" in refused.stderr
    assert enter(visitor(), code).status_code == 403
    nobody = site.command("emergency-access", "grant", "nobody@clinic.example", "--reason", "x", "--minutes", "5")
    assert nobody.returncode == 1 and "staff list" in nobody.stderr


@pytest.mark.parametrize(
    "wrong",
    [("--minutes", "5"), ("--reason", "x"), ("--reason", "x", "--minutes", "61"), ("--reason", "x", "--minutes", "0"), ("--reason", " ", "--minutes", "5")],
)
def test_a_grant_needs_a_reason_and_a_limit(wrong, site):
    assert site.command("emergency-access", "grant", EMAIL, *wrong).returncode == 64


def test_its_time_runs_out_in_the_middle_of_an_open_list(own_site, tmp_path):
    clock = Clock(tmp_path)
    site = own_site(web_environment=clock.environment())
    known(site)
    tomas = Visitor(site, "tomas")
    short, late = grant(site, minutes=5), grant(site, minutes=5)
    visitor = Visitor(site)
    assert enter(visitor, short["code"]).status_code == 303
    stream = visitor.updates("/messages/updates?after=0")
    clock.move(minutes=4)
    assert visitor.get("/session").json()["absolute"] is True
    assert visitor.get("/session").json()["ends_in_seconds"] <= 60
    clock.move(minutes=5, seconds=5)
    assert "ended" in (event["event"] for event in stream)
    assert ENDED in Visitor.get(visitor, "/").text
    wait_until("the end is in the audit log", lambda: tomas.audit(action="EMERGENCY_ACCESS_ENDED"))
    clock.move(minutes=10, seconds=5)
    assert enter(Visitor(site), late["code"]).status_code == 403, "ten minutes are over"
    ends = wait_until(
        "the unused one is in the audit log", lambda: (found := tomas.audit(action="EMERGENCY_ACCESS_ENDED"))[1:] and found
    )
    assert [end["details"]["reason"] for end in ends] == ["emergency_over", "unused"]
