"""Runs in the scanners' own Python: wapiti, whose session database lets its readers and its writer go on side by side.

As wapiti opens it, a reader that is in the middle of something makes a commit wait for five seconds, and then the scan fails with
"database is locked"."""

import sys

from sqlalchemy import event
from sqlalchemy.engine import Engine
from wapitiCore.main.wapiti import wapiti_asyncio_wrapper


@event.listens_for(Engine, "connect")
def configure(connection, _):
    cursor = connection.cursor()
    # It ends with the scan, so that nothing of it has to last.
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "busy_timeout = 60000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


sys.exit(wapiti_asyncio_wrapper())
