-- Schema 3: emergency access, for the day the identity provider is down. One row for each grant: who gave it, to whom, why,
-- and what came of it. Only the SHA-256 of the one-time code is stored.
CREATE TABLE emergency_grant (
    id            INTEGER PRIMARY KEY CHECK (id > 0),
    code_hash     BLOB NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    person_id     INTEGER NOT NULL REFERENCES person (id),
    operator      TEXT NOT NULL,
    reason        TEXT NOT NULL CHECK (length(reason) > 0),
    minutes       INTEGER NOT NULL CHECK (minutes BETWEEN 1 AND 60),
    granted_at    INTEGER NOT NULL,
    -- Until when the code can be used.
    code_until    INTEGER NOT NULL,
    used_at       INTEGER,
    -- No reference: the rows of sessions go some time after their end, and their numbers are never given again.
    session_id    INTEGER UNIQUE,
    -- Until when the session may last.
    session_until INTEGER,
    ended_at      INTEGER,
    end_reason    TEXT,
    CHECK ((used_at IS NULL) = (session_id IS NULL)),
    CHECK ((used_at IS NULL) = (session_until IS NULL)),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;
CREATE INDEX emergency_grant_open ON emergency_grant (person_id) WHERE ended_at IS NULL;

CREATE TRIGGER emergency_grant_stays BEFORE DELETE ON emergency_grant
BEGIN SELECT RAISE(ABORT, 'a grant stays'); END;
CREATE TRIGGER emergency_grant_used_once BEFORE UPDATE ON emergency_grant
WHEN OLD.ended_at IS NOT NULL OR (OLD.used_at IS NOT NULL AND NEW.session_id IS NOT OLD.session_id)
BEGIN SELECT RAISE(ABORT, 'a grant is used once and ends once'); END;
