"""dev/imports: it sees every way to import, finds a circle that somebody plants, and notices when the picture is old."""

import importlib.machinery
import importlib.util
import subprocess

import pytest

from support.processes import ROOT

PROGRAM = ROOT / "dev" / "imports"


@pytest.fixture(scope="module")
def imports():
    loader = importlib.machinery.SourceFileLoader("imports", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("imports", loader))
    loader.exec_module(module)
    return module


SOURCES = {
    "lib.rs": "pub mod http;\npub use http::reply::Reply;\n",
    "http/mod.rs": "pub mod reply;\nuse crate::time;\n",
    "http/reply.rs": "use super::super::text::{self, Text, inner::{A, B as C}};\n",
    "text.rs": "pub mod inner {}\n// use crate::site::Site;\nconst X: &str = \"crate::site::Site\";\n",
    "time.rs": "const QUOTE: char = '\"';\nfn f() { let _ = crate::text::now(); }\n#[cfg(test)]\nmod tests {\n    use crate::site::Site;\n}\n",
    "site.rs": "use crate::features::{help::Page, messages};\nuse crate::Reply;\n",
    "site/tests.rs": "use crate::Reply;\n",
    "features/help/mod.rs": "pub struct Page;\n",
    "features/help/page.rs": "",
    "features/messages/mod.rs": "mod list;\nuse list::List;\n",
    "features/messages/list.rs": "use crate::http;\n",
    "features/messages/list_tests.rs": "use crate::site::Site;\n",
}


@pytest.fixture
def tree(tmp_path):
    """A workspace of one crate, with a page for its picture."""
    for name, text in SOURCES.items():
        (tmp_path / "web/src" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web/src" / name).write_text(text)
    (tmp_path / "Cargo.toml").write_text('[workspace]\nmembers = ["web", "libs/*"]\n[workspace.dependencies]\nstore = { path = "libs/store" }\n')
    (tmp_path / "libs/store").mkdir(parents=True)
    (tmp_path / "libs/store/Cargo.toml").write_text('[package]\nname = "store"\n[dependencies]\n')
    dependencies = '[dependencies]\nstore.workspace = true\n[dev-dependencies]\nweb = { path = "." }\n'
    (tmp_path / "web/Cargo.toml").write_text('[package]\nname = "web"\n' + dependencies)
    (tmp_path / "docs").mkdir()
    return tmp_path


def page(imports, tree):
    found = tree / "docs/ARCHITECTURE.md"
    found.write_text(f"Before\n{imports.BEGIN}\n{imports.END}\nAfter\n")
    return found


def test_every_way_to_import_is_seen_and_nothing_else(imports, tree):
    assert imports.Crate(tree / "web/src").parts() == {
        "http": {"text": 1, "time": 1},
        "text": {},
        "time": {"text": 1},
        "site": {"features/help": 1, "features/messages": 1, "http": 1},
        "features/help": {},
        "features/messages": {"http": 1},
    }
    assert imports.workspace(tree) == {"web": {"libs/store": 1}, "libs/store": {}}


def test_a_circle_that_is_planted_is_found(imports, tree):
    crate = imports.Crate(tree / "web/src")
    assert imports.circles(crate.parts()) == []
    assert "Circles among folders: 0. Files in the largest circle: 0 of 9." in imports.summary(crate)
    (tree / "web/src/text.rs").write_text("use crate::site::Site;\n")
    planted = imports.Crate(tree / "web/src")
    assert imports.circles(planted.parts()) == [["features/messages", "http", "site", "text", "time"]]
    assert "Circles among folders: 1; of 5: features/messages/, http/, site, text, time." in imports.summary(planted)
    assert "Files in the largest circle: 7 of 9." in imports.summary(planted)


def test_an_old_picture_is_noticed_and_a_new_one_is_drawn_in_its_place(imports, tree, capsys):
    where = page(imports, tree)
    assert imports.main(["--check"], tree) == 1
    assert imports.main(["--write"], tree) == 0
    assert imports.main(["--check"], tree) == 0
    assert where.read_text().startswith("Before\n") and where.read_text().endswith("\nAfter\n")
    capsys.readouterr()
    (tree / "web/src/features/help/page.rs").write_text("use crate::time;\n")
    assert imports.main(["--check"], tree) == 1
    said = capsys.readouterr().out
    assert "dev/imports --write" in said and "now: features/help/ -> time 1" in said
    assert imports.main(["--write"], tree) == 0
    assert imports.main(["--check"], tree) == 0


def test_a_circle_fails_the_check_however_up_to_date_the_picture_is(imports, tree, capsys):
    page(imports, tree)
    (tree / "web/src/text.rs").write_text("use crate::time;\n")
    assert imports.main(["--write"], tree) == 0
    assert imports.main(["--check"], tree) == 1
    assert capsys.readouterr().out == "web/src: text, time import each other in a circle\n"


def test_the_picture_of_this_repository_is_up_to_date():
    checked = subprocess.run([PROGRAM, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
