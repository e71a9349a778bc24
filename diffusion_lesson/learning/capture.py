"""A step that is captured: on CUDA its hundreds of launches are recorded once, as a graph, and replayed as one.

A small network spends most of its time on a GPU waiting to be launched, kernel by kernel. Everything that knows of
CUDA is here, behind `captured`; on any other device the step runs as it is written.
"""

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

WARM_UP = 3  # calls before the capture: memory is laid out, tables move to the device, kernels are chosen
Read = Callable[[], list[float]]


@runtime_checkable
class Recorder(Protocol):
    """What a device must be able to do for a step to be captured on it."""

    def aside(self, work: Callable[[], Tensor]) -> Tensor:
        """Do the work where it is no hindrance to a later capture."""

    def record(self, work: Callable[[], Tensor]) -> Tensor:
        """Write down what the work does, without doing it. After each `replay` the result is in this tensor."""

    def replay(self) -> None:
        """Do what was written down."""

    def renewed(self) -> torch.Generator:
        """After a recording that failed: a generator in the state in which it found its own."""

    def send(self, numbers: Tensor) -> Read:
        """Send the numbers off, and go on; the answer waits for them alone."""


class Cuda:
    """A CUDA graph that draws from `generator`: as many numbers, and the same, as without it."""

    def __init__(self, generator: torch.Generator) -> None:
        self._graph, self._stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(generator.device)
        self._graph.register_generator_state(generator)
        self._generator, self._state = generator, generator.get_state()

    def aside(self, work: Callable[[], Tensor]) -> Tensor:
        """On a stream of its own."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = work()
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def record(self, work: Callable[[], Tensor]) -> Tensor:
        """Capture it; what other threads do meanwhile is none of its business."""
        self._state = self._generator.get_state()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            return work()

    def replay(self) -> None:
        """Launch the graph."""
        self._graph.replay()

    def renewed(self) -> torch.Generator:
        """Another one: a capture that was broken off leaves its generator unfit for use."""
        fresh = torch.Generator(self._generator.device)
        return fresh.set_state(self._state)

    def send(self, numbers: Tensor) -> Read:
        """Into memory that the device writes by itself; an event says when it has."""
        there = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
        there.copy_(numbers, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()

        def read() -> list[float]:
            arrived.synchronize()
            return there.tolist()

        return read


def recorder(generator: torch.Generator) -> Recorder | None:
    """That of the generator's device; None where there is none."""
    return Cuda(generator) if generator.device.type == "cuda" else None


def captured(
    work: Callable[[], Tensor], recorder: Recorder | None, renew: Callable[[torch.Generator], None]
) -> Callable[[], Tensor]:
    """`work`, to be called again and again: at first it runs as it is, then as one launch. No recorder: as it is.

    Every call is one step, the first ones too. What the work reads and writes must lie in the same memory each
    time, and numbers that change must be in tensors: Python runs it WARM_UP + 1 times and never again. Where it
    can't be recorded, it goes on as it is, with a warning; `renew` is given a generator in place of its own.
    """
    if recorder is None:
        return work
    calls, result, fails = 0, torch.empty(0), False

    def call() -> Tensor:
        nonlocal calls, result, fails
        calls += 1
        if calls == WARM_UP + 1:
            try:
                result = recorder.record(work)
            except RuntimeError as error:
                fails = True
                renew(recorder.renewed())
                reason = str(error).splitlines()[0]
                warnings.warn(f"graph: the step can't be captured ({reason}); it goes on without", stacklevel=2)
        if calls <= WARM_UP or fails:
            return recorder.aside(work)
        recorder.replay()
        return result

    return call


class Late:
    """Numbers of each call, told one call later, when they have long arrived; `now` tells all, and waits."""

    def __init__(self, send: Callable[[Tensor], Read], check: Callable[[int, list[float]], None]) -> None:
        self._send, self._check, self._sent = send, check, deque[tuple[int, Read]]()
        self.latest: list[float] = []

    def __call__(self, step: int, numbers: Tensor) -> None:
        """Send those of this step, and check those of the steps before."""
        self._sent.append((step, self._send(numbers)))
        self._take(1)

    def now(self) -> None:
        """Check all that were sent."""
        self._take(0)

    def _take(self, leave: int) -> None:
        while len(self._sent) > leave:
            step, read = self._sent.popleft()
            self.latest = read()
            self._check(step, self.latest)


def has_dropout(model: nn.Module) -> bool:
    """Whether a part of it leaves features out while it trains."""
    return any(isinstance(part, _DropoutNd) and part.p > 0 for part in model.modules())


@contextmanager
def seeded(drops: bool, seed: int, device: torch.device) -> Iterator[None]:
    """Dropout draws from the device's own generator: where the model `drops`, that one begins with `seed`.

    It goes on afterwards as if nothing had been drawn. A graph takes the seed at each replay.
    """
    if not drops:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """On CUDA, convolutions that add up in the same order each time; elsewhere nothing. Restored afterwards."""
    cudnn = torch.backends.cudnn
    if device.type != "cuda":
        yield
        return
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
