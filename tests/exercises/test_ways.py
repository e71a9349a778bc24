"""One question in several dialects."""

import numpy as np
import torch

from diffusion_lesson.exercises import ways
from diffusion_lesson.exercises.ways import Spoken

X = torch.tensor([1.5, 2.5], dtype=torch.float64)
T = torch.tensor([1, 2])


def test_each_way_keeps_the_values_and_speaks_its_own_kind() -> None:
    kinds = {
        ways.as_given: (float, torch.Tensor, torch.float64),
        ways.as_tensors: (torch.Tensor, torch.Tensor, torch.float64),
        ways.as_single: (torch.Tensor, torch.Tensor, torch.float32),
        ways.as_numpy: (np.float64, np.ndarray, np.float64),
        ways.as_lists: (float, list, None),
    }
    assert set(kinds) == set(ways.WAYS)
    for way, (number, table, dtype) in kinds.items():
        assert type(way(0.25)) is number
        assert float(way(0.25)) == 0.25
        assert isinstance(way(X), table)
        assert list(way(X)) == [1.5, 2.5]
        assert getattr(way(X), "dtype", None) == dtype
        # Whole numbers count or index something, and a function is nobody's dialect.
        assert way(3) == 3
        assert type(way(3)) is int
        assert [int(t) for t in way(T)] == [1, 2]
        assert way(len) is len
    assert ways.as_single(T).dtype == torch.int64


def test_an_answer_may_change_what_it_is_given() -> None:
    def spoils(x: torch.Tensor) -> None:
        x[0] = 7

    for way in ways.WAYS:
        spoken = Spoken(spoils, way)
        spoken(X)
        assert X.tolist() == [1.5, 2.5]
        assert float(spoken.asked[0][0]) == 7
