-- Schema 9: teams. Anyone on staff makes, names, joins and leaves them. What a team was called lies beside its audit rows.
CREATE TABLE team (
    id   INTEGER PRIMARY KEY CHECK (id > 0),
    name TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX team_name ON team (name COLLATE NOCASE);

-- Who is in a team, and who was: each stay with the audit rows of its beginning and its end. It follows from the log, and the
-- check of the chain holds it against that.
CREATE TABLE team_stay (
    team_id   INTEGER NOT NULL REFERENCES team (id),
    person_id INTEGER NOT NULL REFERENCES person (id),
    joined_by INTEGER NOT NULL REFERENCES audit_log (id),
    left_by   INTEGER REFERENCES audit_log (id),
    PRIMARY KEY (team_id, person_id, joined_by),
    CHECK (left_by IS NULL OR left_by > joined_by)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX team_stay_now ON team_stay (team_id, person_id) WHERE left_by IS NULL;
CREATE INDEX team_stay_of_person ON team_stay (person_id) WHERE left_by IS NULL;
CREATE INDEX team_stay_past ON team_stay (team_id, left_by) WHERE left_by IS NOT NULL;
