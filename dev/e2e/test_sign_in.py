"""Signing in and out, and everything that can go wrong on the way to the identity provider and back."""

import re

import pytest
from playwright.sync_api import expect

from support.browser import begin_sign_in, choose_person, row, sign_in, sign_out, write_message
from support.limits import HIGH_LIMITS
from support.people import PEOPLE
from support.site import Site
from support.visitor import SESSION_COOKIE, Visitor
from support.waiting import wait_until


def latest(visitor, action):
    """The newest row of an action, as the audit log's export has it."""
    rows = visitor.audit(action=action)
    assert rows, f"there is no {action} in the log"
    return rows[-1]


def test_a_member_of_staff_signs_in_and_sees_the_messages(window):
    page = sign_in(window(), "noor")
    expect(page).to_have_title("Messages – Wardpost")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    expect(page.get_by_text(PEOPLE["noor"].name)).to_be_visible()


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(window):
    """Behind TLS it is Secure and `__Host-` as well: test_headers.py."""
    page = sign_in(window(), "amina")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies(page.url)}
    assert set(cookies) == {SESSION_COOKIE}, "the sign-in's own cookie is gone once it has served"
    cookie = cookies[SESSION_COOKIE]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, False, "Lax", "/")
    assert cookie["expires"] == -1, "it ends with the browser"
    assert page.evaluate("document.cookie") == ""


def test_an_outsider_is_refused_by_name_and_offered_another_account(window, visitor):
    page = window()
    begin_sign_in(page, "outsider")
    expect(page.get_by_role("heading", name="This account cannot sign in here")).to_be_visible()
    expect(page.get_by_text(PEOPLE["outsider"].email)).to_be_visible()
    assert page.context.cookies(page.url) == []

    page.get_by_role("link", name="Use another account").click()
    choose_person(page, "amina")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()

    denied = latest(visitor("amina"), "LOGIN_DENIED")
    assert denied["details"]["reason"] == "not_staff"
    assert denied["personal"]["email"] == PEOPLE["outsider"].email


# What the provider does wrong, what the page says, and the row it leaves: LOGIN_FAILED where the answer did not hold,
# LOGIN_DENIED where it held and the account is not staff. None where nothing proves that the browser was at the provider:
# such failures share a row a minute.
FAILED, DENIED = "Signing in did not work", "This account cannot sign in here"
MISBEHAVIOURS = [
    ("wrong_nonce", FAILED, "LOGIN_FAILED", "nonce"),
    ("wrong_audience", FAILED, "LOGIN_FAILED", "audience"),
    ("wrong_issuer", FAILED, "LOGIN_FAILED", "issuer"),
    ("wrong_key", FAILED, "LOGIN_FAILED", "signature"),
    ("expired_token", FAILED, "LOGIN_FAILED", "expired"),
    ("future_issued_at", FAILED, "LOGIN_FAILED", ""),
    ("alg_none", FAILED, "LOGIN_FAILED", ""),
    ("symmetric_alg", FAILED, "LOGIN_FAILED", ""),
    ("no_email", FAILED, "LOGIN_FAILED", "no_email"),
    ("replayed_code", FAILED, None, None),
    ("slow_token", FAILED, None, None),
    ("token500", FAILED, None, None),
    ("malformed_token", FAILED, None, None),
    ("huge_reply", FAILED, None, None),
    ("unverified_email", DENIED, "LOGIN_DENIED", "unverified_email"),
    ("wrong_domain", DENIED, "LOGIN_DENIED", "not_staff"),
]

# The reasons of failures that share a row, and of the row itself.
SHARED = {"invalid_grant", "provider_unreachable", "provider_nonsense", "access_denied", "several"}


@pytest.fixture
def good_again(site):
    """The provider behaves again, whatever a test had it do."""
    yield
    site.provider.script("none")


@pytest.mark.parametrize(("misbehaviour", "heading", "action", "reason"), MISBEHAVIOURS)
def test_a_provider_that_misbehaves_lets_nobody_in_and_the_site_stays_up(
    misbehaviour, heading, action, reason, window, visitor, site, good_again
):
    reader = visitor("tomas")
    before = reader.audit(action=action) if action else []
    site.provider.script(misbehaviour)
    page = window()
    begin_sign_in(page, "amina")

    expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=30_000)
    expect(page.get_by_role("link", name="Use another account" if heading == DENIED else "Try again")).to_be_visible()
    assert page.context.cookies(page.url) == [], "nobody is signed in, and nothing is left of the attempt"
    page.goto("/messages")
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()

    if action:
        new = [row for row in reader.audit(action=action)[len(before) :] if row["details"]["reason"] not in SHARED]
        assert [row["action"] for row in new] == [action]
        assert new[0]["details"]["reason"].startswith(reason)
    assert site.get("/healthz").status_code == 200

    site.provider.script("none")
    sign_in(page, "amina")


