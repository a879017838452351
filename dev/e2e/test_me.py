"""A member's own page: the copy of everything that concerns her, and nothing that is another's."""

import json
import secrets
import zipfile

import pytest
from playwright.sync_api import expect

from support.browser import sign_in
from support.people import PEOPLE
from support.visitor import Visitor

FILES = {
    "README.txt", "account.json", "messages.jsonl", "drafts.jsonl", "template-drafts.jsonl", "teams.jsonl", "sessions.jsonl",
    "acts.jsonl", "opened-by-you.jsonl", "opened-of-yours.jsonl",
}


def read(path):
    """The files of an archive: each name, and its lines as JSON where it has such."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return {
        name: [json.loads(line) for line in text.splitlines()] if name.endswith("jsonl") else text
        for name, text in texts.items()
    }


@pytest.mark.parametrize("javascript", [True, False])
def test_a_copy_holds_what_is_ones_own_and_the_third_of_a_day_is_refused(own_site, windows, tmp_path, javascript):
    site = own_site()
    Visitor(site, "amina")
    for act in ("disable", "enable"):
        assert site.command("staff", act, PEOPLE["amina"].email).returncode == 0
    amina, tomas = Visitor(site, "amina"), Visitor(site, "tomas")
    hers = amina.send("Hers", "Her \u202e text.")
    his = tomas.send("His", "His secret-looking text.")
    gone = amina.send("Deleted", "Gone for good.")
    amina.delete(gone)
    assert amina.post(f"/messages/{his}/replies", key=secrets.token_hex(16), body="Her reply.").status_code == 303
    assert amina.post("/draft", key=secrets.token_hex(16), subject="", body="Half of hers", seen="").status_code == 204
    assert tomas.post("/draft", key=secrets.token_hex(16), subject="", body="Half of his", seen="").status_code == 204
    assert amina.post("/teams", name="Ward 3").status_code == 303
    assert tomas.post("/teams", name="His team").status_code == 303
    assert tomas.post("/templates", name="Handover", rows="Room 3").status_code == 303
    for member, text in ((amina, "Her room."), (tomas, "Half of his")):
        rows = {"label-1": "Room 3", "text-1": text}
        assert member.post("/templates/1/draft", key=secrets.token_hex(16), subject="Evening", seen="", **rows).status_code == 303
    tomas.get(f"/messages/{hers}")
    amina.get(f"/messages/{his}")

    page = sign_in(windows.window(site, java_script_enabled=javascript), "amina", "/me")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download my data").click()
    download = downloading.value
    assert download.suggested_filename.startswith("wardpost-my-data-20") and download.suggested_filename.endswith(".zip")
    download.save_as(tmp_path / "data.zip")
    if javascript:
        expect(page.get_by_text("All of it was sent.")).to_be_visible()
        expect(page.locator("progress")).to_have_js_property("value", 100)
    else:
        page.get_by_role("link", name="See how far a download is").click()
        expect(page.get_by_text("All of it was sent.")).to_be_visible()
        expect(page.get_by_role("link", name="Look again")).to_be_visible()

    files = read(tmp_path / "data.zip")
    assert set(files) == FILES
    assert all(name in files["README.txt"] for name in FILES - {"README.txt"})
    account = json.loads(files["account.json"])
    assert (account["email"], account["name"]) == (PEOPLE["amina"].email, PEOPLE["amina"].name)
    told = [(message["number"], message["conversation"], message["subject"], message["text"]) for message in files["messages.jsonl"]]
    assert told == [(hers, hers, "Hers", "Her \u202e text."), (gone, gone, None, None), (gone + 1, his, None, "Her reply.")]
    assert files["messages.jsonl"][1]["deleted"]
    assert [draft["text"] for draft in files["drafts.jsonl"]] == ["Half of hers"]
    assert [draft["rows"] for draft in files["template-drafts.jsonl"]] == [[{"row": "Room 3", "text": "Her room."}]]
    assert [(stay["name"], stay["left"]) for stay in files["teams.jsonl"]] == [("Ward 3", None)]
    assert len(files["sessions.jsonl"]) == 3 and files["sessions.jsonl"][0]["ip_address"] == "127.0.0.1"
    concerns_her = lambda row: account["number"] in (row["user_id"], None if row["user_id"] else row["details"].get("person"))
    exported = [row for row in amina.audit() if concerns_her(row)]
    upon_her = [row["action"] for row in files["acts.jsonl"] if row["user_id"] is None]
    assert upon_her == ["STAFF_DISABLED", "SESSION_ENDED", "STAFF_ENABLED"], "what an operator did to her is among it"
    assert files["acts.jsonl"] == [{**row, "personal": row.get("personal")} for row in exported[: len(files["acts.jsonl"])]]
    assert str(his) in [view["messages"].split(",")[0].split("-")[0] for view in files["opened-by-you.jsonl"]]
    openings = [(opening["message"], opening["by"]["email"]) for opening in files["opened-of-yours.jsonl"]]
    assert openings == [(hers, PEOPLE["tomas"].email)]
    # Nothing of what is his, and not the row of this copy itself, which comes after what it holds.
    everything = json.dumps(files, ensure_ascii=False)
    assert "His secret-looking text." not in everything and "Half of his" not in everything and "Gone for good." not in everything
    assert not [row for row in files["acts.jsonl"] if row["action"] == "DATA_EXPORTED"]
    assert len(amina.audit(action="DATA_EXPORTED")) == 1

    assert amina.post("/me/data").status_code == 200
    refused = amina.post("/me/data")
    assert refused.status_code == 429 and "It is possible again from" in refused.text
    assert 86_000 < int(refused.headers["retry-after"]) <= 86_401
    assert len(amina.audit(action="DATA_EXPORTED")) == 2
    page.reload()
    expect(page.get_by_text("You have downloaded it twice within 24 hours")).to_be_visible()
    expect(page.get_by_role("button", name="Download my data")).to_have_count(0)
    assert tomas.post("/me/data").status_code == 200, "somebody else may"
