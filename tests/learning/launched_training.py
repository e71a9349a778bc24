"""One process of `accelerate launch`: trains, and leaves what it recorded as JSON. Run by test_training.py."""

import json
import os
import sys
from pathlib import Path

import torch

from diffusion_lesson.learning import checkpoints
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.distributed import main_process
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine


def training(folder, seed=0):
    """The same training in one process or several. Another seed changes only the weights it begins with."""
    torch.manual_seed(seed)
    net = UNet(1, 4, classes=3)
    images = 2 * torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 1
    config = TrainConfig(steps=12, batch_size=6, learning_rate=1e-2, ema=0.9, drop_labels=0.3)
    denoiser, labels = Denoiser(net, cosine(10), "v", classes=3), torch.arange(20) % 3
    loop = train(denoiser, images, config, labels=labels, checkpoint=folder, checkpoint_every=5)
    return net, loop


def main():
    folder, stop, rank = Path(sys.argv[1]), int(sys.argv[2]), int(os.environ["RANK"])
    rows, saves, save = [], [], checkpoints.save
    checkpoints.save = lambda *given: (saves.append(given[2]["step"]), save(*given))
    net, loop = training(folder, seed=rank)  # process 0's weights must reach the others
    net.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    recorded = [next(loop).loss for _ in range(stop)]
    loop.close()
    note = {"losses": recorded, "rows": rows, "saves": saves, "main": main_process()}
    folder.with_name(f"process-{rank}.json").write_text(json.dumps(note), "utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
