"""Numbers about the site, from the program that runs: who is told, what an operator's and an intruder's doing moves, and
alarms that stand on numbers that are there."""

import json
import re
import shutil
import socket

import pytest
import yaml

from support.bare_web import free_port
from support.metrics import Metrics, names_of, promtool
from support.people import PEOPLE
from support.processes import ROOT, Process, binary, clean_environment
from support.site import Site
from support.visitor import Visitor
from support.waiting import wait_until
from test_emergency import grant
from test_tampering import spoil

ALERTS = ROOT / "docs" / "alerts.yaml"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A site, and where it tells its numbers."""
    port = free_port()
    site = Site(tmp_path_factory.mktemp("told") / "demo", web_environment={"WARDPOST_METRICS_LISTEN": f"127.0.0.1:{port}"})
    yield site, Metrics(port)
    site.stop()


def rows(action):
    return f'wardpost_audit_rows_total{{action="{action}"}}'


def test_prometheus_own_checker_has_nothing_to_say(told):
    site, metrics = told
    Visitor(site, "amina").send("A subject")
    said = promtool("check", "metrics", text=metrics.text())
    assert said.strip() == ""


def test_what_another_program_writes_is_counted_too(told):
    site, metrics = told
    Visitor(site, "amina")
    before = {action: metrics.value(rows(action)) for action in ("EMERGENCY_ACCESS_GRANTED", "SECURITY_ALERT", "STAFF_DISABLED")}
    grant(site)
    assert site.command("staff", "disable", PEOPLE["amina"].email).returncode == 0
    after = {action: metrics.value(rows(action)) for action in before}
    assert site.command("staff", "enable", PEOPLE["amina"].email).returncode == 0
    assert after == {action: count + 1 for action, count in before.items()}


def test_nothing_of_anybody_is_told(told):
    site, metrics = told
    amina = Visitor(site, "amina")
    number = amina.send("Bett 12 Kowalski", "A text about Kowalski.")
    amina.get(f"/messages/{number}")
    Visitor(site).get("/Kowalski/%22%0a%7b", headers={"X-Forwarded-For": "203.0.113.77", "User-Agent": "Kowalski"})
    text = metrics.text().lower()
    personal = [name for person in PEOPLE.values() for name in (person.id, person.name, person.email)]
    for word in [*personal, *amina.cookies.values(), "kowalski", "203.0.113", "clinic.example", "@"]:
        assert word.lower() not in text, word


def test_the_site_itself_tells_nothing(told):
    site, metrics = told
    assert site.get("/metrics").status_code == 404
    assert Visitor(site, "tomas").get("/metrics").status_code == 404
    # Another address of this machine is another address.
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.2", int(metrics.address.rsplit(":", 1)[1])))


def test_a_chain_that_somebody_broke_is_told(tmp_path):
    data = tmp_path / "demo"
    site = Site(data)
    Visitor(site, "amina").send("As it was sent")
    site.stop()
    row = spoil(data, "UPDATE audit_log SET details = '{}' WHERE id = :row", row_of="LOGIN")
    port = free_port()
    site, metrics = Site(data, web_environment={"WARDPOST_METRICS_LISTEN": f"127.0.0.1:{port}"}), Metrics(port)
    try:
        wait_until("the chain was walked", lambda: metrics.value('wardpost_audit_chain{state="broken"}') == 1)
        assert metrics.value('wardpost_audit_chain{state="sound"}') == 0
        assert metrics.value("wardpost_audit_chain_verified_row") == row - 1
    finally:
        site.stop()


def start_web(site, tmp_path, **settings):
    """The program alone, on a copy of a site's settings and no database yet."""
    env = tmp_path / "env"
    shutil.copy(site.data / "env", env)
    environment = clean_environment(
        WARDPOST_ENV_FILE=str(env), WARDPOST_DB=str(tmp_path / "wardpost.db"), WARDPOST_LISTEN="127.0.0.1:0",
        WARDPOST_PUBLIC_URL="http://localhost", WARDPOST_STAFF_DOMAINS="clinic.example", **settings,
    )
    return Process([binary("web")], log=tmp_path / "web.log", env=environment)


def ended(process):
    wait_until("it has ended", lambda: not process.running(), seconds=60)
    return process.stop(), process.log_text()


def test_a_port_that_is_taken_stops_the_start_and_says_which_setting(told, tmp_path):
    site, metrics = told
    code, log = ended(start_web(site, tmp_path, WARDPOST_METRICS_LISTEN=metrics.address))
    assert code == 1
    [line] = [line for line in map(json.loads, log.splitlines()) if line["level"] == "ERROR"]
    assert "WARDPOST_METRICS_LISTEN" in line["message"]
    assert line["address"] == metrics.address
    assert not (tmp_path / "wardpost.db").exists(), "nothing was begun"


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464", "9464"])
def test_an_address_that_others_can_reach_is_refused_with_the_other_errors(told, tmp_path, address):
    site, _ = told
    code, log = ended(start_web(site, tmp_path, WARDPOST_METRICS_LISTEN=address, WARDPOST_SESSION_IDLE_MINUTES="31"))
    assert code == 78
    assert "WARDPOST_METRICS_LISTEN" in log
    assert "WARDPOST_SESSION_IDLE_MINUTES" in log


def test_every_alarm_stands_on_numbers_that_are_there(told):
    _, metrics = told
    served = names_of(metrics.text())
    labels = set(re.findall(r'[a-z_]+="[^"]*"', metrics.text()))
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert len(rules) > 10
    for rule in rules:
        named = set(re.findall(r"\b(?:wardpost|process)_\w+", rule["expr"]))
        assert named and named <= served, f"{rule['alert']} asks for {named - served}"
        for label in re.findall(r'[a-z_]+="[^"]*"', rule["expr"]):
            assert label in labels, f"{rule['alert']} asks for {label}, which nothing has"
        for name, values in re.findall(r'(action|reason)=~"([^"]*)"', rule["expr"]):
            assert all(f'{name}="{value}"' in labels for value in values.split("|")), rule["alert"]


def test_metrics_md_lists_what_is_served_under_the_names_that_are_served(told):
    """test_catalogues.py compares with the sources; here are the names as a reader gets them."""
    site, metrics = told
    Visitor(site, "amina")
    served = {re.sub("_(bucket|sum|count)$", "", name) for name in names_of(metrics.text())}
    listed = {name for name in re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "METRICS.md").read_text(), re.MULTILINE)}
    assert served == listed


def test_every_alarm_is_raised_when_it_must_and_only_then():
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", ROOT / "dev" / "e2e" / "alerts_test.yaml")
    tried = {
        case["alertname"]
        for test in yaml.safe_load((ROOT / "dev" / "e2e" / "alerts_test.yaml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    rules = [rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert tried == set(rules), "each alarm has a test that raises it"
    runbook = (ROOT / "docs" / "RUNBOOK.md").read_text()
    assert [name for name in rules if f"`{name}`" not in runbook] == []
