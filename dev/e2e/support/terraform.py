"""Terraform on a copy of the module, and the provider that this machine has in a folder: nothing is fetched."""

import json
import os
import shutil
import subprocess
from glob import glob
from pathlib import Path

import pytest

from .processes import ENDS_WITH_US, ROOT

MODULE = ROOT / "terraform"
PROVIDER = "registry.terraform.io/hashicorp/aws"
# Where Terraform itself looks without being told, and where machines that build things tend to have one. $TF_MIRROR goes first.
MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*")
# A stand-in for AWS has one address for all buckets, and gives up at once what it does not know.
OVERRIDE = """
terraform {
  backend "local" {}
}
provider "aws" {
  s3_use_path_style = true
  max_retries       = 2
}
"""


def _mirror():
    """A folder with the provider that .terraform.lock.hcl names."""
    lock = (MODULE / ".terraform.lock.hcl").read_text()
    version = lock.split('version     = "')[1].split('"')[0]
    for pattern in filter(None, (os.environ.get("TF_MIRROR"), *MIRRORS)):
        for folder in sorted(glob(os.path.expanduser(pattern))):
            if glob(f"{folder}/{PROVIDER}/{version}/*") or glob(f"{folder}/{PROVIDER}/*_{version}_*.zip"):
                return folder
    return None


def require():
    """Skips where there is no Terraform, or no provider for it."""
    if not shutil.which("terraform"):
        pytest.skip("NOT CHECKED: TERRAFORM is not on PATH, so nobody looked at terraform/")
    if not _mirror():
        pytest.skip(f"NOT CHECKED: TERRAFORM has no provider {PROVIDER} in any of {', '.join(MIRRORS)}, nor in $TF_MIRROR")


class Terraform:
    """The module (or another) in a folder of its own, with a file of the test's beside it: `override`, which has a backend.
    Without one there is no state, unless `init` says where."""

    def __init__(self, folder: Path, module=MODULE, *, override=None, init=None, **environment):
        require()
        self.folder = folder
        left_out = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars", "backend.hcl", "bootstrap", "modules")
        shutil.copytree(module, folder, ignore=left_out)
        if override:
            (folder / "override.tf").write_text(override)
        settings = folder / "cli.tfrc"
        settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{_mirror()}"\n  }}\n}}\n')
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        own = {"TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        self._environment = mine | own | environment
        self.run("init", *(init or ["-reconfigure" if override else "-backend=false"])).expect(0)

    def start(self, command, *arguments):
        asks = ["-input=false"] if command in ("init", "plan", "apply", "destroy") else []
        return subprocess.Popen(
            [*ENDS_WITH_US, "terraform", command, "-no-color", *asks, *arguments],
            cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

    def run(self, command, *arguments, seconds=480):
        child = self.start(command, *arguments)
        try:
            said, _ = child.communicate(timeout=seconds)
        except BaseException:
            child.kill()
            child.communicate()
            raise
        return Run(child.returncode, said)

    def variables(self, **values):
        """Merges them into the variables that every command gets from now on."""
        file = self.folder / "test.auto.tfvars.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | values))

    def planned(self, *arguments):
        """The plan as JSON."""
        self.run("plan", "-out=tfplan", *arguments).expect(0)
        return json.loads(self.run("show", "-json", "tfplan").expect(0).said)

    def outputs(self):
        return {name: entry["value"] for name, entry in json.loads(self.run("output", "-json").expect(0).said).items()}


class Run:
    def __init__(self, code, said):
        self.code, self.said = code, said

    def expect(self, code, *words):
        """Fails, showing what was said, unless it ended so and said all of `words`."""
        assert self.code == code, f"ended with {self.code}, not {code}:\n{self.said[-6000:]}"
        said = " ".join(self.said.replace("│", " ").split())
        for word in words:
            assert word in said, f"`{word}` is not in what it said:\n{self.said[-6000:]}"
        return self
