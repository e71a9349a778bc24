#!/usr/bin/env bash
# denoising-diffusion-pytorch 2.3.4, torch 2.13.0: GaussianDiffusion(immiscible=True) trains the network towards the
# noise of other pictures.
#
# Immiscible diffusion (arXiv 2406.12303) hands the noises of a batch to the pictures that lie nearest. q_sample does
# so, in a copy of its own. The loss goes on with the noises in their old order: target, and v, are made of the noise of
# another picture. What can be learned from that is the mean, which is 0 for noise, and nothing of the noise that is
# there. objective="pred_x0" has no noise in its target and is right. "pred_v", the default, and "pred_noise" are not.
# Nothing is raised or warned.
# Seen, 64 pictures of 4 x 4, the loss (unweighted) of a network that knows the batch and so answers exactly: 0 without
# the switch; with it 1.8 (pred_noise: nearly twice the noise's variance) and 1.05 (pred_v), where a network that always
# answers 0 has 0.97 and 0.71, and is better. pred_x0: 0 for both. The noises that q_sample used are the batch's, in
# another order.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
needs=(torch==2.13.0 einops ema-pytorch==0.8.3 accelerate numpy==2.4.6 scipy pillow tqdm)
"$folder/venv/bin/pip" install -q "${needs[@]}" 2>/dev/null
"$folder/venv/bin/pip" install -q --no-deps denoising-diffusion-pytorch==2.3.4 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import sys
from importlib.metadata import version
from unittest.mock import MagicMock

# Pictures in files and FID alone need these two, and neither is used here.
for name in ("torchvision", "pytorch_fid", "pytorch_fid.fid_score", "pytorch_fid.inception"):
    sys.modules[name] = MagicMock()
import torch
from denoising_diffusion_pytorch import GaussianDiffusion


class Network(torch.nn.Module):
    """What `answer` says of (x, t)."""

    channels = out_dim = 1
    self_condition = False

    def __init__(self):
        super().__init__()
        self.answer = None

    def forward(self, x, t, condition=None):
        self.seen = x
        return self.answer(x, t)


pictures = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0))
t = torch.randint(100, 900, (64,), generator=torch.Generator().manual_seed(1))


def losses(objective, immiscible):
    """Of a network that knows each picture, and of one that says 0; and the noises drawn and used."""
    network = Network()
    diffusion = GaussianDiffusion(network, image_size=4, objective=objective, immiscible=immiscible)
    clean = pictures * 2 - 1
    tables = diffusion.sqrt_alphas_cumprod, diffusion.sqrt_one_minus_alphas_cumprod
    a, s = (table[t].view(-1, 1, 1, 1) for table in tables)

    def exact(x, _):
        eps = (x - a * clean) / s
        return {"pred_noise": eps, "pred_x0": clean, "pred_v": a * eps - s * clean}[objective]

    noise, found = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2)), []
    for answer in (exact, lambda x, _: torch.zeros_like(x)):
        network.answer = answer
        per_picture = diffusion.p_losses(clean, t, noise=noise.clone(), loss_reduction="none")
        weight = diffusion.loss_weight[t]
        found.append((per_picture / weight).mean().item())
    return found, noise, (network.seen - a * clean) / s


for objective in ("pred_noise", "pred_v", "pred_x0"):
    for immiscible in (False, True):
        (exact, zero), drawn, used = losses(objective, immiscible)
        print(f"{objective:10} immiscible={immiscible!s:5} loss of the exact network {exact:.3f}, of 0 {zero:.3f}")
        # each noise is used once, but not where it was drawn
        rows = [torch.sort(x.flatten(1)[:, 0]).values for x in (drawn, used)]
        assert torch.allclose(*rows, atol=1e-4)
        assert torch.allclose(drawn, used, atol=1e-4) == (not immiscible)
        if not immiscible or objective == "pred_x0":
            assert exact < 1e-8 < zero
        elif objective == "pred_noise":
            assert 1.7 < exact < 2.4 and exact > 1.7 * zero
        else:
            assert exact > 0.4
print("as found, denoising-diffusion-pytorch", version("denoising-diffusion-pytorch"))
P
