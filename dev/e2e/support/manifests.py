"""A backup's manifest as a stranger, or a holder of the key, would write it: the format as ARCHITECTURE.md describes it, and
nothing of the program's own code."""

import gzip
import hashlib
import hmac
import json
import subprocess

from .database_program import KEY

LABELS = (b"wardpost-backup-age-v1", b"wardpost-backup-manifest-v2")


def _derive(secret, label):
    """HKDF-SHA256 (RFC 5869) without a salt, 32 bytes."""
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, label + b"\1", hashlib.sha256).digest()


def manifest_key(database_key=KEY):
    identity = _derive(bytes.fromhex(database_key), LABELS[0])
    return _derive(identity, LABELS[1])


def authenticated(manifest, key=None):
    """The file of a manifest, with its code."""
    fields = {name: value for name, value in manifest.items() if name not in ("mac", "target")}
    body = json.dumps(fields, indent=2).removesuffix("\n}")
    code = hmac.new(key or manifest_key(), body.encode(), hashlib.sha256).hexdigest()
    return f'{body},\n  "mac": "{code}"\n}}\n'


def of_format_1(manifest):
    """As programs before wrote it, and as anybody can."""
    later = ("stream", "authenticated_by", "mac", "target")
    return json.dumps({name: value for name, value in manifest.items() if name not in later} | {"format": 1}, indent=2) + "\n"


def sealed_for(recipient, plain, manifest):
    """An archive of these pages for a public key, and what its manifest has to say of it."""
    archive = subprocess.run(["age", "-r", recipient], input=gzip.compress(plain), check=True, capture_output=True).stdout
    said = {
        "archive_bytes": len(archive),
        "archive_sha256": hashlib.sha256(archive).hexdigest(),
        "database_bytes": len(plain),
        "database_sha256": hashlib.sha256(plain).hexdigest(),
    }
    return archive, manifest | said


def manifest_of(archive):
    """The file of an archive's manifest."""
    return archive.with_name(archive.name.replace(".sqlite.gz.age", ".json"))
