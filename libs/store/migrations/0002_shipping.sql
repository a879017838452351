-- Schema 2: how far the audit log has been copied off the machine. The books of a copy have no audit rows of their own,
-- or each would have to be copied in turn; a row that is given up on has.

-- One row for each copy: where it is kept, and under which name there.
CREATE TABLE shipping (
    sink            TEXT NOT NULL,
    stream          TEXT NOT NULL,
    -- The newest row that, with all before it, was accepted or quarantined.
    cursor          INTEGER NOT NULL CHECK (cursor >= 0),
    shipped         INTEGER NOT NULL CHECK (shipped >= 0),
    quarantined     INTEGER NOT NULL CHECK (quarantined >= 0),
    last_success_at INTEGER,
    last_error_at   INTEGER,
    last_error      TEXT,
    PRIMARY KEY (sink, stream),
    CHECK (shipped + quarantined = cursor),
    CHECK ((last_error_at IS NULL) = (last_error IS NULL))
) STRICT, WITHOUT ROWID;

-- Rows that the other side refuses for good.
CREATE TABLE shipping_quarantine (
    sink     TEXT NOT NULL,
    stream   TEXT NOT NULL,
    audit_id INTEGER NOT NULL REFERENCES audit_log (id),
    at       INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    PRIMARY KEY (sink, stream, audit_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER shipping_stays BEFORE DELETE ON shipping
BEGIN SELECT RAISE(ABORT, 'the books of a copy stay'); END;
CREATE TRIGGER shipping_goes_on BEFORE UPDATE ON shipping
WHEN NEW.cursor < OLD.cursor OR NEW.shipped < OLD.shipped OR NEW.quarantined < OLD.quarantined
BEGIN SELECT RAISE(ABORT, 'a cursor only goes on'); END;
CREATE TRIGGER shipping_quarantine_stays BEFORE DELETE ON shipping_quarantine
BEGIN SELECT RAISE(ABORT, 'the books of a copy stay'); END;
CREATE TRIGGER shipping_quarantine_fixed BEFORE UPDATE ON shipping_quarantine
BEGIN SELECT RAISE(ABORT, 'the books of a copy stay'); END;

-- How far the system's journal has been copied, for each place it is copied to; the position is the journal's own.
CREATE TABLE journal_shipping (
    sink     TEXT PRIMARY KEY,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;
