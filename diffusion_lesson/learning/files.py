"""Files written whole or not at all, and folders that one run at a time may write in."""

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_HELD: dict[tuple[int, str], list[FileLock]] = {}  # the lock on a folder, once for each run of this process in it


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, see it on the disk, and rename it: all of it or nothing.

    An OSError names the path. Whatever stops it, no temporary file is left, but by a kill.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with naming(path):
        try:
            write(temporary)
            with temporary.open("rb+") as file:  # Windows syncs only what may be written
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # The rename itself is on the disk only when the folder is. Windows has no such call, some network disks refuse
    # it, and a folder that may be written but not listed can't be opened. The file is in its place by then.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_writable(path: Path) -> None:
    """Refuse, before any work, a path where no file could be written in the end. Makes its folder.

    OSError that names the path: its folder can't be made or written in, or the path is a folder.
    """
    make_folder(path.parent)
    with naming(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; expected a file's name", str(path))
        trial = path.with_name(f".{path.name}.{os.getpid()}.trial")
        try:
            trial.write_bytes(b"\0")
        finally:
            with suppress(OSError):
                trial.unlink()


def make_folder(folder: Path) -> None:
    """The folder and those above it, where they are not. OSError that names what stands in the way."""
    for place in (*reversed(folder.parents), folder):
        if os.path.lexists(place) and not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(place))
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError that does not say which file it is about, such as that of a full disk, says so."""
    try:
        yield
    except OSError as error:
        named = str(error.filename or "")
        if named and not named.endswith((".partial", ".trial")):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def one_run(folder: Path) -> Iterator[None]:
    """Hold `folder` for one process; the system lets go of it when the process dies, however it dies.

    ValueError where another process holds it. A second run of the same process is let in: a notebook's cell that
    is run again after an interrupt must not be kept out by what the interrupt left behind.
    """
    make_folder(folder)
    runs = _HELD.setdefault((os.getpid(), os.path.realpath(folder)), [])
    if not runs:
        lock = FileLock(folder / "lock", timeout=0, thread_local=False)
        _acquire(lock, folder)
        _tidy(folder)
    else:
        lock = runs[0]
    runs.append(lock)
    try:
        yield
    finally:
        runs.pop()
        if not runs:
            with suppress(OSError):
                (folder / "running.json").unlink(missing_ok=True)
            lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    note = folder / "running.json"
    try:
        lock.acquire()
    except Timeout:
        who = ""
        with suppress(OSError, ValueError, KeyError, TypeError):
            owner = json.loads(note.read_text("utf-8"))
            who = f" (number {owner['pid']} on {owner['host']}, since {owner['since']})"
        raise ValueError(
            f"checkpoint: {folder} is in use by another process{who}; wait for its end, or choose another folder"
        ) from None
    except NotImplementedError:  # a file system without locks: go on as if alone
        return
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    with suppress(OSError):
        note.write_text(json.dumps(owner), "utf-8")


def _tidy(folder: Path) -> None:
    """What a killed run left half written."""
    for left in (*folder.glob(".*.partial"), *folder.glob("*.partial"), *folder.glob(".*.trial")):
        with suppress(OSError):
            left.unlink()
