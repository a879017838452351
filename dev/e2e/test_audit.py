"""The audit log as its readers use it: what stands in it, finding a row, and taking it away as a file."""

import csv
import hashlib
import io
import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in, sign_out, write_message
from support.people import PEOPLE
from support.site import parse_json_lines
from support.visitor import Visitor
from support.waiting import wait_until
from test_conversations import reply_to

# How a spreadsheet can take a cell for something to run.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def log_rows(page):
    """The log's lines, newest first, without the table's head."""
    return page.get_by_role("table").get_by_role("row").filter(has=page.locator("td"))


def numbers(page):
    """The sequence numbers on this page, as shown."""
    return [int(text.replace(",", "")) for text in page.locator("td.number").all_inner_texts()]


def actions(page):
    return page.locator(".fine code").all_text_contents()


def download(page, name):
    """What a click on an export link saves."""
    with page.expect_download() as started:
        page.get_by_role("link", name=name).click()
    return started.value.path().read_text(encoding="utf-8-sig"), started.value.suggested_filename


def test_a_whole_working_day_stands_in_the_log_in_words(window, visitor):
    page = sign_in(window(), "amina")
    write_message(page, "For the log", "A body no log may show.")
    row(page, "For the log").get_by_role("link").click()
    expect(page.get_by_role("heading", name="For the log")).to_be_visible()
    page.get_by_role("link", name="Delete this message").click()
    page.get_by_role("button", name="Delete for everyone").click()
    expect(page.get_by_role("status").filter(has_text="Message deleted.")).to_be_visible()
    sign_out(page)

    reader = sign_in(window(), "tomas")
    reader.get_by_role("link", name="Audit log").click()
    expect(reader.get_by_role("heading", name="Audit log")).to_be_visible()
    told = actions(reader)
    wanted = ["LOGIN", "MESSAGE_CREATE", "MESSAGE_VIEW", "MESSAGE_DELETE", "LOGOUT", "LOGIN"]
    positions = iter(reversed(told))
    assert all(action in positions for action in wanted), f"{wanted} in this order, in {told[::-1]}"
    assert "A body no log may show." not in reader.content()
    deleted = log_rows(reader).filter(has_text="MESSAGE_DELETE").first
    expect(deleted.locator(".sentence")).to_have_text(re.compile(rf"^{PEOPLE['amina'].name} deleted message \d+$"))
    expect(deleted.get_by_text("127.0.0.1")).to_be_hidden()
    deleted.get_by_text("Details").click()
    expect(deleted.get_by_text("127.0.0.1")).to_be_visible()
    expect(deleted.locator(".utc")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d UTC$"))
    expect(deleted.locator("time")).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"))


def test_opening_the_log_is_itself_in_the_log_with_the_filter(visitor):
    tomas = visitor("tomas")
    tomas.get("/audit", params={"action": "LOGOUT"})
    views = tomas.audit(action="AUDIT_VIEW")
    assert views[-1]["user_id"] == tomas.audit(action="LOGIN")[-1]["user_id"]
    assert "LOGOUT" in str(views[-1]["details"])


def test_filters_stand_in_the_address_and_narrow_the_log(window, visitor):
    visitor("amina").send("One for the filter")
    number = visitor("huong").send("Another for the filter")
    page = sign_in(window(), "tomas")
    page.goto("/audit")
    page.get_by_label("Person").select_option(label=PEOPLE['huong'].name)
    page.get_by_label("Action").select_option("MESSAGE_CREATE")
    page.get_by_role("button", name="Show", exact=True).click()

    expect(page.get_by_label("Action")).to_have_value("MESSAGE_CREATE")
    query = parse_qs(urlsplit(page.url).query)
    assert query["action"] == ["MESSAGE_CREATE"] and query["person"][0].isdigit()
    assert set(actions(page)) == {"MESSAGE_CREATE"}
    expect(log_rows(page).filter(has_text=PEOPLE["amina"].name)).to_have_count(0)
    expect(log_rows(page).filter(has_text=f"sent message {number}")).to_have_count(1)

    # The address alone shows the same to somebody else.
    address = page.url
    other = sign_in(window(), "amina")
    other.goto(address)
    assert numbers(other) == numbers(page)
    other.get_by_role("link", name="Show everything").click()
    expect(log_rows(other).filter(has_text="LOGIN").first).to_be_visible()


def test_all_rows_of_a_message_are_found_also_where_it_was_opened_with_others(window, visitor):
    amina, tomas = visitor("amina"), visitor("tomas")
    number = amina.send("Of interest to an auditor")
    reply = reply_to(tomas, number, "a reply")
    amina.get(f"/messages/{number}")
    page = sign_in(window(), "huong", "/audit")
    page.get_by_role("textbox", name="Message").fill(f"#{reply}")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".sentence").first).to_have_text(
        f"{PEOPLE['amina'].name} opened messages {number}-{reply} in the conversation of message {number}"
    )
    assert set(actions(page)) == {"MESSAGE_CREATE", "MESSAGE_VIEW"}
    expect(page.get_by_role("textbox", name="Message")).to_have_value(f"#{reply}")


