"""Lesson 12: the share of drawn pictures that lie nearer to the training set than every held-out one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion_lesson.page.exercise import Exercise, Mistake

Case = tuple[Tensor, Tensor, Tensor]  # samples, train, held_out
Share = Callable[[Tensor, Tensor, Tensor], float]


def _pictures(seed: int, count: int) -> Tensor:
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _cases() -> tuple[Case, ...]:
    """A thief who copies a part, and shakes some of it; an honest painter; and one who draws far away."""
    train, held_out = _pictures(0, 24), _pictures(1, 9)
    copies = train[:12] + 0.02 * _pictures(2, 12) * (torch.arange(12) % 2)[:, None, None, None]
    thief = torch.cat([copies, _pictures(3, 8)])
    far = torch.cat([train[:3], 0.1 * _pictures(4, 5) + 3])
    return (thief, train, held_out), (_pictures(5, 20), train, held_out), (far, train, held_out)


def _all(x: Tensor, images: Tensor) -> Tensor:
    """The distance of each of x to each of images, (N, M)."""
    return torch.cdist(x.flatten(1), images.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")


def _nearest(x: Tensor, images: Tensor) -> Tensor:
    return _all(x, images).min(1).values


def _share(few: Tensor) -> float:
    return few.double().mean().item()


def _right(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) < _nearest(held_out, train).min())


def _count(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _right(samples, train, held_out) * len(samples)


def _from_itself(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) < _nearest(train, train).min())


def _two_shelves(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) < _nearest(samples, held_out))


def _identical(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) == 0)


def _farther(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) > _nearest(held_out, train).min())


def _below_the_largest(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) < _nearest(held_out, train).max())


def _below_the_mean(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) < _nearest(held_out, train).mean())


def _below_the_median(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(samples, train) < _nearest(held_out, train).median())


def _mean_distance(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_all(samples, train).mean(1) < _all(held_out, train).mean(1).min())


def _other_way(samples: Tensor, train: Tensor, held_out: Tensor) -> float:
    return _share(_nearest(train, samples) < _nearest(train, held_out).min())


def _gives(answer: Any, expected: Share) -> bool:
    return all(abs(float(answer(*case)) - expected(*case)) < 1e-4 for case in _cases())


EXERCISES = {
    "is_it_memorising": Exercise(
        hint="two calls of metrics.nearest_neighbours, both looking in train: for samples, and for held_out. "
        "The smallest distance of the held-out ones is the limit; the share below it is the mean of a comparison.",
        right=lambda f: _gives(f, _right),
        praise="A copy is told by the company it keeps: nearer to the training set than any picture that could "
        "not have been copied.",
        mistakes=(
            Mistake(lambda f: _gives(f, _count), "this is how many there are; divide by len(samples)."),
            Mistake(
                lambda f: _gives(f, _from_itself),
                "the limit comes from the training pictures among themselves. Each of them finds itself, at "
                "distance 0, and nothing is nearer than that. The yardstick is held_out.",
            ),
            Mistake(
                lambda f: _gives(f, _two_shelves),
                "it asks which set holds the nearest picture, train or held_out. The larger set wins that by its "
                "size alone, copies or not. Both distances must be to train: the sample's, and the held-out's.",
            ),
            Mistake(
                lambda f: _gives(f, _identical),
                "it counts exact copies only. One grey level changed in one pixel, and the thief goes free.",
            ),
            Mistake(
                lambda f: _gives(f, _farther),
                "this is the share that lies farther off. Suspects are nearer: turn the comparison round.",
            ),
            Mistake(
                lambda f: _gives(f, _below_the_largest),
                "the limit is the largest held-out distance, so nearly everything is suspect. Nearer than *every* "
                "held-out picture means nearer than the smallest.",
            ),
            Mistake(
                lambda f: _gives(f, _below_the_mean) or _gives(f, _below_the_median),
                "the limit is the middle of the held-out distances. Half of all honest pictures lie below it; "
                "nearer than *every* held-out picture means nearer than the smallest.",
            ),
            Mistake(
                lambda f: _gives(f, _mean_distance),
                "it averages over all training pictures. A copy is near to one of them and far from the rest: "
                "take the nearest.",
            ),
            Mistake(
                lambda f: _gives(f, _other_way),
                "it asks for each training picture how near the samples come. Ask for each sample.",
            ),
        ),
    ),
}
