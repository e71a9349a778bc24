#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: DEIS and PNDM with their defaults end with noise left in the picture, even if every
# prediction is exact.
#
# The world is one picture, 0.5, so the right eps is known at every t. Walked in 20 steps from pure noise, DDIM (with
# set_alpha_to_one) and DPM-Solver++ end on 0.5 to 1e-7. DEIS and PNDM end up to 0.04 away: their last step goes to
# alphas_cumprod[0] = 0.9999, not to 1. For PNDM set_alpha_to_one is False by default; DEIS has no setting for it.
# So either leaves a noise of standard deviation 0.01 in the picture: a test that takes one for its oracle must know.
# Seen: largest distances 9e-10, 5e-8, 0.041, 0.041.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
import torch
from diffusers import DDIMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler, PNDMScheduler

picture, far = 0.5, {}
for scheduler in (
    DDIMScheduler(clip_sample=False, set_alpha_to_one=True),
    DPMSolverMultistepScheduler(),
    DEISMultistepScheduler(),
    PNDMScheduler(skip_prk_steps=True),
):
    scheduler.set_timesteps(20)
    x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)).double()
    left = scheduler.alphas_cumprod.double()
    for t in scheduler.timesteps:
        a = left[int(t)]
        x = scheduler.step((x - a.sqrt() * picture) / (1 - a).sqrt(), t, x).prev_sample
    name = type(scheduler).__name__
    far[name] = (x - picture).abs().max().item()
    print(f"{name:28} ends up to {far[name]:.1e} from the picture")
assert far["DDIMScheduler"] < 1e-6
assert far["DPMSolverMultistepScheduler"] < 1e-6
assert 0.03 < far["DEISMultistepScheduler"] < 0.05
assert 0.03 < far["PNDMScheduler"] < 0.05
print("as found, diffusers", diffusers.__version__)
P
