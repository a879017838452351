"""Documents that name code and tests: all of it exists. And no requirement of the standard is missing."""

import re
from functools import cache

import pytest

from support.processes import ROOT

# With the least that each of them names, so that a check which understands nothing is noticed. RUNBOOK.md and AWS.md are not among
# them: what they name is on a clinic's machine.
DOCUMENTS = {
    "docs/SECURITY.md": 150, "docs/ASVS.md": 250, "docs/KEY-ROTATION.md": 1, "docs/ARCHITECTURE.md": 40, "CONTRIBUTING.md": 100,
    "README.md": 10, "docs/INSTALL.md": 1, "docs/AUDIT-ACTIONS.md": 1, "docs/PERFORMANCE.md": 5,
    "docs/RELEASING.md": 5,
} | {
    str(path.relative_to(ROOT)): 0 for path in sorted((ROOT / "docs" / "adr").glob("*.md"))
}
# How many requirements of level 1 and 2 each section of ASVS 5.0.0 has; they are numbered from 1, level 3 after them.
SECTIONS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2, "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1, "3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5,
    "3.7": 2, "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3, "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4,
    "6.5": 5, "6.6": 3, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2, "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "9.1": 3, "9.2": 4, "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3, "11.1": 2, "11.2": 3, "11.3": 3,
    "11.4": 4, "11.5": 1, "11.6": 1, "12.1": 3, "12.2": 2, "12.3": 4, "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5, "14.1": 2, "14.2": 4,
    "14.3": 3, "15.1": 3, "15.2": 3, "15.3": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3, "17.1": 1, "17.2": 4, "17.3": 2,
}
MADE_BY_A_RUN = {".demo/"}
STATES = {"met", "operator", "open", "none"}
SOURCES = {".rs", ".py", ".md", ".toml", ".conf", ".yaml", ".js", ".html", ".css", ".txt", ".json", ".sql", ".service", ".timer", ".tf", ".lock", ""}


@cache
def files():
    """Every file here that somebody wrote, by its path."""
    within = {".git", ".venv", "node_modules", "__pycache__", ".demo"}
    # Built files; further down, a folder of this name is one of ours.
    left_out = within | {"target"}
    return {
        str(path.relative_to(ROOT)): path
        for folder in [ROOT, *(entry for entry in ROOT.iterdir() if entry.is_dir() and entry.name not in left_out)]
        for path in (folder.rglob("*") if folder != ROOT else ROOT.glob("*"))
        if path.is_file() and not within & set(path.relative_to(ROOT).parts) and path.suffix in SOURCES
    }


def find(name):
    """The files that a document means by `dev/e2e/test_x.py`, `test_x.py`, `sign_in/staff_rule.rs`, `dev/e2e/test_secrets_*.py` or `web/src/`."""
    pattern = re.escape(name.rstrip("/")).replace(r"\*", "[^/]*") + ("/.+" if name.endswith("/") else "")
    return [path for own, path in files().items() if re.fullmatch(f"(.*/)?{pattern}", own)]


def functions_of(path):
    """The names of a file's tests."""
    text = path.read_text()
    if path.suffix == ".py":
        return set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    return set(re.findall(r"#\[(?:tokio::)?test(?:\([^)]*\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)", text)) | set(
        re.findall(r"#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn (\w+)", text)
    )


def named(text):
    """What a piece of a document names between backticks: (files, tests), a test with the files named before it."""
    before, paths, tests = [], [], []
    for token in re.findall(r"`([^`\n]+)`", text):
        if token in MADE_BY_A_RUN:
            continue
        if re.fullmatch(r"[\w./*-]*\w[\w*-]*\.(rs|py|md|toml|conf|yaml|js|html|txt)|[\w.-]+/([\w.-]+/)*", token):
            before = find(token)
            paths.append((token, before))
        elif re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+){3,}", token):
            tests.append((token, before))
    return paths, tests


def cells(document):
    """The document piece by piece: a table's cells and the paragraphs, so that a test belongs to the file named before it."""
    paragraph = []
    for line in [*(ROOT / document).read_text().splitlines(), ""]:
        if line.startswith("|") or not line.strip():
            yield " ".join(paragraph)
            paragraph = []
            yield from line.split(" | ")
        else:
            paragraph.append(line)


def is_in_the_schema(name):
    """Whether it is the name of an index or a trigger, which may look like a test's."""
    return any(re.search(rf"\b{name}\b", path.read_text()) for path in (ROOT / "libs/store/migrations").glob("*.sql"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_names_exists(document):
    missing, seen = [], 0
    for cell in cells(document):
        paths, tests = named(cell)
        seen += len(paths) + len(tests)
        missing += [name for name, found in paths if not found]
        missing += [
            f"{name} in {[str(path.relative_to(ROOT)) for path in found]}"
            for name, found in tests
            if not any(name in functions_of(path) for path in found) and not (found == [] and is_in_the_schema(name))
        ]
    assert not missing, "\n".join(missing)
    assert seen >= DOCUMENTS[document], "the document was read"


# What is named like a type and is somebody else's.
FOREIGN = {"TcpExtListenOverflows"}


@cache
def words_of_the_code():
    code = [path for name, path in files().items() if path.suffix in (".rs", ".py", ".js") and not name.startswith("docs/")]
    return {word for path in code for word in re.findall(r"\w+", path.read_text())}


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/GLOSSARY.md"])
def test_a_type_that_a_document_names_is_in_the_code(document):
    names = re.findall(r"`((?:\w+::)+\w+|(?:[A-Z][a-z0-9]+){2,})(?:\(\))?`", (ROOT / document).read_text())
    assert not {name for name in names if not set(name.split("::")) <= words_of_the_code() | FOREIGN}


def test_every_decision_has_its_number_its_headings_and_its_line_in_the_list():
    folder = ROOT / "docs" / "adr"
    decisions = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    listed = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    assert [name for _, name, _ in listed] == [path.name for path in decisions]
    for at, ((number, _, title), path) in enumerate(zip(listed, decisions, strict=True), start=1):
        assert number == path.name[:4] == f"{at:04}"
        headings = re.findall(r"^#+ .*$", path.read_text(), re.MULTILINE)
        assert headings == [f"# {at}. {title}", "## Context", "## Decision", "## Consequences"], path.name


def rows():
    """The table of docs/ASVS.md: (ids, asks for, state, how, proof)."""
    for line in (ROOT / "docs/ASVS.md").read_text().splitlines():
        if line.startswith("| v5.0.0-"):
            ids, *others = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(others) == 4, line
            yield [name.removeprefix("v5.0.0-") for name in ids.split()], *others


def test_every_requirement_of_both_levels_has_its_row():
    wanted = [f"{section}.{number}" for section, many in SECTIONS.items() for number in range(1, many + 1)]
    assert len(wanted) == 253
    assert sorted(name for ids, *_ in rows() for name in ids) == sorted(wanted)


def test_every_row_says_what_is_so():
    for ids, asks, state, how, proof in rows():
        assert state in STATES and asks, ids
        if state in ("open", "operator"):
            assert len(how) > 40, f"{ids}: what is missing, and what follows"
        if state == "met" and not how.startswith("above"):
            by_hand = "by reading" in how + proof or "no test of our own" in how
            paths, tests = named(proof)
            assert tests or by_hand or how == "Rust" or proof == "`make check`", f"{ids}: what proves it?"
