"""The audit chain in another language, from the description in `libs/store/src/ledger/chain_hash.rs` alone: a second opinion."""

import hashlib
import json
import time

LABEL = b"wardpost-audit-v1"


def genesis(database_id):
    return hashlib.sha256(b"wardpost-audit-v1-genesis" + database_id.encode()).hexdigest()


def _field(value):
    if value is None:
        return b"\xff\xff\xff\xff"
    text = str(value).encode()
    return len(text).to_bytes(4, "big") + text


def raw_details(line):
    """The details of an event byte for byte, as they stand in its line."""
    return line.split('"details":', 1)[1].rsplit(',"ip_address":', 1)[0]


def row_hash(previous, fields):
    """What a row's id, time, person, action, details and address hash to, behind the row whose hash is `previous`."""
    return hashlib.sha256(LABEL + bytes.fromhex(previous) + b"".join(_field(field) for field in fields)).hexdigest()


def hash_of(line):
    """What an event's own fields hash to."""
    event = json.loads(line)
    fields = [event["id"], event["timestamp"], event["user_id"], event["action"], raw_details(line), event["ip_address"]]
    return row_hash(event["previous_hash"], fields)


def personal_hash_of(line):
    """What a line says of somebody by name hashes to, byte for byte; None where it says nothing."""
    event = json.loads(line)
    if "personal" not in event:
        return None
    text = line.rsplit(',"personal":', 1)[1].rsplit(',"personal_salt":', 1)[0]
    label = b"wardpost-personal-v1" + bytes.fromhex(event["personal_salt"])
    return hashlib.sha256(label + _field(text)).hexdigest()


def check_people(connection):
    """Fails unless everybody in the database is who the newest row about them says, from the description in
    `libs/store/src/ledger/who.rs` alone; gives how many there are."""
    told, off = {}, {}
    for at, action, person, text in connection.execute(
        "SELECT at, action, person_id, details FROM audit_log "
        "WHERE action IN ('LOGIN', 'PERSON_RECORDED', 'STAFF_DISABLED', 'STAFF_ENABLED') ORDER BY id"
    ):
        details = json.loads(text)
        person = person or details["person"]
        if "who" in details:
            told[person] = details["who"]
        if action.startswith("STAFF_"):
            off[person] = at if action == "STAFF_DISABLED" else None

    def hashed(label, salt, *fields):
        return hashlib.sha256(label + salt + b"".join(_field(field) for field in fields)).hexdigest()

    people = connection.execute("SELECT id, salt, issuer, subject, email, name, disabled_at FROM person").fetchall()
    for person, salt, issuer, subject, email, name, disabled_at in people:
        account = hashed(b"wardpost-account-v1", salt, person, issuer, subject)
        profile = hashed(b"wardpost-profile-v1", salt, person, email, name)
        assert told.pop(person) == {"account": account, "profile": profile}, f"person {person} is somebody else"
        assert off.get(person) == disabled_at, f"person {person} is switched off or on otherwise"
    assert not told, f"{sorted(told)} are not there"
    return len(people)


def check_copy(lines, newest, first=1):
    """Fails unless these lines, in any order and with repetitions that agree, are the whole chain from row `first` to
    `newest`, each hash recomputed and linked to the one before."""
    events = {}
    for line in lines:
        event = json.loads(line)
        assert hash_of(line) == event["hash"], f"row {event['id']} is not what its hash covers"
        carried = event["details"].get("personal") if isinstance(event["details"], dict) else None
        assert personal_hash_of(line) == carried, f"row {event['id']} names somebody whom its details do not vouch for"
        earlier = events.setdefault(event["id"], event)
        assert earlier["hash"] == event["hash"], f"row {event['id']} is there twice, and differently"
    missing = set(range(first, newest + 1)) - events.keys()
    assert not missing, f"{len(missing)} rows are missing, the first {min(missing)}"
    assert max(events) == newest
    previous = genesis(events[first]["database_id"]) if first == 1 else events[first]["previous_hash"]
    for number in range(first, newest + 1):
        assert events[number]["previous_hash"] == previous, f"row {number} does not follow the row before it"
        previous = events[number]["hash"]
    return events


def rewrite_chain(connection, start):
    """Gives every row from `start` on the hash that it should have: what an intruder with the key can do."""
    (previous,) = connection.execute("SELECT previous_hash FROM audit_log WHERE id = ?", (start,)).fetchone()
    rows = connection.execute(
        "SELECT id, strftime('%Y-%m-%dT%H:%M:%S', at / 1000, 'unixepoch') || printf('.%03dZ', at % 1000), person_id, action, "
        "details, ip FROM audit_log WHERE id >= ? ORDER BY id",
        (start,),
    ).fetchall()
    for row in rows:
        new = hashlib.sha256(LABEL + previous + b"".join(_field(field) for field in row)).digest()
        connection.execute("UPDATE audit_log SET previous_hash = ?, hash = ? WHERE id = ?", (previous, new, row[0]))
        previous = new
    connection.execute("UPDATE audit_head SET hash = ?, id = (SELECT max(id) FROM audit_log)", (previous,))


def append_row(connection, action, details):
    """Adds a row at the end, with the hash that it should have; gives its number."""
    head, previous = connection.execute("SELECT id, hash FROM audit_head").fetchone()
    text = details if isinstance(details, str) else json.dumps(details, separators=(",", ":"), sort_keys=True)
    connection.execute(
        "INSERT INTO audit_log (id, at, action, details, previous_hash, hash) VALUES (?, ?, ?, ?, ?, zeroblob(32))",
        (head + 1, int(time.time() * 1000), action, text, previous),
    )
    rewrite_chain(connection, head + 1)
    return head + 1