@pytest.mark.parametrize("way", ["button", "at once"])
def test_who_stops_half_way_is_told_that_nothing_happened(way, window, visitor, site, good_again):
    if way == "at once":
        site.provider.script("access_denied")
    page = window()
    page.goto("/")
    page.get_by_role("link", name="Sign in", exact=True).click()
    if way == "button":
        page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Sign-in cancelled.")).to_be_visible()
    assert page.context.cookies(page.url) == []


def test_failures_that_prove_nothing_share_a_row_a_minute_and_none_is_lost_at_a_stop(tmp_path):
    def fail(site, misbehaviour):
        site.provider.script(misbehaviour)
        visitor = Visitor(site)
        away = visitor.get("/sign-in/start").headers["location"]
        back = visitor.get(f"{away}&login_hint={PEOPLE['amina'].email}").headers["location"]
        assert visitor.get(back.removeprefix(site.address)).status_code in (403, 502)
        site.provider.script("none")

    def failures(site):
        rows = Visitor(site, "tomas").audit(action="LOGIN_FAILED")
        return [(row["details"]["reason"], row["details"].get("reasons")) for row in rows]

    first = ("access_denied", None)
    summed = ("several", {"access_denied": 1, "invalid_grant": 1, "provider_nonsense": 2})
    site = Site(tmp_path / "demo", **HIGH_LIMITS)
    try:
        for misbehaviour in ("access_denied", "access_denied", "replayed_code", "malformed_token", "malformed_token"):
            fail(site, misbehaviour)
        assert failures(site) == [first]
        wait_until("the minute is over", lambda: failures(site) == [first, summed], seconds=75)
        fail(site, "access_denied")
        fail(site, "access_denied")
    finally:
        site.stop()
    site = Site(tmp_path / "demo", **HIGH_LIMITS)
    try:
        assert failures(site) == [first, summed, ("several", {"access_denied": 2})]
    finally:
        site.stop()


@pytest.mark.parametrize(
    "misbehaviour", ["discovery500", "jwks500", "malformed_discovery", "slow_discovery", "huge_reply"]
)
def test_a_provider_that_cannot_be_asked_stops_sign_in_alone(misbehaviour, own_site, windows):
    # A fresh site: once it knows the provider, it does not ask again for an hour.
    site = own_site()
    site.provider.script(misbehaviour)
    page = windows.window(site)
    page.goto("/")
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name=FAILED)).to_be_visible(timeout=30_000)
    assert site.get("/readyz").status_code == 200, "the site is ready all the same"

    expect(page.get_by_role("link", name="emergency access")).to_have_attribute("href", "/emergency-access")
    site.provider.script("none")
    page.get_by_role("link", name="Try again").click()
    choose_person(page, "amina")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()


def test_new_keys_of_the_provider_are_fetched_when_a_signature_needs_them(window, site, good_again):
    sign_in(window(), "amina")
    before = site.provider.requests()["jwks"]
    site.provider.script("unknown_key_then_rotated")
    sign_in(window(), "huong")
    assert site.provider.requests()["jwks"] == before + 1


def test_a_callback_that_no_sign_in_of_this_browser_began_is_turned_away(window, site):
    page = window()
    reply = page.goto("/sign-in/callback?code=stolen&state=made-up")
    assert reply.status == 400
    expect(page.get_by_role("heading", name="This sign-in took too long, or began elsewhere")).to_be_visible()
    assert page.context.cookies(page.url) == []


def test_a_callback_of_another_browser_is_turned_away(window, site):
    victim, attacker = Visitor(site), Visitor(site)
    away = attacker.get("/sign-in/start").headers["location"]
    back = attacker.get(f"{away}&login_hint={PEOPLE['amina'].email}").headers["location"]
    path = back.removeprefix(site.address)
    victim.get("/sign-in/start")
    assert victim.get(path).status_code == 400
    assert SESSION_COOKIE not in victim.cookies
    assert attacker.get(path).status_code == 303, "the browser that began it is let in"


def test_a_link_into_the_site_is_followed_after_sign_in(window, visitor):
    number = visitor("tomas").send("Rota for the night shift")
    page = window()
    begin_sign_in(page, "amina", f"/messages/{number}")
    expect(page.get_by_role("heading", name="Rota for the night shift")).to_be_visible()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "/sign-out"])
