"""A word for one thing in a few photographs: what they show, a row of the table, and pictures to rehearse with."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save
from torch import Tensor

from diffusion_lesson.learning import dreambooth
from diffusion_lesson.learning.data import dreambooth_dog, image_folder, to_signed
from diffusion_lesson.learning.denoiser import Denoiser, Watch, draw
from diffusion_lesson.learning.downloads import fetch
from diffusion_lesson.learning.files import make_folder, replace_file
from diffusion_lesson.learning.folders import pictures
from diffusion_lesson.learning.pictures import dimensions
from diffusion_lesson.networks.unet import UNet

_STRIDE = 2  # pixels between two crops
_LARGER = 8  # a copy to crop from is larger by one part in so many


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


def photographs(source: str | os.PathLike[str], size: int = 32) -> Photographs:
    """All photographs in a folder, or those of a dog of the DreamBooth set, such as "dog3"; a folder comes first.

    Nothing leaves the machine. Errors are those of `data.image_folder` and `data.dreambooth_dog`.
    """
    larger, credit = size + -(-size // _LARGER), ""
    if str(source) in dreambooth.PHOTOGRAPHERS and not Path(source).is_dir():
        small, large = (dreambooth_dog(str(source), side) for side in (size, larger))
        files, (credit,) = [fetch(file) for file in dreambooth.files(str(source))], small.names
    else:
        small, large = (image_folder(source, side) for side in (size, larger))
        files = [Path(source, *parts) for parts in pictures(Path(source))]
    whole, more = (to_signed(found.images).expand(-1, 3, -1, -1) for found in (small, large))
    return Photographs(whole, views(whole, more), tuple(map(dimensions, files)), credit)


def views(whole: Float[Tensor, "N C H H"], larger: Float[Tensor, "K C W W"]) -> Float[Tensor, "M C H H"]:
    """Each photograph whole, as squares out of a larger copy of it, and all of these mirrored.

    whole, larger: the same photographs in the same order, H×H pixels and a few more. Views of one photograph
    stand N places apart.
    """
    size, margin = whole.shape[-1], larger.shape[-1] - whole.shape[-1]
    if margin < 0 or len(larger) != len(whole):
        raise ValueError(
            f"larger: expected {len(whole)} pictures of {size} pixels or more, got {tuple(larger.shape)}"
        )
    starts = range(0, margin + 1, _STRIDE) if margin else ()
    crops = [larger[..., i : i + size, j : j + size] for i in starts for j in starts]
    seen = torch.cat([whole, *crops])
    return torch.cat([seen, seen.flip(-1)])


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


def own_pictures(
    denoiser: Denoiser,
    labels: Int64[Tensor, " N"],
    size: int,
    *,
    folder: Path,
    watch: Watch = lambda walk, steps: walk,
) -> Float[Tensor, "N 3 H H"]:
    """What a denoiser draws of its labels, to rehearse later: guided, 25 steps, seed 0. Kept in the folder.

    The next call reads them there. ValueError where the folder's are not as many, or of another size.
    """
    file, shape = Path(folder) / "own.safetensors", (len(labels), 3, size, size)
    if not file.exists():
        g = torch.Generator().manual_seed(0)
        how: dict[str, Any] = {"guidance_scale": 1.5, "steps": 25, "eta": 1.0, "batch_size": 60}
        own = draw(denoiser, torch.randn(shape, generator=g), labels=labels, generator=g, watch=watch, **how)
        make_folder(file.parent)
        replace_file(file, lambda path: path.write_bytes(save({"own": own, "labels": labels})))
    kept = load_file(file)
    if kept["own"].shape != shape or not torch.equal(kept["labels"], labels):
        raise ValueError(f"folder: {file} holds pictures of other labels or sizes; use another folder")
    return kept["own"]
