"""Firefox, as Debian or Mozilla has it, driven by the protocol that it brings along: Marionette.

Playwright's Firefox is one of its own, and what it says to others needs a newer Firefox than Debian's.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COMMANDS = ("firefox-esr", "firefox")
MAC = Path("/Applications/Firefox.app/Contents/MacOS/firefox")
ABSENT = "Firefox is not installed (Debian: apt install firefox-esr)"
PREFERENCES = {
    "marionette.port": 0,  # any that is free; it is written beside the profile
    "network.proxy.type": 1,  # nobody listens there: whatever is asked of the network fails
    **{f"network.proxy.{kind}": "127.0.0.1" for kind in ("http", "ssl")},
    **{f"network.proxy.{kind}_port": 9 for kind in ("http", "ssl")},
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.auto": False,
    "dom.w3c_touch_events.enabled": 1,
    "devtools.console.stdout.content": True,  # what console.* says goes to the log
}
# The errors and warnings of the pages' scripts since the last question.
SAID = """
  const ours = where => /^(file|https?|data|blob):/.test(where || '');
  const said = Services.console.getMessageArray().filter(m => m instanceof Ci.nsIScriptError)
    .filter(m => /javascript/.test(m.category) && ours(m.sourceName)).map(m => m.errorMessage);
  Services.console.reset();
  return said;
"""
LOUD = ("console.error", "console.warn", "console.assert")


def find() -> str | None:
    """The path of a Firefox, or None. One in a snap sees no files of ours, and is none."""
    found = next(filter(None, map(shutil.which, COMMANDS)), None) or (str(MAC) if MAC.exists() else None)
    return None if found is None or "snap" in Path(found).resolve().parts else found


class Firefox:
    """One window without a screen: `with Firefox(path, profile, width, height) as window: window.open(url)`."""

    def __init__(self, path: str, profile: Path, width: int, height: int) -> None:
        profile.mkdir(parents=True, exist_ok=True)
        lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in PREFERENCES.items())
        (profile / "user.js").write_text("\n".join(lines), "utf-8")
        command = [path, "-headless", "-marionette", "-remote-allow-system-access", "-no-remote"]
        self._log, self._told = (profile / "log").open("w"), 0
        self._process = subprocess.Popen(
            [*command, "-profile", str(profile)], stdout=self._log, stderr=subprocess.STDOUT
        )
        self._socket, self._count, self._read = self._connect(profile / "MarionetteActivePort"), 0, b""
        self._message()  # its greeting
        self.say("WebDriver:NewSession", capabilities={"alwaysMatch": {"pageLoadStrategy": "normal"}})
        self.say("WebDriver:SetTimeouts", script=120_000, pageLoad=120_000)
        self.say("WebDriver:SetWindowRect", width=width, height=height)

    def __enter__(self) -> "Firefox":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(60)
        self._log.close()

    def _connect(self, file: Path) -> socket.socket:
        for _ in range(600):  # a busy machine takes its time
            assert self._process.poll() is None, f"Firefox ended; {file.parent / 'log'} says why"
            if file.is_file() and file.read_text().strip():
                return socket.create_connection(("127.0.0.1", int(file.read_text())), timeout=180)
            time.sleep(0.2)
        self._process.kill()
        raise TimeoutError(f"Firefox did not begin to listen; {file.parent / 'log'}")

    def _message(self) -> Any:
        while b":" not in self._read or len(self._read) < (
            wanted := (cut := self._read.index(b":")) + 1 + int(self._read[:cut])
        ):
            got = self._socket.recv(1 << 20)
            assert got, "Firefox has hung up"
            self._read += got
        message, self._read = self._read[cut + 1 : wanted], self._read[wanted:]
        return json.loads(message)

    def say(self, command: str, **told: Any) -> Any:
        """A command of WebDriver's, and its answer. RuntimeError with Firefox's words where it refuses."""
        self._count += 1
        text = json.dumps([0, self._count, command, told]).encode()
        self._socket.sendall(str(len(text)).encode() + b":" + text)
        _, _, error, result = self._message()
        if error:
            raise RuntimeError(f"{command}: {error['error']}: {error['message']}")
        return result.get("value", result) if isinstance(result, dict) else result

    def open(self, address: str) -> None:
        """Open it and wait until all of it is loaded."""
        self.say("WebDriver:Navigate", url=address)

    def evaluate(self, function: str, *told: Any) -> Any:
        """What the function, or what it promises, comes to in the page."""
        body = f"return Promise.resolve(({function})(...arguments))"
        return self.say("WebDriver:ExecuteScript", script=body, args=list(told))

    def wait(self, function: str, *told: Any) -> None:
        """Until the function is true of the page. TimeoutError after a minute."""
        for _ in range(600):
            if self.evaluate(function, *told):
                return
            time.sleep(0.1)
        raise TimeoutError(function)

    def complaints(self) -> list[str]:
        """What went to the console since the last time."""
        self.say("Marionette:SetContext", value="chrome")
        said = self.say("WebDriver:ExecuteScript", script=SAID, args=[])
        self.say("Marionette:SetContext", value="content")
        time.sleep(0.05)  # the log is written by another process
        lines = Path(self._log.name).read_text("utf-8", "replace").splitlines()
        self._told, new = len(lines), lines[self._told :]
        return said + [line for line in new if line.startswith(LOUD)]

    def press(self, css: str, keys: str) -> None:
        """Keys to the first element that the selector finds."""
        element = self.say("WebDriver:FindElement", using="css selector", value=css)
        (identity,) = element.values()
        self.say("WebDriver:ElementSendKeys", id=identity, text=keys)

    def stroke(self, places: Sequence[tuple[float, float]], kind: str = "touch") -> None:
        """A finger (or a "mouse") goes down at the first place of the window, and up at the last."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 20} for x, y in places]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        hand = {"type": "pointer", "id": "hand", "parameters": {"pointerType": kind}}
        self.say("WebDriver:PerformActions", actions=[hand | {"actions": [moves[0], down, *moves[1:], up]}])
        self.say("WebDriver:ReleaseActions")
