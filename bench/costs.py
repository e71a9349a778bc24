"""What our U-Net costs: against batch, resolution, channels and steps, and with two threads."""

import time
from collections.abc import Callable
from itertools import islice
from math import log
from typing import Any

import torch
from torch import Tensor

from bench.contenders import CALLS, Contender
from bench.scores import operations, peak
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import losses, samplers, schedule
from diffusion_lesson.process.elbo import ledger

COSINE = schedule.cosine(1000)


def best(work: Callable[[], object], *, bursts: int, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of the fastest of several runs, after one to warm up."""
    work()
    seconds = []
    for _ in range(bursts):
        begun = clock()
        work()
        seconds.append(clock() - begun)
    return min(seconds)


def slope(sizes: list[int], seconds: list[float]) -> float:
    """The exponent p of seconds ∝ size^p, by least squares on logarithms."""
    a, b = [log(s) for s in sizes], [log(s) for s in seconds]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    over = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return over / sum((x - mean_a) ** 2 for x in a)


def scaling(*, quick: bool) -> dict[str, Any]:
    """CPU-seconds of one training step, one drawing and one ledger, one size varied at a time; with slopes."""
    bursts = 1 if quick else 5

    def step(batch: int = 16, side: int = 28, width: int = 32) -> float:
        model, x = UNet(1, width, patch=2), torch.rand(batch, 1, side, side) * 2 - 1
        return best(lambda: losses.v_loss(COSINE, model, x).mean().backward(), bursts=bursts)

    model = UNet(1, 32, patch=2).eval()
    eps_model = Denoiser(model, COSINE, "v").eps_model()
    noise = torch.randn(16, 1, 28, 28)

    def draw(steps: int) -> float:
        return best(lambda: list(samplers.ddim(COSINE, noise, eps_model, steps=steps)), bursts=bursts)

    def bound(T: int) -> float:
        table, x = schedule.cosine(T), torch.zeros(4, 1, 28, 28) - 1
        return best(
            lambda: ledger(table, x, Denoiser(model, table, "v").eps_model(clip=False)), bursts=min(bursts, 2)
        )

    measures: dict[str, tuple[list[int], Callable[[int], float]]] = {
        "training step against batch": ([4, 8, 16, 32, 64, 128], lambda n: step(batch=n)),
        "training step against side": ([16, 28, 40, 56, 84, 112], lambda n: step(batch=8, side=n)),
        "training step against width": ([8, 16, 32, 64, 128], lambda n: step(width=n)),
        "drawing against steps": ([5, 10, 20, 40], draw),
        "bound against T": ([25, 50, 100, 200], bound),
    }
    out = {}
    for name, (sizes, measure) in measures.items():
        chosen = sizes[:2] if quick else sizes
        seconds = [measure(n) for n in chosen]
        out[name] = {
            "sizes": chosen,
            "seconds": seconds,
            "slope": slope(chosen, seconds),
            "slope_end": slope(chosen[-2:], seconds[-2:]),
        }
    return out


def two_threads(contender: Contender, x: Tensor, y: Tensor, *, quick: bool) -> dict[str, float]:
    """By the wall clock, the best of several bursts: pictures a second in training and drawing, and the peak."""
    bursts, clock = (1 if quick else 12), time.perf_counter
    mflop = operations(contender)
    loop = contender.training(x, y, 0)
    step = best(lambda: list(islice(loop, 5)), bursts=bursts, clock=clock) / 5
    labels, generator = torch.arange(4 if quick else 64) % 10, torch.Generator().manual_seed(0)
    drawn = best(lambda: contender.draw("DDIM η=0", labels, generator), bursts=bursts, clock=clock)
    top = peak(clock, bursts=bursts, quick=quick)
    flops = mflop["mflop_step"] * contender.batch / step / 1e3
    return {
        "training_pictures": contender.batch / step,
        "drawing_64_seconds": drawn,
        "peak": top,
        "training_share": flops / top,
        "drawing_share": mflop["mflop_call"] * CALLS * len(labels) / drawn / 1e3 / top,
    }
