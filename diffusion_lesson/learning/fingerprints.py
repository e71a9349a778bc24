"""What tells one schedule or one set of pictures from another, whichever processor made the numbers.

The last bits of a number depend on the processor: a cosine, a line in steps, an enlarged picture. So a fingerprint
holds a hash of the bits, which settles most questions, and numbers that say as much to a few digits.
"""

import hashlib
from collections.abc import Callable
from math import isclose
from typing import Any

import torch
from torch import Tensor, nn

_GROUPS = 64  # sums over so many groups of pictures
_PICTURE = 1e-2  # by how much such a sum may differ; one other picture moves it by about 1, rounding by 1e-4
_BETA = 1e-9  # by how much of itself a β may differ


def of_bits(*tensors: Tensor | None) -> str:
    """A short hash of the bits, to tell one data set from another."""
    h = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            h.update(str(tuple(tensor.shape)).encode())
            flat = tensor.detach().cpu().resolve_neg().reshape(-1).contiguous()
            h.update(flat.view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return h.hexdigest()[:16]


def of_network(model: nn.Module, name: Callable[[str], str] = str) -> str:
    """How many parameters the network has, and a short hash of the names, which `name` may change, and shapes."""
    shapes = {name(key): tuple(value.shape) for key, value in model.state_dict().items()}
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{count} parameters, {hashlib.sha256(str(shapes).encode()).hexdigest()[:8]}"


def of_betas(betas: Tensor) -> dict[str, str]:
    """β_0..β_T of a schedule, all of them."""
    return {"digest": of_bits(betas), "betas": " ".join(map(repr, betas.tolist()))}


def of_images(images: Tensor, labels: Tensor | None) -> dict[str, str]:
    """N pictures in their order, as 64 weighted sums of all their pixels; and the labels, exactly."""
    place = torch.arange(images[0].numel(), dtype=torch.float64, device="cpu").mul(1.7).cos()
    sums = torch.zeros(_GROUPS, dtype=torch.float64, device="cpu")
    number = torch.arange(len(images), device="cpu")
    for part, which in zip(images.split(4096), number.split(4096), strict=True):
        each = part.detach().cpu().double().flatten(1) @ place * which.double().mul(0.7).cos()
        sums.index_add_(0, which % _GROUPS, each)
    return {
        "digest": of_bits(images, labels),
        "shape and labels": f"{tuple(images.shape)} {of_bits(labels)}",
        "sums": " ".join(f"{value:.6f}" for value in sums.tolist()),
    }


def alike(written: Any, now: Any) -> bool:
    """Whether a setting means what it meant, perhaps on another processor: equal, or a fingerprint to rounding."""
    if not isinstance(now, dict) or "digest" not in now:
        return bool(written == now)
    if isinstance(written, str):  # as it was written once: the hash alone
        return written == now["digest"] or ("betas" in now and written in _of_a_line(_numbers(now["betas"])))
    if not isinstance(written, dict) or written.keys() != now.keys():
        return False
    if written["digest"] == now["digest"]:
        return True
    if "betas" in now:
        return _close(written["betas"], now["betas"], relative=_BETA)
    same = written["shape and labels"] == now["shape and labels"]
    return same and _close(written["sums"], now["sums"], absolute=_PICTURE)


def brief(setting: Any) -> str:
    """The setting in a few words, for a message."""
    return repr(setting["digest"] if isinstance(setting, dict) and "digest" in setting else setting)


def _numbers(words: Any) -> list[float]:
    """None of them where a file says anything else."""
    try:
        return [float(word) for word in str(words).split()]
    except ValueError:
        return []


def _close(left: Any, right: str, *, relative: float = 0.0, absolute: float = 0.0) -> bool:
    pair = _numbers(left), _numbers(right)
    return len(pair[0]) == len(pair[1]) and all(
        isclose(a, b, rel_tol=relative, abs_tol=absolute) for a, b in zip(*pair, strict=True)
    )


def _of_a_line(betas: list[float]) -> list[str]:
    """Hashes of the tables that torch.linspace made between these ends: the schedules were built by it once."""
    first, last, steps = betas[1], betas[-1], len(betas) - 1
    line = torch.linspace(first, last, steps, dtype=torch.float64)
    roots = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2
    zero = torch.zeros(1, dtype=torch.float64)
    return [of_bits(torch.cat([zero, table])) for table in (line, roots)]
