"""Which exercises are solved: remembered in a small file of the reader's, from one day to the next.

The variable DIFFUSION_LESSON_SOLVED names another file; where it is empty, nothing is remembered.
"""

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

SOLUTION = "# A solution"  # the first line of a cell that shows one: what that solves, its reader has not


def _file() -> Path | None:
    named = os.environ.get("DIFFUSION_LESSON_SOLVED")
    if named is None:
        home = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME") or "~/.local/share"
        named = str(Path(home, "diffusion-lesson", "solved.json"))
    with suppress(RuntimeError):  # a user without a home
        return Path(named).expanduser() if named else None
    return None


def names() -> set[str]:
    """The names of the exercises that are solved; none where there is no file, or one that can't be read."""
    try:
        file = _file()
        kept = json.loads(file.read_text("utf-8")) if file else []
    except (OSError, ValueError):
        return set()
    return {name for name in kept if isinstance(name, str)} if isinstance(kept, list) else set()


def keep(solved: Iterable[str]) -> bool:
    """Write these names, and no others, into the file. False where it can't be written: nothing is lost then."""
    file = _file()
    if file is None:
        return False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(sorted(solved)), "utf-8")
        part.replace(file)
    except OSError:
        return False
    return True


def remember(name: str) -> None:
    """Add a name, if a cell of a notebook is running, and one that shows no solution."""
    cell = _cell()
    if cell is not None and not cell.lstrip().startswith(SOLUTION) and name not in (solved := names()):
        keep(solved | {name})


def _cell() -> str | None:
    """The source of the cell that is running; None outside of a notebook."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    sources = shell.history_manager.input_hist_raw if hasattr(shell, "kernel") else [None]
    return sources[-1]
