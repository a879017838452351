"""A form that a page has sent, held on its way."""

import re

from support.waiting import wait_until


class Held:
    """The next form that a page sends to `path`, on its way for as long as a test wants."""

    def __init__(self, page, path):
        self._page = page
        self._routes = []
        page.route(re.compile(f"{path}$"), lambda route: self._routes.append(route), times=1)

    def wait(self):
        wait_until("the form is on its way", lambda: self._page.evaluate("1") and self._routes)

    def let_go(self):
        self._routes[0].continue_()

    def lose(self):
        self._routes[0].abort()
