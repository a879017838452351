"""A full disk: told clearly, nothing lost, nothing half-made, and work goes on when there is room again."""

import re
import subprocess

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.visitor import Visitor
from support.waiting import wait_until

DISK_MEGABYTES = 48
BODY = "A long report. " * 1200


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk is not permitted here: {mounted.stderr.strip()}")
    yield folder
    # Lazily, since a failed test may have left a program behind that still looks into it.
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk, *, leave_kilobytes):
    """Takes the room on the disk, except so much."""
    ballast = disk / "ballast"
    free = int(subprocess.run(["df", "--output=avail", "-k", disk], capture_output=True, text=True).stdout.split()[1])
    with ballast.open("ab") as file:
        file.write(b"\0" * (free - leave_kilobytes) * 1024)
    return ballast


def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(small_disk, own_site, windows):
    database = small_disk / "wardpost.db"
    site = own_site(web_environment={"WARDPOST_DB": str(database)})
    amina = Visitor(site, "amina")
    amina.send("Sent in good time")
    page = sign_in(windows.window(site), "amina")
    page.goto("/messages/new")
    page.get_by_label("Subject").fill("The one that did not fit")
    page.get_by_label("Message", exact=True).fill(BODY)
    assert site.get("/readyz").status_code == 200

    ballast = fill(small_disk, leave_kilobytes=512)
    wait_until("the load balancer is told", lambda: site.get("/readyz").status_code == 503)
    assert site.get("/healthz").status_code == 200, "it is alive, and restarting it would not help"

    acknowledged = []
    for number in range(2000):
        subject = f"Filling up, {number}"
        reply = amina.post("/messages", key=f"{number:032x}", subject=subject, body=BODY)
        if reply.status_code != 303:
            break
        acknowledged.append(subject)
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "5"
    assert subject in reply.text and BODY.strip()[:200] in reply.text, "what was typed is still in the form"
    refused = subject

    page.get_by_role("button", name="Send to all staff").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no room left to store the message.")
    expect(page.get_by_label("Subject")).to_have_value("The one that did not fit")
    assert page.get_by_label("Message", exact=True).input_value() == BODY

    # What needs no room still works: the list is there to be read.
    assert "Sent in good time" in amina.get("/messages").text or "Filling up" in amina.get("/messages").text

    ballast.unlink()
    wait_until("the load balancer is told", lambda: site.get("/readyz").status_code == 200)
    page.get_by_role("button", name="Send to all staff").click()
    expect(row(page, "The one that did not fit")).to_have_count(1)

    subjects = listed(amina)
    assert refused not in subjects, "a refused message is not there by half"
    assert [subject for subject in subjects if subject.startswith("Filling up")] == acknowledged[::-1]
    created = [row for row in amina.audit(action="MESSAGE_CREATE")]
    assert len(created) == len(subjects), "each message has its row, and no row stands alone"
    done = site.command("audit", "verify", database=database)
    assert done.returncode == 0, done.stdout + done.stderr


def listed(visitor):
    """All subjects, newest first."""
    subjects, path = [], "/messages"
    while path:
        page = visitor.get(path).text
        subjects += re.findall(r'href="/messages/\d+\?at=new"[^>]*>([^<]*)<', page)
        older = re.search(r'href="(/messages\?before=\d+)"', page)
        path = older and older[1]
    return subjects
