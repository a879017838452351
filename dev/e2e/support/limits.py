"""How often somebody may ask: everything here comes from one address, and most tests are about something else."""

# High rather than off, so that everything is counted as it is for real.
HIGH_LIMITS = {
    "WARDPOST_LIMIT_DRAFT_PER_MINUTE": "1000000",
    "WARDPOST_LIMIT_EXPORT_PER_MINUTE": "1000000",
    "WARDPOST_LIMIT_REQUESTS_PER_SECOND": "1000000",
    "WARDPOST_LIMIT_SEND_PER_MINUTE": "1000000",
    "WARDPOST_LIMIT_SIGN_IN_PER_MINUTE": "1000000",
}
# As they are where nobody sets them.
DEFAULT_LIMITS = dict.fromkeys(HIGH_LIMITS, "")
