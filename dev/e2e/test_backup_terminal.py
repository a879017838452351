"""What `backup-worker` does on a terminal alone: it shows a key, shows how far it is, and asks before it replaces."""

import pytest

from support.database_program import seed
from support.processes import binary
from support.terminal import on_terminal


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeded") / "wardpost.db"
    seed(path, 3000, random_bytes=1000)
    return path


def shown(worker, *arguments, **options):
    return on_terminal([binary("backup-worker"), *arguments], env=worker.environment(), **options)


def test_the_key_is_shown_on_a_terminal_without_another_word(worker):
    code, text = shown(worker, "identity")
    assert code == 0 and "AGE-SECRET-KEY-1" in text
    assert [action for action, _ in worker.events()] == ["BACKUP_IDENTITY_SHOWN"]


def test_how_far_it_is_is_shown_on_a_terminal_and_wiped_away(worker):
    """That nothing of it is in the output elsewhere is seen in every other test."""
    code, text = shown(worker, "now")
    assert code == 0, text
    assert "\rcopying: " in text or "\rpacking and uploading: " in text or "\rchecking " in text, text
    # The line is empty again before the result is there.
    assert "\r\x1b[KMade wardpost-" in text, text


def test_a_restore_asks_before_it_replaces(worker):
    worker.now()
    before = worker.database.read_bytes()
    code, text = shown(worker, "restore", "latest", "--to", worker.database, answers={"[y/N]": "n"})
    assert code == 1 and "you did not say yes" in text
    assert worker.database.read_bytes() == before
    code, text = shown(worker, "restore", "latest", "--to", worker.database, answers={"[y/N]": "y"})
    assert code == 0, text
    assert f"Replace {worker.database} by wardpost-" in text and "is kept under another name" in text
    assert len(list(worker.folder.glob("wardpost.db.replaced-*"))) == 1
