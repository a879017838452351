"""The shapes of Wardpost's own secrets, for detect-secrets, which knows none of them."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class GoogleClientSecret(RegexBasedDetector):
    """GOOGLE_CLIENT_SECRET, as Google gives it since 2021."""

    secret_type = "Google client secret"
    denylist = [re.compile(r"GOCSPX-[A-Za-z0-9_-]{28}")]


class AgeSecretKey(RegexBasedDetector):
    """The key that opens backups."""

    secret_type = "age secret key"
    denylist = [re.compile(r"AGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{58,}", re.IGNORECASE)]


class HexKey(RegexBasedDetector):
    """DB_ENCRYPTION_KEY and APP_SECRET: 64 hex digits, in quotes or not."""

    secret_type = "256 bits in hex"
    denylist = [re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{64}(?![0-9A-Za-z])")]
