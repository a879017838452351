-- Schema 10: templates. Forms that everybody on staff shares: each row, such as a room or a bed, becomes a message of its own.
-- Audit rows carry a salted hash of name and rows. One that was deleted keeps its number and nothing else.
CREATE TABLE template (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    changed_by INTEGER NOT NULL REFERENCES audit_log (id),
    deleted    INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    salt       BLOB NOT NULL CHECK (length(salt) = 16),
    name       TEXT NOT NULL,
    -- A JSON array: of each row its label, and what is to be thought of in its text.
    rows       TEXT NOT NULL
) STRICT;

-- What somebody has half written in the form of a template. As with `draft`, the text lies on overflow pages behind the filler.
CREATE TABLE template_draft (
    person_id       INTEGER NOT NULL REFERENCES person (id),
    template_id     INTEGER NOT NULL REFERENCES template (id),
    filler          BLOB NOT NULL CHECK (length(filler) = 4096),
    saved_at        INTEGER NOT NULL,
    idempotency_key BLOB NOT NULL CHECK (length(idempotency_key) = 16),
    -- A JSON object: the subject's end, and of each row its label and its text.
    texts           TEXT NOT NULL,
    UNIQUE (person_id, template_id)
) STRICT;
