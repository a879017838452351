-- Schema 11: duties. A message may be for people and teams, and urgent. All of it follows from the log, and the check of the
-- whole chain holds it against that.

-- A message is for somebody: by name (team_id 0), or as one of a team. since_by is the audit row that gave the duty, ended_by
-- the one that ended it.
CREATE TABLE duty (
    message_id INTEGER NOT NULL REFERENCES message (id),
    team_id    INTEGER NOT NULL CHECK (team_id >= 0),
    person_id  INTEGER NOT NULL REFERENCES person (id),
    since_by   INTEGER NOT NULL REFERENCES audit_log (id),
    ended_by   INTEGER REFERENCES audit_log (id),
    PRIMARY KEY (message_id, team_id, person_id, since_by),
    CHECK (ended_by IS NULL OR ended_by > since_by)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX duty_open ON duty (person_id, message_id, team_id) WHERE ended_by IS NULL;

-- What is urgent, and how it is repeated and passed on. ended_by is the row after which nobody has to do anything any more.
CREATE TABLE urgent (
    message_id INTEGER PRIMARY KEY REFERENCES message (id),
    policy     TEXT NOT NULL,
    ended_by   INTEGER REFERENCES audit_log (id)
) STRICT;
CREATE INDEX urgent_open ON urgent (message_id) WHERE ended_by IS NULL;

-- The steps of an urgent message that are over, each once: carried out by a URGENT_STEP row, or passed over by a
-- URGENT_STEPS_SKIPPED row.
CREATE TABLE urgent_step (
    message_id INTEGER NOT NULL REFERENCES urgent (message_id),
    step       INTEGER NOT NULL CHECK (step > 0),
    audit_id   INTEGER NOT NULL REFERENCES audit_log (id),
    PRIMARY KEY (message_id, step)
) STRICT, WITHOUT ROWID;

-- Whom a half-written message would be for.
ALTER TABLE draft ADD COLUMN addressed TEXT NOT NULL DEFAULT '';
