#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: thresholding=True alone is plain clipping; the dynamic threshold can't leave 1.
#
# Dynamic thresholding takes a high quantile s of |x0|, and where s is above 1 clips to [-s, s] and divides by s. Here s
# is itself held between 1 and sample_max_value, and sample_max_value is 1 by default. So s is 1 for every picture, and
# dynamic_thresholding_ratio changes nothing. Nothing is raised or warned. It takes sample_max_value > 1 to see it act.
# Seen in 10 steps with predictions as large as 3, as strong guidance makes them: DDPM and DDIM give the very pictures
# of clip_sample=True, bit for bit, with the ratio at 0.5 or at 0.995; two values of three end within 0.01 of black or
# white. With sample_max_value=10 it is 2 in 100. DPM-Solver++ and UniPC are as deaf to the ratio.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import inspect

import diffusers
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

PICTURES = 6 * torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(1)) - 3


def walk(kind, **words):
    """The end of 10 steps in which the network always answers with the same pictures, three times too strong."""
    knows = inspect.signature(kind.__init__).parameters
    if "clip_sample" in knows and "clip_sample" not in words:
        words["clip_sample"] = False
    scheduler = kind(prediction_type="sample", **words)
    scheduler.set_timesteps(10)
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(PICTURES.shape, generator=dice)
    for t in scheduler.timesteps:
        more = {"generator": dice} if "generator" in inspect.signature(scheduler.step).parameters else {}
        x = scheduler.step(PICTURES, t, x, **more).prev_sample
    return x


def at_the_rim(x):
    return (x.abs() > 0.99).float().mean().item()


for kind in (DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler):
    default = walk(kind, thresholding=True)
    assert torch.equal(default, walk(kind, thresholding=True, dynamic_thresholding_ratio=0.5))
    acting = walk(kind, thresholding=True, sample_max_value=10.0)
    assert not torch.equal(acting, walk(kind, thresholding=True, sample_max_value=10.0, dynamic_thresholding_ratio=0.5))
    assert at_the_rim(default) > 0.6 and at_the_rim(acting) < 0.05
    line = f"{kind.__name__:28} at black or white: {at_the_rim(default):.2f}"
    line += f", with sample_max_value=10: {at_the_rim(acting):.2f}"
    if "clip_sample" in inspect.signature(kind.__init__).parameters:
        assert torch.equal(default, walk(kind, clip_sample=True))
        line += ", the default equals clip_sample=True bit for bit"
    print(line)
print("as found, diffusers", diffusers.__version__)
P
