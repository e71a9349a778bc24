#!/usr/bin/env bash
# rectified-flow-pytorch 0.14.0, ema-pytorch 0.8.3, torch 2.13.0: RectifiedFlow.sample(use_ema=True) draws with the
# network itself; the average that use_consistency=True keeps is never asked.
#
# sample chooses the average and hands it to predict_flow. predict_flow has a parameter for it, and calls self.model. So
# the pictures are the network's own, to the last bit, whatever use_ema says. In training the consistency loss is to
# pull the network towards its average (arXiv 2407.02398): here both sides are the network, at two times. The average
# costs its memory and its updates all the same. Nothing is raised or warned. RectifiedFlow(...).ema_model is well, and
# can be asked by hand.
# Seen, a velocity that is one weight, moved from 0 to 4,999, average near 1,962 by then: from noise 0 both draw 2,500.0
# (that is 4,999 after the picture's own scaling); by hand the average draws 981.7. In one training step the network is
# called twice, the average 0 times.
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
from rectified_flow_pytorch import RectifiedFlow


class Velocity(torch.nn.Module):
    """One weight, for every picture and time; counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.calls = 0

    def forward(self, x, times):
        self.calls += 1
        return self.weight + 0 * x


network = Velocity()
flow = RectifiedFlow(network, use_consistency=True, data_shape=(1,), ema_update_after_step=0)
for step in range(5000):
    network.weight.data.fill_(float(step))
    if step % 10 == 0:
        flow.post_training_step_update()
average = flow.ema_model.ema_model
print(f"network's weight {network.weight.item():.1f}, the average's {average.weight.item():.1f}")
assert average.weight.item() < 0.5 * network.weight.item()

noise = torch.zeros(3, 1)
draws = {use: flow.sample(batch_size=3, noise=noise, use_ema=use) for use in (True, False)}
print("drawn with use_ema=True", draws[True].flatten().tolist(), "and False", draws[False].flatten().tolist())
assert torch.equal(draws[True], draws[False])
flow.model = average
by_hand = flow.sample(batch_size=3, noise=noise, use_ema=False)
flow.model = network
print("the average, asked by hand:", by_hand.flatten().tolist())
assert (by_hand < 0.5 * draws[True]).all()

network.calls = average.calls = 0
loss, parts = flow(torch.rand(4, 1), return_loss_breakdown=True)
print(f"in one training step the network is called {network.calls} times, the average {average.calls} times")
print(f"velocity_match, which compares the two: {parts.velocity_match.item()}")
assert (network.calls, average.calls) == (2, 0) and parts.velocity_match.item() == 0
print("as found, rectified-flow-pytorch", version("rectified-flow-pytorch"))
P
