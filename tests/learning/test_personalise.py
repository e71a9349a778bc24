"""A new word from a few pictures: the layout, what is rehearsed, the rehearsal, and the one free row."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from diffusion_lesson.learning import data, personalise
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.step import LOSSES
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine


def network(seed=0):
    torch.manual_seed(seed)
    model = UNet(1, 8, patch=2, classes=10)
    for parameter in model.parameters():  # a fresh one predicts zero, whatever it is told
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def denoiser(seed=0):
    return Denoiser(network(seed), cosine(50), "v", classes=10)


def noise(count, size=28, seed=0):
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def photograph(paper, pen):
    """A cross on an evenly lit page, with a shadow over its lower half."""
    page = torch.full((1, 60, 60), float(paper))
    page[:, 20:50, 33:37] = pen
    page[:, 30:34, 20:50] = pen
    page[:, 40:] += 0.1 * (pen - page[:, 40:])
    return page.round().to(torch.uint8)


@pytest.mark.parametrize(("paper", "pen"), [(230, 20), (10, 250)])
def test_ink_is_what_differs_from_the_paper(paper, pen) -> None:
    found = personalise.ink(photograph(paper, pen)[None])[0]
    drawn = torch.zeros(60, 60, dtype=torch.bool)
    drawn[20:50, 33:37] = drawn[30:34, 20:50] = True
    assert found[drawn].min() > 0.9
    assert found[~drawn].max() == 0  # the shadow too


def test_colour_counts_as_its_grey() -> None:
    page = photograph(200, 40)
    assert_close(personalise.ink(page.expand(3, -1, -1)[None]), personalise.ink(page[None]))


def test_ink_needs_a_drawing() -> None:
    with pytest.raises(ValueError, match="drawn"):
        personalise.ink(torch.full((2, 1, 9, 9), 7, dtype=torch.uint8))


def test_a_drawing_is_laid_out_as_mnist_does() -> None:
    ink = torch.zeros(3, 60, 90)
    ink[0, 5:45, 3:13] = 1  # upright, in a corner
    ink[1, 50:52, 20:80] = 1  # lying
    ink[2, 10:20, 10:20] = 1  # a square with a heavy foot
    ink[2, 20:30, 10:40] = 1
    out = personalise.like_mnist(ink)
    assert out.shape == (3, 1, 28, 28)
    assert out.min() == -1
    assert out.max() == 1
    inked = out[:, 0] > -0.5
    sides = [(int(p.any(1).sum()), int(p.any(0).sum())) for p in inked]
    assert sides[0] == (20, 5)
    assert sides[1] == (1, 20)
    mass = (out[:, 0] + 1) / 2
    for dim in (1, 2):
        centre = (mass.sum(3 - dim) * torch.arange(28)).sum(1) / mass.sum((1, 2))
        assert (centre - 13.5).abs().max() <= 0.6  # a whole pixel is the smallest move


def test_ink_stays_in_the_picture_however_heavy_one_end() -> None:
    ink = torch.zeros(1, 40, 40)
    ink[0, :, 0] = 0.2
    ink[0, 39] = 1  # nearly all of the mass in the last row
    assert (personalise.like_mnist(ink)[0, 0] > 0).any(1).nonzero().max() == 19


def test_cut_sharpens() -> None:
    ramp = torch.linspace(0.05, 1, 20).expand(1, 20, 20)
    soft, hard = (personalise.like_mnist(ramp, cut=cut) for cut in ((0.0, 1.0), (0.4, 0.6)))
    assert ((hard > -0.99) & (hard < 0.99)).sum() < 0.4 * ((soft > -0.99) & (soft < 0.99)).sum()


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        personalise.like_mnist(torch.zeros(1, 8, 8))


def test_half_of_the_pile_is_new() -> None:
    new, old = noise(6, 4), noise(40, 4, seed=1)
    old_labels = torch.arange(40) % 9
    pictures, labels = personalise.prior_preservation_set(new, 9, old, old_labels)
    is_new = (pictures[:, None] == new).flatten(2).all(2)
    assert_close(is_new.any(1).float().mean().item(), 0.5)
    assert is_new.sum(0).tolist() == [7, 7, 7, 7, 6, 6]  # each of the six as often as the others
    assert (labels[is_new.any(1)] == 9).all()
    assert torch.equal(pictures[~is_new.any(1)], old)
    assert torch.equal(labels[~is_new.any(1)], old_labels)


def test_a_prior_preservation_set_needs_more_old_than_new() -> None:
    with pytest.raises(ValueError, match="1 to 5"):
        personalise.prior_preservation_set(noise(6, 4), 9, noise(5, 4), torch.zeros(5, dtype=torch.long))


OLD, OLD_LABELS = noise(40, 8, seed=1).clamp(-1, 1), torch.arange(40) % 7
TWO = noise(2, 8).clamp(-1, 1)


def rehearsal(model, config, new=TWO):
    """`rehearse` of a v-network, taught a 7."""
    return personalise.rehearse(Denoiser(model, cosine(50), "v", 10), new, 7, OLD, OLD_LABELS, config)


def test_rehearsal_learns_the_new_and_keeps_the_old() -> None:
    schedule, new, sevens = cosine(50), TWO, torch.full((2,), 7)
    config = TrainConfig(steps=150, batch_size=8, learning_rate=1e-2, ema=0.5)
    ways = {
        "rehearse": rehearsal(network(), config),
        "alone": train(Denoiser(network(), schedule, "v", 10), new, config, labels=sevens),
    }
    before, moved, x, t = network(), {}, noise(40, 8, seed=2), torch.full((40,), 10)

    @torch.no_grad()
    def loss(model):
        g = torch.Generator().manual_seed(0)
        x0, labels = new.repeat(50, 1, 1, 1), sevens.repeat(50)
        return LOSSES["v"](schedule, partial(model, labels=labels), x0, g).mean()

    for way, loop in ways.items():
        *_, last = loop
        assert loss(last.averaged) < 0.8 * loss(before)
        with torch.no_grad():
            moved[way] = (last.averaged(x, t, OLD_LABELS) - before(x, t, OLD_LABELS)).square().mean()
    assert moved["rehearse"] < moved["alone"] / 4


def test_the_rehearsed_half_asks_for_no_change_before_there_is_one(monkeypatch) -> None:
    monkeypatch.setitem(LOSSES, "v", lambda schedule, model, x0, g: torch.zeros(len(x0)))  # nothing to learn
    model = network()
    loop = rehearsal(model, TrainConfig(steps=1, batch_size=16, drop_labels=0.1), OLD[:6])
    assert next(loop).loss == 0
    assert all((p.grad == 0).all() for p in model.parameters())


def test_rehearsal_tells_halves_and_drops_labels() -> None:
    asked = []
    model = network()
    model.register_forward_hook(
        lambda part, given, named, out: asked.append((*given, *named.values())[2]), with_kwargs=True
    )
    list(rehearsal(model, TrainConfig(steps=20, batch_size=100, drop_labels=0.2), OLD[:6]))
    new, old, old_before = (
        torch.cat(asked[k::3]) for k in range(3)
    )  # the copy, which answers as before, is asked last
    assert torch.equal(old, old_before)
    assert set(new.tolist()) == {7, 10}
    assert set(old.tolist()) == {*range(7), 10}
    for labels in (new, old):
        assert abs((labels == 10).float().mean() - 0.2) < 0.05


def test_rehearsal_is_of_its_seed() -> None:
    def losses(seed):
        loop = rehearsal(network(), TrainConfig(steps=3, batch_size=16, seed=seed), OLD[:6])
        return [progress.loss for progress in loop]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_rehearsal_at_a_rate_far_too_high_stops_with_finite_weights() -> None:
    model = network()
    config = TrainConfig(steps=20, batch_size=4, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"^learning_rate: at step \d+ .* a rate below 1e\+30"):
        list(rehearsal(model, config))
    assert all(p.isfinite().all() for p in model.parameters())


def test_rehearsal_refuses_weights_in_half_precision_as_training_does() -> None:
    with pytest.raises(ValueError, match=r"^denoiser: expected weights in single precision, got .* in half"):
        next(rehearsal(network().half(), TrainConfig(steps=1, batch_size=4)))


def test_rehearsal_wants_two_halves() -> None:
    with pytest.raises(ValueError, match=r"^batch_size: expected an even number"):
        next(rehearsal(network(), TrainConfig(steps=1, batch_size=7)))


@pytest.mark.parametrize("how", [{"optimizer": "muon"}, {"precision": "bf16"}, {"mirror": True}], ids=str)
def test_rehearsal_heeds_its_config(how) -> None:
    plain, other = (
        [progress.loss for progress in rehearsal(network(), TrainConfig(steps=3, batch_size=4, **more))]
        for more in ({}, how)
    )
    assert plain != other
    assert_close(plain, other, rtol=0.5, atol=0)


# A rehearsal that was interrupted


STOPPING = {"steps": 6, "batch_size": 4, "drop_labels": 0.5}


def kept(folder, stop=None, **changes):
    """A rehearsal with a folder, left after `stop` steps: (first step, last loss, the network, its average)."""
    given = {"new": TWO, "label": 7, "old": OLD, "old_labels": OLD_LABELS, "seed": 3} | changes
    config = TrainConfig(**STOPPING, seed=given.pop("seed"))
    which = given.pop("denoiser", Denoiser(network(), cosine(50), "v", 10))
    steps = []
    for progress in personalise.rehearse(which, config=config, checkpoint=folder, checkpoint_every=2, **given):
        steps.append(progress)
        if progress.step == stop:
            break
    return steps[0].step, steps[-1].loss, which.network.state_dict(), steps[-1].averaged.state_dict()


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6])
def test_a_rehearsal_goes_on_as_if_it_had_never_stopped(tmp_path, stop) -> None:
    kept(tmp_path / "stopped", stop)
    first, *again = kept(tmp_path / "stopped")
    _, *whole = kept(tmp_path / "whole")
    assert first == {1: 1, 2: 3, 3: 3, 5: 5, 6: 6}[stop]
    assert_close(again, whole, rtol=0, atol=0)


def test_a_step_can_be_kept_between_two_checkpoints(tmp_path) -> None:
    loop = personalise.rehearse(
        Denoiser(network(), cosine(50), "v", 10), TWO, 7, OLD, OLD_LABELS, TrainConfig(**STOPPING, seed=3),
        checkpoint=tmp_path, checkpoint_every=100,
    )  # fmt: skip
    for _ in range(3):
        progress = next(loop)
    progress.save()
    loop.close()
    assert kept(tmp_path)[0] == 4


OTHERS = {
    "images": {"new": TWO.flip(0)},
    "old": {"old": OLD.flip(0)},
    "label": {"label": 8},
    "seed": {"seed": 4},
    "before": {"denoiser": Denoiser(network(1), cosine(50), "v", 10)},
    "betas": {"denoiser": Denoiser(network(), cosine(40), "v", 10)},
    "predicts": {"denoiser": Denoiser(network(), cosine(50), "eps", 10)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_checkpoint_of_another_rehearsal_is_refused_with_what_changed(tmp_path, name) -> None:
    kept(tmp_path, 2)
    with pytest.raises(ValueError, match=rf"^checkpoint: .* \({name} was [^;]*, is [^;]*\); use"):
        kept(tmp_path, **OTHERS[name])


def test_a_training_does_not_go_on_as_a_rehearsal(tmp_path) -> None:
    config, sevens = TrainConfig(**STOPPING, seed=3), torch.full((2,), 7)
    list(train(Denoiser(network(), cosine(50), "v", 10), TWO, config, labels=sevens, checkpoint=tmp_path))
    with pytest.raises(ValueError, match=r"^checkpoint: .* was written with other settings"):
        kept(tmp_path)


def test_a_rehearsal_keeps_at_least_every_so_many_steps(tmp_path) -> None:
    loop = personalise.rehearse(
        Denoiser(network(), cosine(50), "v", 10), TWO, 7, OLD, OLD_LABELS, TrainConfig(**STOPPING),
        checkpoint=tmp_path, checkpoint_every=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"^checkpoint_every: expected 1 or more, got 0"):
        next(loop)
    assert not list(tmp_path.iterdir())


class Wrapped(torch.nn.Module):
    """A network that takes labels and doesn't say how many."""

    def __init__(self):
        super().__init__()
        self.inside = network()

    def forward(self, x, t, labels=None):
        return self.inside(x, t, labels)


