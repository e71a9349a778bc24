"""How good are the pictures? The Fréchet distance on a classifier's features, and nearest neighbours."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffusion_lesson.networks.classifier import DigitsClassifier
from diffusion_lesson.shapes import Batch


@torch.no_grad()
def features(classifier: DigitsClassifier, x: Batch, batch_size: int = 500) -> Float[Tensor, " N F"]:
    """`classifier.features` of pictures x (N, C, H, W), in eval mode, a batch at a time."""
    classifier.eval()
    return torch.cat([classifier.features(part) for part in x.split(batch_size)])


def frechet_distance(features_a: Float[Tensor, " N F"], features_b: Float[Tensor, " M F"]) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½): Gaussians fitted to two sets of features, compared.

    It is 0 for equal sets and falls with more samples, so it is told beside n and the real-against-real floor
    (arXiv:1706.08500). Covariances divide by n − 1. ValueError for fewer than 2 rows, or rows that don't fit.
    """
    for name, rows in (("features_a", features_a), ("features_b", features_b)):
        if len(rows) < 2 or not rows.isfinite().all():
            raise ValueError(f"{name}: expected 2 rows or more of finite numbers, got {tuple(rows.shape)}")
    if features_a.shape[1] != features_b.shape[1]:
        raise ValueError(
            f"features_b: expected {features_a.shape[1]} in each row, as features_a has, got {features_b.shape[1]}"
        )
    a, b = features_a.double(), features_b.double()
    mean_gap = ((a.mean(0) - b.mean(0)) ** 2).sum()
    cov_a, cov_b = (torch.atleast_2d(torch.cov(rows.T)) for rows in (a, b))
    # tr (Σ_a Σ_b)^½ from the symmetric Σ_a^½ Σ_b Σ_a^½, which has the same eigenvalues.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors * values.clamp_min(0).sqrt() @ vectors.T
    root = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp_min(0).sqrt().sum()
    return (mean_gap + cov_a.trace() + cov_b.trace() - 2 * root).clamp_min(0).item()  # rounding may say −1e-8


def nearest_neighbours(
    x: Float[Tensor, " N *dims"], images: Float[Tensor, " M *dims"]
) -> tuple[Float[Tensor, " N"], Int[Tensor, " N"]]:
    """Each picture's nearest of `images`: root-mean-square distance a pixel (N,), and its index (N,)."""
    # Not by ‖a‖² + ‖b‖² − 2 a·b, whose rounding would hide an exact copy.
    exact = "donot_use_mm_for_euclid_dist"
    distance, index = torch.cdist(x.flatten(1), images.flatten(1), compute_mode=exact).min(1)
    return distance / x[0].numel() ** 0.5, index
