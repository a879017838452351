"""From exec until a program says that it is ready, with a million messages stored."""

import socket
import subprocess
import time
from collections import defaultdict
from statistics import median

import data
from figures import Floor, Section, Table, with_spread
from servers import free_port, site_environment
from support.processes import binary, clean_environment

FLOOR_MS = 200
TIMEOUT_SECONDS = 60


def measure(options, folder):
    """As systemd would hear it: by the datagram READY=1."""
    database, _ = data.copy(folder, options.million)
    secret = folder / "secret.json"
    secret.touch(mode=0o600)
    names = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "APP_SECRET", "DB_ENCRYPTION_KEY")
    secret.write_text("{%s}" % ",".join(f'"{name}":"{data.KEY}"' for name in names))
    common = {"DB_ENCRYPTION_KEY": data.KEY, "WARDPOST_ENV_FILE": "", "WARDPOST_DB": str(database)}
    programs = {
        "web": site_environment(database, free_port()),
        "log-shipper": clean_environment(WARDPOST_AUDIT_SINK=f"file://{folder}/copy.jsonl", **common),
        "backup-worker": clean_environment(WARDPOST_BACKUP_TARGET=f"file://{folder}/backups", **common),
        "secrets-init": clean_environment(WARDPOST_SECRET=f"file://{secret}", WARDPOST_ENV_FILE=f"{folder}/env"),
    }
    (folder / "backups").mkdir()
    times = defaultdict(list)
    for number in range(options.rounds):
        for name in list(programs)[:: 1 if number % 2 == 0 else -1]:
            (folder / "env").unlink(missing_ok=True)
            times[name].append(milliseconds_to_ready(name, programs[name], folder))
    table = Table("exec to ready", ["program", "ms", "messages stored"])
    table.rows = [[name, with_spread(times[name], "{:,.1f}"), f"{options.million:,}"] for name in programs]
    floors = [Floor(f"{name}, exec to ready", median(times[name]), FLOOR_MS, " ms", at_most=True) for name in programs]
    return Section("start", [table], floors, dict(times))


def milliseconds_to_ready(name, environment, folder):
    address = folder / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor, (folder / f"{name}.log").open("wb") as log:
        supervisor.bind(str(address))
        supervisor.settimeout(TIMEOUT_SECONDS)
        started = time.monotonic()
        child = subprocess.Popen([binary(name)], env=environment | {"NOTIFY_SOCKET": str(address)}, stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log)
        try:
            while b"READY=1" not in supervisor.recv(4096):
                pass
            return (time.monotonic() - started) * 1000
        except TimeoutError:
            raise SystemExit(f"{name} was not ready within {TIMEOUT_SECONDS} s; it said:\n{(folder / f'{name}.log').read_text()}") from None
        finally:
            # A first start in the middle of its work is killed, as a machine that loses its power would.
            child.kill()
            child.wait()
