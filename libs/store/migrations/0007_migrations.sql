-- Schema 7: which files have made this database, by the SHA-256 of their text. A program of which one differs refuses the
-- database, since nobody can say then what the schema is. Those of schemas 1 to 6 are written down when this one is applied.
CREATE TABLE migration (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT;
CREATE TRIGGER migration_fixed BEFORE UPDATE ON migration
BEGIN SELECT RAISE(ABORT, 'what was applied stays applied'); END;
CREATE TRIGGER migration_stays BEFORE DELETE ON migration
BEGIN SELECT RAISE(ABORT, 'what was applied stays applied'); END;
