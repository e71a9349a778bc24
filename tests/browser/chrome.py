"""Where a Chromium is: named by the variable CHROMIUM, on PATH, or where installers put one."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

COMMANDS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "msedge"),
)
MAC = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
    "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
WINDOWS = (
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
LINUX = ("snap/bin/chromium", "opt/google/chrome/chrome")
HOW = {
    "linux": "Debian: apt install chromium",
    "darwin": "get Chrome from google.com/chrome, or: brew install --cask chromium",
    "win32": "Windows has Edge, or get Chrome from google.com/chrome",
}
ABSENT = (
    f"Chromium is not installed ({HOW.get(sys.platform, HOW['linux'])}; or CHROMIUM=/path/to/chrome names one)"
)


def places(system: str, environment: Mapping[str, str], root: Path = Path("/")) -> list[Path]:
    """The files that installers make on this kind of system (a `sys.platform`), the likeliest first."""
    if system == "darwin":
        return [
            folder / name
            for name in MAC
            for folder in (root / "Applications", Path("~/Applications").expanduser())
        ]
    if system == "win32":
        folders = [
            environment[k] for k in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA") if k in environment
        ]
        return [Path(folder, name) for name in WINDOWS for folder in folders]
    return [root / name for name in LINUX]


def find(
    environment: Mapping[str, str] = os.environ, system: str = sys.platform, root: Path = Path("/")
) -> str | None:
    """The path of a Chromium, or None. ValueError where CHROMIUM names a file that can't be run."""
    named, path = environment.get("CHROMIUM"), environment.get("PATH", os.defpath)
    if named:
        found = shutil.which(named, path=path)
        if found is None:
            raise ValueError(f"CHROMIUM: expected a browser that can be run, got {named!r}")
        return found
    on_path = (shutil.which(command, path=path) for command in COMMANDS)
    there = (str(file) for file in places(system, environment, root) if os.access(file, os.X_OK))
    return next(filter(None, on_path), None) or next(there, None)


def unchecked(reasons: list[str]) -> list[str]:
    """What the last lines of a run say: how many browser tests were skipped, for each reason."""
    return [
        f"NOT CHECKED: {count} test{'s' * (count > 1)} of the figures in a browser. {reason}"
        for reason, count in Counter(reasons).items()
    ]
