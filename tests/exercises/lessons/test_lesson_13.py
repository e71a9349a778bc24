"""Lesson 13's exercise: right batches in several idioms, and each typical wrong one told by name."""

import random

import numpy as np
import torch

from tests.exercises.lessons.tables import tries


def rehearsal(new, label, old, old_labels, size, g):
    i = torch.randint(len(new), (size // 2,), generator=g)
    j = torch.randint(len(old), (size // 2,), generator=g)
    return torch.cat([new[i], old[j]]), torch.cat([torch.full((size // 2,), label), old_labels[j]])


def shuffled(*given):
    x, y = rehearsal(*given)
    order = torch.randperm(len(x))
    return x[order], y[order]


def twice_as_many(new, label, old, old_labels, size, g):
    return rehearsal(new, label, old, old_labels, 2 * size, g)


def only_new(new, label, old, old_labels, size, g):
    return new[torch.randint(len(new), (size,), generator=g)], torch.full((size,), label)


def only_old(new, label, old, old_labels, size, g):
    j = torch.randint(len(old), (size,), generator=g)
    return old[j], old_labels[j]


def all_called_new(*given):
    x, y = rehearsal(*given)
    return x, torch.full_like(y, given[1])


def called_no_label(*given):
    x, y = rehearsal(*given)
    return x, torch.where(y == given[1], 10, y)


def drawn_twice(new, label, old, old_labels, size, g):
    x, y = rehearsal(new, label, old, old_labels, size, g)
    j = torch.randint(len(old), (size // 2,), generator=g)
    return x, torch.cat([y[: size // 2], old_labels[j]])


def one_heap(new, label, old, old_labels, size, g):
    x, y = torch.cat([new, old]), torch.cat([torch.full((len(new),), label), old_labels])
    j = torch.randint(len(x), (size,), generator=g)
    return x[j], y[j]


def always_the_first(new, label, old, old_labels, size, g):
    x, y = rehearsal(new, label, old, old_labels, size, g)
    half = size // 2
    return torch.cat([x[:half], old[:half]]), torch.cat([y[:half], old_labels[:half]])


def by_hand(new, label, old, old_labels, size, g):
    """Lists, and Python's own chance."""
    pairs = [(x, label) for x in random.choices(list(new), k=size // 2)]
    for j in random.sample(range(len(old)), size // 2):
        pairs.append((old[j], old_labels[j].item()))
    random.shuffle(pairs)
    return [x for x, _ in pairs], [y for _, y in pairs]


def by_numpy(new, label, old, old_labels, size, g):
    i = np.random.choice(len(new), size // 2)  # noqa: NPY002
    j = np.random.permutation(len(old))[: size // 2]  # noqa: NPY002
    pictures = np.concatenate([np.asarray(new)[i], np.asarray(old)[j]])
    return pictures, np.append(np.full(size // 2, label, dtype=np.int32), np.asarray(old_labels)[j])


def permuted(new, label, old, old_labels, size, g):
    """The six again and again, shuffled and cut: still drawn."""
    i = torch.cat([torch.randperm(len(new), generator=g) for _ in range(size)])[: size // 2]
    j = torch.randperm(len(old), generator=g)[: size // 2]
    return torch.cat((new[i], old[j])), torch.cat((torch.tensor([label] * (size // 2)), old_labels[j]))


def float_labels(*given):
    x, y = rehearsal(*given)
    return [x, y.float()]


def picks(choose_new, choose_old):
    """A batch of the numbers that the two give: choose(count, size // 2, g)."""

    def batch(new, label, old, old_labels, size, g):
        i, j = choose_new(len(new), size // 2, g), choose_old(len(old), size // 2, g)
        return torch.cat([new[i], old[j]]), torch.cat([torch.full((size // 2,), label), old_labels[j]])

    return batch


def drawn(count, half, g):
    return torch.randint(count, (half,), generator=g)


def but_the_last(count, half, g):
    return torch.randint(count - 1, (half,), generator=g)


def in_turn(count, half, g):
    return torch.arange(half) % count


def seeded(count, half, g):
    return torch.randint(count, (half,), generator=torch.Generator().manual_seed(0))


def labels_in_the_other_order(*given):
    x, y = rehearsal(*given)
    return x, y.roll(len(y) // 2)


def by_chance(new, label, old, old_labels, size, g):
    """Each picture is new with probability ½."""
    count = int((torch.rand(size, generator=g) < 0.5).sum())
    i, j = drawn(len(new), count, g), drawn(len(old), size - count, g)
    return torch.cat([new[i], old[j]]), torch.cat([torch.full((count,), label), old_labels[j]])


def three_quarters(new, label, old, old_labels, size, g):
    i, j = drawn(len(new), size - size // 4, g), drawn(len(old), size // 4, g)
    return torch.cat([new[i], old[j]]), torch.cat([torch.full((len(i),), label), old_labels[j]])


def labels_rolled(*given):
    x, y = rehearsal(*given)
    return x, y.roll(1)


TestRehearsal = tries(
    "rehearsal",
    right={
        "randint": rehearsal,
        "shuffled": shuffled,
        "lists and random": by_hand,
        "numpy": by_numpy,
        "randperm": permuted,
        "labels as floats": float_labels,
        "without the generator": picks(lambda n, half, g: torch.randint(n, (half,)), drawn),
    },
    wrong=[
        (twice_as_many, "size asked for"),
        (only_new, "no old picture"),
        (only_old, "no new picture"),
        (all_called_new, "carry the new label"),
        (called_no_label, "another label than `label`"),
        (lambda new, label, *rest: rehearsal(new, 9, *rest), "another label than `label`"),
        (drawn_twice, "part company"),
        (labels_rolled, "another label than `label`"),
        (one_heap, "not half"),
        (always_the_first, "always the same old"),
        (picks(drawn, seeded), "always the same old"),
        (picks(lambda n, half, g: [0] * half, drawn), "the new pictures are the same in every batch"),
        (picks(in_turn, drawn), "the new pictures are the same in every batch"),
        (
            picks(lambda n, half, g: torch.randperm(half) % n, drawn),
            "the new pictures are the same in every batch",
        ),
        (picks(drawn, but_the_last), "some of the old"),
        (picks(drawn, lambda n, half, g: drawn(25, half, g)), "some of the old"),
        (picks(but_the_last, drawn), "some of the six"),
        (labels_in_the_other_order, "the labels stand in another order"),
        (by_chance, "on average only"),
        (three_quarters, "more than half of the batch"),
        (picks(lambda n, half, g: drawn(n, 1, g).expand(half), drawn), "the new half of a batch is one picture"),
        (picks(drawn, lambda n, half, g: drawn(n, 1, g).expand(half)), "the old half of a batch is one picture"),
        (lambda *given: (1.01 * rehearsal(*given)[0], rehearsal(*given)[1]), "neither new nor old"),
        (lambda *given: rehearsal(*given)[0], "returns a tensor of shape (16, 1, 2, 2); two are asked"),
        (lambda *given: rehearsal(*given)[::-1], "the labels come first"),
        (lambda *given: (*rehearsal(*given), 1), "returns 3 values; two are asked"),
        (lambda *given: (rehearsal(*given)[0], rehearsal(*given)[1][:, None]), "a label for each picture"),
        (lambda *given: dict(zip("xy", rehearsal(*given), strict=True)), "returns a dictionary"),
        (lambda *given: 7, "returns a number; two are asked"),
        (lambda new, label, old, old_labels, size, g: new[size], "raised IndexError"),
    ],
)
