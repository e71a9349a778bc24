"""The floor of a Fréchet distance: what real pictures score that were drawn as the row beside it was drawn.

    python -m bench.floors                 measures the floors of the cards anew, but for colour; some CPU-minutes
    python -m bench.floors mnist digits    of these

A set with as many of each class is nearer to the truth than one left to chance, so rows whose labels go 0, 1, …,
9, 0, 1, … have another floor than rows without labels.
"""

import json
import re
import sys
from collections.abc import Iterable
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.learning import data, metrics, weights
from diffusion_lesson.learning.results import Result

KINDS = ("at random", "classes in turn")
MOST = 100  # disjoint draws for one number, where the pictures allow so many


def draws(labels: Tensor, n: int, kind: str, *, most: int = MOST) -> list[Tensor]:
    """Disjoint sets of n indices into `labels`, with seed 0: as many as there are, at most `most`.

    ValueError where there are fewer than two: then there is no spread.
    """
    generator = torch.Generator().manual_seed(0)
    if kind == "at random":
        found = list(torch.randperm(len(labels), generator=generator).split(n))
    else:
        classes = labels.unique()
        wanted = [len(part) for part in torch.arange(n).tensor_split(len(classes))]
        by_class = [(labels == k).nonzero().flatten() for k in classes]
        by_class = [indices[torch.randperm(len(indices), generator=generator)] for indices in by_class]
        split = [indices.split(count) for indices, count in zip(by_class, wanted, strict=True)]
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


def tell(name: str) -> None:
    """Write into a card that ships what real pictures score, as many and drawn as its network draws them.

    That is with the classes in turn. The classifier's card gets both kinds for some n. Of the digits there are no
    more than 1,797, and those are what drawn digits are compared with.
    """
    card = weights.card(name)
    kind = name.removeprefix("classifier-").partition("-")[0]
    (left_out,) = re.findall(r"without (\d)", card.data) or ["-1"]
    rows, labels, real = _features(kind, int(left_out))
    records: list[Result] = []
    if kind == "digits":
        count = len(rows) + len(real)
        found = against_itself(torch.cat([rows, real]))
        records.append(record_of(found, count, f"{count:,} real against {count:,} others"))
    elif card.predicts:
        for n in sorted(
            {record.n for record in card.measured if record.metric == "frechet_distance" and record.n}
        ):
            found = floor(rows, labels, metrics.moments(real), n, "classes in turn")["mean"]
            records.append(record_of(found, n, "classes in turn"))
    else:
        both = floors(rows, labels, metrics.moments(real), (500, 1000, 2000, 5000))
        records += [record_of(both[way][n]["mean"], int(n), way) for n in both[KINDS[0]] for way in KINDS]
    write(name, [record for record in card.measured if record.metric != "floor"] + records)
    print(name, *records, sep="; ", flush=True)


def write(name: str, measured: Iterable[Result]) -> None:
    """Let the card of weights that ship hold these records, and no others."""
    note = weights.SHIPPED / f"{name}.json"
    fields = json.loads(note.read_text("utf-8")) | {"measured": [record.as_json() for record in measured]}
    note.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", "utf-8")


def record_of(value: float, n: int, how: str) -> Result:
    """The floor as a card holds it."""
    return Result(metric="floor", values=(round(value, 2),), n=n, how=how)


def _features(kind: str, left_out: int) -> tuple[Tensor, Tensor, Tensor]:
    """(features of the training pictures, their labels, features of the test pictures), but for one class."""
    classifier, found = weights.load_classifier(f"classifier-{kind}")[0], []
    for split in ("train", "test"):
        images = getattr(data, kind)(split)
        kept = images.labels != left_out
        found += [
            metrics.features(classifier, data.to_signed(images.images[kept], images.levels)),
            images.labels[kept],
        ]
    return found[0], found[1], found[2]


if __name__ == "__main__":
    torch.set_num_threads(1)
    elsewhere = ("classifier-digits", "cifar10", "classifier-cifar10")  # the last two by bench.colour
    for asked in sys.argv[1:] or [name for name in weights.names() if name not in elsewhere]:
        tell(asked)
