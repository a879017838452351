"""Signing in through an OpenID provider that we did not write: npm's oidc-provider, which enforces PKCE."""

import json
import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from support.bare_web import BareWeb, free_port
from support.processes import ROOT, Process
from support.visitor import SESSION_COOKIE


@dataclass
class RunningProvider:
    """Where the other provider answers."""

    address: str


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    port = free_port()
    client = {
        "client_id": "wardpost",
        "client_secret": secrets.token_hex(16),
        "redirect_uri": f"http://127.0.0.1:{port}/sign-in/callback",
    }
    command = ["node", ROOT / "dev/e2e/other-provider/server.mjs", json.dumps(client)]
    with ExitStack() as started:
        process = Process(command, log=folder / "provider.log")
        started.callback(process.stop)
        issuer = process.announced()["issuer"]
        web = BareWeb(
            folder / "web",
            port=port,
            client_id=client["client_id"],
            client_secret=client["client_secret"],
            issuer=issuer,
            WARDPOST_STAFF_DOMAINS="clinic.example",
        )
        started.callback(web.stop)
        web.provider = RunningProvider(issuer)
        yield web


def sign_in_as(page, name):
    page.goto("/")
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()
    page.get_by_role("button", name=name).click()


def test_the_site_asks_for_what_the_standard_asks_for(window, site):
    page = window()
    with page.expect_request(lambda request: request.url.startswith(f"{site.provider.address}/auth?")) as asked:
        sign_in_as(page, "Inês Duarte")
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked.value.url).query).items()}
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert set(query["scope"].split()) == {"openid", "email", "profile"}
    assert query["prompt"] == "select_account", "nobody is signed in without being asked"
    assert len(query["state"]) >= 20 and len(query["nonce"]) >= 20 and len(query["code_challenge"]) == 43


def test_a_member_of_staff_signs_in_writes_and_reads(window):
    page = window()
    sign_in_as(page, "Inês Duarte")
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    expect(page.get_by_text("Inês Duarte")).to_be_visible()
    page.get_by_role("link", name="New message").click()
    page.get_by_label("Subject").fill("From another provider")
    page.get_by_label("Message", exact=True).fill("It works with any of them.")
    page.get_by_role("button", name="Send to all staff").click()
    page.get_by_role("link", name="From another provider").click()
    expect(page.get_by_text("It works with any of them.")).to_be_visible()
    expect(page.get_by_text("ines@clinic.example")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "email"),
    [("Piet Outsider", "piet@elsewhere.example"), ("Vera Unverified", "vera@clinic.example")],
)
def test_who_is_not_staff_or_not_verified_stays_outside(name, email, window):
    page = window()
    sign_in_as(page, name)
    expect(page.get_by_role("heading", name="This account cannot sign in here")).to_be_visible()
    expect(page.get_by_text(email)).to_be_visible()
    # The provider's own cookies are there too: a browser keeps those of all ports of a host together.
    assert SESSION_COOKIE not in [cookie["name"] for cookie in page.context.cookies(page.url)]


def test_a_provider_that_is_not_there_stops_sign_in_alone(tmp_path, windows):
    port, nobody = free_port(), free_port()
    web = BareWeb(
        tmp_path,
        port=port,
        client_id="wardpost",
        client_secret="nobody-asks",
        issuer=f"http://127.0.0.1:{nobody}",
        WARDPOST_STAFF_DOMAINS="clinic.example",
    )
    web.provider = RunningProvider(f"http://127.0.0.1:{nobody}")
    try:
        page = windows.window(web)
        page.goto("/")
        page.get_by_role("link", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Signing in did not work")).to_be_visible()
        expect(page.get_by_text("The sign-in service does not answer.")).to_be_visible()
        assert page.goto("/readyz").status == 200
    finally:
        web.stop()