def test_without_a_label_is_what_the_denoiser_says_and_never_class_0() -> None:
    # DDP, for one, hides the network's attributes. "No label" is then the denoiser's word, or there is none.
    asked, learner = [], Denoiser(Wrapped(), cosine(50), "v", classes=10)
    learner.network.inside.register_forward_hook(lambda part, given, out: asked.append(given[2]))
    config = TrainConfig(steps=3, batch_size=4, drop_labels=1.0)
    list(personalise.rehearse(learner, OLD[:6], 7, OLD, OLD_LABELS, config))
    assert set(torch.cat(asked).tolist()) == {10}
    nobody_knows = Denoiser(Wrapped(), cosine(50), "v")
    with pytest.raises(ValueError, match=r"^denoiser: expected one that takes labels, got one with classes=0"):
        next(personalise.rehearse(nobody_knows, OLD[:6], 7, OLD, OLD_LABELS, config))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_where_it_should_learn(dtype) -> None:
    half = Denoiser(network().to(dtype), cosine(50), "v", classes=10)
    with pytest.raises(ValueError, match=r"^denoiser: expected weights in single .* got time\.0\.weight in h"):
        next(personalise.rehearse(half, OLD[:6], 7, OLD, OLD_LABELS, TrainConfig(steps=1)))