def test_a_person_concerned_is_who_acts_and_who_is_acted_upon(own_site, windows):
    site = own_site()
    Visitor(site, "noor")
    assert site.command("staff", "disable", PEOPLE["noor"].email).returncode == 0
    page = sign_in(windows.window(site), "tomas", "/audit")
    page.get_by_label("Person").select_option(label=PEOPLE['noor'].name)
    page.get_by_role("button", name="Show", exact=True).click()
    told = page.locator(".sentence").all_inner_texts()
    assert any(re.search(rf"\S+ switched off {PEOPLE['noor'].name}$", text) for text in told), told
    assert any(text.startswith(f"{PEOPLE['noor'].name} signed in") for text in told), told


def test_mere_looks_are_shown_where_they_are_asked_for(window, visitor):
    visitor("amina").get("/messages")
    visitor("amina").get("/audit")
    page = sign_in(window(), "tomas", "/audit")
    assert not {"MESSAGE_LIST", "AUDIT_VIEW"} & set(actions(page))
    page.get_by_label("With mere looks").check()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_label("With mere looks")).to_be_checked()
    assert {"MESSAGE_LIST", "AUDIT_VIEW"} <= set(actions(page))


def test_today_and_yesterday_are_the_readers_own(window, visitor):
    visitor("amina").send("Of today")
    page = sign_in(window(timezone_id="Asia/Tokyo"), "tomas", "/audit")
    page.get_by_role("link", name="Today").click()
    expect(page.get_by_role("link", name="Today")).to_have_attribute("aria-current", "true")
    expect(page.get_by_label("From (GMT+9)")).to_have_value(re.compile("T00:00$"))
    assert parse_qs(urlsplit(page.url).query)["from"][0].endswith("T15:00"), "the address has UTC"
    assert "MESSAGE_CREATE" in actions(page)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("link", name="Today")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Yesterday").click()
    expect(page.get_by_label("Until (GMT+9)")).to_have_value(re.compile("T23:59$"))
    expect(page.get_by_role("link", name="Today")).not_to_have_attribute("aria-current", "true")
    expect(page.get_by_text("Nothing in the log fits this filter")).to_be_visible()
    expect(page.get_by_role("link", name="Last 7 days")).to_be_visible()


def test_print_and_csv_say_which_filter_by_whom_and_when(window, visitor):
    number = visitor("amina").send("To be printed")
    page = sign_in(window(), "tomas", f"/audit?message={number}")
    printed = page.locator(".printed")
    expect(printed).to_be_hidden()
    page.emulate_media(media="print")
    expect(printed).to_contain_text(f"Filter: message {number}. Printed by {PEOPLE['tomas'].name}")
    expect(page.get_by_role("button", name="Show", exact=True)).to_be_hidden()
    records = list(csv.DictReader(io.StringIO(visitor("tomas").get(f"/audit/export.csv?message={number}").text, newline="")))
    assert [record["sentence"] for record in records] == [f"{PEOPLE['amina'].name} sent message {number}"]
    assert (records[0]["message"], records[0]["filter"]) == (str(number), f"message {number}")
    assert records[0]["exported_by"] == f"{PEOPLE['tomas'].name} ({PEOPLE['tomas'].email})"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", records[0]["exported_at"])


def test_a_span_of_time_narrows_the_log(visitor):
    tomas = visitor("tomas")
    newest = tomas.audit()[-1]["timestamp"]
    assert tomas.audit(**{"from": "2001-01-01T00:00", "to": "2001-01-02T00:00"}) == []
    assert tomas.audit(**{"from": "2199-01-01T00:00"}) == []
    spanned = tomas.audit(**{"from": newest[:16]})
    assert spanned and all(row["timestamp"] >= newest[:16] for row in spanned)


def test_nonsense_in_a_filter_is_told_beside_it(visitor, window):
    page = sign_in(window(), "tomas")
    for query in ("from=yesterday", "to=2026-99-99T00:00", "person=abc", "message=x", "action=EVERYTHING"):
        page.goto(f"/audit?{query}")
        expect(page.get_by_role("alert")).to_contain_text("The filter was not applied")
        expect(page.get_by_role("table")).to_have_count(0)
        expect(page.get_by_text("fits this filter")).to_have_count(0)
        assert visitor("tomas").get(f"/audit/export.csv?{query}").status_code == 400, "no file of something else"
    assert page.goto("/audit?before=x").status == 400


def test_paging_through_the_log_shows_every_row_once(window, visitor):
    tomas = visitor("tomas")
    number = tomas.send("Opened many times")
    for _ in range(120):
        tomas.get(f"/messages/{number}")
    page = sign_in(window(), "tomas")
    page.goto("/audit?action=MESSAGE_VIEW")
    seen = []
    while True:
        seen += numbers(page)
        older = page.get_by_role("link", name="Older rows")
        if not older.count():
            break
        last = seen[-1]
        older.click()
        expect(page.locator(f"#row-{last}")).to_have_count(0)
    assert seen == sorted(set(seen), reverse=True)
    assert seen == [row["id"] for row in reversed(tomas.audit(action="MESSAGE_VIEW"))]
    page.get_by_role("link", name="Newest rows").click()
    expect(page.locator(f"#row-{seen[0]}")).to_be_visible()


