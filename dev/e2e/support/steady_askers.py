"""Clients that ask without a pause, so that a lost request shows."""

import threading

import requests

from .waiting import wait_until

ASKERS = 4


class SteadyAskers:
    """Ask for an address from several threads for as long as the `with` lasts; `answers` has every status, or what went wrong."""

    def __init__(self, address):
        self.answers = []
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS)]

    def _ask(self):
        while not self._stop.is_set():
            try:
                # A connection of its own each time: one that is kept may be closed by the drain, and says so.
                reply = requests.get(self._address, headers={"Connection": "close"}, timeout=60)
                self.answers.append(reply.status_code)
            except requests.RequestException as error:
                self.answers.append(repr(error))

    def wait_for_more(self, count=50):
        """Waits until so many more answers have come."""
        enough = len(self.answers) + count
        wait_until("the site answers", lambda: len(self.answers) > enough, seconds=90)

    def check(self):
        assert set(self.answers) == {200}, [answer for answer in self.answers if answer != 200][:5]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        for thread in self._threads:
            thread.join()
