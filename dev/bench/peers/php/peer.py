"""Fills a folder with what the PHP peer runs on: settings, a session, and a database with as many messages."""

import getpass
import hashlib
import secrets
import shutil
import sqlite3
import time
from pathlib import Path

from tools import DEBIAN, OUT

HERE = Path(__file__).resolve().parent
NAMES = "Noor Seedorf", "Amina Diallo", "Jonas Weber", "Zoë Öztürk", "Pilar O’Neill", "Tomasz Wójcik", "Mei-Ling Tan"
BODY = "Please read this before your round. " * 12


def prepare(folder: Path, port, messages, people, workers):
    """Gives the cookie and the CSRF token of somebody who is signed in, one of so many `people`."""
    folder.mkdir(parents=True)
    names = {
        "APP": HERE / "app",
        "FOLDER": folder,
        "PORT": port,
        "USER": getpass.getuser(),
        "WORKERS": workers,
        "EXTENSIONS": DEBIAN / "usr/lib/php/20220829",
    }
    for file in ("nginx.conf", "php-fpm.conf", "php.ini"):
        text = (HERE / f"{file}.in").read_text()
        for name, value in names.items():
            text = text.replace(f"@{name}@", str(value))
        (folder / file).write_text(text)
    schema = hashlib.sha256((HERE / "schema.sql").read_bytes()).hexdigest()[:8]
    kept = OUT / "data" / f"{messages}-{people}-{schema}-php.sqlite"
    if not kept.exists():
        unfinished = kept.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        fill(unfinished, messages, people)
        unfinished.rename(kept)
    shutil.copyfile(kept, folder / "app.sqlite")
    (folder / "sessions").mkdir(mode=0o700)
    sessions = [sign_in(folder / "sessions", person) for person in range(1, people + 1)]
    return sessions[0] | {"sessions": sessions}


def sign_in(folder, person):
    """A session as PHP's own handler writes it."""
    token, csrf = secrets.token_hex(32), secrets.token_hex(32)
    (folder / f"sess_{token}").write_text(f'person|i:{person};active|i:{int(time.time())};csrf|s:64:"{csrf}";')
    return {"cookie": f"__Host-app={token}", "csrf": csrf}


def fill(path, messages, people):
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript((HERE / "schema.sql").read_text())
    now = int(time.time() * 1000)
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO person (email, name) VALUES (?, ?)", [(f"seed-{n}@clinic.example", f"{NAMES[n % len(NAMES)]} {n}") for n in range(people)],
    )
    numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :messages)"
    values = {"messages": messages, "now": now, "people": people, "body": BODY}
    database.execute(
        f"{numbers} INSERT INTO message (author_id, sent_at, subject, body) "
        "SELECT i % :people + 1, :now - 30000 * (:messages - i), 'Room 12: new dressing plan from tomorrow (' || i || ')', :body FROM n",
        values,
    )
    database.execute(
        "INSERT INTO audit_log (at, person_id, action, message_id, details, ip) "
        "SELECT sent_at, author_id, 'MESSAGE_CREATE', id, '{\"message_id\":' || id || '}', '127.0.0.1' FROM message"
    )
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
