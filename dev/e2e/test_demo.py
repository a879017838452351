"""`make demo` as a person starts it: what it prints can be copied into another terminal."""

import re
import signal
import subprocess
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from support.browser import row, sign_in
from support.processes import binary, clean_environment
from support.waiting import wait_until

END = "Ctrl-C stops everything."


@pytest.mark.parametrize(("folder", "extra"), [("demo", ["--empty"]), ("the clinic's demo", [])])
def test_the_commands_that_it_prints_work_beside_it(tmp_path, folder, extra):
    said = tmp_path / "said"
    command = [binary("demo"), "--port", "0", "--provider-port", "0", "--data", tmp_path / folder, *extra]
    with said.open("wb") as output:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment())
    try:
        wait_until("the demo is ready", lambda: END in said.read_text() or demo.poll() is not None, seconds=90)
        assert demo.poll() is None, said.read_text()
        (printed,) = re.findall(r"^Commands.*\n((?: .*\n)+)", said.read_text(), re.MULTILINE)

        def shell(script):
            return subprocess.run(
                ["bash", "-euc", script], cwd="/", env=clean_environment(), capture_output=True, text=True, timeout=60
            )

        listed = shell(printed)
        assert listed.returncode == 0, printed + listed.stderr
        assert ("nobody has signed in" in listed.stdout.lower()) == ("--empty" in extra), listed.stdout
        assert ("amina@clinic.example" in listed.stdout) == ("--empty" not in extra), listed.stdout
        for others in ("audit verify", "emergency-access list", "--check-config"):
            done = shell(printed.replace("staff list", others))
            assert done.returncode == 0, others + done.stderr
        # Those of the other programs look where the demo's own look.
        settings = printed.splitlines()[0]
        for program, command, told in (
            ("log-shipper", "status", "audit.jsonl"), ("log-shipper", "verify", "rows compared"), ("backup-worker", "list", "wardpost-"),
        ):
            wait_until(f"{program} {command}", lambda: told in shell(f"{settings}\n'{binary(program)}' {command}").stdout, seconds=60)
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0, said.read_text()


@contextmanager
def running_demo(folder, *extra):
    """The site of a demo that runs meanwhile, with the programs that a page needs."""
    said = folder / "said"
    command = [
        binary("demo"), "--port", "0", "--provider-port", "0", "--data", folder / "demo", "--without", "log-shipper",
        "--without", "backup-worker", *extra,
    ]
    with said.open("wb") as output:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment())
    try:
        wait_until("the demo is ready", lambda: END in said.read_text() or demo.poll() is not None, seconds=90)
        (site,) = re.findall(r"Open  (\S+)", said.read_text())
        yield site
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0, said.read_text()


def for_me(page):
    """The subjects of what waits for the one who is signed in."""
    page.goto("/messages?show=for-me")
    subjects = page.locator("#rows > .row .subject").all_inner_texts()
    expect(page.get_by_role("link", name=f"{len(subjects)} for me", exact=True)).to_be_visible()
    return sorted(subjects)


def test_it_opens_on_a_wards_day_in_several_languages(tmp_path, browser):
    with running_demo(tmp_path) as site:
        page = browser.new_context(base_url=site, timezone_id="Europe/Berlin").new_page()
        sign_in(page, "amina")
        # Among them a row of its own for each of the four beds of the handover.
        expect(page.locator("#rows > .row")).to_have_count(49)
        expect(row(page, re.compile(r"Bed \d: Handover Ward 3, night to early"))).to_have_count(4)
        # The heading of the newest day is today's, or yesterday's in the first minutes of a day.
        expect(page.locator("#rows > .day").first).to_have_text(re.compile("Today|Yesterday"))
        for subject in ("Übergabe, Nacht", "Liste des médicaments en rupture", "جدول المناوبات للأسبوع القادم", "Lịch hẹn tuần sau đã có",
                        "Rodzina z pokoju 8 prosi o rozmowę", "Handover, room 12"):
            expect(row(page, subject)).to_have_count(1)
        expect(page.locator("#rows .row.gone")).to_have_count(3)
        expect(page.locator("#rows .row.new").first).to_contain_text("Late patient at the side entrance")
        page.context.close()


def test_it_opens_on_teams_templates_and_duties_and_an_urgent_message_that_is_over(tmp_path, browser):
    late = "Late patient at the side entrance"
    waits = {
        "amina": [late, "Room 3: the infusion pump beeps"],
        "tomas": [late, "Letter for room 5: your signature"],
        "noor": ["Insulin glargine: two pens left"],
        "huong": ["Frau Nowicka: bitte Donnerstag, 11 Uhr"],
    }
    with running_demo(tmp_path) as site:
        for person, subjects in waits.items():
            page = browser.new_context(base_url=site, timezone_id="Europe/Berlin").new_page()
            sign_in(page, person)
            assert for_me(page) == sorted(subjects), person
        # Hương's, who reads on. Nothing is urgent any more.
        expect(page.locator("#urgent-bars .bar")).to_have_count(0)
        page.goto("/teams")
        expect(page.locator(".team h2")).to_have_text([re.compile(name) for name in ("Front desk", "On call", "Pharmacy", "Ward 3")])
        expect(page.get_by_text("Who was in it")).to_have_count(1)
        page.goto("/templates")
        expect(page.locator(".team h2")).to_have_text(["Handover Ward 3", "Ward round"])
        page.goto("/messages")
        row(page, "Potassium 6.9, room 12").get_by_role("link").first.click()
        page.goto(f"/audit?message={page.url.split('/messages/')[1].split('?')[0]}")
        told = [text for text in reversed(page.locator(".log .sentence").all_inner_texts()) if " opened " not in text]
        said = ("Tomáš Dvořák sent", "reminded", "Amina Diallo is on the way", "Amina Diallo did what", "done")
        assert len(told) == len(said) and all(words in text for words, text in zip(said, told)), told
        page.context.close()


def test_empty_it_has_neither_teams_nor_templates(tmp_path, browser):
    with running_demo(tmp_path, "--empty") as site:
        page = browser.new_context(base_url=site).new_page()
        sign_in(page, "amina")
        for path, nothing in (("/messages", "No messages yet"), ("/teams", "There is no team yet"), ("/templates", "There is no template yet")):
            page.goto(path)
            expect(page.get_by_role("heading", name=nothing)).to_be_visible()
        page.context.close()
