"""Fréchet distance and nearest neighbours, against other formulas for the same numbers."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.testing import assert_close

from diffusion_lesson.learning.metrics import (
    features,
    frechet_distance,
    moments,
    moments_distance,
    nearest_neighbours,
)
from diffusion_lesson.networks.classifier import DigitsClassifier


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def two_sets(n=60, m=40, size=5):
    """Correlated features with different means and covariances."""
    a = randn(n, size) @ randn(size, size, seed=1) + 1
    b = randn(m, size, seed=2) @ randn(size, size, seed=3)
    return a, b


# Fréchet distance


def test_it_agrees_with_scipys_matrix_square_root():
    a, b = two_sets()
    cov_a, cov_b = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    gap = np.linalg.norm(a.mean(0).numpy() - b.mean(0).numpy()) ** 2
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    assert frechet_distance(a, b) == pytest.approx(gap + np.trace(cov_a + cov_b - 2 * root), rel=1e-9)


def test_it_is_the_same_both_ways_round():
    a, b = two_sets()
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)


@pytest.mark.parametrize("n", [4, 100])
def test_it_is_0_for_equal_sets_and_never_below(n):
    a = randn(n, 12)
    assert 0 <= frechet_distance(a, a) < 1e-6


def test_a_shift_costs_its_squared_length():
    a, shift = randn(50, 4), torch.tensor([3.0, 0.0, -1.0, 2.0], dtype=torch.float64)
    assert frechet_distance(a, a + shift) == pytest.approx(14)


def test_a_stretch_of_one_feature_costs_the_squared_change_of_mean_and_standard_deviation():
    a = randn(50, 1)
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * (a.mean() ** 2 + a.var()).item())


def test_sets_smaller_than_the_number_of_features_agree_with_the_nuclear_norm():
    a, b = two_sets(n=4, m=6, size=12)  # tr (Σ_a Σ_b)^½ is the sum of the singular values of B'A
    whitened = [(rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in (a, b)]
    gap = (a.mean(0) - b.mean(0)).square().sum()
    root = torch.linalg.svdvals(whitened[1] @ whitened[0].T).sum()
    expected = gap + sum((rows**2).sum() for rows in whitened) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)


def test_features_far_from_0_in_single_precision_lose_nothing():
    a = (randn(50, 4, dtype=torch.float32) * 64).round() / 64 + 4096  # exact in float32
    assert frechet_distance(a, a + 1) == pytest.approx(4, rel=1e-9)


@pytest.mark.parametrize("name", ["features_a", "features_b"])
@pytest.mark.parametrize("wrong", [torch.zeros(1, 5), torch.full((9, 5), float("nan"))])
def test_a_single_row_or_nan_is_refused(name, wrong):
    given = {"features_a": torch.zeros(9, 5), "features_b": torch.zeros(9, 5)} | {name: wrong}
    with pytest.raises(ValueError, match=f"^{name}: expected 2 rows or more of finite numbers"):
        frechet_distance(**given)


def test_sets_with_different_features_are_refused(without_type_checks):
    with pytest.raises(ValueError, match=r"^features_b: expected 5 in each row, as features_a has, got 1"):
        frechet_distance(torch.zeros(9, 5), torch.zeros(9, 1))


# Features


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return DigitsClassifier()


def test_features_are_those_of_eval_mode_whatever_the_mode_was(classifier):
    x = randn(7, 1, 8, 8, dtype=torch.float32)
    expected = classifier.eval().features(x)
    assert_close(features(classifier.train(), x), expected.detach(), rtol=1e-5, atol=1e-6)


def test_features_do_not_depend_on_how_many_are_taken_at_a_time(classifier):
    x = randn(7, 1, 8, 8, dtype=torch.float32)
    assert_close(features(classifier, x, batch_size=3), features(classifier, x))


def test_features_carry_no_gradient(classifier):
    assert not features(classifier, randn(2, 1, 8, 8, dtype=torch.float32)).requires_grad


# Nearest neighbours


def test_nearest_neighbours_agree_with_a_loop_over_all_pairs():
    x, images = randn(5, 1, 3, 4), randn(30, 1, 3, 4, seed=1)
    gaps = [[((a - b) ** 2).mean().sqrt().item() for b in images] for a in x]
    distance, index = nearest_neighbours(x, images)
    assert index.tolist() == [row.index(min(row)) for row in gaps]
    assert distance.tolist() == pytest.approx([min(row) for row in gaps])


def test_one_picture_has_a_nearest_neighbour_too():
    images = torch.tensor([3.0, -2.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    distance, index = nearest_neighbours(torch.zeros(1, 1, 2, 2), images)
    assert (distance.tolist(), index.tolist()) == ([2.0], [1])


def test_a_copy_is_at_distance_0_exactly():
    images = randn(100, 1, 28, 28, dtype=torch.float32)
    distance, index = nearest_neighbours(images[40:70], images)
    assert index.tolist() == list(range(40, 70))
    assert (distance == 0).all()


def test_moments_are_mean_and_covariance_of_the_features():
    rows = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = moments(rows)
    torch.testing.assert_close(found.mean, rows.mean(0))
    torch.testing.assert_close(found.cov, torch.from_numpy(np.cov(rows.numpy(), rowvar=False)))
    assert found.count == 50


def test_moments_of_one_row_are_refused():
    with pytest.raises(ValueError, match=r"^rows: expected 2 rows or more"):
        moments(torch.zeros(1, 3))


def test_the_distance_of_moments_is_that_of_their_features():
    g = torch.Generator().manual_seed(1)
    a, b = torch.randn(40, 4, generator=g), torch.randn(60, 4, generator=g) + 1
    distance = moments_distance(moments(a), moments(b))
    assert distance == pytest.approx(frechet_distance(a, b))


def test_moments_of_other_features_are_refused():
    a, b = moments(torch.randn(9, 4)), moments(torch.randn(9, 5))
    with pytest.raises(ValueError, match=r"^b: expected 4 features"):
        moments_distance(a, b)


def test_two_rows_are_enough():
    a, b = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[1.0, 1.0], [3.0, 3.0]])
    assert moments(a).cov.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert frechet_distance(a, b) == pytest.approx(1, abs=1e-6)
