"""The runbook knows every alarm: whoever gets one finds it there, and what to do."""

import re

from support.processes import ROOT

RUNBOOK = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")


def alarms():
    """The names that programs give to the field `alarm` of a log line."""
    found = {"SECURITY_ALERT"}
    for source in [*ROOT.glob("*/src/**/*.rs"), *(ROOT / "systemd").glob("*")]:
        if source.is_file():
            text = source.read_text(encoding="utf-8")
            found.update(re.findall(r'\balarm"?\s*[=:]\s*"([A-Z_]+)"', text))
            found.update(*re.findall(r'let alarm = if .* \{ "([A-Z_]+)" \} else \{ "([A-Z_]+)" \}', text))
    return found


def test_every_alarm_is_in_the_table_of_what_happened():
    table = RUNBOOK.partition("## What happened?")[2].partition("\n## ")[0]
    assert len(alarms()) >= 8, f"the programs have more alarms than {alarms()}"
    missing = {alarm for alarm in alarms() if f"`{alarm}`" not in table}
    assert not missing, f"the runbook's first table does not lead from {missing} anywhere"


def test_every_place_that_the_runbook_sends_to_is_there():
    def anchor(heading):
        return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)}
    wanted = set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK))
    assert wanted and wanted <= anchors, wanted - anchors
    files = set(re.findall(r"\]\(([\w./-]+\.md)(?:#[^)]*)?\)", RUNBOOK))
    assert files and all((ROOT / "docs" / name).exists() for name in files), files
