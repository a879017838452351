"""`backup-worker` with a database of its own."""

import json
import subprocess
import time

from .audit_chain import raw_details
from .database_program import DatabaseProgram
from .waiting import wait_until


class BackupWorker(DatabaseProgram):
    """The program, which keeps backups at `target`."""

    def __init__(self, database, target, **settings):
        super().__init__("backup-worker", database, WARDPOST_BACKUP_TARGET=target, **settings)

    def now(self, **settings):
        return self.run("now", "--json", **settings).expect(0).json

    def list(self, **settings):
        return self.run("list", "--json", **settings).expect(0).json

    def events(self, **settings):
        """What the audit log says about backups: pairs of action and details. Read through the copy that log-shipper makes."""
        copy = self.folder / "events.jsonl"
        shipper = DatabaseProgram("log-shipper", self.database, WARDPOST_AUDIT_SINK=f"file://{copy}")
        shipper.run("once", **settings).expect(0)
        lines = copy.read_text().splitlines()
        found = [(json.loads(line)["action"], json.loads(raw_details(line))) for line in lines]
        return [(action, details) for action, details in found if action.startswith(("BACKUP_", "DATABASE_RESTORED"))]

    @staticmethod
    def another_second(name=None):
        """Waits until a backup gets another name than this one, or than any that was begun by now."""
        begun = name[9:25] if name else _moment()
        wait_until("the next second", lambda: _moment() > begun)

    def work_folder(self):
        return self.database.with_name(self.database.name + ".backup-work")

    def left_over(self):
        """What is in the work folder beside its lock."""
        folder = self.work_folder()
        return sorted(path.name for path in folder.iterdir() if path.name != "lock") if folder.exists() else []


def _moment():
    """As it stands in a name."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def unpack(archive, identity_file, plain):
    """What the runbook says for an emergency, to the letter: three standard tools."""
    command = f'age -d -i "{identity_file}" "{archive}" | gunzip > "{plain}"'
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, capture_output=True, timeout=60)
    return plain


def sql(database, statement):
    """Asks the ordinary sqlite3."""
    asked = subprocess.run(["sqlite3", "-batch", str(database), statement], check=True, capture_output=True, text=True, timeout=60)
    return asked.stdout.strip()
