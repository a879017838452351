"""Every way a backup can be spoilt is refused, each with its own reason; and nothing of it reaches the place of a database.

The manifests here have a code that fits, as if a holder of the key had spoilt the backup, and the log knows nothing of it:
what is shown is that each check behind those holds by itself. What a stranger can do: test_backup_stranger.py."""

import gzip
import hashlib
import json
import shutil
import subprocess
import time

import pytest
import sqlcipher3

from support.audit_chain import genesis, row_hash
from support.backups import BackupWorker, sql
from support.database_program import copy_database, open_database, seed
from support.manifests import authenticated
from support.processes import ROOT


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A database, its backup, and the identity that opens it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "backups").mkdir()
    seed(folder / "wardpost.db", 1500)
    copy_database(folder / "wardpost.db", folder / "before.db")
    worker = BackupWorker(folder / "wardpost.db", f"file://{folder}/backups")
    manifest = worker.now()
    (folder / "identity.txt").write_text(worker.run("identity", "--print").expect(0).out)
    return folder, manifest


class Spoilt:
    """A copy of the backup to spoil."""

    def __init__(self, made, folder):
        source, self.manifest = made[0], dict(made[1])
        self.manifest.pop("target")
        self.identity = source / "identity.txt"
        self.folder = folder
        shutil.copytree(source / "backups", folder / "backups")
        self.worker = BackupWorker(copy_database(source / "before.db", folder / "wardpost.db"), f"file://{folder}/backups")
        self.archive = folder / "backups" / self.manifest["name"]
        self.manifest_file = folder / "backups" / self.manifest["name"].replace(".sqlite.gz.age", ".json")

    def flip(self, place):
        content = bytearray(self.archive.read_bytes())
        content[place] ^= 1
        self.archive.write_bytes(content)

    def other_letter(self, before, number):
        """Another letter of base64 in place of the `number`th after these words: what was well-formed stays so."""
        content = bytearray(self.archive.read_bytes())
        place = content.index(before) + len(before) + number
        content[place] = ord("B") if content[place] == ord("A") else ord("A")
        self.archive.write_bytes(content)

    def inside(self):
        """What is under the encryption."""
        command = ["age", "-d", "-i", self.identity, self.archive]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def seal(self, inside, *, say_so=True, recipient=None):
        """Encrypts something else, and lets the manifest say the sums of that: what somebody can do who has the public key
        and may write to the target."""
        recipient = recipient or self.manifest["recipients"][0]
        sealed = subprocess.run(["age", "-r", recipient], input=inside, check=True, capture_output=True).stdout
        self.archive.write_bytes(sealed)
        if say_so:
            self.alter(archive_bytes=len(sealed), archive_sha256=hashlib.sha256(sealed).hexdigest())

    def seal_database(self, plain):
        self.alter(database_bytes=len(plain), database_sha256=hashlib.sha256(plain).hexdigest())
        self.seal(gzip.compress(plain))

    def plain(self):
        """The clear database as a file, for the ordinary sqlite3."""
        path = self.folder / "plain.sqlite"
        path.write_bytes(gzip.decompress(self.inside()))
        return path

    def flip_inside(self, table):
        """One bit of the first page of a table or index, under a good code, good sums and a good manifest."""
        plain = self.plain()
        content = bytearray(plain.read_bytes())
        page = int(sql(plain, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'"))
        content[(page - 1) * 4096] ^= 1
        self.seal_database(bytes(content))

    def alter(self, **changes):
        self.manifest |= changes
        self.manifest_file.write_text(authenticated(self.manifest))

    def change(self, *statements):
        plain = self.plain()
        sql(plain, "PRAGMA journal_mode = DELETE; " + "; ".join(statements))
        self.seal_database(plain.read_bytes())


def swap_manifest(spoilt):
    other = spoilt.worker.folder / "backups" / "wardpost-20251120T020000Z.json"
    other.write_text(authenticated(spoilt.manifest | {"name": "wardpost-20251120T020000Z.sqlite.gz.age"}))
    shutil.copyfile(spoilt.archive, other.with_name("wardpost-20251120T020000Z.sqlite.gz.age"))
    spoilt.manifest_file.write_text(other.read_text())


def plain_sqlcipher(spoilt):
    spoilt.archive.write_bytes(spoilt.worker.database.read_bytes())


def to_stranger(spoilt):
    subprocess.run(["age-keygen", "-o", spoilt.folder / "stranger.txt"], check=True, capture_output=True)
    recipient = (spoilt.folder / "stranger.txt").read_text().split("public key: ")[1].split()[0]
    spoilt.seal(spoilt.inside(), recipient=recipient)


def behind_the_guards(*statements, table="audit_log"):
    """Changes rows of a table, and puts its triggers back as they were: the schema alone would show it."""

    def spoil(spoilt):
        guards = (f"{table}_fixed", f"{table}_stays")
        plain = spoilt.plain()
        again = [sql(plain, f"SELECT sql FROM sqlite_master WHERE name = '{guard}'") for guard in guards]
        spoilt.change(*(f"DROP TRIGGER {guard}" for guard in guards), *statements, *again)

    return spoil


def code_of_another(spoilt):
    spoilt.manifest_file.write_text(authenticated(spoilt.manifest, bytes(32)))


MATRIX = {
    "the first byte": (lambda s: s.flip(0), "not an age archive"),
    "the recipient": (lambda s: s.other_letter(b"-> X25519 ", 20), "another key"),
    "the header's code": (lambda s: s.other_letter(b"\n--- ", 20), "it is damaged"),
    "the first page": (lambda s: s.flip(400), "damaged"),
    "a page in the middle": (lambda s: s.flip(s.archive.stat().st_size // 2), "damaged"),
    "the last byte": (lambda s: s.flip(-1), "damaged"),
    "cut off in the header": (lambda s: s.archive.write_bytes(s.archive.read_bytes()[:100]), "it is cut off"),
    "cut off in the middle": (lambda s: s.archive.write_bytes(s.archive.read_bytes()[:150_000]), "it is damaged"),
    "cut off at the end": (lambda s: s.archive.write_bytes(s.archive.read_bytes()[:-1]), "it is damaged"),
    "empty": (lambda s: s.archive.write_bytes(b""), "it is cut off"),
    "something follows": (lambda s: s.archive.write_bytes(s.archive.read_bytes() + b"more"), "the archive is longer than"),
    "for another key": (to_stranger, "another key"),
    "gzip that is cut off": (lambda s: s.seal(s.inside()[:-100]), "cut off"),
    "gzip that is followed": (lambda s: s.seal(s.inside() + b"more"), "something follows"),
    # Its first block is of a kind that there is not. Further in, what follows may unpack to anything, and to more than it should.
    "gzip that is damaged": (lambda s: s.seal(s.inside()[:10] + b"\xff" * 50 + s.inside()[60:]), "cannot be unpacked"),
    "no gzip at all": (lambda s: s.seal(b"a text, and nothing else in it" * 9), "cannot be unpacked"),
    "no database inside": (lambda s: s.seal_database(b"a text, and nothing else" * 900), "does not begin like one"),
    "half a page": (lambda s: s.seal_database(s.plain().read_bytes()[:-100]), "last page is cut off"),
    "pages missing": (lambda s: s.seal_database(s.plain().read_bytes()[: 4096 * 50]), "not sound"),
    "another archive of ours": (lambda s: s.seal(gzip.compress(s.plain().read_bytes(), 9, mtime=1), say_so=False), "archive"),
    "a plaintext database under the name": (lambda s: s.archive.write_bytes(s.plain().read_bytes()), "not an age archive"),
    "a SQLCipher file under the name": (plain_sqlcipher, "not an age archive"),
    "a manifest of another backup": (swap_manifest, "swapped"),
    "a manifest that is no JSON": (lambda s: s.manifest_file.write_text("{"), "manifest cannot be read"),
    "a manifest of another format": (lambda s: s.alter(format=3), "format 3"),
    "a manifest whose code does not fit": (code_of_another, "code does not fit"),
    "a manifest with a smaller size": (lambda s: s.alter(archive_bytes=7), "the archive is longer than 7 bytes"),
    "a manifest with a larger size": (lambda s: s.alter(archive_bytes=s.manifest["archive_bytes"] + 1), "archive's size"),
    "a manifest with another hash": (lambda s: s.alter(archive_sha256="0" * 64), "archive's SHA-256"),
    "a manifest with another size of the database": (lambda s: s.alter(database_bytes=s.manifest["database_bytes"] + 4096), "database's size"),
    "a manifest with another hash of the database": (lambda s: s.alter(database_sha256="0" * 64), "database's SHA-256"),
    "a manifest with another schema": (lambda s: s.alter(schema=1), "the schema differs"),
    "a manifest with another age": (lambda s: s.alter(data_until="2026-01-01T00:00:00.000Z"), "age of the data"),
    "a manifest with another database": (lambda s: s.alter(database_id="0" * 32), "database's id"),
    "a manifest with another log": (lambda s: s.alter(stream="0" * 32), "name of the audit log"),
    "a manifest with other counts": (lambda s: s.alter(rows=s.manifest["rows"] | {"person": 9}), "rows of person"),
    "a manifest with another end": (lambda s: s.alter(audit_head={"id": 7, "hash": "0" * 64}), "newest audit row"),
    "no manifest": (lambda s: s.manifest_file.unlink(), "no manifest"),
    "no archive": (lambda s: s.archive.unlink(), "there is no backup"),
    "a foreign trigger": (lambda s: s.change("CREATE TRIGGER t AFTER INSERT ON session BEGIN SELECT 1; END"), "the trigger `t`"),
    "another migration": (
        behind_the_guards("UPDATE migration SET sha256 = zeroblob(32) WHERE number = 3", table="migration"),
        "not made by migration 3 as",
    ),
    "a newer schema": (lambda s: s.change("PRAGMA user_version = 99"), "schema 99"),
    "another program's database": (lambda s: s.change("PRAGMA application_id = 5"), "another program"),
    "an altered audit row": (behind_the_guards("UPDATE audit_log SET ip = '192.0.2.9' WHERE id = 700"), "broken at row 700"),
    "a removed audit row": (behind_the_guards("DELETE FROM audit_log WHERE id = 700"), "broken at row 700"),
    "an end cut off": (behind_the_guards("DELETE FROM audit_log WHERE id > 1400"), "broken at row 1401: the end of the log was cut off"),
    "an altered message": (lambda s: s.change("UPDATE message_body SET body = 'other' WHERE message_id = 9"), "message 9"),
    "a bit of a page, sealed again": (lambda s: s.flip_inside("audit_log_person_action"), "structure is broken"),
    "rows that refer to nothing": (lambda s: s.change("UPDATE session SET person_id = 77"), "refer to rows that are not there"),
}


@pytest.mark.parametrize("damage", MATRIX)
def test_it_is_refused_with_its_reason(damage, made, tmp_path):
    spoil, words = MATRIX[damage]
    spoilt = Spoilt(made, tmp_path)
    spoil(spoilt)
    name = spoilt.manifest["name"]
    refused = spoilt.worker.run("verify", name, "--json")
    assert refused.code == 1, refused.out + refused.err
    reason = refused.json["reason"]
    assert words in reason
    # A restore refuses it for the same reason, and the database that is there stays as it is.
    before = spoilt.worker.database.read_bytes()
    spoilt.worker.run("restore", name, "--to", spoilt.worker.database, "--replace").expect(1, reason)
    assert spoilt.worker.database.read_bytes() == before
    assert spoilt.worker.left_over() == []
    assert not [path for path in tmp_path.iterdir() if "restoring" in path.name or "replaced" in path.name]
    assert [action for action, _ in spoilt.worker.events()][-1] == "BACKUP_FAILED"
    assert spoilt.worker.list()["newest_verified"] is None


def test_the_reasons_differ():
    """No reason stands for everything."""
    assert len({words for _, words in MATRIX.values()}) > 25


MIGRATIONS = sorted((ROOT / "libs" / "store" / "migrations").glob("*.sql"))


def forget_who(database):
    """Writes the log of a clear database as programs before schema 6 did, whose rows do not say who people are."""
    connection = sqlcipher3.connect(str(database), isolation_level=None)
    connection.execute("BEGIN")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    ((database_id,),) = connection.execute("SELECT value FROM meta WHERE name = 'database_id'").fetchall()
    previous = genesis(database_id)
    rows = "SELECT id, at, person_id, action, details, ip FROM audit_log ORDER BY id"
    for row, at, person, action, details, ip in connection.execute(rows).fetchall():
        kept = {name: value for name, value in json.loads(details).items() if name not in ("who", "personal")}
        details = json.dumps(kept, separators=(",", ":"))
        written = time.strftime(f"%Y-%m-%dT%H:%M:%S.{at % 1000:03}Z", time.gmtime(at // 1000))
        own = row_hash(previous, [row, written, person, action, details, ip])
        changed = (details, bytes.fromhex(previous), bytes.fromhex(own), row)
        connection.execute("UPDATE audit_log SET details = ?, previous_hash = ?, hash = ? WHERE id = ?", changed)
        previous = own
    connection.execute("UPDATE audit_head SET hash = ?", (bytes.fromhex(previous),))
    connection.execute("COMMIT")
    connection.close()


def make_older(plain, schema):
    """Makes of the clear database one that the migrations up to a schema have made, with the same rows; gives what its
    manifest has to say of it."""
    newest = plain.with_name("newest.sqlite")
    shutil.copyfile(plain, newest)
    if schema < 6:
        forget_who(newest)
    tables = sql(plain, "SELECT name FROM sqlite_master WHERE type = 'table'").splitlines()
    triggers = sql(plain, "SELECT name FROM sqlite_master WHERE type = 'trigger'").splitlines()
    drops = [*(f"DROP TRIGGER {name};" for name in triggers), *(f"DROP TABLE {name};" for name in tables)]
    sql(plain, "\n".join(["PRAGMA journal_mode = DELETE;", *drops, *(file.read_text() for file in MIGRATIONS[:schema])]))
    tables = sql(plain, "SELECT name FROM sqlite_master WHERE type = 'table'").splitlines()
    rows = []
    for table in tables:
        # Those that it had then: later migrations have added some.
        columns = sql(plain, f"SELECT group_concat(name, ', ') FROM pragma_table_info('{table}')").strip()
        what = f"{columns} FROM n.{table}"
        if table == "message" and schema < 4:
            keys = "JOIN n.message_key k ON k.message_id = m.id"
            what = f"m.id, m.author_id, m.sent_at, k.idempotency_key, m.salt, m.subject FROM n.message m {keys}"
        rows.append(f"INSERT INTO main.{table} SELECT {what} ORDER BY 1;")
    sql(plain, "\n".join([f"ATTACH '{newest}' AS n;", *rows, f"PRAGMA user_version = {schema};"]))
    head, end = sql(plain, "SELECT id, lower(hex(hash)) FROM audit_log ORDER BY id DESC LIMIT 1").strip().split("|")
    rows = {table: int(sql(plain, f"SELECT count(*) FROM {table}")) for table in tables}
    return {"schema": schema, "rows": rows, "audit_head": {"id": int(head), "hash": end}}


@pytest.mark.parametrize("schema", range(1, len(MIGRATIONS) + 1))
def test_a_backup_of_any_schema_is_brought_up_to_date(schema, made, tmp_path):
    """Refusing it would make every backup from before an upgrade worthless."""
    spoilt = Spoilt(made, tmp_path)
    plain = spoilt.plain()
    spoilt.alter(**make_older(plain, schema))
    spoilt.seal_database(plain.read_bytes())
    name = spoilt.manifest["name"]
    spoilt.worker.run("verify", name).expect(0, "all checks passed")
    spoilt.worker.run("restore", name, "--to", tmp_path / "r.db").expect(0)
    connection = open_database(tmp_path / "r.db")
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert connection.execute("SELECT count(*) FROM shipping").fetchone() == (0,)
    connection.close()


def test_a_copy_that_is_not_sound_is_not_uploaded(made, tmp_path):
    spoilt = Spoilt(made, tmp_path)
    for file in (tmp_path / "backups").iterdir():
        file.unlink()
    connection = open_database(spoilt.worker.database, guarded=True)
    connection.execute("UPDATE message_body SET body = 'changed by an intruder' WHERE message_id = 5")
    connection.close()
    spoilt.worker.run("now").expect(1, "not sound", "message 5")
    assert list((tmp_path / "backups").iterdir()) == []
    ((action, details),) = spoilt.worker.events()[-1:]
    assert action == "BACKUP_FAILED" and "message 5" in details["reason"]
    # One who took the guards away for it shows by that alone.
    open_database(spoilt.worker.database).close()
    spoilt.worker.run("now").expect(1, "its schema is not this program's own: the trigger", "is missing")


def test_a_damaged_page_of_the_database_is_no_empty_one_in_a_backup(made, tmp_path):
    """The end of a long draft: no check of structure or chain would miss it."""
    spoilt = Spoilt(made, tmp_path)
    for file in (tmp_path / "backups").iterdir():
        file.unlink()
    connection = open_database(spoilt.worker.database)
    connection.execute(
        "INSERT INTO draft SELECT id, 0, zeroblob(4096), 0, zeroblob(16), '', printf('%.*c', 9000, 'x'), '' FROM person"
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(spoilt.worker.database.read_bytes())
    content[-2000] ^= 1
    spoilt.worker.database.write_bytes(content)
    spoilt.worker.run("now").expect(1, "the database is damaged", "restore the newest backup")
    assert list((tmp_path / "backups").iterdir()) == []
    assert spoilt.worker.left_over() == []
    ((action, details),) = spoilt.worker.events()[-1:]
    assert action == "BACKUP_FAILED" and "the database is damaged" in details["reason"]
