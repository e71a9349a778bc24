"""How good are the pictures? The Fréchet distance on a classifier's features, and nearest neighbours."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from safetensors import safe_open
from torch import Tensor, nn

from diffusion_lesson.learning import weights
from diffusion_lesson.networks.classifier import Classifier
from diffusion_lesson.shapes import Batch, floats, kind, warn_unless_signed, whole


@torch.no_grad()
def features(classifier: Classifier, x: Batch, batch_size: int = 500) -> Float[Tensor, " N F"]:
    """`classifier.features` of pictures x (N, C, H, W), in eval mode, a batch at a time, on its device.

    ValueError for a classifier or pictures that are none; a warning where no value of them is below 0.
    """
    if not isinstance(classifier, nn.Module) or not hasattr(classifier, "features"):
        raise ValueError(f"classifier: expected a Classifier, as load_classifier gives, got {kind(classifier)}")
    floats(x, "x")
    batch_size = whole(batch_size, "batch_size", "1 or more")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
    warn_unless_signed(x, "x", stacklevel=4)
    device = next(classifier.eval().parameters()).device
    return torch.cat([classifier.features(part.to(device)) for part in x.split(batch_size)])


@dataclass(frozen=True)
class Moments:
    """All that the Fréchet distance knows of a set of pictures: its features' mean (F,) and covariance (F, F)."""

    mean: Float[Tensor, " F"]
    cov: Float[Tensor, "F F"]
    count: int  # of pictures


def moments(rows: Float[Tensor, " N F"]) -> Moments:
    """Mean and covariance of features, in float64 on the CPU, which every machine has.

    The covariance divides by N − 1. ValueError for N < 2.
    """
    _refuse_rows(rows, "rows")
    wide = rows.detach().cpu().double()
    return Moments(wide.mean(0), torch.atleast_2d(torch.cov(wide.T)), len(rows))


def moments_distance(a: Moments, b: Moments) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½): the Fréchet distance of two Gaussians, squared.

    arXiv:1706.08500. Tell it beside both counts, and beside the floor: what real pictures score with as many.
    """
    for name, given in (("a", a), ("b", b)):
        if not isinstance(given, Moments):
            raise ValueError(f"{name}: expected Moments (`moments` makes them of features), got {kind(given)}")
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"b: expected {len(a.mean)} features, as a has, got {len(b.mean)}")
    (mean_a, cov_a), (mean_b, cov_b) = ([part.cpu().double() for part in (m.mean, m.cov)] for m in (a, b))
    mean_gap = ((mean_a - mean_b) ** 2).sum()
    # tr (Σ_a Σ_b)^½ from the symmetric Σ_a^½ Σ_b Σ_a^½, which has the same eigenvalues.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors * values.clamp_min(0).sqrt() @ vectors.T
    root = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp_min(0).sqrt().sum()
    return (mean_gap + cov_a.trace() + cov_b.trace() - 2 * root).clamp_min(0).item()  # rounding may say −1e-8


def _refuse_rows(rows: Tensor, name: str) -> None:
    fits = isinstance(rows, Tensor) and rows.ndim == 2 and len(rows) > 1 and rows.shape[1] > 0
    if not fits or rows.is_complex() or not rows.isfinite().all():
        raise ValueError(f"{name}: expected 2 rows or more of finite numbers, (N, F), got {kind(rows)}")


def frechet_distance(features_a: Float[Tensor, " N F"], features_b: Float[Tensor, " M F"]) -> float:
    """`moments_distance` of two sets of features: Gaussians fitted to each, compared.

    It is 0 for equal sets and, on average, falls with more samples. ValueError for fewer than 2 rows, or rows that
    don't fit.
    """
    _refuse_rows(features_a, "features_a")
    _refuse_rows(features_b, "features_b")
    if features_a.shape[1] != features_b.shape[1]:
        raise ValueError(
            f"features_b: expected {features_a.shape[1]} in each row, as features_a has, got {features_b.shape[1]}"
        )
    return moments_distance(moments(features_a), moments(features_b))


def reference(name: str) -> Moments:
    """Moments that ship, of a data set's test pictures under the shipped classifier of the same name.

    ValueError for a name that has none, and where they belong to another classifier's weights.
    """
    path = weights.SHIPPED / f"reference-{name}.safetensors"
    if not path.is_file():
        known = sorted(p.stem.removeprefix("reference-") for p in weights.SHIPPED.glob("reference-*.safetensors"))
        raise ValueError(f"name: expected one of {', '.join(known)}, got {name!r}")
    with safe_open(path, framework="pt") as file:
        note, mean, cov = file.metadata(), file.get_tensor("mean"), file.get_tensor("cov")
    if note["classifier"] != weights.card(f"classifier-{name}").sha256:
        raise ValueError(f"name: the moments of {name!r} were taken with another classifier than the shipped one")
    return Moments(mean, cov, int(note["count"]))


def nearest_neighbours(
    x: Float[Tensor, " N *dims"], images: Float[Tensor, " M *dims"]
) -> tuple[Float[Tensor, " N"], Int[Tensor, " N"]]:
    """Each picture's nearest of `images`: root-mean-square distance a pixel (N,), and its index (N,), beside x.

    ValueError where one is no pictures, or theirs are of different sizes.
    """
    floats(x, "x")
    floats(images, "images")
    images = images.to(x.device, torch.promote_types(x.dtype, torch.float32))
    x = x.to(images.dtype)
    if x.shape[1:].numel() != images.shape[1:].numel() or 0 in (*x.shape, *images.shape):
        raise ValueError(f"images: expected one or more of the size of x, {tuple(x.shape)}, got {kind(images)}")
    # Not by ‖a‖² + ‖b‖² − 2 a·b, whose rounding would hide an exact copy.
    exact = "donot_use_mm_for_euclid_dist"
    distance, index = torch.cdist(x.flatten(1), images.flatten(1), compute_mode=exact).min(1)
    return distance / x[0].numel() ** 0.5, index
