#!/usr/bin/env bash
# torchmetrics 1.9.0, torch 2.13.0: train() of whatever holds a FID puts FID's own network into training mode again.
#
# A metric is an nn.Module, and so is its custom feature network within it. Kept as an attribute of a model, it hears
# model.train(): eval() of the network, called before, does not last. (The Inception network that FID brings along
# refuses; a network given as `feature` can't.) With batch norm the features of each batch are then normalised by that
# batch, so that a shift in brightness or contrast, which FID is there to see, is divided out; and each batch, real or
# fake, moves the running averages, so that the network is another one afterwards, in eval too.
# Nothing is raised or warned. A metric that is no attribute (a list or a dict holds it) stays as it was.
# Seen: fake features of half the spread around 0.5: FID 2.01 before, 0.07 after model.train(), 2.01 in a list;
# and 10.06 with the network back in eval, where it had been 2.01.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import torch
import torchmetrics
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

torch.manual_seed(0)
real, fake = torch.randn(2000, 64), torch.randn(2000, 64) / 2 + 0.5


def network():
    torch.manual_seed(1)
    made = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())
    made.num_features = 32
    return made.eval()


def score(metric):
    metric.reset()
    for a, b in zip(real.split(100), fake.split(100)):
        metric.update(a, real=True)
        metric.update(b, real=False)
    return metric.compute().item()


class Model(nn.Module):
    def __init__(self, hold):
        super().__init__()
        self.layer, self.scores = nn.Linear(2, 2), hold(FrechetInceptionDistance(network(), normalize=True))


model = Model(lambda metric: metric)
found = {"before": score(model.scores)}
model.train()
print("the network is in training mode:", model.scores.inception.training)
assert model.scores.inception.training
found["after model.train()"] = score(model.scores)
model.scores.inception.eval()
found["then in eval"] = score(model.scores)
apart = Model(lambda metric: [metric])
apart.train()
found["in a list, after model.train()"] = score(apart.scores[0])
for name, value in found.items():
    print(f"{name:32} FID {value:.3f}")
assert found["before"] == found["in a list, after model.train()"]
assert found["after model.train()"] < found["before"] / 10
assert abs(found["then in eval"] - found["before"]) > 0.1
print("as found, torchmetrics", torchmetrics.__version__)
P
