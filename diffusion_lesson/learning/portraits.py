"""A word for one thing in a few photographs: what they show, a row of the table, and a network of its own."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from diffusion_lesson.learning import dreambooth
from diffusion_lesson.learning.data import dreambooth_dog, image_folder, to_signed
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.downloads import fetch
from diffusion_lesson.learning.folders import pictures
from diffusion_lesson.learning.pictures import dimensions
from diffusion_lesson.networks.unet import UNet

_STRIDE = 2  # pixels between two crops
_LARGER = 8  # a copy to crop from is larger by one part in so many
_COPIES, _CROPS = 2, 9  # copies, each larger than the last; crops of each picture that are kept
Sure = Callable[[Tensor], Tensor]  # (B, C, H, W) → (B,): how sure it is of each picture


@dataclass(frozen=True, eq=False)  # eq: tensors have no single truth value
class Photographs:
    """Some photographs of one thing as a network sees them: values in [−1, 1], three colours."""

    whole: Float[Tensor, "N 3 H H"]  # the central square of each
    views: Float[Tensor, "M 3 H H"]  # the same, crops, and mirrors of all (`views`)
    stored: tuple[tuple[int, int], ...]  # width and height of each file's pixels
    credit: str  # whose they are, where that is known

    def __str__(self) -> str:
        """What was seen, in one line."""
        count, side = len(self.whole), self.whole.shape[-1]
        (w, h), (most_w, most_h) = min(self.stored, key=_area), max(self.stored, key=_area)
        sizes = f"{w} × {h}" if (w, h) == (most_w, most_h) else f"{w} × {h} to {most_w} × {most_h}"
        return (
            f"{count} photograph{'s' * (count > 1)} of {sizes} pixels; the central square of each, "
            f"{side} × {side}; with crops and mirrors {len(self.views)} views"
        )


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def photographs(source: str | os.PathLike[str], size: int = 32, sure: Sure | None = None) -> Photographs:
    """All photographs in a folder, or those of a dog of the DreamBooth set, such as "dog3"; a folder comes first.

    sure: it says which crops come nearer to the thing (`surest`); without it they lie on a grid (`views`). Nothing
    leaves the machine. Errors are those of `data.image_folder` and `data.dreambooth_dog`.
    """
    sides, credit = [size + -(-size * k // _LARGER) for k in range(_COPIES + 1 if sure else 2)], ""
    if str(source) in dreambooth.PHOTOGRAPHERS and not Path(source).is_dir():
        sets = [dreambooth_dog(str(source), side) for side in sides]
        files, (credit,) = [fetch(file) for file in dreambooth.files(str(source))], sets[0].names
    else:
        sets = [image_folder(source, side) for side in sides]
        files = [Path(source, *parts) for parts in pictures(Path(source))]
    whole, *larger = (to_signed(found.images).expand(-1, 3, -1, -1) for found in sets)
    seen = surest(whole, larger, sure) if sure else views(whole, larger[0])
    return Photographs(whole, seen, tuple(map(dimensions, files)), credit)


def views(whole: Float[Tensor, "N C H H"], larger: Float[Tensor, "K C W W"]) -> Float[Tensor, "M C H H"]:
    """Each photograph whole, as squares out of a larger copy of it, and all of these mirrored.

    whole, larger: the same photographs in the same order, H×H pixels and a few more. Views of one photograph
    stand N places apart.
    """
    return _with_mirrors([whole, *_crops(whole, larger)])


def surest(
    whole: Float[Tensor, "N C H H"], larger: Sequence[Float[Tensor, "N C _ _"]], sure: Sure
) -> Float[Tensor, "M C H H"]:
    """Each photograph whole, nine crops of it in which the thing is seen best, and all of these mirrored.

    larger: copies of the same photographs, one more enlarged than the other. Of all their squares of H×H pixels
    those are taken of which `sure`, asked about each and its mirror image, is surest. Views of one photograph
    stand N places apart.
    """
    crops = torch.stack([crop for copy in larger for crop in _crops(whole, copy)], 1)  # (N, crops, C, H, H)
    with torch.no_grad():
        rated = torch.stack([sure(each) + sure(each.flip(-1)) for each in crops])
    best = rated.topk(min(_CROPS, crops.shape[1])).indices
    chosen = crops.gather(1, best[..., None, None, None].expand(-1, -1, *crops.shape[2:]))
    return _with_mirrors([whole, *chosen.unbind(1)])


def _crops(whole: Tensor, larger: Tensor) -> list[Tensor]:
    """Squares as large as the whole, two pixels apart, out of a larger copy; none where it is no larger."""
    size, margin = whole.shape[-1], larger.shape[-1] - whole.shape[-1]
    if margin < 0 or len(larger) != len(whole):
        raise ValueError(
            f"larger: expected {len(whole)} pictures of {size} pixels or more, got {tuple(larger.shape)}"
        )
    starts = range(0, margin + 1, _STRIDE) if margin else ()
    return [larger[..., i : i + size, j : j + size] for i in starts for j in starts]


def _with_mirrors(seen: list[Tensor]) -> Tensor:
    return torch.cat([*seen, *(each.flip(-1) for each in seen)])


def new_word(denoiser: Denoiser, like: int) -> Denoiser:
    """A copy that takes one label more, `denoiser.classes`, which means at first what `like` means.

    All other labels mean what they meant. ValueError where it has no such label, or is no U-Net.
    """
    network = denoiser.network
    if not isinstance(network, UNet):
        raise ValueError(f"denoiser: expected one whose network is a UNet, got a {type(network).__name__}")
    if denoiser.classes == 0:
        raise ValueError("denoiser: expected one that takes labels, got one with classes=0")
    if not 0 <= like < denoiser.classes:
        raise ValueError(f"like: expected a label, 0..{denoiser.classes - 1}, got {like}")
    state, classes = network.state_dict(), denoiser.classes
    rows = [*range(classes), like, classes]  # the last row stands for no label
    state["label.weight"] = state["label.weight"][rows]
    config: dict[str, Any] = network.config | {"classes": classes + 1}
    wider = UNet(**config).to(state["label.weight"].device)
    wider.load_state_dict(state)
    return replace(denoiser, network=wider.train(network.training), classes=classes + 1)


class _Beside(nn.Module):
    """One network for a word, another for all else."""

    def __init__(self, known: nn.Module, taught: nn.Module, word: int, classes: int) -> None:
        super().__init__()
        self.known, self.taught, self.word, self.classes = known, taught, word, classes

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """The prediction of whichever network each label belongs to."""
        if labels is None:
            return self.known(x, t)
        asked = labels.to(x.device) == self.word
        if not asked.any():
            return self.known(x, t, labels)
        if asked.all():
            return self.taught(x, t, labels)
        t, labels = t.to(x.device), labels.to(x.device)
        out = torch.empty_like(x)
        for network, rows in ((self.known, ~asked), (self.taught, asked)):
            out[rows] = network(x[rows], t[rows], labels[rows])
        return out


def beside(known: Denoiser, taught: Denoiser, word: int) -> Denoiser:
    """A denoiser of two networks: `taught` answers where it is told `word`, and `known` to all else.

    So whatever `taught` forgot, nothing of `known` is forgotten, and guidance leads from what `known` says without
    a label. It is twice as large. ValueError where the two don't belong together, or have no such word.
    """
    for one in ("schedule", "predicts", "classes"):
        here, there = (getattr(each, one) for each in (known, taught))
        if not (torch.equal(here.betas, there.betas) if one == "schedule" else here == there):
            raise ValueError(f"taught: expected a denoiser with the same {one} as known, got another")
    if not 0 <= word < known.classes:
        raise ValueError(f"word: expected a label, 0..{known.classes - 1}, got {word}")
    return replace(known, network=_Beside(known.network, taught.network, word, known.classes).eval())