@pytest.mark.parametrize(
    ("label", "old_labels", "words"),
    [
        (10, OLD_LABELS, r"^label: expected 0\.\.9, got 10"),
        (7, OLD_LABELS + 5, r"^old_labels: expected 0\.\.9, got 10"),
    ],
)
def test_rehearsal_wants_labels_of_the_network(label, old_labels, words) -> None:
    with pytest.raises(ValueError, match=words):
        next(personalise.rehearse(denoiser(), OLD[:6], label, OLD, old_labels, TrainConfig(steps=1)))


def test_only_the_row_is_trained() -> None:
    model, schedule = network(), cosine(50)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    free = personalise.freeze_all_but_label(Denoiser(model, schedule, "v", classes=10), 7).network
    x, t, labels = noise(4), torch.tensor([1, 20, 40, 50]), torch.tensor([7, 2, 7, 10])
    assert_close(free(x, t, labels), model(x, t, labels))
    config = TrainConfig(steps=3, batch_size=4, learning_rate=1.0)
    *_, last = train(Denoiser(free, schedule, "v", 10), noise(6).clamp(-1, 1), config, labels=torch.full((6,), 7))
    learned = last.averaged
    with torch.no_grad():
        was, now = model(x, t, labels), learned(x, t, labels)
    assert (was - now)[[0, 2]].abs().amax((1, 2, 3)).min() > 1e-3
    assert torch.equal(was[[1, 3]], now[[1, 3]])  # the other words, to the bit
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])  # the network it was made of is as it was
    rest = {name for name in before if name != "label.weight"}
    assert all(torch.equal(learned.state_dict()[name], before[name]) for name in rest)


@pytest.mark.parametrize("label", [-1, 10])
def test_freezing_all_but_a_label_wants_a_label_of_the_table(label) -> None:
    with pytest.raises(ValueError, match=r"label: expected 0\.\.9"):
        personalise.freeze_all_but_label(denoiser(), label)


def test_freezing_all_but_a_label_wants_a_table() -> None:
    with pytest.raises(ValueError, match="classes"):
        personalise.freeze_all_but_label(Denoiser(UNet(1, 8), cosine(50), "v"), 0)
    with pytest.raises(ValueError, match=r"^denoiser: expected a network with a table of labels, got a Wrapped"):
        personalise.freeze_all_but_label(Denoiser(Wrapped(), cosine(50), "v", classes=10), 0)


def test_embedded_digits_become_mnist_like() -> None:
    few = data.digits("test")
    out = personalise.like_mnist(few.images[:20, 0].float() / 16, cut=(0.3, 0.8))
    assert ((out[:, 0] > -0.9).any(2).sum(1) <= 20).all()
    assert 0.08 < ((out + 1) / 2).mean() < 0.2  # MNIST's mean is 0.13
