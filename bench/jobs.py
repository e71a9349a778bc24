"""The jobs, the most important first; each runs in a process of its own and adds one entry to the results."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench import costs, floors, scores
from bench.contenders import Contender, Ours, patches_60s
from bench.peers import Course, DenoisingDiffusionPytorch
from diffusion_lesson.learning import data, metrics, weights

HERE = Path(__file__).parent
COUNTS = (200, 500, 5000)  # pictures that distances are taken on

CONTENDERS: dict[str, Callable[[int, int | None], Contender]] = {  # of a seed, and of fewer steps for a smoke run
    "ours-labels": lambda seed, steps: Ours("mnist-3min", seed, steps=steps),
    "ours": lambda seed, steps: Ours("mnist-3min", seed, labelled=False, steps=steps),
    "ours-labels-eps": lambda seed, steps: Ours("mnist-3min-eps", seed, steps=steps),
    "ours-labels-60s": patches_60s,
    "course-labels": lambda seed, steps: Course(seed, labelled=True),
    "course": lambda seed, steps: Course(seed, labelled=False),
    "ddpm-pytorch": lambda seed, steps: DenoisingDiffusionPytorch(seed),
}


@dataclass(frozen=True)
class Plan:
    """How much of everything a contender gets."""

    count: int  # pictures drawn for its row
    batch: int  # drawn at once
    fractions: tuple[float, ...]  # of the training after which weights are kept
    bits: tuple[int, int | None]  # (test pictures, steps of the bound visited)
    bursts: int = 3  # in which the peak is sought


PLANS = {
    "course": Plan(200, 100, (0.35, 1.0), (32, 40)),
    "course-labels": Plan(200, 100, (0.35, 1.0), (32, 40)),
    "ddpm-pytorch": Plan(200, 50, (1.0,), (8, 40)),
}
OURS = Plan(500, 250, (0.05, 0.1, 0.2, 0.4, 0.7, 1.0), (200, None))
QUICK = Plan(4, 4, (0.5, 1.0), (2, 10), 1)
MANY = 5000  # pictures of ours, by the sampler that a reader of the package would choose

PEERS = ("course", "course-labels", "ddpm-pytorch")
JOBS = [
    "floors",
    *(f"row/{name}/0" for name in ("ours-labels", "course-labels", "ours", "course", "ddpm-pytorch")),
    *(f"{kind}/ours-labels/0" for kind in ("many", "samplers", "bits")),
    *(f"{kind}/ours/0" for kind in ("many", "samplers", "bits")),
    *(f"{kind}/ours-labels-60s/0" for kind in ("row", "many")),
    *(f"{kind}/ours-labels/{seed}" for seed in (1, 2) for kind in ("row", "many")),
    *(f"{kind}/ours-labels-60s/{seed}" for seed in (1, 2) for kind in ("row", "many")),
    *(f"{kind}/ours/{seed}" for seed in (1, 2) for kind in ("row", "many")),
    *(f"{kind}/ours-labels-eps/0" for kind in ("row", "many", "samplers", "bits")),
    "scaling",
    "two-threads",
    *(f"curve/{name}/0" for name in ("ours-labels", "ours", "course", "course-labels")),
    *(f"bits/{name}/0" for name in ("course", "course-labels", "ddpm-pytorch")),
    *(f"row/{name}/{seed}" for seed in (1, 2) for name in PEERS),
]


def perform(job: str, results: dict[str, Any], *, quick: bool, runs: Path) -> Any:
    """The entry of one job. Rows and curves leave weights in `runs`, so that a stopped one goes on."""
    torch.set_num_threads(2 if job == "two-threads" else 1)
    kind, *rest = job.split("/")
    if kind == "floors":
        return _floors((200,) if quick else COUNTS, quick=quick)
    if kind == "scaling":
        return costs.scaling(quick=quick)
    if kind == "two-threads":
        return costs.two_threads(CONTENDERS["ours-labels"](0, None), *_pictures("train", quick=quick), quick=quick)
    name, seed = rest[0], int(rest[1])
    like = "ours-labels" if name == "course-labels" else "ours"
    budget = results.get(f"row/{like}/0", {}).get("seconds")
    plan = QUICK if quick else PLANS.get(name, OURS)
    contender = CONTENDERS[name](seed, 4 if quick else None)
    trained = _trained(contender, seed, budget=budget, plan=plan, quick=quick, file=runs / f"{name}-{seed}.pt")
    if kind == "curve":
        return _curve(contender, trained, plan, seed)
    contender.network.load_state_dict(trained["kept"][-1]["weights"])
    if isinstance(contender, Ours):
        contender.early = trained["kept"][len(plan.fractions) // 3]["weights"]  # a fifth
    first, *others = contender.samplers
    if kind == "bits":
        count, steps = plan.bits
        x, y = _pictures("test", quick=quick)
        chosen = scores.picked(count, len(x))
        return scores.bits(contender, x[chosen], y[chosen], steps=steps) | {"pictures": "at random"}
    if kind == "samplers":
        return {sampler: _drawn(contender, sampler, plan.count, plan, seed)[0] for sampler in others}
    if kind == "many":
        return _drawn(contender, contender.best, 4 if quick else MANY, plan, seed)[0] | {"sampler": contender.best}
    row = {key: value for key, value in trained.items() if key != "kept"}
    drawn, x = _drawn(contender, first, plan.count, plan, seed)
    if not seed:
        strip = (runs if quick else HERE) / "samples" / f"{name}.png"
        strip.parent.mkdir(exist_ok=True)
        Image.fromarray(np.concatenate(list(data.to_uint8(x[:20, 0]).numpy()), axis=1)).save(strip)
    return row | scores.operations(contender) | {"labelled": contender.labelled, "sampler": first} | drawn


def _trained(
    contender: Contender, seed: int, *, budget: float | None, plan: Plan, quick: bool, file: Path
) -> dict[str, Any]:
    """Train: a recipe of ours to its end, a peer until `budget` CPU-seconds are spent (its last step finishes)."""
    if file.exists():
        return torch.load(file, weights_only=True)
    ours = isinstance(contender, Ours)
    end = contender.config.steps if isinstance(contender, Ours) else budget
    if end is None:
        raise LookupError("a peer gets the CPU-seconds that our row took; run that first")
    x, y = _pictures("train", quick=quick)
    kept: list[dict[str, Any]] = []
    peak = scores.peak(bursts=plan.bursts, quick=quick)
    pauses, each, last = 0.0, [], time.process_time()
    begun = last
    for step, _ in enumerate(contender.training(x, y, seed), 1):
        now = time.process_time()
        each.append(now - last)
        spent = now - begun - pauses
        done = (step if ours else spent) / end
        if done >= plan.fractions[len(kept)]:
            state = {key: value.clone() for key, value in contender.network.state_dict().items()}
            kept.append({"seconds": spent, "steps": step, "weights": state})
        if not ours and done >= 1:
            break
        last = time.process_time()
        pauses += last - now
    ordered = sorted(each)
    trained = {
        "seconds": kept[-1]["seconds"], "steps": len(each), "batch": contender.batch, "kept": kept,
        "step_best": ordered[0], "step_median": ordered[len(ordered) // 2],
        "peak": max(peak, scores.peak(bursts=plan.bursts, quick=quick)),
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(trained, file.with_suffix(".partial"))
    file.with_suffix(".partial").replace(file)
    return trained


def _drawn(contender: Contender, sampler: str, count: int, plan: Plan, seed: int) -> tuple[dict[str, Any], Tensor]:
    """(what `count` pictures cost and how far they are, the pictures)."""
    x, cost = scores.drawing(contender, sampler, count, seed, batch=plan.batch)
    return cost | {"distance": scores.distances(x, (count,) if count < min(COUNTS) else COUNTS)}, x


def _curve(contender: Contender, trained: dict[str, Any], plan: Plan, seed: int) -> list[dict[str, float]]:
    """The distance at n = 200 of the weights kept on the way. `training` leaves `network` where weights fit."""
    points, count = [], min(200, plan.count)
    for kept in trained["kept"][:-1]:
        contender.network.load_state_dict(kept["weights"])
        drawn, _ = _drawn(contender, contender.samplers[0], count, plan, seed)
        points.append(
            {"seconds": kept["seconds"], "steps": kept["steps"], "distance": drawn["distance"][str(count)]}
        )
    return points


def _floors(counts: tuple[int, ...], *, quick: bool) -> dict[str, Any]:
    """What real training pictures score against the test pictures, drawn as rows without and with labels are."""
    x, labels = _pictures("train", quick=quick)
    rows = metrics.features(weights.load_classifier("classifier-mnist")[0], x)
    return floors.floors(rows, labels, metrics.reference("mnist"), counts)


def _pictures(split: str, *, quick: bool) -> tuple[Tensor, Tensor]:
    """MNIST's; for a smoke run those of them that ship, so that nothing is downloaded."""
    images = data.mnist_small() if quick else data.mnist(split)
    return data.to_signed(images.images), images.labels
