"""Train, be killed at awkward moments, go on: prints, as JSON, what came of it. Run by test_training.py.

By hand, for 50 kills at random moments: python -m tests.learning.killed_training FOLDER 50

One process forks all the trainings, so that torch is imported and warmed up only once.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
from safetensors.torch import load_file

from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.personalise import rehearse
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine

torch.set_num_threads(1)
STEPS, EVERY = 40, 2


def training(folder):
    """One small training, from wherever the folder's checkpoint says."""
    torch.manual_seed(0)
    net = UNet(1, 4, classes=2)
    images = torch.rand(16, 1, 8, 8) * 2 - 1
    labels = torch.arange(16) % 2
    denoiser = Denoiser(net, cosine(20), "eps", classes=2)
    config = TrainConfig(steps=STEPS, batch_size=4, drop_labels=0.3)
    for _ in train(denoiser, images, config, labels=labels, checkpoint=folder, checkpoint_every=EVERY):
        pass


def rehearsing(folder):
    """A new word from a few pictures, in the same way."""
    torch.manual_seed(0)
    denoiser = Denoiser(UNet(1, 4, classes=2), cosine(20), "v", 2)
    new, old = torch.rand(20, 1, 8, 8).mul(2).sub(1).split([4, 16])
    config, old_labels = TrainConfig(steps=STEPS, batch_size=4), torch.zeros(16, dtype=torch.int64)
    for _ in rehearse(denoiser, new, 1, old, old_labels, config, checkpoint=folder, checkpoint_every=EVERY):
        pass


def forked(work, *arguments):
    """The id of a process that does this work and nothing else."""
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child


def ended(child):
    """How it ended: 0, or minus the number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def steps_done(folder):
    """The step of the checkpoint, which must be whole at any moment; 0 if there is none."""
    note = folder / "checkpoint.json"
    return json.loads(note.read_text("utf-8"))["step"] if note.exists() else 0


def whole(folder):
    """Whether the checkpoint, if there is one, holds all its tensors."""
    note = folder / "checkpoint.json"
    return not note.exists() or "generator" in load_file(folder / json.loads(note.read_text("utf-8"))["tensors"])


def dies_at(event, folder, work):
    """The same training, which kills itself at its n-th step of writing to the disk."""
    count = 0

    def maybe():
        nonlocal count
        count += 1
        if count == event:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner, name, half=None):
        original = getattr(owner, name)

        def patched(*arguments, **options):
            if half:  # what the disk holds when the file is half written
                path, content, *_ = arguments
                half(path, content[: len(content) // 2])
            maybe()
            out = original(*arguments, **options)
            maybe()
            return out

        setattr(owner, name, patched)

    around(Path, "write_bytes", half=Path.write_bytes)
    around(Path, "write_text", half=Path.write_text)
    around(os, "fsync")
    around(Path, "replace")
    around(Path, "unlink")
    work(folder)


def killed_at_random(folder, work, count):
    """Kill at random moments until it is near its end. How often, and whether every checkpoint was whole."""
    moments, kills, good = random.Random(0), 0, True
    for k in range(count):  # after so many steps, and a moment of its own
        target = 1 + k * (STEPS // 2) // count
        child = forked(work, folder)
        late = time.monotonic() + 30  # or a training that fails would be waited for without end
        while steps_done(folder) < target and time.monotonic() < late:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        kills += ended(child) == -signal.SIGKILL
        good &= whole(folder)
    return kills, good, ended(forked(work, folder))


def killed_while_writing(folder, work):
    """Kill at each event of writing the very first checkpoint in turn, then of writing over an older one."""
    kills, good = 0, True
    begins = 2  # before and after the note that says who is at work
    first = begins + 20  # and each of: written, synced, renamed, tidied, its folder synced; tensors, then the note
    over = first + 2  # and the older tensors deleted
    for event in [*range(1, first + 1), *range(1, over + 1)]:
        kills += ended(forked(dies_at, event, folder, work)) == -signal.SIGKILL
        good &= whole(folder)
    return kills, good, ended(forked(work, folder))


def main():
    global STEPS
    root, count = Path(sys.argv[1]), int((*sys.argv, 6)[2])
    STEPS = max(40, 4 * count)
    report = {}
    scenarios = {
        "random": (killed_at_random, training, count),
        "writing": (killed_while_writing, training),
        "rehearsing": (killed_at_random, rehearsing, count),
    }
    for name, (scenario, work, *how) in scenarios.items():
        folder, never = root / name, root / f"{name} never"
        work(never)
        folder.mkdir()
        kills, good, status = scenario(folder, work, *how)
        theirs, ours = ({f.name: f.read_bytes() for f in k.iterdir()} for k in (never, folder))
        report[name] = {"kills": kills, "whole": good, "status": status, "same": theirs == ours}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
