"""Whatever device the tensors are on, and whatever device is the default: the same numbers."""

import sys
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from diffusion_lesson import devices
from diffusion_lesson.learning import metrics, personalise
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser, draw
from diffusion_lesson.networks.classifier import DigitsClassifier, train_classifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import elbo, exact, forward, losses, prediction, reverse, samplers, schedule
from diffusion_lesson.process.gaussian import Gaussian, discretized_log_prob, kl
from tests.played import AWAY, Away, Played


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")


def generator(seed=0):
    return torch.Generator("cpu").manual_seed(seed)


def ints(*values):
    return torch.tensor(values, device="cpu")


def made(kind, *arguments, **options):
    """A network whose numbers are the same each time, on the CPU."""
    with torch.device("cpu"):
        network = kind(*arguments, **options)
        for k, parameter in enumerate(network.parameters()):
            parameter.data = 0.2 * randn(*parameter.shape, seed=k)
    return network.eval()


unet = partial(made, UNet, 1, 8, classes=3)
COSINE = schedule.cosine(20)
X, LABELS, T = randn(4, 1, 8, 8).clamp(-1, 1), ints(2, 0, 1, 2), ints(1, 2, 7, 20)
LEVELS = ((X + 1) * 8).round() / 8 - 1


def denoiser(put):
    return Denoiser(put(unet()), COSINE, "v", classes=3)


def learned(put, put_data):
    """What `rehearse` leaves behind."""
    old, old_labels = put_data(randn(6, 1, 8, 8)), put_data(ints(0, 2, 0, 2, 0, 2))
    config = TrainConfig(steps=2, batch_size=4, drop_labels=0.5)
    loop = personalise.rehearse(denoiser(put), put_data(X[:2]), 1, old, old_labels, config)
    *_, last = loop
    return list(last.averaged.parameters())


def classified(put, put_data):
    classifier = put(made(DigitsClassifier))
    train_classifier(classifier, put_data(X), put_data(LABELS), epochs=1, batch_size=2, learning_rate=1e-3, seed=0)
    return list(classifier.parameters())


def world(put):
    return exact.Mixture(
        put(torch.tensor([0.3, 0.7], device="cpu")), put(randn(2, 1, 8, 8, seed=3)), put(ints(1, 2) / 10)
    )


def halves(x, t):
    """A network of sorts, which needs t beside x."""
    return 0.5 * x + 0 * t.reshape(-1, 1, 1, 1)


def reference(put, other):
    ours = metrics.Moments(put(randn(4)), put(torch.eye(4, device="cpu")), 9)
    return metrics.moments_distance(ours, metrics.moments(other(randn(9, 4))))


def drawn(put, other):
    how = {"guidance_scale": 2.0, "steps": 3, "eta": 0.5, "generator": generator()}
    return draw(denoiser(put), put(X), labels=other(LABELS), **how)


def ledger(put, _):
    decoder = partial(discretized_log_prob, levels=17)
    found = elbo.ledger(COSINE, put(LEVELS), halves, decoder=decoder, steps=10, generator=generator())
    return [found.prior, found.steps, found.denoising, found.reconstruction]


def losses_of(put, other):
    every = (losses.eps_loss, losses.v_loss, losses.x0_loss, losses.bound_loss)
    return [loss(COSINE, halves, put(X), generator(), t=t) for loss in every for t in (None, other(T), 3)]


def walks(put, _):
    return [
        [*samplers.ddpm(COSINE, put(X), halves, generator=generator())][-1],
        [*samplers.ddim(COSINE, put(X), halves, steps=4, eta=0.5, generator=generator())][-1],
        [*samplers.dpm_solver(COSINE, put(X), halves, steps=4)][-1],
    ]


def clipped_answer(put, other):
    eps_model = prediction.as_eps(COSINE, put(unet()), predicts="v", labels=other(LABELS))
    return prediction.clipped(COSINE, eps_model)(put(X), put(T))


