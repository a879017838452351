-- Schema 4: fewer indexes in which every person has pages of their own, since each commit writes one page of each for
-- everybody who had a part in it.
--
-- What a person did is found by (person, action, at) alone, and what they sent by their MESSAGE_CREATE rows there. A key
-- begins with the time it was made, and stands before the author, so that new ones share the last page.
--
-- A table's own UNIQUE cannot be dropped, so the table is made anew; whoever applies this has foreign_keys off and checks
-- them after it.
DROP INDEX audit_log_person;

CREATE TABLE message_anew (
    id              INTEGER PRIMARY KEY CHECK (id > 0),
    author_id       INTEGER NOT NULL REFERENCES person (id),
    sent_at         INTEGER NOT NULL,
    idempotency_key BLOB NOT NULL CHECK (length(idempotency_key) = 16),
    salt            BLOB NOT NULL CHECK (length(salt) = 16),
    subject         TEXT NOT NULL
) STRICT;
INSERT INTO message_anew (id, author_id, sent_at, idempotency_key, salt, subject)
SELECT id, author_id, sent_at, idempotency_key, salt, subject FROM message ORDER BY id;
DROP TABLE message;
ALTER TABLE message_anew RENAME TO message;

CREATE UNIQUE INDEX message_key ON message (idempotency_key, author_id);
CREATE TRIGGER message_stays BEFORE DELETE ON message
BEGIN SELECT RAISE(ABORT, 'a message stays, as a tombstone'); END;
