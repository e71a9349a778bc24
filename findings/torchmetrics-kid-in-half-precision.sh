#!/usr/bin/env bash
# torchmetrics 1.9.0, torch 2.13.0: KID of a network that gives bfloat16 is noise, of one that gives float16 NaN.
#
# FrechetInceptionDistance casts features to double before anything else. KernelInceptionDistance goes on in the type
# in which they come, as from a network under autocast: the kernels, a sum of a million of them, and the difference of
# such sums. bfloat16 keeps 8 bits of each, so here the score of a subset is a multiple of 1/16, where KIDs that are
# told apart differ by 0.001; float16 overflows at 65504. Both in silence. The features' own rounding does no harm:
# the same rounded features, cast to float before update, have the right KID.
# Seen: 2,000 real and 2,000 fake of one distribution, 20 subsets of 1,000: -0.0008 +- 0.0008 in float32 and of rounded
# features cast back; 0.025 +- 0.036 in bfloat16, each of ten other subsets 0 or +-1/16; nan in float16. FID is 0.397
# in float32 and in float16, 0.396 in bfloat16.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import math
import warnings

import torch
import torchmetrics
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance, poly_mmd

warnings.simplefilter("ignore")  # KID says that it keeps all features
generator = torch.Generator().manual_seed(0)
real, fake = torch.randn(2, 2000, 64, generator=generator).abs()  # as after a ReLU


class Features(torch.nn.Module):
    num_features = 64

    def __init__(self, *types):
        super().__init__()
        self.types = types

    def forward(self, x):
        for dtype in self.types:
            x = x.to(dtype)
        return x


f32, bf16, f16 = torch.float32, torch.bfloat16, torch.float16
ways = {"float32": (f32,), "bfloat16": (bf16,), "bfloat16, cast back": (bf16, f32), "float16": (f16,)}
kid, fid = {}, {}
for name, types in ways.items():
    torch.manual_seed(0)  # KID draws its subsets by the global generator
    scores = (
        KernelInceptionDistance(Features(*types), subsets=20, subset_size=1000, normalize=True),
        FrechetInceptionDistance(Features(*types), normalize=True),
    )
    for score in scores:
        score.update(real, real=True)
        score.update(fake, real=False)
    kid[name], fid[name] = [value.item() for value in scores[0].compute()], scores[1].compute().item()
    print(f"{name:20} KID {kid[name][0]:+.4f} +- {kid[name][1]:.4f}, FID {fid[name]:.3f}")
for name in ("float32", "bfloat16, cast back"):
    assert abs(kid[name][0]) < 0.002 and kid[name][1] < 0.002
assert kid["bfloat16"][1] > 0.01
assert math.isnan(kid["float16"][0])
assert max(fid.values()) - min(fid.values()) < 0.01

# One subset each, by the function that the metric calls.
coarse = [
    poly_mmd(real[a].to(bf16), fake[b].to(bf16)).item()
    for a, b in ((torch.randperm(2000)[:1000], torch.randperm(2000)[:1000]) for _ in range(10))
]
print("ten subsets in bfloat16:", *(f"{value:+.5f}" for value in coarse))
assert all(value * 16 == round(value * 16) for value in coarse)
print("as found, torchmetrics", torchmetrics.__version__)
P