def densities(put, other):
    return [world(other).log_prob(put(X), COSINE, other(T)), world(other).log_prob(put(X))]


def of_worlds(put, _):
    return [exact.gaussian(put(X[0]), 0.5).sample(3, generator()), exact.data_set(put(X)).sample(3, generator())]


def of_steps(put, other):
    given = {"xt": put(X), "eps_hat": put(X), "variance": "beta_tilde"}
    return [
        vars(COSINE.at(other(T), put(X))),
        vars(forward.q_step(COSINE, other(T), put(X))),
        vars(forward.q_posterior(COSINE, other(T), xt=put(X), x0=put(X))),
        vars(reverse.p_step(COSINE, put(T), **given)),
        forward.q_marginal(COSINE, other(T), put(X)).sample(generator()),
    ]


def of_gaussians(put, _):
    wide = Gaussian(put(X), put(X**2 + 1))
    return [wide.log_prob(put(X)), kl(wide, reverse.p_prior(put(X))), discretized_log_prob(wide, put(LEVELS), 17)]


def schedules(put, _):
    of_betas = schedule.Schedule(put(torch.tensor([0.1, 0.2], device="cpu")))
    made = (of_betas, schedule.linear(9), schedule.scaled_linear(9), schedule.cosine(9))
    return [[each.betas for each in made], COSINE.draw_t(9, generator())]


def of_one_free_label(put, other):
    return personalise.freeze_all_but_label(denoiser(put), 1).network(put(X), put(T), other(LABELS))


def of_prior_preservation(put, other):
    return personalise.prior_preservation_set(put(X), 1, other(randn(6, 1, 8, 8)), other(ints(0, 2, 0, 2, 0, 2)))


# Each takes two functions that put things somewhere: networks and their x, and what may be elsewhere.
CALLS = {
    "moments": lambda put, _: vars(metrics.moments(put(randn(9, 4)))),
    "moments_distance": reference,
    "frechet_distance": lambda put, other: metrics.frechet_distance(put(randn(9, 4)), other(randn(9, 4, seed=1))),
    "features": lambda put, other: metrics.features(put(made(DigitsClassifier)), other(X), batch_size=3),
    "nearest_neighbours": lambda put, other: metrics.nearest_neighbours(put(X), other(randn(9, 1, 8, 8, seed=1))),
    "ink": lambda put, _: personalise.ink(put((X > 0.9).to(torch.uint8) * 200)),
    "like_mnist": lambda put, _: personalise.like_mnist(put((X[:, 0] > 0.9).float())),
    "draw": drawn,
    "prior_preservation_set": of_prior_preservation,
    "rehearse": learned,
    "freeze_all_but_label": of_one_free_label,
    "train_classifier": classified,
    "unet": lambda put, other: put(unet())(put(X), other(T), other(LABELS)),
    "as_eps": clipped_answer,
    "schedules": schedules,
    "steps": of_steps,
    "Gaussian": of_gaussians,
    "ledger": ledger,
    "losses": losses_of,
    "samplers": walks,
    "a world's eps": lambda put, other: world(other).eps_model(COSINE)(put(X), other(T)),
    "a world's density": densities,
    "a world's pictures": of_worlds,
}


