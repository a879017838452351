"""The shipping peer: reads the audit rows of a database (ours, by SQLCipher's Python package) and logs each as a line of
JSON through watchtower, as somebody would who ships logs from Python. `watchtower_ship.py DB ROWS`, with DB_ENCRYPTION_KEY
and AWS settings in the environment."""

import json
import logging
import os
import sys

import boto3
import sqlcipher3
import watchtower

# The largest batches that PutLogEvents takes, and a group that is there.
handler = watchtower.CloudWatchLogHandler(
    log_group_name="bench", log_stream_name="bench", boto3_client=boto3.client("logs"), create_log_group=False,
    create_log_stream=False, max_batch_count=10_000, max_batch_size=1_048_576, send_interval=5,
)
logger = logging.getLogger("audit")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(handler)

database = sqlcipher3.connect(sys.argv[1])
database.execute(f"PRAGMA key = \"x'{os.environ['DB_ENCRYPTION_KEY']}'\"")
rows = database.execute(
    "SELECT id, at, person_id, action, details, ip, lower(hex(previous_hash)), lower(hex(hash)) FROM audit_log ORDER BY id LIMIT ?",
    (int(sys.argv[2]),),
)
names = "id", "timestamp", "user_id", "action", "details", "ip_address", "previous_hash", "hash"
for row in rows:
    logger.info(json.dumps(dict(zip(names, row, strict=True))))
handler.close()
