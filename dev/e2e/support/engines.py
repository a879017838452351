"""Firefox and WebKit, each driven over the W3C WebDriver protocol by the driver that belongs to it.

Playwright brings browsers of its own for these two; here they are Debian's, as they are given to people."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import requests

from .bare_web import free_port
from .processes import ROOT
from .waiting import wait_until

TOOLS = ROOT / "target" / "e2e-tools"
# How long the driver goes on looking for an element, and how long it may take over anything. Two cores are busy.
FIND_SECONDS = 30
# One look takes some ms.
LOOK_SECONDS = 8
COMMAND_SECONDS = 60
# How long a browser may take to begin. Now and then WebKit never connects to its driver, which waits for it forever.
BEGIN_SECONDS = 45
BEGINNINGS = 3
# The protocol's own name for a reference to an element.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

# What Firefox asks of its maker beside what its driver has switched off already.
QUIET = {
    "services.settings.server": "data:,",
}


class Firefox:
    """Firefox ESR without a screen."""

    name = "firefox"

    def command(self, port):
        driver = next(TOOLS.glob("geckodriver-*/bin/geckodriver"), None)
        assert driver, "geckodriver is not built: `dev/e2e/setup` builds it"
        return [driver, "--host", "127.0.0.1", "--port", port, "--websocket-port", "0"]

    capabilities = {"moz:firefoxOptions": {"binary": "/usr/bin/firefox-esr", "args": ["-headless"], "prefs": QUIET}}
    # Without it, a released Firefox does not heed services.settings.server.
    environment = {"MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"}

    def stop(self):
        pass


class WebKit:
    """WebKitGTK on a screen in memory: it has no mode without one."""

    name = "webkit"
    capabilities = {}

    def __init__(self):
        reader, writer = os.pipe()
        command = ["Xvfb", "-displayfd", str(writer), "-nolisten", "tcp", "-screen", "0", "1280x900x24"]
        self._screen = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
        os.close(writer)
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        assert number, f"Xvfb gave no display and ended with {self._screen.wait()}"
        self.environment = {"DISPLAY": f":{number}", "GDK_BACKEND": "x11", "GSETTINGS_BACKEND": "memory", "NO_AT_BRIDGE": "1"}

    def command(self, port):
        return ["WebKitWebDriver", "--host=127.0.0.1", f"--port={port}"]

    def stop(self):
        self._screen.terminate()
        self._screen.wait(10)


class Outside:
    """Stands where the way out would be: the proxy for everything that is not on loopback. It writes down what was asked
    for, and answers nothing."""

    def __init__(self):
        self.asked = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.asked.append(connection.recv(200).split(b"\r\n")[0].decode(errors="replace"))
                except OSError as error:
                    self.asked.append(str(error))

    def capability(self):
        """As every driver takes it."""
        address = "127.0.0.1:{}".format(self._listener.getsockname()[1])
        return {"proxyType": "manual", "httpProxy": address, "sslProxy": address, "noProxy": ["127.0.0.1"]}

    def stop(self):
        self._listener.close()


class Window:
    """A window of a browser of its own, with cookies of its own. Elements are found by XPath, and waited for."""

    def __init__(self, engine, outside: Outside):
        # The environment's proxies are not for loopback.
        self._http = requests.Session()
        self._http.trust_env = False
        for beginning in range(1, BEGINNINGS + 1):
            self._session = None
            self._start_driver(engine)
            try:
                wait_until(f"the driver of {engine.name} is ready", self._ready, seconds=COMMAND_SECONDS)
                self._begin(engine, outside)
                return
            except requests.Timeout:
                self.close()
                if beginning == BEGINNINGS:
                    raise
                print(f"{engine.name} did not begin within {BEGIN_SECONDS} s, and is started again")
            except BaseException:
                self.close()
                raise

    def _start_driver(self, engine):
        # Sockets lie in it, and their paths must be short.
        self._home = Path(tempfile.mkdtemp(prefix="engine-"))
        places = {name: str(self._home) for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")}
        port = free_port()
        self._address = f"http://127.0.0.1:{port}"
        self._log = self._home / "driver.log"
        with self._log.open("wb") as log:
            # In a group of its own: the driver does not end every process that its browser has started.
            self._driver = subprocess.Popen(
                [str(part) for part in engine.command(port)], env=os.environ | engine.environment | places,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )

    def _begin(self, engine, outside):
        wanted = {**engine.capabilities, "proxy": outside.capability()}
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, seconds=BEGIN_SECONDS)
        self._session = f"/session/{session['sessionId']}"
        self.version = "{browserName} {browserVersion}".format(**session["capabilities"])
        self._command("POST", "/timeouts", {"implicit": 0, "pageLoad": COMMAND_SECONDS * 1000})

    def _ready(self):
        assert self._driver.poll() is None, f"the driver ended; it said:\n{self._log.read_text()[-4000:]}"
        try:
            return self._ask("GET", "/status")["ready"]
        except requests.RequestException:
            return False

    def _ask(self, method, path, body=None, seconds=2 * COMMAND_SECONDS):
        reply = self._http.request(method, self._address + path, json=body, timeout=seconds)
        value = reply.json()["value"]
        assert reply.ok, f"{method} {path}: {value.get('error')}: {value.get('message')}; {self._log.read_text()[-2000:]}"
        return value

    def _command(self, method, path, body=None, **options):
        return self._ask(method, self._session + path, body, **options)

    def open(self, address):
        """Goes there, and waits until the page is loaded."""
        self._command("POST", "/url", {"url": address})

    def address(self):
        """Where the window is."""
        return self._command("GET", "/url")

    def find(self, xpath):
        """The element, once it is there."""
        try:
            found = wait_until(f"{xpath} is there", lambda: self._look(xpath), FIND_SECONDS)
        except AssertionError as error:
            text = self.run("return document.body ? document.body.innerText : ''")
            raise AssertionError(f"{error}\non the page {self.address()}:\n{text[:2000]}") from None
        return f"/element/{found[ELEMENT]}"

    def _look(self, xpath):
        """One look: WebKit never answers a search whose page goes meanwhile."""
        try:
            return self._command("POST", "/element", {"using": "xpath", "value": xpath}, seconds=LOOK_SECONDS)
        except requests.Timeout:
            return None
        except AssertionError as error:
            if "no such element" in str(error) or "before the unload event" in str(error):
                return None
            raise

    def click(self, xpath):
        """A click, as with a mouse."""
        self._command("POST", f"{self.find(xpath)}/click", {})

    def click_until(self, xpath, there):
        """Clicks until something is there: right after its rows have moved, a list ignores a click."""

        def look():
            found, link = self._look(there), self._look(xpath)
            try:
                if link and not found:
                    self._command("POST", f"/element/{link[ELEMENT]}/click", {})
            except AssertionError as error:
                # The page went meanwhile.
                if "stale element" not in str(error):
                    raise
            return found

        wait_until(f"{there} is there after a click on {xpath}", look, FIND_SECONDS)

    def type(self, xpath, text):
        """Keys, into a field."""
        self._command("POST", f"{self.find(xpath)}/value", {"text": text})

    def run(self, script):
        """What a function with this body gives in the page."""
        return self._command("POST", "/execute/sync", {"script": script, "args": []})

    def open_tab(self, address):
        """Goes there in a new tab, which is the one that is driven from now on."""
        tab = self._command("POST", "/window/new", {"type": "tab"})["handle"]
        self.drive(tab)
        self.open(address)

    def tab(self):
        """The tab that is driven."""
        return self._command("GET", "/window")

    def drive(self, tab):
        """What is done from now on is done there."""
        self._command("POST", "/window", {"handle": tab})

    def cookies(self):
        """What the browser keeps for the page."""
        return self._command("GET", "/cookie")

    def close(self):
        """Ends the browser, and whatever it has started."""
        try:
            if self._session:
                self._command("DELETE", "")
        except (AssertionError, requests.RequestException) as error:
            print(f"a browser did not end when it was asked to: {error}")
        finally:
            os.killpg(self._driver.pid, signal.SIGKILL)
            self._driver.wait()
            shutil.rmtree(self._home, ignore_errors=True)
