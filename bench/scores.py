"""What is measured of a contender: distances of its pictures, its bits, its costs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.contenders import SAMPLERS, Contender
from diffusion_lesson.learning import data, metrics, weights
from diffusion_lesson.process import elbo


def distances(x: Tensor, counts: tuple[int, ...]) -> dict[str, float]:
    """The Fréchet distance of the first n pictures (rounded to 8 bits) to MNIST's test pictures, for each n."""
    classifier, reference = weights.load_classifier("classifier-mnist")[0], metrics.reference("mnist")
    rows = metrics.features(classifier, data.to_signed(data.to_uint8(x)))
    return {
        str(n): metrics.moments_distance(reference, metrics.moments(rows[:n])) for n in counts if n <= len(rows)
    }


def picked(count: int, total: int) -> Tensor:
    """Which of `total` test pictures the bound is taken on: `count` of them, drawn at random with seed 0.

    Not the first ones: a data set's file may have an order. MNIST's first 5,000 test pictures are the easier half.
    """
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))[:count]


def bits(contender: Contender, x: Tensor, labels: Tensor, *, steps: int | None) -> dict[str, float | int]:
    """The bound in bits for each of the 784 pixels: L_T, ΣL_{t−1}, L_0, their sum, and its standard error.

    A contender that sees larger pictures codes the border as well. The border carries no information, so what
    it costs is charged to the picture. steps: None visits every t. The standard error is that over pictures,
    and, where steps were skipped, the mean error that this leaves in all of them, added in squares.
    """
    border = (contender.size - x.shape[-1]) // 2
    padded = F.pad(x, (border,) * 4, value=-1.0)
    contender.network.eval()
    ledger = elbo.ledger(
        contender.schedule,
        padded,
        contender.eps_model(labels),
        steps=steps,
        generator=torch.Generator().manual_seed(0),
    )
    unit = x[0].numel() * log(2)
    parts = {"prior": ledger.prior, "denoising": ledger.denoising_sum(), "reconstruction": ledger.reconstruction}
    total = ledger.total() / unit
    skipped = 0.0 if steps is None else (ledger.standard_error() / unit).mean().item()
    error = (total.var().item() / len(x) + skipped**2) ** 0.5
    means = {name: part.mean().item() / unit for name, part in parts.items()}
    return means | {"total": total.mean().item(), "error": error, "n": len(x), "steps": len(ledger.steps) + 1}


@contextmanager
def inside(network: nn.Module, clock: Callable[[], float] = time.process_time) -> Iterator[list[float]]:
    """A list of how many seconds each call of `network` took."""
    seconds: list[float] = []
    begun: list[float] = []
    hooks = [
        network.register_forward_pre_hook(lambda *_: begun.append(clock())),
        network.register_forward_hook(lambda *_: seconds.append(clock() - begun.pop())),
    ]
    try:
        yield seconds
    finally:
        for hook in hooks:
            hook.remove()


def operations(contender: Contender) -> dict[str, float]:
    """Parameters, and floating-point operations a picture: of one call, and of one training step (both ways).

    A multiplication and an addition are two. Attention is computed the plain way here, for its inner products
    to be counted.
    """
    size = contender.size
    x, y = torch.zeros(2, 1, size, size), torch.zeros(2, dtype=torch.int64)
    trains = [p.requires_grad for p in contender.network.parameters()]
    contender.network.requires_grad_(True)
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as call, torch.no_grad():
            contender.one_loss(x, y)
        with FlopCounterMode(display=False) as both:
            contender.one_loss(x, y).backward()
    for parameter, flag in zip(contender.network.parameters(), trains, strict=True):
        parameter.grad = None
        parameter.requires_grad_(flag)
    return {
        "parameters": sum(p.numel() for p in contender.network.parameters()),
        "mflop_call": call.get_total_flops() / 2e6,
        "mflop_step": both.get_total_flops() / 2e6,
    }


def peak(clock: Callable[[], float] = time.process_time, *, bursts: int = 5, quick: bool = False) -> float:
    """GFLOP/s of the fastest fp32 3×3 convolution found among a few shapes; the best of several bursts."""
    best = 0.0
    shapes = ((64, 28, 32), (128, 14, 32), (128, 28, 16), (256, 28, 8))
    for channels, side, batch in shapes[:1] if quick else shapes:
        x, convolution = torch.randn(batch, channels, side, side), nn.Conv2d(channels, channels, 3, padding=1)
        work = 2 * 9 * channels**2 * side**2 * batch
        with torch.no_grad():
            convolution(x)
            for _ in range(bursts):
                begun = clock()
                for _ in range(4):
                    convolution(x)
                best = max(best, 4 * work / (clock() - begun) / 1e9)
    return best


def drawing(
    contender: Contender, sampler: str, count: int, seed: int, *, batch: int
) -> tuple[Tensor, dict[str, float]]:
    """(pictures, what they cost), with the labels 0, 1, …, 9, 0, 1, …

    Costs: CPU-seconds a picture, as a mean and in the best batch, and the share of them outside the network.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    labels = torch.arange(count) % 10
    parts, each = [], []
    with inside(contender.network) as seconds:
        for part in labels.split(batch):
            begun = time.process_time()
            parts.append(contender.draw(sampler, part, generator))
            each.append(time.process_time() - begun)
    calls = len(seconds) / len(parts)
    expected = SAMPLERS[sampler][2]
    if calls != expected:
        raise AssertionError(f"{sampler}: {calls} calls of the network for a picture; expected {expected}")
    best = min(spent / len(part) for spent, part in zip(each, parts, strict=True))
    return torch.cat(parts), {
        "draw_mean": sum(each) / count, "draw_best": best, "outside": 1 - sum(seconds) / sum(each),
    }  # fmt: skip