def here(x):
    if isinstance(x, dict):
        return {key: here(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [here(value) for value in x]
    return x.detach().cpu() if isinstance(x, torch.Tensor) else x


def away(x):
    return x.to(AWAY)


def stay(x):
    return x


@pytest.fixture
def as_readers(without_type_checks, monkeypatch):
    """Without the checks of shapes, which would look into tensors that only play. Fused steps are taken there."""
    optimizer = sys.modules["torch.optim.optimizer"]
    kinds = [*optimizer._get_fused_kernels_supported_devices(), AWAY.type]
    monkeypatch.setattr(optimizer, "_get_fused_kernels_supported_devices", lambda: kinds)


@pytest.mark.parametrize("float64", [False, True], ids=["no float64", "float64"])
@pytest.mark.parametrize("data", [away, stay], ids=["all there", "data here"])
@pytest.mark.parametrize("name", CALLS)
def test_another_device_gives_the_same_numbers(name, data, float64, as_readers):
    expected = here(CALLS[name](stay, stay))
    with Played(float64=float64):
        found = here(CALLS[name](away, data))
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CALLS)
def test_another_default_device_changes_nothing(name, as_readers):
    expected = here(CALLS[name](stay, stay))
    with torch.device("meta"):  # which has no numbers: they can't come from there
        found = here(CALLS[name](stay, stay))
    assert_close(found, expected, atol=0, rtol=0)


def test_the_played_device_refuses_what_a_real_one_does():
    with Played():
        x = torch.ones(3).to(AWAY)
        assert isinstance(x, Away)
        assert isinstance(torch.arange(3, device=AWAY), Away)
        assert (x + 1).sum().item() == 6
        with pytest.raises(RuntimeError, match="same device"):
            x + torch.ones(3)
        with pytest.raises(TypeError, match="float64"):
            x.double()


def test_wide_is_float64_where_there_is_some():
    assert devices.wide(torch.ones(2)).dtype == torch.float64
    with Played():
        found = devices.wide(torch.ones(2).to(AWAY))
    assert (found.dtype, found.device.type) == (torch.float64, "cpu")
    with Played(float64=True):
        found = devices.wide(torch.ones(2).to(AWAY))
    assert (found.dtype, found.device) == (torch.float64, AWAY)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16])
def test_steps_and_labels_of_any_integer_type(dtype):
    steps, labels = T.to(dtype), LABELS.to(dtype)
    assert_close(vars(COSINE.at(steps, X)), vars(COSINE.at(T, X)))
    assert_close(unet()(X, T, labels), unet()(X, T, LABELS))
    _, labels_of_all = personalise.prior_preservation_set(X[:2], 1, X, labels)
    assert (labels_of_all.dtype, labels_of_all.tolist()) == (torch.int64, [1] * 4 + LABELS.tolist())
    few = made(DigitsClassifier)
    train_classifier(few, X, labels, epochs=1, batch_size=2, learning_rate=1e-3, seed=0)
    assert_close(list(few.parameters()), classified(stay, stay))
    one, other = (draw(denoiser(stay), X, labels=y, eta=0.0, steps=2) for y in (labels, LABELS))
    assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_steps_and_labels_that_are_no_integers_are_named(dtype, without_type_checks):
    wrong = ints(1, 1, 1, 1).to(dtype)
    config = TrainConfig(steps=1, batch_size=2)
    for name, call in {
        "t": lambda: COSINE.at(wrong, X),
        "labels: got": lambda: draw(denoiser(stay), X, labels=wrong, steps=1),
        "old_labels": lambda: personalise.prior_preservation_set(X[:2], 1, X, wrong),
        "old_labels: got": lambda: next(personalise.rehearse(denoiser(stay), X[:2], 1, X, wrong, config)),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}.* expected (integers|one step an example)"):
            call()
    for name, call in {"t": lambda: unet()(X, wrong), "labels": lambda: unet()(X, T, wrong)}.items():
        if dtype.is_floating_point:
            with pytest.raises(ValueError, match=f"^{name}: expected one integer for each of 4 pictures, got "):
                call()


def test_labels_for_fewer_than_the_old_are_named(without_type_checks):
    with pytest.raises(ValueError, match=r"^old_labels: expected one for each of 4, got \(3,\)"):
        personalise.prior_preservation_set(X[:2], 1, X, LABELS[:3])


@pytest.mark.parametrize("count", [5, 8, 24, 40, 1000])  # a CPU draws 16 at a time, and the last 16 anew
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_seed_names_the_same_noise_in_half_precision(dtype, count):
    single, half = (
        devices.noise(torch.empty(count, dtype=kind), torch.Generator().manual_seed(3))
        for kind in (torch.float32, dtype)
    )
    assert half.dtype == dtype
    assert torch.equal(half, single.to(dtype))
