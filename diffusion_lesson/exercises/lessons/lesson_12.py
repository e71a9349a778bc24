"""Lesson 12: the share of drawn pictures that lie nearer to the training set than every held-out one."""

import torch
from torch import Tensor

from diffusion_lesson.exercises.exercise import Misread, formula


def _pictures(seed: int, count: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 4, 4, generator=g, dtype=torch.float64) * 2 - 1


def _cases() -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
    """(samples, train, held_out): a thief who shakes some of the copies, honest and faint ones, one far away, and
    one whose pictures lie just inside the limit and just outside."""
    train, held_out = _pictures(0, 24), _pictures(1, 9)
    copies = train[:12] + 0.02 * _pictures(2, 12) * (torch.arange(12) % 2)[:, None, None, None]
    thief = torch.cat([copies, _pictures(3, 8)])
    far = torch.cat([train[[0, 0, 1]], 0.1 * _pictures(4, 5) + 3])  # one copy came out twice
    faint = torch.cat([_pictures(5, 12), 0.6 * _pictures(6, 8)])
    limit, which = _all(held_out, train).min(1)
    k = limit.argmin()
    edge = train[which[k]] + torch.tensor([0.98, 0.99, 1.01]).reshape(3, 1, 1, 1) * (held_out[k] - train[which[k]])
    close = torch.cat([edge, _pictures(7, 4)])
    return tuple((samples, train, held_out) for samples in (thief, _pictures(5, 20), faint, far, close))


def _all(x: Tensor, images: Tensor) -> Tensor:
    """The distance of each of x to each of images, (N, M)."""
    return torch.cdist(x.flatten(1), images.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")


def _nearest(x: Tensor, images: Tensor) -> Tensor:
    return _all(x, images).min(1).values


def _share(few: Tensor) -> Tensor:
    return few.double().mean()


def _right(samples: Tensor, train: Tensor, held_out: Tensor) -> Tensor:
    return _share(_nearest(samples, train) < _nearest(held_out, train).min())


def _nearness(samples: Tensor, train: Tensor, held_out: Tensor) -> Tensor:
    return _share(_nearest(samples, train)[:, None] < _nearest(held_out, train))


def _with_the_indices(samples: Tensor, train: Tensor, held_out: Tensor) -> Tensor:
    return _share(_all(samples, train).argmin(1) < _all(held_out, train).argmin(1).min())


def _from_others_in_train(samples: Tensor, train: Tensor, held_out: Tensor) -> Tensor:
    among = _all(train, train).fill_diagonal_(torch.inf)
    return _share(_nearest(samples, train) < among.min())


EXERCISES = {
    "is_it_memorising": formula(
        asks="suspects(samples, train, held_out)",
        hint="two calls of metrics.nearest_neighbours, both looking in train: for samples, and for held_out. "
        "The smallest distance of the held-out ones is the limit; the share below it is the mean of a comparison.",
        praise="A copy is told by the company it keeps: nearer to the training set than any picture that could "
        "not have been copied.",
        names=("the share",),
        cases=_cases(),
        right=_right,
        form="One number is asked, from 0 to 1.",
        wrong=(
            Misread(
                "this is how many there are; divide by len(samples).",
                lambda s, train, held: _right(s, train, held) * len(s),
            ),
            Misread(
                "this is how many there are, divided by the size of another set; divide by len(samples).",
                lambda s, train, held: _right(s, train, held) * len(s) / len(train),
                lambda s, train, held: _right(s, train, held) * len(s) / len(held),
            ),
            Misread(
                "this is the comparison for each sample, yes or no. One number is asked: the mean of them.",
                lambda s, train, held: (_nearest(s, train) < _nearest(held, train).min()).double(),
            ),
            Misread(
                "this is the nearness of (12.26), an average over the held-out pictures. A suspect is nearer than "
                "*every* held-out picture: nearer than the smallest of their distances.",
                _nearness,
            ),
            Misread(
                "this compares the numbers of the nearest pictures, not how far they are. nearest_neighbours "
                "gives both: first the distances.",
                _with_the_indices,
            ),
            Misread(
                "it is 1 or 0, one comparison for the whole set. Compare for each sample, and take the mean.",
                lambda s, train, held: _share(_nearest(s, train).min() < _nearest(held, train).min()),
                lambda s, train, held: _share(_nearest(s, train).mean() < _nearest(held, train).mean()),
                lambda s, train, held: _share(_nearest(s, train).mean() < _nearest(held, train).min()),
            ),
            Misread(
                "the samples are looked up in held_out. Both calls look in train: one for samples, one for "
                "held_out.",
                lambda s, train, held: _share(_nearest(s, held) < _nearest(held, train).min()),
                lambda s, train, held: _share(_nearest(s, held) < _nearest(train, held).min()),
            ),
            Misread(
                "it is 0 in every case, even for a thief who copied more than half. Does the limit come from "
                "held_out? Each training picture finds itself in train, at distance 0, and nothing is nearer "
                "than that. And do both calls look in train?",
                lambda s, train, held: 0.0,
            ),
            Misread(
                "it is 1 in every case, even for an honest painter.",
                lambda s, train, held: 1.0,
            ),
            Misread(
                "the limit comes from the training pictures among themselves. The yardstick is held_out: pictures "
                "that could not have been copied.",
                _from_others_in_train,
            ),
            Misread(
                "it asks which set holds the nearest picture, train or held_out. The larger set wins that by its "
                "size alone, copies or not. Both distances must be to train: the sample's, and the held-out's.",
                lambda s, train, held: _share(_nearest(s, train) < _nearest(s, held)),
            ),
            Misread(
                "it counts exact copies only. One grey level changed in one pixel, and the thief goes free.",
                lambda s, train, held: _share(_nearest(s, train) == 0),
            ),
            Misread(
                "this is the share that lies farther off. Suspects are nearer: turn the comparison round.",
                lambda s, train, held: 1 - _right(s, train, held),
            ),
            Misread(
                "the limit is the largest held-out distance, so nearly everything is suspect. Nearer than *every* "
                "held-out picture means nearer than the smallest.",
                lambda s, train, held: _share(_nearest(s, train) < _nearest(held, train).max()),
            ),
            Misread(
                "the limit is the middle of the held-out distances. Half of all honest pictures lie below it; "
                "nearer than *every* held-out picture means nearer than the smallest.",
                lambda s, train, held: _share(_nearest(s, train) < _nearest(held, train).mean()),
                lambda s, train, held: _share(_nearest(s, train) < _nearest(held, train).median()),
            ),
            Misread(
                "it averages over all training pictures. A copy is near to one of them and far from the rest: "
                "take the nearest.",
                lambda s, train, held: _share(_all(s, train).mean(1) < _all(held, train).mean(1).min()),
            ),
            Misread(
                "it asks for each training picture how near the samples come. Ask for each sample.",
                lambda s, train, held: _share(_nearest(train, s) < _nearest(train, held).min()),
            ),
        ),
    ),
}
