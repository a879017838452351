-- Schema 1. Times are UTC milliseconds since 1970.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- People are who their identity provider says they are: (issuer, subject). E-mail and name follow the provider.
CREATE TABLE person (
    id              INTEGER PRIMARY KEY CHECK (id > 0),
    issuer          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    email           TEXT NOT NULL,
    name            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    last_sign_in_at INTEGER,
    disabled_at     INTEGER,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX person_email ON person (email COLLATE NOCASE);

-- Only the SHA-256 of a session's token is stored: who reads the file cannot take a session over.
CREATE TABLE session (
    id             INTEGER PRIMARY KEY CHECK (id > 0),
    token_hash     BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    person_id      INTEGER NOT NULL REFERENCES person (id),
    csrf_token     TEXT NOT NULL,
    started_at     INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL,
    ended_at       INTEGER,
    end_reason     TEXT,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;
CREATE INDEX session_live ON session (person_id) WHERE ended_at IS NULL;

-- A message, in three tables. Rows of `message` and `message_body` never change their size and never go: deleting a
-- message writes spaces over its text where it lies and adds a row to `message_deletion`. A row that went, or changed
-- its size, would make SQLite move its neighbours between pages, and a moved row can leave a copy of itself behind that
-- secure_delete does not reach. Ids are 1, 2, 3 without a gap, in the order of their MESSAGE_CREATE rows.
CREATE TABLE message (
    id              INTEGER PRIMARY KEY CHECK (id > 0),
    author_id       INTEGER NOT NULL REFERENCES person (id),
    sent_at         INTEGER NOT NULL,
    idempotency_key BLOB NOT NULL CHECK (length(idempotency_key) = 16),
    salt            BLOB NOT NULL CHECK (length(salt) = 16),
    subject         TEXT NOT NULL,
    UNIQUE (author_id, idempotency_key)
) STRICT;
CREATE INDEX message_author ON message (author_id);

-- Apart, so that a page of the list reads few pages of the file.
CREATE TABLE message_body (
    message_id INTEGER PRIMARY KEY REFERENCES message (id),
    body       TEXT NOT NULL
) STRICT;

CREATE TABLE message_deletion (
    message_id INTEGER PRIMARY KEY REFERENCES message (id),
    at         INTEGER NOT NULL
) STRICT;

CREATE TRIGGER message_stays BEFORE DELETE ON message
BEGIN SELECT RAISE(ABORT, 'a message stays, as a tombstone'); END;
CREATE TRIGGER message_body_stays BEFORE DELETE ON message_body
BEGIN SELECT RAISE(ABORT, 'a message stays, as a tombstone'); END;
CREATE TRIGGER message_deletion_stays BEFORE DELETE ON message_deletion
BEGIN SELECT RAISE(ABORT, 'a deleted message stays deleted'); END;
CREATE TRIGGER message_deletion_fixed BEFORE UPDATE ON message_deletion
BEGIN SELECT RAISE(ABORT, 'a deleted message stays deleted'); END;

-- One half-written message per person. `filler` (4096 zero bytes) is longer than what SQLite keeps of a row inside the
-- table's own pages, so the text lies on overflow pages only: those are never moved, and are zeroed when freed.
CREATE TABLE draft (
    person_id       INTEGER PRIMARY KEY REFERENCES person (id),
    filler          BLOB NOT NULL CHECK (length(filler) = 4096),
    saved_at        INTEGER NOT NULL,
    idempotency_key BLOB NOT NULL CHECK (length(idempotency_key) = 16),
    subject         TEXT NOT NULL,
    body            TEXT NOT NULL
) STRICT;

-- The audit log only grows. Each row's hash covers the row and the hash before it.
CREATE TABLE audit_log (
    id            INTEGER PRIMARY KEY CHECK (id > 0),
    at            INTEGER NOT NULL,
    person_id     INTEGER REFERENCES person (id),
    action        TEXT NOT NULL,
    message_id    INTEGER REFERENCES message (id),
    details       TEXT NOT NULL,
    ip            TEXT,
    previous_hash BLOB NOT NULL CHECK (length(previous_hash) = 32),
    hash          BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
-- A filtered view is ordered by (at, id); every one of its filters has an index that gives this order.
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_person ON audit_log (person_id, at);
CREATE INDEX audit_log_action ON audit_log (action, at);
CREATE INDEX audit_log_person_action ON audit_log (person_id, action, at);
-- What an open list of messages needs to hear of.
CREATE INDEX audit_log_message_event ON audit_log (id) WHERE action IN ('MESSAGE_CREATE', 'MESSAGE_DELETE');
CREATE INDEX audit_log_message_deletion ON audit_log (message_id) WHERE action = 'MESSAGE_DELETE';

CREATE TRIGGER audit_log_fixed BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log
WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM audit_log)
BEGIN SELECT RAISE(ABORT, 'the next audit row has the next number'); END;

-- Where the log ends, so that rows cut off its end are missed.
CREATE TABLE audit_head (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    id       INTEGER NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
