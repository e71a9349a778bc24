#!/usr/bin/env bash
# rectified-flow-pytorch 0.14.0, torch 2.13.0: MeanFlow.sample is exact in 1 step and wrong in 2 to 64.
#
# A mean flow (arXiv 2505.13447) learns the average velocity between two times, so that one step is enough, and n steps
# of length 1 / n are as right. Here steps=1 asks for the average over the whole way, and steps > 1 is another sampler:
# it asks for the average over a length of 0, which is the velocity at that moment, and walks by Euler's rule. What the
# network has learned beyond plain flow matching isn't used, and the error is Euler's. The noise that is given as
# `noise` isn't used either: fresh noise is drawn. So "a few more steps for quality" makes the pictures worse, and the
# same noise doesn't give the same picture. Nothing is raised or warned.
# Seen with the exact mean flow for pictures of standard deviation 0.5, steps 1, 2, 4, 8, 16, 64: spread 0.50, 0.20,
# 0.34, 0.41, 0.46, 0.49; correlation of picture and given noise 1.00, then 0.00. The average velocity, walked by hand
# in the same numbers of steps from that noise: 0.50 and 1.00 each time.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
needs=(torch==2.13.0 torchdiffeq==0.2.5 ema-pytorch==0.8.3 x-transformers==2.3.21 x-unet==0.5.0 numpy==2.4.6)
needs+=(accelerate einx rotary-embedding-torch torch-einops-utils scipy pillow)
"$folder/venv/bin/pip" install -q "${needs[@]}" 2>/dev/null
"$folder/venv/bin/pip" install -q --no-deps rectified-flow-pytorch==0.14.0 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import sys
from importlib.metadata import version
from unittest.mock import MagicMock

for name in ("torchvision", "torchvision.models", "torchvision.utils", "torchvision.transforms"):
    sys.modules[name] = MagicMock()  # picture files and a perceptual loss need it, and neither is used here
import torch
from rectified_flow_pytorch import MeanFlow

STD = 0.5


class Exact(torch.nn.Module):
    """The average velocity from t - length to t for pictures from N(0, STD^2), t = 1 being noise."""

    def __init__(self):
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, t, length):
        t, length = t.double()[:, None], length.double()[:, None]

        def variance(t):
            return (1 - t) ** 2 * STD**2 + t**2

        at_once = x * (t - (1 - t) * STD**2) / variance(t)
        safe = length.clamp(min=1e-9)
        return torch.where(length > 0, x * (1 - (variance(t - length) / variance(t)).sqrt()) / safe, at_once)


def by_hand(network, x, steps):
    for i in range(steps):
        t = torch.full((len(x),), 1 - i / steps)
        x = x - network(x, t, torch.full_like(t, 1 / steps)) / steps
    return x


def like(a, b):
    return torch.corrcoef(torch.stack([a.flatten().double(), b.flatten().double()]))[0, 1].item()


torch.manual_seed(0)
network = Exact()
flow = MeanFlow(network, data_shape=(1,))
noise = torch.randn(20000, 1)
spreads, right = {}, {}
for steps in (1, 2, 4, 8, 16, 64):
    drawn, hand = flow.sample(batch_size=20000, noise=noise, steps=steps), by_hand(network, noise, steps)
    spreads[steps], right[steps] = (drawn.std().item(), like(drawn, noise)), (hand.std().item(), like(hand, noise))
    print(
        f"{steps:2} steps: spread {spreads[steps][0]:.3f}, correlation with the noise {spreads[steps][1]:+.2f}; "
        f"by hand {right[steps][0]:.3f}, {right[steps][1]:+.2f}"
    )
assert all(abs(std - STD) < 0.01 and same > 0.9999 for std, same in right.values())
assert abs(spreads[1][0] - STD) < 0.01 and spreads[1][1] > 0.9999
assert all(abs(same) < 0.05 for steps, (_, same) in spreads.items() if steps > 1)
for steps, seen in ((2, 0.20), (4, 0.34), (8, 0.41), (16, 0.46), (64, 0.486)):
    assert abs(spreads[steps][0] - seen) < 0.012
print("as found, rectified-flow-pytorch", version("rectified-flow-pytorch"))
P
