"""`log-shipper` with a database of its own."""

from .database_program import DatabaseProgram


class Shipper(DatabaseProgram):
    """The program, which copies to `sink`."""

    def __init__(self, database, sink, **settings):
        super().__init__("log-shipper", database, WARDPOST_AUDIT_SINK=sink, **settings)

    def status(self, **settings):
        status = self.run("status", "--json", **settings).expect(0).json
        assert status["shipped"] + status["quarantined"] == status["cursor"]
        assert status["cursor"] + status["lag_rows"] == status["newest"]
        return status


def lines_of(path):
    """The lines of a file copy, of those put aside as well."""
    aside = sorted(path.parent.glob(path.name + ".[0-9]*"))
    return [line for file in [*aside, path] if file.exists() for line in file.read_text(encoding="utf-8").splitlines()]
