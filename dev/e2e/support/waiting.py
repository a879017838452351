"""Waiting for a condition, with a deadline and a reason: no test sleeps and hopes."""

import time

# Between two looks. Short against anything a person notices, long against what a look costs.
PAUSE_SECONDS = 0.05


def wait_until(what, condition, seconds=15):
    """Gives the first true value of `condition()`; fails, naming `what` and the last value, when time is up.

    Not for what Playwright tells by events: it gives them only within calls of its own, such as `expect_event`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what}; the last look gave {value!r}")
        time.sleep(PAUSE_SECONDS)
