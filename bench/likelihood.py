"""How few bits a network reaches that is trained for the bound: the shipped `mnist`, taught DDPM's eq. 12.

    python -m bench.likelihood        trains, measures, writes likelihood.json; ten CPU-minutes

L_simple counts all steps alike; the bound weighs the first ones most (lesson 09). So t is drawn more often where
its weight is large, p(t) ∝ (t + 1)^−0.7, and each loss is divided by p(t): the mean stays that of the bound.
"""

import copy
import json
import time
from dataclasses import replace
from math import cos, pi
from pathlib import Path

import torch
from torch import Tensor, nn

from bench import bound
from bench.scores import picked
from diffusion_lesson.learning import data, weights
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.step import update_ema
from diffusion_lesson.page.progress import track
from diffusion_lesson.process.losses import bound_weight, eps_loss

HERE = Path(__file__).parent
STEPS, BATCH, RATE, EMA = 2000, 64, 1e-3, 0.998
# Terms of the bound, drawn for each hundred pictures: before and after see the same, with the same noise.
SEEN = 60


def train(denoiser: Denoiser, x: Tensor, labels: Tensor) -> Denoiser:
    """Its average after STEPS steps on the weighted bound, with β̃; the rate falls as a cosine."""
    model, schedule, generator = denoiser.network, denoiser.schedule, torch.Generator().manual_seed(0)
    every = torch.arange(1, schedule.T + 1)
    chance = (every + 1.0) ** -0.7
    chance /= chance.sum()
    weight = bound_weight(schedule, every, torch.zeros(schedule.T, 1), "beta_tilde")[:, 0]
    ratio = weight / (chance * schedule.T)
    averaged = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for step in track(range(STEPS), total=STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min((step + 1) / 50, 1) * (1 + cos(pi * step / STEPS)) / 2
        picked = torch.randint(len(x), (BATCH,), generator=generator)
        t = torch.multinomial(chance, BATCH, replacement=True, generator=generator) + 1
        eps = torch.randn(BATCH, *x.shape[1:], generator=generator)
        eps_model = denoiser.eps_model(labels[picked], clip=False)
        loss = (ratio[t - 1] * eps_loss(schedule, eps_model, x[picked], t=t, eps=eps)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        update_ema(averaged, model, step + 1, EMA)
    return replace(denoiser, network=averaged)


def summary(each: Tensor, *, together: int) -> dict[str, float]:
    """The mean, and its standard error."""
    error = bound.mean_error(each, together=together)
    return {"mean": round(each.mean().item(), 4), "standard error": round(error.item(), 4)}


def main() -> None:
    """Bits before and after, on the same test pictures with the same terms and noise, and their difference."""
    torch.set_num_threads(1)
    denoiser, card = weights.load_shipped("mnist")
    train_set, test_set = data.mnist("train"), data.mnist("test")
    count = len(test_set)
    chosen = picked(bound.PICTURES, count)
    x, labels = data.to_signed(test_set.images[chosen]), test_set.labels[chosen]
    before = bound.coded(denoiser, card, x, labels, steps=SEEN)
    begun = time.process_time()
    denoiser.network.train()
    learned = train(denoiser, data.to_signed(train_set.images), train_set.labels)
    seconds = round(time.process_time() - begun)
    Path("runs").mkdir(exist_ok=True)
    torch.save(learned.network.state_dict(), "runs/likelihood.pt")
    after = bound.coded(learned, card, x, labels, steps=SEEN)
    fall = before["total"] - after["total"]  # picture by picture
    later = (chosen >= count // 2).split(bound.TOGETHER)
    harder = [
        bits[half].mean() - bits[~half].mean()
        for bits, half in zip(before["total"].split(bound.TOGETHER), later, strict=True)
    ]
    found = {
        "before": bound.record(card, before, out_of=count, steps=SEEN).as_json(),
        "before, second half of the test file less its first": summary(torch.stack(harder), together=1),
        "training": {
            "begins with": card.name, "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "ema": EMA,
            "seed": 0, "cpu_seconds": seconds,
        },
        "after": bound.record(card, after, out_of=count, steps=SEEN).as_json(),
        "fall": summary(fall, together=bound.TOGETHER)
        | {"share of the pictures": round((fall > 0).double().mean().item(), 4)},
    }  # fmt: skip
    print(found, flush=True)
    (HERE / "likelihood.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
