#!/usr/bin/env bash
# torchmetrics 1.9.0, torch 2.13.0: with reset_real_features=False every call of FID or KID doubles the real pictures.
#
# reset_real_features=False keeps the real pictures for the next score. metric.update(fake, real=False) leaves them
# alone. metric(fake, real=False), which also returns the score of the batch, sets the state aside, resets, and adds
# the old state to the new: what reset() has kept is then counted twice. So the real pictures are 2, 4, 8, ... times
# there after 1, 2, 3 batches, and KID's lists grow as fast. FID's mean and covariance are of the same pictures, but
# it now divides by n where n - 1 is right. KID is unbiased only where all pictures are different: a picture and its
# copy in one subset are alike, and the score is too high. Nothing is raised or warned.
# Seen: 200 real and 200 fake of the same distribution, fake in four batches: 3,200 real ones are counted. KID is -0.0068
# by update (so it is by hand) and +0.0294 by calls (by hand, with the copies, +0.0298); FID 0.82445 and 0.82283.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import warnings

import torch
import torchmetrics
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

warnings.simplefilter("ignore")  # KID says that it keeps all features
generator = torch.Generator().manual_seed(0)
real, fake = torch.randn(2, 200, 16, generator=generator)


class Flat(torch.nn.Module):
    num_features = 16

    def forward(self, x):
        return x


def unbiased(x, y):
    """KID of all rows at once: MMD squared with the kernel (x.y / d + 1)^3, the diagonals left out."""
    xx, yy, xy = (((a @ b.T) / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n = len(x)
    return ((xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (n * (n - 1)) - 2 * xy.mean()).item()


kid, fid, rows = {}, {}, {}
for way in ("update", "call"):
    torch.manual_seed(0)  # KID draws its subsets by the global generator
    kinds = (
        KernelInceptionDistance(Flat(), subsets=1000, subset_size=50, reset_real_features=False, normalize=True),
        FrechetInceptionDistance(Flat(), reset_real_features=False, normalize=True),
    )
    for metric in kinds:
        metric.update(real, real=True)
        for batch in fake.split(50):
            if way == "update":
                metric.update(batch, real=False)
            else:
                metric(batch, real=False)
    rows[way] = (sum(len(part) for part in kinds[0].real_features), int(kinds[1].real_features_num_samples))
    kid[way], fid[way] = kinds[0].compute()[0].item(), kinds[1].compute().item()
    print(f"by {way:7} real pictures {rows[way]}, KID {kid[way]:+.4f}, FID {fid[way]:.5f}")
whole = unbiased(real, fake)
kernel = ((real @ real.T) / 16 + 1) ** 3
copies = rows["call"][0] // len(real)
same = (copies - 1) / (copies * len(real) - 1)  # how often two rows of a subset are one picture
more = same * (kernel.diag().mean() - (kernel.sum() - kernel.trace()) / (200 * 199)).item()
print(f"KID by hand {whole:+.4f}, with the copies {whole + more:+.4f}")
assert rows == {"update": (200, 200), "call": (3200, 3200)}
assert abs(kid["update"] - whole) < 0.005
assert abs(kid["call"] - (whole + more)) < 0.005
assert more > 0.02
assert 1e-4 < fid["update"] - fid["call"] < 1e-2
print("as found, torchmetrics", torchmetrics.__version__)
P
