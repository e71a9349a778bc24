"""What must not stop halfway: Ctrl-C, or a notebook's stop button, waits until it is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """An interrupt that comes inside is acted on at the end. Elsewhere than in the main thread none can come."""
    heard = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or heard in (signal.SIG_IGN, None):
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def deadly() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process at once: C++ that waits for others would hear of nothing less."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    here = threading.current_thread() is threading.main_thread()
    before = [(number, signal.getsignal(number)) for number in numbers if here]
    before = [(number, earlier) for number, earlier in before if earlier not in (signal.SIG_IGN, None)]
    for number, _ in before:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, earlier in before:
            signal.signal(number, earlier)


def load_optimizers() -> None:
    """Import what PyTorch imports when it makes its first optimizer: a second or more of work.

    Interrupted there, PyTorch (2.6, 2.13, 2.14) makes no optimizer until the process ends. So interrupts are held.
    RuntimeError that says so where the import fails, as it does when another optimizer was interrupted before.
    """
    try:
        with held():
            import torch._dynamo  # noqa: F401
    except (ImportError, AttributeError) as error:
        raise RuntimeError(
            f"PyTorch can't load its optimizers ({error}), as where they were interrupted while they loaded; "
            "restart the kernel"
        ) from error
