"""What the documents list is what the programs have: settings, audit actions, metrics. No site runs for it."""

import re
from functools import cache

import pytest

from support.processes import ROOT

DOCS = ROOT / "docs"


@cache
def rust(*folders):
    """The programs' own sources without their tests, by path."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.rs")):
            if not path.name.endswith("tests.rs") and "tests" not in path.relative_to(ROOT / folder).parts:
                text = path.read_text(encoding="utf-8")
                found[path] = re.split(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod tests", text)[0]
    assert found, f"no sources in {folders}"
    return found


def only(folder, pattern):
    """What the one place in a folder says that has this pattern."""
    found = [match for text in rust(folder).values() for match in re.findall(pattern, text, re.DOTALL)]
    assert len(found) == 1, f"{folder} has {len(found)} places with {pattern}"
    return found[0]


def table(page, heading):
    """The table whose first column has this heading, as lists of cells."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    tables = [at for at, line in enumerate(lines) if line.startswith(f"| {heading} |")]
    for at in tables:
        for line in lines[at + 2 :]:
            if not line.startswith("|"):
                break
            yield [cell.strip() for cell in line.strip("|").replace(r"\|", "&#124;").split("|")]
    assert tables, f"docs/{page} has no table of {heading}s"


# ---- Settings ------------------------------------------------------------------------------------------------------------


def known_settings():
    return set(re.findall(r'"([A-Z_]+)"', only("libs/process/src", r"pub const KNOWN_NAMES: &\[&str\] = &\[(.*?)\];")))


def secret_settings():
    return set(re.findall(r'"([A-Z_]+)"', only("libs/process/src", r"pub const SECRET_NAMES: &\[&str\] = &\[(.*?)\];")))


def settings_in(text):
    return set(re.findall(r"\b(?:WARDPOST_[A-Z_]+[A-Z]|DB_ENCRYPTION_KEY(?:_NEW)?|APP_SECRET|GOOGLE_CLIENT_(?:ID|SECRET))\b", text))


def documented_settings():
    return [re.fullmatch("`(.*)`", name)[1] for name, *_ in table("CONFIGURATION.md", "name")]


def documented_secrets():
    """The names under "Secrets", and who reads each."""
    (section,) = re.findall(r"^## Secrets\n(.*?)^## ", (DOCS / "CONFIGURATION.md").read_text(), re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section, re.MULTILINE))


def test_every_known_setting_is_in_configuration_md_once_and_no_other_is():
    documented = documented_settings()
    assert len(documented) == len(set(documented)), "a setting is explained in two places"
    # secrets-init writes it, and nobody sets it: a sentence, not a row.
    written = {"WARDPOST_SECRET_VERSION"}
    assert written <= settings_in((DOCS / "CONFIGURATION.md").read_text())
    assert set(documented) | written == known_settings()
    assert len(documented) > 30


def test_the_secrets_are_the_ones_whose_values_are_never_shown():
    # The provider's page shows the client's id in its address.
    assert set(documented_secrets()) - {"GOOGLE_CLIENT_ID"} == secret_settings()


def test_every_known_setting_is_read_somewhere():
    sources = [text for path, text in rust("web/src", "log-shipper/src", "backup-worker/src", "secrets-init/src", "libs").items()]
    text = re.sub(r"pub const (?:KNOWN|SECRET)_NAMES: .*?\];", "", "\n".join(sources), flags=re.DOTALL)
    assert not {name for name in known_settings() if f'"{name}"' not in text}, "known, and read by no program"


def test_no_page_and_no_file_of_a_deployment_names_a_setting_that_does_not_exist():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"), *DOCS.rglob("*.yaml")]
    deployed = [path for folder in ("compose", "systemd") for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in [*pages, *deployed]:
        unknown = settings_in(path.read_text(encoding="utf-8")) - known_settings()
        assert not unknown, f"{path.relative_to(ROOT)} names {sorted(unknown)}"


# What compose does not pass on, and why.
NOT_OF_COMPOSE = {
    "WARDPOST_APPLICATION_SINK": "the engine's log driver ships the lines",
    "WARDPOST_ENV_OWNER": "each file is written under its reader's number",
    "WARDPOST_SECRET_VERSION": "secrets-init writes it",
} | {
    name: "of the service that gives each program its role, which systemd alone starts (docs/adr/0017)"
    for name in (
        "WARDPOST_CREDENTIALS_LISTEN", "WARDPOST_CREDENTIALS_TOKENS",
        "WARDPOST_ROLE_BACKUP_WORKER", "WARDPOST_ROLE_LOG_SHIPPER", "WARDPOST_ROLE_SECRETS_INIT",
    )
}


def test_compose_passes_on_every_setting_and_no_secret():
    text = "".join(re.sub("#.*", "", path.read_text()) for path in sorted((ROOT / "compose").glob("*.yaml")))
    given = set(re.findall(r"\b(\w+):", text)) & known_settings()
    secrets = set(documented_secrets())
    missing = known_settings() - given - secrets - set(NOT_OF_COMPOSE)
    assert not missing, f"nobody under compose can set {sorted(missing)}"
    assert not given & set(NOT_OF_COMPOSE), "compose passes it on: the exception can go"
    assert not given & secrets


def units():
    """Those that are given the secrets."""
    return [unit for unit in sorted((ROOT / "systemd/units").glob("*.service")) if "EnvironmentFile=/run/wardpost/env" in unit.read_text()]


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.stem)
def test_a_unit_drops_the_secrets_that_only_the_site_reads(unit):
    text = unit.read_text()
    dropped = set(" ".join(re.findall("^UnsetEnvironment=(.*)$", text, re.MULTILINE)).split())
    of_the_site = {name for name, readers in documented_secrets().items() if readers.startswith("web")}
    assert dropped & known_settings() == (set() if "User=wardpost-web" in text else of_the_site)


