"""The GAN: sizes, losses, and an alternating step that keeps the two networks' gradients apart."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from diffusion_lesson.networks.gan import (
    Discriminator,
    Generator,
    alternating_step,
    discriminator_loss,
    generator_loss,
)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Sizes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_the_generator_draws_pictures_of_the_size_asked_for(size, channels):
    out = Generator(5, 4, size, channels)(randn(2, 5))
    assert out.shape == (2, channels, size, size)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_the_discriminator_gives_one_logit_a_picture(size, channels):
    assert Discriminator(4, size, channels)(randn(2, channels, size, size)).shape == (2,)


def test_the_discriminator_gives_one_logit_for_one_picture():
    assert Discriminator(4, 8)(randn(1, 1, 8, 8)).shape == (1,)


@pytest.mark.parametrize(("size", "sides"), [(8, [4, 8]), (28, [7, 14, 28]), (32, [4, 8, 16, 32])])
def test_transposed_convolutions_start_from_the_smallest_square_and_double_it(size, sides):
    net, seen = Generator(5, 4, size), []
    for layer in net.layers:
        if isinstance(layer, nn.ConvTranspose2d):
            layer.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    net(randn(2, 5))
    assert seen == sides


def test_the_generator_reaches_white_and_black_but_not_beyond():
    net = Generator(5, 4, 8)
    net.layers[-2].weight.data *= 1e4
    out = net(randn(20, 5))
    assert (out.min(), out.max()) == (-1, 1)


@pytest.mark.parametrize("size", [0, 4, 7, 9, 30, 36])
def test_sizes_that_cannot_be_halved_to_a_small_square_are_refused(size):
    for network in (lambda: Generator(5, 4, size), lambda: Discriminator(4, size)):
        with pytest.raises(ValueError, match=f"^size: expected 4 to 7 times a power of two, .* got {size}$"):
            network()


# Losses


def test_the_discriminator_loss_is_minus_the_log_likelihood_of_real_and_fake():
    real, fake = randn(7), randn(7, seed=1)
    expected = -torch.sigmoid(real).log().mean() - (1 - torch.sigmoid(fake)).log().mean()
    assert_close(discriminator_loss(real, fake), expected)


def test_the_generator_loss_is_minus_log_of_how_real_its_pictures_look():
    fake = randn(7)
    assert_close(generator_loss(fake), -F.logsigmoid(fake).mean())


def test_the_losses_of_very_wrong_logits_stay_finite():
    wrong = torch.tensor([1000.0])
    assert (discriminator_loss(-wrong, wrong).item(), generator_loss(-wrong).item()) == (2000, 1000)


def test_the_generator_still_learns_where_the_discriminator_is_sure():
    sure = torch.tensor([-50.0], requires_grad=True)
    (slope,) = torch.autograd.grad(generator_loss(sure), sure)
    (saturating,) = torch.autograd.grad((1 - torch.sigmoid(sure)).log().mean(), sure)
    assert slope.item() == pytest.approx(-1)
    assert abs(saturating.item()) < 1e-20


# The alternating step


class Fight:
    """Both networks with plain gradient descent, so that a step can be written out by hand."""

    def __init__(self):
        torch.manual_seed(0)
        self.generator, self.discriminator = Generator(5, 4, 8), Discriminator(4, 8)
        self.g_optimizer = torch.optim.SGD(self.generator.parameters(), lr=0.5)
        self.d_optimizer = torch.optim.SGD(self.discriminator.parameters(), lr=0.5)

    def step(self, seed):
        nets = self.generator, self.discriminator, self.g_optimizer, self.d_optimizer
        return alternating_step(*nets, real=randn(6, 1, 8, 8, seed=seed), z=randn(6, 5, seed=seed))

    def step_by_hand(self, seed):
        real, z = randn(6, 1, 8, 8, seed=seed), randn(6, 5, seed=seed)
        with torch.no_grad():
            fake = copy.deepcopy(self.generator)(z)
        d_loss = -F.logsigmoid(self.discriminator(real)).mean() - F.logsigmoid(-self.discriminator(fake)).mean()
        descend(self.discriminator, d_loss)
        g_loss = -F.logsigmoid(self.discriminator(self.generator(z))).mean()  # of the new discriminator
        descend(self.generator, g_loss)
        return d_loss.item(), g_loss.item()


def descend(net, loss):
    parameters = list(net.parameters())
    slopes = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter -= 0.5 * slope


def test_three_alternating_steps_agree_with_gradient_descent_by_hand():
    ours, by_hand = Fight(), Fight()
    for seed in range(3):
        ours.step(seed)
        by_hand.step_by_hand(seed)
    assert_close(ours.generator.state_dict(), by_hand.generator.state_dict())
    assert_close(ours.discriminator.state_dict(), by_hand.discriminator.state_dict())


def test_an_alternating_step_returns_both_losses_discriminator_first():
    ours, by_hand = Fight(), Fight()
    assert ours.step(0) == pytest.approx(by_hand.step_by_hand(0))


def test_the_discriminators_step_leaves_no_gradient_in_the_generator():
    fight, seen = Fight(), []
    fight.d_optimizer.register_step_pre_hook(lambda *_: seen.extend(p.grad for p in fight.generator.parameters()))
    fight.step(0)
    assert seen == [None] * len(list(fight.generator.parameters()))


def test_the_generators_step_leaves_the_discriminator_as_it_is():
    fight, before = Fight(), []
    fight.d_optimizer.register_step_post_hook(
        lambda *_: before.append(copy.deepcopy(fight.discriminator.state_dict()))
    )
    fight.step(0)
    assert_close(fight.discriminator.state_dict(), before[0], rtol=0, atol=0)
