"""The steps of docs/KEY-ROTATION.md, one by one, on programs that run as on a clinic's machine."""

import json
import secrets
from contextlib import closing

import pytest
from playwright.sync_api import expect

from support.browser import row, write_message
from support.estate import Estate
from support.waiting import wait_until


@pytest.fixture
def estate(tmp_path):
    estate = Estate(tmp_path / "estate")
    with closing(estate):
        estate.secrets_init()
        estate.start()
        yield estate


def begin(page):
    page.goto("/")
    page.get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()
    return page


def choose(page):
    page.get_by_role("button", name="Inês Duarte").click()
    expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    return page


def writing(page, subject):
    page.goto("/messages/new")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Message", exact=True).fill("Begun before the change.")


def send(page, subject):
    page.get_by_role("button", name="Send to all staff").click()
    expect(row(page, subject)).to_have_count(1)


def test_app_secret_changes_and_nobody_is_signed_out_and_a_sign_in_on_its_way_comes_through(estate, windows):
    inside, coming = choose(begin(windows.window(estate))), begin(windows.window(estate))
    writing(inside, "Written across the change")
    # 1.
    estate.change_secret(WARDPOST_APP_SECRET_PREVIOUS=estate.secret["APP_SECRET"], APP_SECRET=secrets.token_hex(32))
    # 2.
    estate.secrets_init()
    estate.restart("web")
    choose(coming)
    send(inside, "Written across the change")
    choose(begin(windows.window(estate)))
    # 3.
    estate.change_secret(WARDPOST_APP_SECRET_PREVIOUS=None)
    estate.secrets_init()
    estate.restart("web")
    inside.reload()
    expect(inside.get_by_role("heading", name="Messages", level=1)).to_be_visible()
    choose(begin(windows.window(estate)))


def test_without_the_previous_secret_a_sign_in_on_its_way_has_to_begin_again(estate, windows):
    """What the rotation's first step is for."""
    coming = begin(windows.window(estate))
    estate.change_secret(APP_SECRET=secrets.token_hex(32))
    estate.secrets_init()
    estate.restart("web")
    coming.get_by_role("button", name="Inês Duarte").click()
    expect(coming.get_by_role("heading", name="This sign-in took too long, or began elsewhere")).to_be_visible()


def test_the_google_secret_changes_by_a_restart(estate, windows):
    inside = choose(begin(windows.window(estate)))
    # 1., 2.
    estate.change_secret(GOOGLE_CLIENT_SECRET=secrets.token_hex(16))
    # This provider knows one secret at a time.
    estate.provider.stop()
    estate.provider.start(estate.secret["GOOGLE_CLIENT_SECRET"])
    refused = begin(windows.window(estate))
    refused.get_by_role("button", name="Inês Duarte").click()
    expect(refused.get_by_role("heading", name="Signing in did not work")).to_be_visible()
    # 3., 4.
    estate.secrets_init()
    estate.restart("web")
    choose(begin(windows.window(estate)))
    inside.reload()
    expect(inside.get_by_role("heading", name="Messages", level=1)).to_be_visible()


def backup(estate):
    """One more; the service makes one at its start, perhaps in this very second, which gives its name."""

    def now():
        try:
            return json.loads(estate.command("backup-worker", "now", "--json"))["name"]
        except AssertionError as refused:
            if "is there already" in str(refused) or "is running" in str(refused):
                return None
            raise

    return wait_until("there is a second of its own for a backup", now, seconds=60)


def test_the_key_of_the_database_changes_and_every_backup_stays_readable(estate, windows, tmp_path):
    inside = choose(begin(windows.window(estate)))
    write_message(inside, "Sent under the old key")
    writing(inside, "Begun under the old key")
    # 1.
    identity = tmp_path / "identity"
    identity.write_text(estate.command("backup-worker", "identity", "--print"))
    # 2.
    before = backup(estate)
    estate.command("backup-worker", "verify")
    # 3.
    old, new = estate.secret["DB_ENCRYPTION_KEY"], secrets.token_hex(32)
    estate.change_secret(DB_ENCRYPTION_KEY_NEW=new)
    estate.secrets_init()
    # 4.
    estate.stop()
    # 5.
    done = json.loads(estate.command("web", "rekey", "--yes", "--json"))
    assert done["opens_with"] == json.loads(estate.command("web", "rekey", "--status", "--json"))["opens_with"] == "DB_ENCRYPTION_KEY_NEW"
    # 6.
    estate.change_secret(DB_ENCRYPTION_KEY=new, DB_ENCRYPTION_KEY_NEW=None)
    estate.secrets_init()
    # 7.
    estate.start()
    assert "holds" in estate.command("web", "audit", "verify")
    send(inside, "Begun under the old key")
    expect(row(inside, "Sent under the old key")).to_have_count(1)
    # 8.
    after = backup(estate)
    estate.command("backup-worker", "verify")
    estate.command("backup-worker", "verify", before, "--identity", identity)
    restored = tmp_path / "restored.db"
    estate.command("backup-worker", "restore", before, "--to", restored, "--identity", identity)
    assert restored.exists() and before != after
    assert "DATABASE_REKEYED" in estate.command("log-shipper", "status", "--json") + (estate.folder / "audit.jsonl").read_text()
    estate.command("log-shipper", "verify")
    assert old not in (estate.folder / "run" / "env").read_text()
