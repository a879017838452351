"""`web rekey` with a database and two keys of its own, and the one truth about it: one of them opens it, whole."""

import secrets

import sqlcipher3

from .database_program import KEY, DatabaseProgram
from .shipper import Shipper

NEW_KEY = secrets.token_hex(32)
COMPANIONS = ("-wal", "-shm", "-journal")


class Rekeying(DatabaseProgram):
    """The command, and what stands beside the database."""

    def __init__(self, database):
        super().__init__("web", database, DB_ENCRYPTION_KEY_NEW=NEW_KEY)

    def run(self, *arguments, **options):
        ended = super().run(*arguments, **options)
        assert NEW_KEY not in ended.out + ended.err, "the new key is in what it said"
        return ended

    def rekey(self, **options):
        return self.run("rekey", "--yes", "--json", **options)

    def opens_with(self):
        """The key that the command says opens it; the other must not, and the one must by another build of SQLCipher."""
        status = self.run("rekey", "--status", "--json").expect(0).json
        key, other = {"DB_ENCRYPTION_KEY": (KEY, NEW_KEY), "DB_ENCRYPTION_KEY_NEW": (NEW_KEY, KEY)}[status["opens_with"]]
        self.run("audit", "verify", DB_ENCRYPTION_KEY=key).expect(0)
        self.run("audit", "verify", DB_ENCRYPTION_KEY=other).expect(78)
        return key

    def rows(self, key):
        """Ids and hashes of the whole log, and how many messages there are."""
        connection = sqlcipher3.connect(f"file:{self.database}", uri=True)
        connection.execute(f"PRAGMA key = \"x'{key}'\"")
        rows = connection.execute("SELECT id, action, lower(hex(hash)) FROM audit_log ORDER BY id").fetchall()
        (messages,) = connection.execute("SELECT count(*) FROM message_body").fetchone()
        connection.close()
        return rows, messages

    def events(self, key):
        """The log as it is shipped."""
        copy = self.folder / "events.jsonl"
        copy.unlink(missing_ok=True)
        Shipper(self.database, f"file://{copy}", DB_ENCRYPTION_KEY=key).run("once").expect(0)
        return copy.read_text().splitlines()

    def left_over(self):
        """What is beside the database and belongs to no log of this test."""
        names = [path.name for path in self.folder.iterdir() if path.name.startswith(self.database.name)]
        return sorted(set(names) - {self.database.name})


def leave_a_log(database, key=KEY):
    """Makes of a closed database one whose program was killed: the newest commit is in the write-ahead log alone."""
    connection = sqlcipher3.connect(str(database), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{key}'\"")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE session SET last_active_at = last_active_at + 1")
    kept = {end: database.with_name(database.name + end).read_bytes() for end in ("", "-wal")}
    connection.close()
    for end, content in kept.items():
        database.with_name(database.name + end).write_bytes(content)
    assert kept["-wal"], "nothing is in the log"
    return kept