# ---- Audit actions -------------------------------------------------------------------------------------------------------


def actions():
    """The actions of the program: name in the source -> as it stands in the log."""
    return dict(re.findall(r'^    (\w+) = "([A-Z_]+)",$', only("libs/store/src", r"\nactions! \{(.*?)\n\}"), re.MULTILINE))


def test_every_audit_action_is_in_audit_actions_md_with_the_words_of_the_page():
    labels = {name: label for text in rust("web/src").values() for name, label in re.findall(r'Action::(\w+) => "([^"]+)"', text)}
    wanted = [(f"`{action}`", labels[name]) for name, action in actions().items()]
    assert [(action, label) for action, label, *_ in table("AUDIT-ACTIONS.md", "action")] == wanted
    assert len(wanted) > 25


def test_the_fields_of_audit_actions_md_are_written_by_the_store():
    source = "\n".join(rust("libs/store/src").values())
    for action, _, _, details, names in table("AUDIT-ACTIONS.md", "action"):
        for field in re.findall(r"`(\w+)`", details + names):
            assert re.search(rf'"{field}"|\b{field}\b *[:,]', source), f"{action}: {field}"


# ---- Metrics -------------------------------------------------------------------------------------------------------------


def metrics():
    """Every name that the sources give a metric, with its prefix and without what the format appends to it."""
    names = set()
    for path, text in rust("web/src").items():
        if {"metrics", "exporter"} & set(path.parts):
            for name in re.findall(r'\b(?:gauge|counters?|histogram|encode_descriptor|register)\(\s*(?:out,|&mut encoder,)?\s*"(\w+)"', text):
                names.add(name if name.startswith("process_") else f"wardpost_{name}")
    return names


def test_every_metric_is_in_metrics_md_and_no_other_is():
    listed = [name.strip("`") for name, *_ in table("METRICS.md", "metric")]
    assert len(listed) == len(set(listed))
    assert {re.sub("_(total|info)$", "", name) for name in listed} == metrics()
    assert len(listed) > 25


@pytest.mark.parametrize("page", ["RUNBOOK.md", "alerts.yaml"])
def test_a_metric_that_is_named_is_in_metrics_md(page):
    listed = {name.strip("`") for name, *_ in table("METRICS.md", "metric")}
    listed |= {f"{name}_bucket" for name in listed}
    named = set(re.findall(r"\b(?:wardpost|process)_[a-z]+_[a-z_]*[a-z]", (DOCS / page).read_text()))
    assert named and named <= listed, named - listed


def test_the_suffix_of_a_metric_is_the_one_of_its_type():
    for name, kind, *_ in table("METRICS.md", "metric"):
        suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
        assert kind in {"counter", "gauge", "histogram", "info"} and name.strip("`").endswith(suffix), name
        assert suffix or not name.strip("`").endswith(("_total", "_info")), name


# ---- Pages ---------------------------------------------------------------------------------------------------------------

def test_every_page_has_a_sample_that_the_tests_of_pages_look_at():
    whole = {path.name for path in (ROOT / "web").rglob("*.html") if "base.html" in path.read_text()}
    pages = {
        name
        for text in rust("web/src").values()
        for template, name in re.findall(r'#\[template\(path = "(?:[^"]*/)?([\w.]+)"[^)]*\)\]\s*pub struct (\w+)', text)
        if template in whole
    }
    samples = "".join(path.read_text() for path in (ROOT / "web/src/page_samples").rglob("*.rs"))
    assert len(pages) > 10
    assert not {page for page in pages if not re.search(rf"\b{page}\b", samples)}


@pytest.mark.parametrize("file", ["test_accessibility.py", "test_no_javascript.py"])
def test_every_page_that_a_sign_in_may_lead_to_is_looked_at_in_a_browser(file):
    pages = re.findall(r'get\(s, "([^"]+)"[^\n]*\.returns\(\)', (ROOT / "web/src/table.rs").read_text())
    visited = (ROOT / "dev/e2e" / file).read_text()
    assert len(pages) > 5
    # What stands for a number in the table stands in braces of an f-string there.
    patterns = {page: re.escape(page).replace(r"\{\}", r"\{[^{}]+\}") for page in pages}
    assert not {page for page, pattern in patterns.items() if not re.search(rf'"{pattern}["?#]', visited)}


# ---- Migrations ----------------------------------------------------------------------------------------------------------


def test_every_migration_in_the_folder_is_applied_and_they_are_numbered_without_a_gap():
    folder = sorted(path.name for path in (ROOT / "libs/store/migrations").glob("*"))
    applied = re.findall(r'include_str!\("[./]*migrations/(\w+\.sql)"\)', "\n".join(rust("libs/store/src").values()))
    assert applied == folder
    assert [int(name[:4]) for name in folder] == list(range(1, len(folder) + 1))
