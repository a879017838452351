"""`make demo` as a person starts it: what it prints can be copied into another terminal."""

import re
import signal
import subprocess

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


def test_it_opens_on_a_wards_day_in_several_languages(tmp_path, browser):
    said = tmp_path / "said"
    command = [
        binary("demo"), "--port", "0", "--provider-port", "0", "--data", tmp_path / "demo", "--without", "log-shipper",
        "--without", "backup-worker",
    ]
    with said.open("wb") as output:
        demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment())
    try:
        wait_until("the demo is ready", lambda: END in said.read_text() or demo.poll() is not None, seconds=90)
        (site,) = re.findall(r"Open  (\S+)", said.read_text())
        page = browser.new_context(base_url=site, timezone_id="Europe/Berlin").new_page()
        sign_in(page, "amina")
        expect(page.locator("#rows > .row")).to_have_count(42)
        # The heading of the newest day is today's, or yesterday's in the first minutes of a day.
        expect(page.locator("#rows > .day").first).to_have_text(re.compile("Today|Yesterday"))
        for subject in ("Übergabe, Nacht", "Liste des médicaments en rupture", "جدول المناوبات للأسبوع القادم", "Lịch hẹn tuần sau đã có",
                        "Rodzina z pokoju 8 prosi o rozmowę", "Handover, room 12"):
            expect(row(page, subject)).to_have_count(1)
        expect(page.locator("#rows .row.gone")).to_have_count(3)
        expect(page.locator("#rows .row.new").first).to_contain_text("Late patient at the side entrance")
        page.context.close()
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0, said.read_text()
