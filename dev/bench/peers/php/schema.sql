-- What such a site would keep: people, messages, and an audit log without a chain.
PRAGMA journal_mode = WAL;
CREATE TABLE person (
    id          INTEGER PRIMARY KEY,
    email       TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    disabled_at INTEGER
);
CREATE TABLE message (
    id        INTEGER PRIMARY KEY,
    author_id INTEGER NOT NULL REFERENCES person (id),
    sent_at   INTEGER NOT NULL,
    subject   TEXT NOT NULL,
    body      TEXT NOT NULL
);
CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    person_id  INTEGER REFERENCES person (id),
    action     TEXT NOT NULL,
    message_id INTEGER REFERENCES message (id),
    details    TEXT NOT NULL,
    ip         TEXT
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_action ON audit_log (action, at);
CREATE INDEX audit_log_person_action ON audit_log (person_id, action, at);