def test_both_exports_hold_exactly_what_the_filter_shows_and_are_logged(window, visitor):
    visitor("amina").send("Exported, too")
    page = sign_in(window(), "tomas")
    page.goto("/audit?action=MESSAGE_CREATE")
    shown = sorted(numbers(page))
    assert shown

    lines, name = download(page, "JSON lines")
    assert name.endswith(".jsonl")
    rows = parse_json_lines(lines)
    assert [row["id"] for row in rows] == shown
    for exported in rows:
        assert {"timestamp", "user_id", "action", "details", "ip_address"} <= set(exported)
        assert exported["action"] == "MESSAGE_CREATE"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", exported["timestamp"])

    table, name = download(page, "CSV")
    assert name.endswith(".csv")
    records = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [int(record["id"]) for record in records] == shown
    for record, exported in zip(records, rows, strict=True):
        assert record["action"] == exported["action"]
        assert record["timestamp"] == exported["timestamp"]
        assert record["ip_address"] == exported["ip_address"]

    exports = visitor("amina").audit(action="AUDIT_EXPORT")[-2:]
    assert all("MESSAGE_CREATE" in str(export["details"]) for export in exports)


def test_an_export_begins_a_file_that_no_browser_opens_as_a_page(visitor):
    tomas = visitor("tomas")
    for ending, kind in (("csv", "text/csv"), ("jsonl", "application/")):
        reply = tomas.get(f"/audit/export.{ending}")
        assert reply.headers["content-type"].startswith(kind)
        assert reply.headers["content-disposition"].startswith("attachment")
        assert "no-store" in reply.headers["cache-control"]


def test_a_name_that_looks_like_a_formula_is_text_in_a_spreadsheet(site, visitor):
    site.provider.rename("huong", name='=HYPERLINK("http://evil.example","click")')
    try:
        visitor("huong").send("@SUM(1+1)*cmd|' /C calc'!A0")
    finally:
        site.provider.rename("huong", name=PEOPLE["huong"].name)
    tomas = visitor("tomas")
    table = list(csv.reader(io.StringIO(tomas.get("/audit/export.csv").content.decode("utf-8-sig"), newline="")))
    assert len(table) > 5
    assert any("HYPERLINK" in cell for record in table for cell in record), "the name is in the export"
    unsafe = [cell for record in table for cell in record if cell.startswith(FORMULA_STARTS)]
    assert unsafe == []
    visitor("huong")


def test_the_banner_says_up_to_which_row_the_chain_was_checked(window, visitor):
    visitor("amina").send("One more row")
    page = sign_in(window(), "tomas")
    page.goto("/audit")
    banner = page.get_by_text(re.compile(r"Unchanged up to row|Being checked"))
    expect(banner).to_be_visible()
    assert re.search(r"row [\d,]+", banner.inner_text())

    def walked():
        page.reload()
        return re.search(r"New rows checked .*, all rows .* UTC\.", page.locator(".chain").inner_text())

    wait_until("it says when all rows were walked", walked)


def test_the_command_agrees_with_the_page(site, visitor):
    visitor("amina").send("Checked from the outside")
    done = site.command("audit", "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def chain_hash(row):
    """A row's hash as `libs/store/src/ledger/chain_hash.rs` documents it, from what the export shows and nothing else."""

    def field(text):
        data = (text or "").encode()
        return (0xFFFFFFFF if text is None else len(data)).to_bytes(4, "big") + data

    person = None if row["user_id"] is None else str(row["user_id"])
    details = json.dumps(row["details"], separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    hashed = b"wardpost-audit-v1" + bytes.fromhex(row["previous_hash"])
    for text in (str(row["id"]), row["timestamp"], person, row["action"], details, row["ip_address"]):
        hashed += field(text)
    return hashlib.sha256(hashed).hexdigest()


def test_the_chain_of_an_export_can_be_checked_by_anyone_who_has_it(visitor):
    rows = visitor("tomas").audit()
    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0]["action"] == "DATABASE_CREATED"
    for earlier, later in zip(rows, rows[1:]):
        assert later["previous_hash"] == earlier["hash"]
    wrong = [row for row in rows if chain_hash(row) != row["hash"]]
    assert wrong == []
    # A changed row shows.
    assert chain_hash(rows[-1] | {"ip_address": "192.0.2.1"}) != rows[-1]["hash"]


@pytest.mark.parametrize("path", ["/audit", "/audit/export.csv", "/audit/export.jsonl"])
def test_nobody_reads_the_log_signed_out(path, site):
    reply = site.get(path)
    assert reply.status_code == 303 and reply.headers["location"].startswith("/?next=")
