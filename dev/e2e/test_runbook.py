"""docs/RUNBOOK.md against the programs: whatever they raise has its place there. And no link of any page leads nowhere."""

import re
from pathlib import Path

import pytest

from support.processes import ROOT

RUNBOOK = (ROOT / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
PROGRAMS = ("backup-worker", "libs", "log-shipper", "secrets-init", "web")
TEXT = r'"((?:[^"\\]|\\.)*)"'


def sources():
    """The programs' own code, without its tests."""
    for program in PROGRAMS:
        for path in sorted((ROOT / program).rglob("src/**/*.rs")):
            if not path.name.endswith("tests.rs"):
                yield path, path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {")[0]


def alarms():
    """The name of every alarm, wherever it is raised from."""
    audit = (ROOT / "libs" / "store" / "src" / "types" / "action.rs").read_text()
    names = set(re.findall(r'"alarm":"(\w+)"', (ROOT / "systemd" / "refuse-database-key").read_text()))
    for path, text in sources():
        for value in re.findall(r"\balarm = (.*?)[,;]\s", text, re.DOTALL):
            actions = re.findall(r"Action::(\w+)\.as_str", value)
            found = re.findall(r'"([A-Z_]+)"', value) + [re.search(rf'{name} = "(\w+)"', audit)[1] for name in actions]
            assert found or "tokio::time" in value, f"{path} raises an alarm whose name is not understood: {value}"
            names.update(found)
    return sorted(names)


def arguments(text, macro):
    """What stands between the brackets of each call."""
    for call in re.finditer(rf"\b{macro}!\(", text):
        depth, end = 1, call.end()
        for piece in re.compile(rf"{TEXT}|[()]").finditer(text, call.end()):
            depth += {"(": 1, ")": -1}.get(piece[0], 0)
            if depth == 0:
                end = piece.start()
                break
        yield text[call.end() : end]


def error_lines():
    """What every line at the level ERROR says that has no alarm's name, as far as it is the same each time."""
    for path, text in sources():
        for inside in arguments(text, "error"):
            # Values of fields come before the words; a hint after them.
            words = (re.findall(TEXT, inside) or [""])[-1]
            fixed = re.split("[;:]", max(re.split(r"\{[^}]*\}", words), key=len).strip(" ;:,"))[0]
            # One that says an error alone is in the tables by that error's words.
            if fixed and not re.search(r"\balarm\b", inside):
                yield f"{path.relative_to(ROOT)}: {fixed}"


def plain(text):
    return re.sub(r"\s+", " ", text.replace("`", "")).casefold()


def test_there_is_something_to_look_for():
    assert {path.relative_to(ROOT).parts[0] for path, _ in sources()} == set(PROGRAMS)
    assert {"BACKUP_FAILED", "DRILL_FAILED", "SECURITY_ALERT", "DATABASE_KEY_CHANGED"} <= set(alarms())
    assert len(list(error_lines())) > 30


@pytest.mark.parametrize("alarm", alarms())
def test_an_alarm_is_found_at_the_top_of_the_runbook(alarm):
    (table,) = re.findall(r"^## What happened\?\n(.*?)^## ", RUNBOOK, re.DOTALL | re.MULTILINE)
    rows = [line for line in table.splitlines() if f"`{alarm}`" in line]
    assert rows and all("](#" in row for row in rows), f"{alarm} has no row that says where to go"


@pytest.mark.parametrize("rule", re.findall(r"- alert: (\w+)", (ROOT / "docs" / "alerts.yaml").read_text(encoding="utf-8")))
def test_a_rule_over_metrics_is_in_the_runbook(rule):
    assert re.search(rf"^\|[^|]*`{rule}`[^|]*\|", RUNBOOK, re.MULTILINE), f"{rule} has no row that says what to do"


def test_the_way_to_restore_a_backup_comes_first():
    (first,) = re.findall(r"^## What happened\?\n\|.*\n\|[-|]+\n(.*)", RUNBOOK, re.MULTILINE)
    assert first.endswith("| [Restore a backup](#restore-a-backup) |")


def test_every_line_at_error_is_in_the_runbook():
    assert [line for line in error_lines() if plain(line.split(": ", 1)[1]) not in plain(RUNBOOK)] == []


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        file = (page.parent / target) if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def anchors(page: Path):
    """How a heading is named in an address: small letters, no punctuation, a dash for each space."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
