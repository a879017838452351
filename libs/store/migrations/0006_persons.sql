-- Schema 6: the audit log vouches for who people are, and names nobody itself.
--
-- What a row says of somebody by name stands here; the row's details carry SHA-256 over salt and text. Without its salt that
-- hash proves nothing and helps nobody to guess.
--
-- Nothing erases yet. Erasing will overwrite a text where it lies, with spaces of the same length, and its salt with zeros: a
-- row that shrinks or goes makes SQLite move others, and a moved row can leave a copy behind. A later migration will then
-- replace `audit_personal_fixed` by one that lets exactly that update through, in the transaction of an audit row that says
-- which rows were erased, by whom and why; the check of the chain will excuse the rows named there, and no others.
CREATE TABLE audit_personal (
    audit_id INTEGER PRIMARY KEY CHECK (audit_id > 0) REFERENCES audit_log (id),
    salt     BLOB NOT NULL CHECK (length(salt) = 16),
    -- A JSON object.
    details  TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_personal_fixed BEFORE UPDATE ON audit_personal
BEGIN SELECT RAISE(ABORT, 'what a row of the audit log says of somebody stays as it was'); END;
CREATE TRIGGER audit_personal_stays BEFORE DELETE ON audit_personal
BEGIN SELECT RAISE(ABORT, 'what a row of the audit log says of somebody stays as it was'); END;

-- With it, rows of the audit log carry hashes of who this is. It is made with the person and never changes.
ALTER TABLE person ADD COLUMN salt BLOB CHECK (length(salt) = 16);
