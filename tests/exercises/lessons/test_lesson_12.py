"""Lesson 12's exercise: right answers in several idioms, and each typical wrong one told by name."""

import numpy as np
import torch

from diffusion_lesson.learning.metrics import nearest_neighbours
from tests.exercises.lessons.tables import tries


def to(images, x):
    return nearest_neighbours(x, images)[0]


def solution(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).min()).double().mean().item()


def a_loop(samples, train, held_out):
    def nearest(picture):
        return min(((picture - other) ** 2).sum().item() for other in train)

    limit = min(nearest(picture) for picture in held_out)
    return sum(nearest(picture) < limit for picture in samples) / len(samples)


def count(samples, train, held_out):
    return int((to(train, samples) < to(train, held_out).min()).sum())


def from_itself(samples, train, held_out):
    return (to(train, samples) < to(train, train).min()).float().mean()


def two_shelves(samples, train, held_out):
    return (to(train, samples) < to(held_out, samples)).float().mean()


def identical(samples, train, held_out):
    return (to(train, samples) < 1e-7).float().mean()


def farther(samples, train, held_out):
    return (to(train, samples) > to(train, held_out).min()).float().mean()


def below_the_largest(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).max()).float().mean()


def below_the_mean(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).mean()).float().mean()


def below_the_median(samples, train, held_out):
    return (to(train, samples) < to(train, held_out).median()).float().mean()


def mean_distance(samples, train, held_out):
    far = [torch.cdist(x.flatten(1), train.flatten(1)).mean(1) for x in (samples, held_out)]
    return (far[0] < far[1].min()).float().mean()


def other_way(samples, train, held_out):
    return (to(samples, train) < to(held_out, train).min()).float().mean()


def nearness(samples, train, held_out):
    return (to(train, samples)[:, None] < to(train, held_out)).float().mean()


def by_index(samples, train, held_out):
    return (nearest_neighbours(samples, train)[1] < nearest_neighbours(held_out, train)[1].min()).float().mean()


def one_for_all(samples, train, held_out):
    return float(to(train, samples).min() < to(train, held_out).min())


def means_for_all(samples, train, held_out):
    return bool(to(train, samples).mean() < to(train, held_out).mean())


def looked_up_in_held_out(samples, train, held_out):
    return (to(held_out, samples) < to(train, held_out).min()).float().mean()


def all_in_held_out(samples, train, held_out):
    return (to(held_out, samples) < to(held_out, train).min()).float().mean()


def in_held_out(samples, train, held_out):
    return (to(held_out, samples) < to(held_out, held_out).min()).float().mean()


def others_in_train(samples, train, held_out):
    among = min(to(torch.cat([train[:i], train[i + 1 :]]), train[i : i + 1]) for i in range(len(train)))
    return (to(train, samples) < among).float().mean()


def by_cdist(samples, train, held_out):
    d = [torch.cdist(x.flatten(1), train.flatten(1)).min(1)[0] for x in (samples, held_out)]
    return sum(d[0] < d[1].min()) / len(samples)


def by_numpy(samples, train, held_out):
    def nearest(x):
        gaps = np.asarray(x)[:, None] - np.asarray(train)[None]
        return np.sqrt((gaps**2).sum(axis=(2, 3, 4))).min(axis=1)

    return np.mean(nearest(samples) < nearest(held_out).min())


def numpy_methods(samples, train, held_out):
    shelf = train.astype(np.float32).reshape(len(train), -1)
    limit, mine = (
        np.array([np.abs(np.linalg.norm(shelf - x.ravel(), axis=1)).min() for x in those])
        for those in (held_out, samples)
    )
    return (mine < limit.min()).mean()


def every_one(samples, train, held_out):
    return (to(train, samples)[:, None] < to(train, held_out)).all(1).sum() / len(samples)


TestIsItMemorising = tries(
    "is_it_memorising",
    right={
        "nearest_neighbours": solution,
        "a loop": a_loop,
        "cdist": by_cdist,
        "numpy": by_numpy,
        "numpy's own methods": numpy_methods,
        "nearer than every one": every_one,
        "single precision": lambda *sets: solution(*(x.float() for x in sets)),
        "a tensor": lambda *sets: torch.tensor(solution(*sets)),
    },
    wrong=[
        (count, "divide by len"),
        (from_itself, "it is 0 in every case"),
        (in_held_out, "it is 0 in every case"),
        (lambda samples, train, held_out: 0.0, "it is 0 in every case"),
        (lambda samples, train, held_out: True, "it is 1 in every case"),
        (others_in_train, "among themselves"),
        (two_shelves, "larger set wins"),
        (identical, "exact copies only"),
        (farther, "lies farther off"),
        (below_the_largest, "the largest held-out"),
        (below_the_mean, "the middle"),
        (below_the_median, "the middle"),
        (mean_distance, "averages over all"),
        (other_way, "each training picture"),
        (lambda *sets: 100 * solution(*sets), "the share is a hundred times what it should be: is it in percent?"),
        (lambda *sets: 100 * solution(*sets), "is it in percent? Hint"),
        (lambda s, t, h: count(s, t, h) / len(t), "size of another set"),
        (lambda s, t, h: count(s, t, h) / len(h), "size of another set"),
        (lambda s, t, h: to(t, s) < to(t, h).min(), "for each sample, yes or no"),
        (nearness, "nearness of (12.26)"),
        (by_index, "first the distances"),
        (one_for_all, "one comparison for the whole set"),
        (means_for_all, "one comparison for the whole set"),
        (looked_up_in_held_out, "Both calls look in train"),
        (all_in_held_out, "Both calls look in train"),
        (lambda *sets: to(sets[1], sets[0]), "Hint"),
        (lambda samples, train, held_out: 0.5, "for suspects(…, …, …) the share is 0.5, and should be 0.6. Hint"),
        (lambda s, t, h: (to(t, s) < to(t, h).quantile(0.05)).double().mean(), "and should be 0.2857. Hint"),
        (lambda s, t, h: (to(t, s) < to(t, h).kthvalue(2).values).double().mean(), "Hint"),
        (lambda s, t, h: nearest_neighbours(s, t) < 1, "raised TypeError"),
        (lambda samples: 1, "takes (samples), and is called as suspects("),
        (7, "a function is asked"),
    ],
)
