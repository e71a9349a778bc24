#!/usr/bin/env bash
# torch 2.13.0: torch.optim.Muon turns a gradient of few examples into a step that is for a good part rounding.
#
# The gradient of a linear layer that sees n rows (of one vector for each picture: a time, a label) has rank n at most.
# Muon makes all its singular values about 1, by five iterations that are always in bfloat16, also for weights in
# float32 or float64. What rounding leaves in the other directions is blown up with the rest: the iteration's slope at
# 0 is 3.4 and it is applied five times. So the weight moves in directions of which the gradient says nothing, and
# an input at right angles to all inputs of the batch gets another output. The same iteration in float32 doesn't.
# torch.optim.Muon has no setting for it. Nothing is raised or warned.
# Seen, a layer of 128 x 128: what share of the squared step lies in the gradient's own rows and columns: 0.30 for a
# batch of 1, 0.66 for 4, 0.90 for 16; 1.000 in float32. Inputs at right angles to the batch are moved, for their
# length, 0.14, 0.13 and 0.12 times as much as the batch; in float32 7e-6.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import torch

SIDE = 128


def by_hand(gradient, dtype):
    """The step of the same five iterations in another type; the gradient's length is taken off first."""
    x = (gradient / gradient.norm()).to(dtype)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return -x.double()


found = {}
for batch in (1, 4, 16):
    torch.manual_seed(0)
    layer = torch.nn.Linear(SIDE, SIDE, bias=False)
    x, target = torch.randn(batch, SIDE), torch.randn(batch, SIDE)
    other = torch.randn(1000, SIDE, dtype=torch.float64)  # inputs at right angles to all of the batch
    basis = torch.linalg.qr(x.double().T)[0]
    other -= other @ basis @ basis.T
    optimizer = torch.optim.Muon(layer.parameters(), lr=1.0, weight_decay=0.0)
    (layer(x) - target).square().mean().backward()
    before, gradient = layer.weight.detach().clone(), layer.weight.grad.clone()
    optimizer.step()
    left, sizes, right = torch.linalg.svd(gradient.double())
    assert (sizes > 1e-5 * sizes[0]).sum() == batch
    left, right = left[:, :batch], right[:batch]
    steps = {"Muon": layer.weight.detach().double() - before.double(), "float32": by_hand(gradient, torch.float32)}
    for name, step in steps.items():
        share = ((left.T @ step @ right.T).norm() / step.norm()).item() ** 2
        moved = [((y @ step.T).norm() / y.norm()).item() for y in (x.double(), other)]
        found[name, batch] = share, moved[1] / moved[0]
        print(f"batch of {batch:2}, {name:8} share of the step in the gradient's directions {share:.3f}, "
              f"an input at right angles is moved {moved[1] / moved[0]:.1e} times as much as the batch")
for batch, least, most in ((1, 0.1, 0.5), (4, 0.4, 0.8), (16, 0.6, 0.95)):
    assert least < found["Muon", batch][0] < most and found["float32", batch][0] > 0.999
    assert found["Muon", batch][1] > 0.05 and found["float32", batch][1] < 0.01
print("as found, torch", torch.__version__)
P