def test_sign_in_never_ends_on_another_site(elsewhere, visitor):
    someone = visitor()
    away = someone.request("GET", "/sign-in/start", params={"next": elsewhere}).headers["location"]
    back = someone.get(f"{away}&login_hint={PEOPLE['amina'].email}").headers["location"]
    landed = someone.get(back.removeprefix(someone.site.address))
    assert (landed.status_code, landed.headers["location"]) == (303, "/messages")


def test_signing_out_ends_the_session_and_says_so(window, visitor, site):
    page = sign_in(window(), "amina")
    token = page.context.cookies(page.url)[0]["value"]
    sign_out(page)
    expect(page.get_by_text("You have signed out.")).to_be_visible()
    assert page.context.cookies(page.url) == []

    kept_copy = Visitor(site)
    kept_copy.cookies[SESSION_COOKIE] = token
    assert kept_copy.get("/messages").status_code == 303, "a copy of the cookie is worth nothing now"
    assert latest(visitor("tomas"), "LOGOUT")["user_id"] == latest(visitor("amina"), "LOGIN")["user_id"]


def test_the_back_button_shows_nothing_after_signing_out(window):
    page = sign_in(window(), "amina")
    write_message(page, "For staff eyes")
    row(page, "For staff eyes").get_by_role("link").click()
    expect(page.get_by_role("heading", name="For staff eyes")).to_be_visible()
    sign_out(page)
    for _ in range(3):
        page.go_back()
        expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
        expect(page.get_by_text("For staff eyes")).to_have_count(0)


def test_signing_in_again_renews_the_session_and_its_token(window, visitor, site):
    page = sign_in(window(), "amina")
    before = page.context.cookies(page.url)[0]["value"]
    csrf = page.locator("input[name=csrf]").first.input_value()
    page.goto("/sign-in/start")
    choose_person(page, "amina")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert page.context.cookies(page.url)[0]["value"] != before
    assert page.locator("input[name=csrf]").first.input_value() != csrf

    old = Visitor(site)
    old.cookies[SESSION_COOKIE] = before
    assert old.get("/messages").status_code == 303
    assert latest(visitor("tomas"), "SESSION_ENDED")["details"]["reason"] == "replaced"


def test_a_person_with_a_new_name_and_address_stays_the_same_person(window, visitor, site):
    earlier = visitor("huong").send("Signed with the maiden name")
    site.provider.rename("huong", name="Hương Trần", email="huong.tran@clinic.example")
    try:
        page = window()
        page.goto("/sign-in/start")
        page.get_by_role("button", name=re.compile("huong.tran@clinic.example")).click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        page.goto(f"/messages/{earlier}")
        expect(page.get_by_role("article").get_by_text("Hương Trần")).to_be_visible()
        expect(page.get_by_role("link", name="Delete this message")).to_be_visible()
        assert set(latest(visitor("tomas"), "LOGIN")["personal"]) == {"email"}
    finally:
        site.provider.rename("huong", name=PEOPLE["huong"].name, email=PEOPLE["huong"].email)


def test_a_disabled_account_is_out_at_once_and_stays_out_until_enabled(window, site):
    # The list would leave by itself, and a reload in that moment be aborted.
    page = sign_in(window(), "tomas", "/audit")
    try:
        done = site.command("staff", "disable", PEOPLE["tomas"].email)
        assert done.returncode == 0, done.stderr
        page.reload()
        expect(page.get_by_text("You were signed out because an administrator has switched off your account.")).to_be_visible()
        page.get_by_role("link", name="Sign in", exact=True).click()
        choose_person(page, "tomas")
        expect(page.get_by_role("heading", name="This account is switched off")).to_be_visible()
        expect(page.get_by_text(PEOPLE["tomas"].email)).to_be_visible()
    finally:
        done = site.command("staff", "enable", PEOPLE["tomas"].email)
    assert done.returncode == 0, done.stderr
    sign_in(page, "tomas")


def test_an_open_list_learns_that_its_session_has_ended(window, site):
    page = sign_in(window(), "tomas")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    try:
        assert site.command("staff", "disable", PEOPLE["tomas"].email).returncode == 0
        expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible(timeout=30_000)
    finally:
        assert site.command("staff", "enable", PEOPLE["tomas"].email).returncode == 0


def test_the_log_of_the_program_holds_no_token_and_no_text(window, visitor, site):
    page = sign_in(window(), "amina")
    token = page.context.cookies(page.url)[0]["value"]
    csrf = page.locator("input[name=csrf]").first.input_value()
    visitor("amina").send("Subject nobody may log", "Body nobody may log")
    log = wait_until("the site has logged something", site.log_text)
    for secret in (token, csrf, "nobody may log"):
        assert secret not in log
