#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: OTHER.from_config(s.config) makes another sampler once s has been saved and loaded.
#
# A config remembers which of its values were not given by hand. from_config leaves those out, so the new class takes
# its own defaults. The file does not remember: after save_pretrained and from_pretrained every value counts as given,
# and the new class takes the old one's. For DDIM and Euler that word is timestep_spacing ("leading", "linspace").
# So a script that swaps DDIM for Euler begins at t = 999 where the scheduler was made in memory, and at t = 900 where
# the same scheduler came from a file: its 10 steps are all at other times. A default written out by hand does it too.
# The values of the two DDIMs' configs are equal, and they draw the same. Nothing is raised or warned.
# Seen with exact predictions, same starting noise, Stable Diffusion's betas: Euler from memory steps at 999, 888, from
# the file, and with the default written out, at 900, 800. Where the pictures' mean is 1 and their standard deviation
# 0.5, the one draws mean 0.969 and the other 0.948; the same noise ends 0.024 apart. The swap of PNDM to
# DDIM has set_alpha_to_one=True from memory, False from the file.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import tempfile

import diffusers
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler

MEAN, STD = 1.0, 0.5
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def through_a_file(scheduler):
    with tempfile.TemporaryDirectory() as folder:
        scheduler.save_pretrained(folder)
        return type(scheduler).from_pretrained(folder)


def walk(scheduler, steps=10, pictures=20000):
    """The ends of a walk from pure noise in which every eps is exact."""
    scheduler.set_timesteps(steps)
    x = torch.randn(pictures, 1, generator=torch.Generator().manual_seed(0)).double()
    x *= scheduler.init_noise_sigma
    left = scheduler.alphas_cumprod.double()
    for t in scheduler.timesteps:
        seen, a = scheduler.scale_model_input(x, t), left[int(t)]
        eps = (1 - a).sqrt() * (seen - a.sqrt() * MEAN) / (a * STD**2 + 1 - a)
        x = scheduler.step(eps, t, x).prev_sample
    return x


def values(scheduler):
    return {k: v for k, v in scheduler.config.items() if not k.startswith("_")}


made = DDIMScheduler(**BETAS, clip_sample=False)
loaded = through_a_file(made)
spelled = DDIMScheduler(**BETAS, clip_sample=False, timestep_spacing="leading")
assert values(made) == values(loaded) == values(spelled)
assert torch.equal(walk(made), walk(loaded)) and torch.equal(walk(made), walk(spelled))
ends, first = {}, {}
for name, source in (("in memory", made), ("from a file", loaded), ("default spelled out", spelled)):
    euler = EulerDiscreteScheduler.from_config(source.config)
    ends[name] = walk(euler)
    first[name] = [int(t) for t in euler.timesteps[:2]]
    print(f"{name:20} Euler's first steps {first[name]}, mean at the end {ends[name].mean():.3f} (right: {MEAN})")
assert first["in memory"] == [999, 888]
assert first["from a file"] == first["default spelled out"] == [900, 800]
assert torch.equal(ends["from a file"], ends["default spelled out"])
apart = (ends["from a file"] - ends["in memory"]).pow(2).mean().sqrt().item()
print(f"the same noise ends {apart:.3f} apart")
assert 0.015 < ends["in memory"].mean() - ends["from a file"].mean() < 0.03 and 0.02 < apart < 0.03

pndm = PNDMScheduler()
ends = [DDIMScheduler.from_config(p.config).config.set_alpha_to_one for p in (pndm, through_a_file(pndm))]
print("PNDM to DDIM, set_alpha_to_one in memory and from a file:", ends)
assert ends == [True, False]
print("as found, diffusers", diffusers.__version__)
P
