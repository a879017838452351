-- Schema 8: conversations. One is a message and its replies, one level deep. Rows of `message` stay as they are; which message
-- a reply answers stands beside it, and its content hash covers that. A reply has no subject.
CREATE TABLE message_reply (
    message_id INTEGER PRIMARY KEY REFERENCES message (id),
    root_id    INTEGER NOT NULL REFERENCES message (id),
    CHECK (root_id < message_id)
) STRICT;
CREATE INDEX message_reply_root ON message_reply (root_id);
CREATE TRIGGER message_reply_stays BEFORE DELETE ON message_reply
BEGIN SELECT RAISE(ABORT, 'a reply stays where it was sent'); END;
CREATE TRIGGER message_reply_fixed BEFORE UPDATE ON message_reply
BEGIN SELECT RAISE(ABORT, 'a reply stays where it was sent'); END;

-- What the list walks: each conversation under the number of its newest message. Where it is done, done_by is the audit row
-- that says so. It follows from the messages and the log, and the check of the chain holds it against them, so that no
-- conversation can be hidden.
CREATE TABLE conversation (
    last_id INTEGER PRIMARY KEY REFERENCES message (id),
    root_id INTEGER NOT NULL REFERENCES message (id),
    replies INTEGER NOT NULL CHECK (replies >= 0),
    done_by INTEGER REFERENCES audit_log (id)
) STRICT;
CREATE INDEX conversation_open ON conversation (last_id) WHERE done_by IS NULL;
INSERT INTO conversation SELECT id, id, 0, NULL FROM message ORDER BY id;
DROP INDEX audit_log_message_event;
CREATE INDEX audit_log_message_event ON audit_log (id)
    WHERE action IN ('MESSAGE_CREATE', 'MESSAGE_DELETE', 'CONVERSATION_DONE', 'CONVERSATION_REOPENED');

-- Who opened a message: one row for each message that a MESSAGE_VIEW row names. It follows from the log, and the check of the
-- chain holds it against that.
CREATE TABLE message_opening (
    message_id INTEGER NOT NULL REFERENCES message (id),
    person_id  INTEGER NOT NULL REFERENCES person (id),
    audit_id   INTEGER NOT NULL REFERENCES audit_log (id),
    PRIMARY KEY (message_id, person_id, audit_id)
) STRICT, WITHOUT ROWID;
INSERT INTO message_opening SELECT message_id, person_id, id FROM audit_log WHERE action = 'MESSAGE_VIEW'
    ORDER BY message_id, person_id, id;

-- The messages that are not new to a person, as ranges of numbers that do not touch: those from before the first sign-in, those
-- that were opened, and some of the person's own. What others sent and lies between the ranges is unread.
CREATE TABLE read_range (
    person_id INTEGER NOT NULL REFERENCES person (id),
    first_id  INTEGER NOT NULL,
    last_id   INTEGER NOT NULL,
    PRIMARY KEY (person_id, first_id),
    CHECK (0 < first_id AND first_id <= last_id)
) STRICT, WITHOUT ROWID;
INSERT INTO read_range
WITH first_login (person_id, audit_id) AS (
    SELECT person_id, min(id) FROM audit_log WHERE action = 'LOGIN' GROUP BY person_id
), newcomer (person_id, before_id) AS (
    SELECT person_id, coalesce((SELECT message_id FROM audit_log INDEXED BY audit_log_message_event
        WHERE +action = 'MESSAGE_CREATE' AND id < first_login.audit_id
        AND action IN ('MESSAGE_CREATE', 'MESSAGE_DELETE', 'CONVERSATION_DONE', 'CONVERSATION_REOPENED')
        ORDER BY id DESC LIMIT 1), 0)
    FROM first_login
), known (person_id, before_id, message_id) AS (
    SELECT person_id, before_id, before_id FROM newcomer WHERE before_id > 0
    UNION
    SELECT n.person_id, n.before_id, a.message_id FROM newcomer n JOIN audit_log a ON a.person_id = n.person_id
    WHERE a.action IN ('MESSAGE_CREATE', 'MESSAGE_VIEW') AND a.message_id > n.before_id
), run (person_id, before_id, message_id, run) AS (
    SELECT person_id, before_id, message_id,
        message_id - row_number() OVER (PARTITION BY person_id ORDER BY message_id) FROM known
)
SELECT person_id, CASE WHEN min(message_id) = before_id THEN 1 ELSE min(message_id) END, max(message_id)
FROM run GROUP BY person_id, run;

-- A draft for each conversation of a person, and one for a message that begins one (root_id 0). As before, the text lies on
-- overflow pages behind the filler.
CREATE TABLE draft_by_conversation (
    person_id       INTEGER NOT NULL REFERENCES person (id),
    root_id         INTEGER NOT NULL CHECK (root_id >= 0),
    filler          BLOB NOT NULL CHECK (length(filler) = 4096),
    saved_at        INTEGER NOT NULL,
    idempotency_key BLOB NOT NULL CHECK (length(idempotency_key) = 16),
    subject         TEXT NOT NULL,
    body            TEXT NOT NULL,
    UNIQUE (person_id, root_id)
) STRICT;
INSERT INTO draft_by_conversation SELECT person_id, 0, filler, saved_at, idempotency_key, subject, body FROM draft;
DROP TABLE draft;
ALTER TABLE draft_by_conversation RENAME TO draft;

-- The audit page. Mere looks, at lists and at the log itself, are left out of a view unless they are asked for, and so of
-- its index.
DROP INDEX audit_log_at;
CREATE INDEX audit_log_at ON audit_log (at) WHERE action NOT IN ('AUDIT_VIEW', 'MESSAGE_LIST');
-- Whom an act of nobody signed in was done to: somebody was switched off, or given emergency access. Details that somebody
-- broke are no JSON, and must not make the index fail.
CREATE INDEX audit_log_done_to ON audit_log (CASE WHEN json_valid(details) THEN details ->> '$.person' END, action, at)
    WHERE person_id IS NULL AND CASE WHEN json_valid(details) THEN details ->> '$.person' END IS NOT NULL;
-- The acts on a message, but for those that are found by its author and by its openings.
CREATE INDEX audit_log_message ON audit_log (message_id)
    WHERE message_id IS NOT NULL AND action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW');
