#!/usr/bin/env bash
# diffusers 0.42.1, torch 2.13.0: add_noise of a new DPM-Solver++, UniPC or DEIS scheduler counts its steps backwards.
#
# These four (DPM-Solver++ singlestep too) look a step t up in the list of steps to be walked, and take the noise level
# at that place. Before set_timesteps the list runs from 999 down to 0 and the levels run up: t = 0 gets pure noise,
# t = 999 a clean picture. A network trained with it hears "almost clean" for pure noise. After set_timesteps(20)
# the list has 20 steps; each t that isn't among them gets the level of the last. set_timesteps(1000) is right for all.
# DDPM, DDIM, PNDM, SA-Solver take t itself; Euler, Heun and LMS raise for a t that isn't in their list.
# Nothing is raised or warned; shapes and the mean noise of all steps are as they should be.
# Seen, share of the picture kept (DDPM: 1.000, 0.946, 0.279, 0.006 at t = 0, 100, 500, 999): new 0.006, 0.017, 0.280,
# 1.000. After set_timesteps(20) all but 20 of the 1000 steps have 0.985.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 diffusers==0.42.1 numpy==2.4.6 scipy 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import diffusers
import torch

diffusers.logging.set_verbosity_error()
ALL = torch.arange(1000)
right = diffusers.DDPMScheduler().alphas_cumprod.sqrt()
noise_right = (1 - diffusers.DDPMScheduler().alphas_cumprod).sqrt()


def kept(scheduler):
    """What add_noise leaves of a picture, and what it adds of noise, at each of the training's steps."""
    one, none = torch.ones(1000, 1), torch.zeros(1000, 1)
    return scheduler.add_noise(one, none, ALL)[:, 0], scheduler.add_noise(none, one, ALL)[:, 0]


def told(shares):
    return ", ".join(f"{shares[t]:.3f}" for t in (0, 100, 500, 999))


print("right, at t = 0, 100, 500, 999:", told(right))
for name in ("DDPM", "DDIM", "PNDM", "SASolver"):
    scheduler = getattr(diffusers, f"{name}Scheduler")()
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(kept(scheduler), (right, noise_right))), name
for name in ("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"):
    scheduler = getattr(diffusers, f"{name}Scheduler")()
    assert scheduler.timesteps[0] == 999 and scheduler.timesteps[-1] == 0
    new, noise = kept(scheduler)
    print(f"{name:20} new: {told(new)}")
    assert torch.allclose(new, right.flip(0), atol=1e-5) and torch.allclose(noise, noise_right.flip(0), atol=1e-5)
    scheduler.set_timesteps(20)
    listed = torch.isin(ALL, scheduler.timesteps)
    set_, noise = kept(scheduler)
    wrong = (set_ - right).abs() > 1e-4
    last = scheduler.timesteps[-1].item()
    print(f"{'':20} after set_timesteps(20): {told(set_)}; {int(listed.sum())} steps are right, the last is {last}")
    assert listed.sum() == 20 and not wrong[listed].any()
    assert torch.allclose(set_[~listed], right[last], atol=1e-4) and wrong.sum() >= 978
    scheduler.set_timesteps(1000)
    assert torch.allclose(kept(scheduler)[0], right, atol=1e-4)
for name in ("EulerDiscrete", "HeunDiscrete", "LMSDiscrete"):
    scheduler = getattr(diffusers, f"{name}Scheduler")()
    scheduler.set_timesteps(20)
    try:
        kept(scheduler)
    except IndexError:
        print(f"{name:20} raises for a step that isn't in its list")
    else:
        raise AssertionError(name)
print("as found, diffusers", diffusers.__version__)
P
