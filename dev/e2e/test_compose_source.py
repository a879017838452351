"""`docker compose build` compiles the images from source, as it does on a clinic's machine."""

import json
import os
import shutil

import pytest

from support.composed_site import BINARIES
from support.container_engine import find_compose
from support.container_host import DEBIAN
from support.source_build import SourceBuild

ASKED_FOR = "WARDPOST_TEST_SOURCE_BUILD"
# A debug build would be ten times as large.
MOST_MEGABYTES = 40


@pytest.fixture(scope="module")
def build():
    if not os.environ.get(ASKED_FOR):
        pytest.skip(f"compiling four releases in containers takes two cores most of half an hour: {ASKED_FOR}=1 asks for it")
    if os.geteuid() != 0 or not shutil.which("dockerd") or not find_compose() or not DEBIAN.exists():
        pytest.skip(f"needs root, dockerd, a compose of version 2, and {DEBIAN}: dev/e2e/setup brings them")
    build = SourceBuild()
    try:
        build.make_bases()
        build.compose_build()
        yield build
    finally:
        build.stop()


def test_every_image_is_small_and_runs_its_program_as_nobody_much_without_a_shell(build):
    for program in BINARIES:
        (told,) = json.loads(build.run("docker", "inspect", f"wardpost/{program}").stdout)
        assert told["Size"] < MOST_MEGABYTES << 20, program
        assert told["Config"]["User"].split(":")[0] not in ("", "0", "root")
        said = build.in_image(program, program, "--version")
        assert said.returncode == 0 and said.stdout.startswith(f"{program} "), said.stdout + said.stderr
        for shell in ("sh", "/bin/sh", "bash"):
            assert build.in_image(program, shell, "-c", "true").returncode == 127
    # What it says before it is linked to a library that is not there is nothing.
    assert build.in_image("web", "web", "--check-config").returncode == 78


def test_the_edge_has_an_nginx_that_understands_its_settings(build):
    said = build.in_image("edge", "nginx", "-v")
    assert said.returncode == 0 and "nginx/" in said.stderr
