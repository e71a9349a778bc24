"""Progress of long work: a bar and a picture that live while someone watches, and leave a clean output.

With QUIET=1 in the environment (make notebooks, CI) nothing live is displayed, so that what is saved is the
same in every run.
"""

import html
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from IPython.core.getipython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from tqdm import tqdm

from diffusion_lesson.page import plots
from diffusion_lesson.page.sheet import Number

T = TypeVar("T")
_EVERY = 0.2  # seconds between two drawings of the bar
_LINE = 60.0  # and between two lines of a log


def quiet() -> bool:
    """Whether outputs are being recorded or compared: QUIET is set, to anything but 0."""
    return os.environ.get("QUIET", "0") not in ("", "0")


def in_notebook() -> bool:
    """Whether a Jupyter or Colab kernel runs this, rather than a shell."""
    return getattr(get_ipython(), "kernel", None) is not None


def track(
    items: Iterable[T],
    *,
    total: int | None = None,
    label: str = "step",
    note: Callable[[T], str] | None = None,
) -> Iterator[T]:
    """Iterate over `items` with a bar, which is gone at the end; a generator needs its `total`.

    note: words to put beside the bar, from the latest item, such as `lambda p: f"loss {p.loss:.3f}"`.
    """
    if total is None:
        if not isinstance(items, Sized):
            raise ValueError("total: got None for items of unknown length; expected how many there will be")
        total = len(items)
    if total < 0:
        raise ValueError(f"total: got {total}; expected 0 or more")
    if quiet() or total == 0:
        return iter(items)
    if in_notebook():
        return _bar(items, total, label, note)
    return _shell_bar(items, total, label, note)


def _shell_bar(items: Iterable[T], total: int, label: str, note: Callable[[T], str] | None) -> Iterator[T]:
    if sys.stderr is None:  # closed: nobody looks
        yield from items
        return
    if not sys.stderr.isatty():
        yield from _log(items, total, label, note)
        return
    with tqdm(total=total, desc=label, leave=False, mininterval=_EVERY) as bar:
        for item in items:
            yield item
            if note is not None:
                bar.set_postfix_str(note(item), refresh=False)
            bar.update()


def _log(items: Iterable[T], total: int, label: str, note: Callable[[T], str] | None) -> Iterator[T]:
    # A bar would be redrawn thousands of times in a log file. A line a minute says that it lives.
    drawn = time.monotonic()
    for k, item in enumerate(items, 1):
        yield item
        if time.monotonic() - drawn >= _LINE:
            words = f", {note(item)}" if note is not None else ""
            print(f"{label} {k} of {total}{words}", file=sys.stderr, flush=True)
            drawn = time.monotonic()


def _bar(items: Iterable[T], total: int, label: str, note: Callable[[T], str] | None) -> Iterator[T]:
    # Plain HTML in one display that is updated: tqdm's notebook bar needs a widget manager and leaves a
    # dead widget and its rate in the file.
    begun = drawn = time.monotonic()
    handle = display(_html(0, total, label, ""), raw=True, display_id=True)
    try:
        for k, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if now - drawn >= _EVERY:
                left = (now - begun) / k * max(total - k, 0)
                words = f"{left:.0f} s left" + (f" · {note(item)}" if note is not None else "")
                handle.update(_html(k, total, label, words), raw=True)
                drawn = time.monotonic()
    finally:
        handle.update({"text/html": "", "text/plain": ""}, raw=True)


def _html(done: int, total: int, label: str, words: str) -> dict[str, str]:
    text = f"{label} {done}/{total}" + (f" · {words}" if words else "")
    bar = (
        f'<progress max="{total}" value="{min(done, total)}" style="width:16em;vertical-align:middle" '
        f'aria-label="{html.escape(label)}"></progress> {html.escape(text)}'
    )
    return {"text/html": f"<div>{bar}</div>", "text/plain": text}


_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A signal asks for the end: `number` says which. Ctrl-C is SIGINT; `timeout` and clusters send SIGTERM.

    SIGHUP comes where a terminal is closed, or a connection breaks.
    """

    def __init__(self, number: int, words: str = "") -> None:
        super().__init__(words)
        self.number = number


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """A list that a signal to stop puts its number in, the first time; the second time it raises Stopped."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise Stopped(number)
        asked.append(number)

    with _caught(ask, signal.SIGINT, *_ENDS):
        yield asked


@contextmanager
def terminations() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Stopped, so that files are tidied and locks let go, as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    with _caught(stop, *_ENDS):
        yield


@contextmanager
def _caught(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there a signal can be caught
        yield
        return
    # What is ignored stays so: a shell starts what runs in the background deaf to Ctrl-C, and nohup to SIGHUP.
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = [(number, signal.signal(number, handler)) for number in heard]
    try:
        yield
    finally:
        for number, earlier in before:
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)  # None: not set from Python


class Preview:
    """A picture redrawn while something runs, at most once every `every` seconds, and once at the end.

    draw: makes the figure anew. It must use a random generator of its own, or watching would change what is
    watched; how often it is called depends on the machine. Between two drawings at least four times the time
    of one passes, so that most of the time is left for the work.
    """

    def __init__(self, draw: Callable[[], Figure], *, alt: str, every: Number = 1.0) -> None:
        if every <= 0:
            raise ValueError(f"every: got {every:g}; expected seconds, more than 0")
        self.alt = plots.checked_alt(alt)
        self._draw, self._every, self._next = draw, every, 0.0
        self._handle: Any = None

    def refresh(self) -> None:
        """Redraw if it is time; where nobody watches, do nothing."""
        begun = time.monotonic()
        if quiet() or not in_notebook() or begun < self._next:
            return
        self._put()
        took = time.monotonic() - begun
        self._next = begun + max(self._every, 5 * took)

    def finish(self) -> None:
        """Draw once more, and leave this picture in the output: the only one that is always drawn."""
        if self._handle is None:
            plots.show(self._draw(), alt=self.alt)
        else:
            self._put()

    def _put(self) -> None:
        data, metadata = plots.bundle(self._draw(), self.alt)
        if self._handle is None:
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(data, metadata=metadata, raw=True)
