"""The floor of a Fréchet distance: what real pictures score that were drawn as the row beside it was drawn.

A set with as many of each class is nearer to the truth than one left to chance, so rows whose labels go 0, 1, …,
9, 0, 1, … have another floor than rows without labels.
"""

from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.learning import metrics

KINDS = ("at random", "classes in turn")
MOST = 100  # disjoint draws for one number, where the pictures allow so many


def draws(labels: Tensor, n: int, kind: str, *, most: int = MOST) -> list[Tensor]:
    """Disjoint sets of n indices into `labels`, with seed 0: as many as there are, at most `most`.

    ValueError where there are fewer than two: then no spread can be told.
    """
    generator = torch.Generator().manual_seed(0)
    if kind == "at random":
        found = list(torch.randperm(len(labels), generator=generator).split(n))
    else:
        classes = labels.unique()
        wanted = [len(part) for part in torch.arange(n).tensor_split(len(classes))]
        piles = [(labels == k).nonzero().flatten() for k in classes]
        piles = [pile[torch.randperm(len(pile), generator=generator)] for pile in piles]
        split = [pile.split(count) for pile, count in zip(piles, wanted, strict=True)]
        found = [torch.cat(parts) for parts in zip(*split, strict=False)]
    found = [part for part in found if len(part) == n][:most]
    if len(found) < 2:
        raise ValueError(f"labels: expected two sets of {n} or more, {kind}, got {len(labels)} pictures")
    return found


def floor(rows: Tensor, labels: Tensor, real: metrics.Moments, n: int, kind: str) -> dict[str, Any]:
    """Mean and standard deviation of the distances of draws of n features from the moments of other pictures."""
    each = [metrics.moments_distance(real, metrics.moments(rows[part])) for part in draws(labels, n, kind)]
    return {"mean": mean(each), "deviation": stdev(each), "draws": len(each)}


def floors(rows: Tensor, labels: Tensor, real: metrics.Moments, counts: tuple[int, ...]) -> dict[str, Any]:
    """`floor` of both kinds for each count: {kind: {"n": …}}."""
    return {kind: {str(n): floor(rows, labels, real, n, kind) for n in counts} for kind in KINDS}


def against_itself(rows: Tensor, *, splits: int = MOST) -> float:
    """The floor of N features against N others, where there are only N: by halves.

    A floor goes like 1/n + 1/m (lesson 12), so two disjoint halves, n = m = N/2, score twice as much.
    """
    generator, half = torch.Generator().manual_seed(0), len(rows) // 2
    each = []
    for _ in range(splits):
        order = torch.randperm(len(rows), generator=generator)
        each.append(metrics.frechet_distance(rows[order[:half]], rows[order[half : 2 * half]]))
    return mean(each) / 2
