#!/usr/bin/env bash
# rectified-flow-pytorch 0.14.0, torchdiffeq 0.2.5, torch 2.13.0: RectifiedFlow.sample(steps=1) hands back the noise,
# and steps=n takes n - 1 steps.
#
# The times are n numbers from 0 to 1, the ends included, so there are n - 1 ways between them. With one time there is
# none: the network isn't called, and what comes back as a picture is the noise, scaled as a picture is. One step is
# what use_consistency=True trains for. The default, 16, is 15 steps, of two calls each ("midpoint"). MeanFlow and
# NanoFlow of the same package take n steps. So a table of quality by steps compares different things, and its first
# line is noise. Nothing is raised or warned.
# Seen with the exact velocity for pictures of standard deviation 0.5: steps 1, 2, 3, 16: 0, 2, 4, 30 calls; for 1 the
# picture is (noise + 1) / 2 to the last bit, spread 1.0 where 0.5 is right; NanoFlow calls 1, 2, 3, 16 times.
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
from rectified_flow_pytorch import NanoFlow, RectifiedFlow

STD = 0.5


class Exact(torch.nn.Module):
    """The velocity from noise (t = 0) to pictures from N(0, STD^2) (t = 1); counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self.calls = 0

    def forward(self, x, times):
        self.calls += 1
        t = times[:, None]
        return x * (t * STD**2 - (1 - t)) / (t**2 * STD**2 + (1 - t) ** 2)


torch.manual_seed(0)
network, noise = Exact(), torch.randn(20000, 1)
flow = RectifiedFlow(network, data_shape=(1,))
nano = NanoFlow(network, times_cond_kwarg="times", data_shape=(1,))
calls, spreads = {}, {}
for steps in (1, 2, 3, 16):
    network.calls = 0
    pictures = flow.sample(batch_size=20000, noise=noise.clone(), steps=steps)
    calls[steps], spreads[steps] = network.calls, (pictures * 2 - 1).std().item()
    network.calls = 0
    nano.sample(batch_size=20000, noise=noise.clone(), steps=steps)
    print(
        f"steps={steps:2}: {calls[steps]:2} calls, spread {spreads[steps]:.3f} (right: {STD}); "
        f"NanoFlow {network.calls} calls"
    )
    assert network.calls == steps and calls[steps] == 2 * (steps - 1)
    if steps == 1:
        assert torch.equal(pictures, (noise + 1) * 0.5)
assert abs(spreads[1] - 1) < 0.02 and abs(spreads[16] - STD) < 0.02
print("as found, rectified-flow-pytorch", version("rectified-flow-pytorch"))
P
