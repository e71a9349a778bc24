"""A word for one thing in a few photographs: views of each, and a row of the table to begin with."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.networks.unet import UNet

_STRIDE = 2  # pixels between two crops


def views(whole: Float[Tensor, "N C H H"], larger: Float[Tensor, "N C W W"]) -> Float[Tensor, "M C H H"]:
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
    if not 0 <= like < denoiser.classes:
        raise ValueError(f"like: expected a label, 0..{denoiser.classes - 1}, got {like}")
    state, classes = network.state_dict(), denoiser.classes
    rows = [*range(classes), like, classes]  # the last row stands for no label
    state["label.weight"] = state["label.weight"][rows]
    config: dict[str, Any] = network.config | {"classes": classes + 1}
    wider = UNet(**config).to(state["label.weight"].device)
    wider.load_state_dict(state)
    return replace(denoiser, network=wider.train(network.training), classes=classes + 1)
