#!/usr/bin/env bash
# accelerate 1.15.0, torch 2.13.0: save_state in the middle of an epoch, load_state and skip_first_batches afterwards,
# shuffle the rest of the epoch anew: a quarter of the pictures is never seen in it, another quarter twice.
#
# save_state keeps the global dice as they are at that moment. The order of an epoch was drawn from them at its
# beginning, and of that nothing is kept. So the epoch that goes on draws another order, and skip_first_batches skips
# the first batches of that one, which are not those that the network has seen. What is left holds as many pictures as
# it should. With DataLoaderConfiguration(use_seedable_sampler=True), off by default, and set_epoch, it is the same
# order. Nothing is raised or warned.
# Seen: 1,000 pictures in batches of 10, saved in the second epoch after 50 batches: 500 are drawn after the
# resumption; of the 1,000 254 are in neither half and 254 in both. With use_seedable_sampler=True 0 and 0, and the
# order is that of the run that wasn't interrupted.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 accelerate==1.15.0 numpy==2.4.6 2>/dev/null
"$folder/venv/bin/python" - <<'P'
import tempfile

import accelerate
import torch
from accelerate import Accelerator, skip_first_batches
from accelerate.state import AcceleratorState
from accelerate.utils import DataLoaderConfiguration, set_seed


def begin(seedable):
    AcceleratorState._reset_state(True)  # as a new process would
    config = DataLoaderConfiguration(use_seedable_sampler=seedable)
    accelerator = Accelerator(cpu=True, dataloader_config=config)
    set_seed(0)
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    loader = torch.utils.data.DataLoader(torch.arange(1000), batch_size=10, shuffle=True)
    return accelerator, *accelerator.prepare(network, optimizer, loader)


def epoch(loader, number, after_batch=lambda count: None):
    loader.set_epoch(number)
    seen = []
    for count, batch in enumerate(loader, 1):
        torch.randn(len(batch))  # the noise of a training step
        seen += batch.tolist()
        after_batch(count)
    return seen


for seedable in (False, True):
    with tempfile.TemporaryDirectory() as kept:
        accelerator, _, _, loader = begin(seedable)
        epoch(loader, 0)
        whole = epoch(loader, 1, lambda count: accelerator.save_state(kept) if count == 50 else None)
        accelerator, _, _, loader = begin(seedable)
        accelerator.load_state(kept)
    loader.set_epoch(1)
    rest = epoch(skip_first_batches(loader, 50), 1)
    before = whole[:500]
    missed, twice = 1000 - len(set(before + rest)), len(set(before) & set(rest))
    print(f"use_seedable_sampler={seedable}: {len(rest)} after, {missed} never seen in the epoch, {twice} twice")
    assert len(whole) == len(set(whole)) == 1000 and len(rest) == len(set(rest)) == 500
    if seedable:
        assert rest == whole[500:]
    else:
        assert 200 < missed == twice < 300
print("as found, accelerate", accelerate.__version__)
P
