"""What `make dist` makes, from the programs of the debug build: a release build takes longer than all tests together."""

import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from support.processes import BINARIES, ROOT, binary

PROGRAMS = ["backup-worker", "log-shipper", "secrets-init", "web"]
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
DIST = ROOT / "dev" / "dist"
NOT_A_RELEASE = f"{VERSION} (not a release: no revision known)"
SETTINGS = "etc/wardpost/wardpost.env"


def run(*command, cwd=ROOT, **environment):
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=os.environ | environment, capture_output=True, text=True, umask=int(environment.get("UMASK", "022"), 8)
    )


def package(binaries, folder, tree=ROOT, **environment):
    folder.mkdir()
    packed = run(tree / "dev/dist/package", "1.2.3-rc.1", folder, cwd=tree, BINARIES=str(binaries), **environment)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    return folder / "wardpost-1.2.3-rc.1-x86_64.tar.gz", folder / "wardpost_1.2.3~rc.1_amd64.deb"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Something that stands where the programs do, and packs in no time."""
    folder = tmp_path_factory.mktemp("small")
    for program in PROGRAMS:
        (folder / program).write_text(f"#!/bin/sh\necho {program}\n")
    return folder


def members(archive):
    with archive:
        return {member.name.removeprefix("./").rstrip("/"): member for member in archive}


def test_both_packages_hold_what_make_install_puts_in_place(tmp_path, small):
    image = tmp_path / "image"
    assert run("make", "install", f"DESTDIR={image}", f"BINARIES={small}").returncode == 0
    installed = {str(path.relative_to(image)): path for path in image.rglob("*")}
    tarball, deb = package(small, tmp_path / "packages", SOURCE_DATE_EPOCH="1790000000")
    unpacked = members(tarfile.open(tarball))
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "deb.tar").write_bytes(files)
    in_deb = members(tarfile.open(tmp_path / "deb.tar"))

    assert installed.keys() == in_deb.keys() - {"", "."}
    # Unpacked to /, a folder of the system would get another's mode, and an operator's settings would be replaced.
    ours = {path for path, file in installed.items() if not file.is_dir() or "wardpost" in path}
    assert unpacked.keys() == ours - {SETTINGS}
    assert "etc/wardpost" in unpacked and "usr/local/share/doc/wardpost/wardpost.env" in unpacked
    for found in (unpacked, in_deb):
        for path, member in found.items():
            assert (member.uid, member.gid, member.mtime) == (0, 0, 1790000000), path
            if path in installed:
                assert member.mode == stat.S_IMODE(installed[path].stat().st_mode), path
                assert member.isdir() == installed[path].is_dir()
    field = subprocess.run(["dpkg-deb", "--field", deb], capture_output=True, text=True, check=True).stdout
    assert "\nVersion: 1.2.3~rc.1\n" in field and "libc6 (>= 2.34)" in field
    told = subprocess.run(["dpkg-deb", "--info", deb, "conffiles"], capture_output=True, text=True, check=True).stdout
    assert told == f"/{SETTINGS}\n"


def test_packed_in_another_folder_under_another_umask_every_byte_is_the_same(tmp_path, small):
    first = package(small, tmp_path / "first", SOURCE_DATE_EPOCH="1790000000")
    tree = tmp_path / "elsewhere" / "a checkout"
    for folder in ("systemd", "docs", "compose/edge", "dev/dist"):
        shutil.copytree(ROOT / folder, tree / folder, symlinks=True)
    for file in ("Makefile", "README.md", "CHANGELOG.md"):
        shutil.copyfile(ROOT / file, tree / file)
    other = {"SOURCE_DATE_EPOCH": "1790000000", "UMASK": "077", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "GZIP": "", "MAKEFLAGS": ""}
    second = package(shutil.copytree(small, tmp_path / "programs"), tmp_path / "second", tree, **other)
    for one, another in zip(first, second, strict=True):
        assert one.read_bytes() == another.read_bytes(), one.name


def test_each_program_tells_its_version_and_that_this_is_no_release():
    for program in PROGRAMS:
        assert run(binary(program), "--version").stdout == f"{program} {NOT_A_RELEASE}\n"


def compiled(folder, program, source, *options):
    folder.mkdir(exist_ok=True)
    (folder / f"{program}.c").write_text(source)
    subprocess.run(["cc", "-o", folder / program, folder / f"{program}.c", *options], check=True)
    return folder


def check(*arguments, revision="65cfa89d1c2e"):
    done = run(DIST / "check", *arguments, WARDPOST_REVISION=revision)
    return done.returncode, done.stderr.strip()


def test_the_programs_run_with_the_glibc_that_is_promised():
    assert check(BINARIES, *PROGRAMS) == (0, "")
    control = (DIST / "debian" / "control").read_text()
    assert "libc6 (>= 2.34)" in control and "\nglibc=2.34\n" in (DIST / "check").read_text()
    assert "glibc 2.34" in (ROOT / "docs" / "INSTALL.md").read_text()


def test_what_needs_a_newer_glibc_or_another_library_is_no_release(tmp_path):
    newer = compiled(tmp_path / "newer", "web", "#include <stdlib.h>\nint main(void) { return arc4random() == 0; }")
    code, said = check(newer, "web")
    assert code == 1 and "web needs glibc 2.36, and a release has to run with 2.34: arc4random came with it." in said
    more = compiled(tmp_path / "more", "web", "int main(void) { return 0; }", "-Wl,--no-as-needed", "-lcrypt")
    assert check(more, "web") == (1, "dist: web needs libcrypt.so.1, which no page tells an operator to install")


def test_a_release_says_its_revision_and_knows_no_folder_of_the_machine_that_built_it(tmp_path):
    code, said = check("--release", BINARIES, "web")
    assert code == 1 and f'web --version says "web {NOT_A_RELEASE}" and not (65cfa89d1c2e)' in said
    source = '#include <stdio.h>\nint main(void) { puts("web 0.1.0 (65cfa89d1c2e)"); FOLDER; return 0; }'
    release = compiled(tmp_path / "release", "web", source.replace("FOLDER", "(void)0"))
    assert check("--release", release, "web") == (0, "")
    told = compiled(tmp_path / "told", "web", source.replace("FOLDER", f'fputs("{ROOT}/libs/store/src/lib.rs", stderr)'))
    code, said = check("--release", told, "web")
    assert code == 1 and f"web has a path of this machine in it: {ROOT}/libs/store/src/lib.rs" in said


def test_a_release_is_made_of_a_commit_with_its_line_in_the_changelog(tmp_path):
    tree = tmp_path / "tree"
    assert run("git", "clone", "--quiet", "--shared", ROOT, tree).returncode == 0
    shutil.copytree(DIST, tree / "dev/dist", dirs_exist_ok=True)
    changelog = tree / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace(f"## [{VERSION}]", "## [0.0.1]"))
    author = ("-c", "user.name=A", "-c", "user.email=a@clinic.example", "-c", "commit.gpgsign=false")
    assert run("git", *author, "commit", "--quiet", "--all", "--message", "No line", cwd=tree).returncode == 0
    refused = run(tree / "dev/dist/release", "web", cwd=tree)
    assert refused.returncode == 1 and f'CHANGELOG.md has no line "## [{VERSION}] - YYYY-MM-DD"' in refused.stderr
    (tree / "web/src/new.rs").write_text("")
    refused = run(tree / "dev/dist/release", "web", cwd=tree)
    assert refused.returncode == 1 and "a release is made of a commit, and this is in none: ?? web/src/new.rs" in refused.stderr


def test_the_sbom_has_what_is_linked_into_each_program_and_nothing_else(tmp_path):
    if not (ROOT / "target/dist/tools/bin/cargo-cyclonedx").exists():
        pytest.skip("NOT CHECKED: cargo-cyclonedx is not here; dev/dist/setup builds it in two minutes")
    file = tmp_path / "wardpost.cdx.json"
    made = run(DIST / "sbom", BINARIES, file, *PROGRAMS, WARDPOST_REVISION="65cfa89d1c2e", SOURCE_DATE_EPOCH="1790000000")
    assert made.returncode == 0, made.stderr
    text = file.read_text()
    assert "file:" not in text and str(ROOT) not in text
    sbom = json.loads(text)
    known = {component["purl"] for component in sbom["components"]}
    linked = {entry["ref"]: {purl.partition("@")[0] for purl in entry["dependsOn"]} for entry in sbom["dependencies"]}
    into = {program: linked[f"pkg:cargo/wardpost-{program}@{VERSION}"] for program in PROGRAMS}
    for program in PROGRAMS:
        # Nothing of C where there is no database, no AWS in the site, and no macro, which only the compiler runs.
        assert ("pkg:generic/openssl" in into[program]) == ("pkg:generic/sqlcipher" in into[program]) == (program != "secrets-init")
        assert ("pkg:cargo/aws-config" in into[program]) == (program != "web")
        assert not into[program] & {"pkg:cargo/syn", "pkg:cargo/serde_derive", "pkg:cargo/wardpost-testkit"}
        assert {"pkg:cargo/tokio", "pkg:cargo/wardpost-process", "pkg:generic/rust-std"} <= into[program]
    assert known >= {purl for entry in sbom["dependencies"][1:] for purl in entry["dependsOn"]}
    # A program that does not show the OpenSSL that it should have been built with.
    other = shutil.copytree(BINARIES, tmp_path / "other", ignore=lambda _, names: set(names) - {"web"})
    (other / "web").write_bytes((other / "web").read_bytes().replace(b"OpenSSL 3.", b"OpenSSL 9."))
    refused = run(DIST / "sbom", other, file, "web", WARDPOST_REVISION="65cfa89d1c2e", SOURCE_DATE_EPOCH="1790000000")
    assert refused.returncode == 1 and "web should have OpenSSL 3." in refused.stderr
