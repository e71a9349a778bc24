"""The classifiers: their layers, and how well a second of training does with the digits."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from diffusion_lesson.learning import data
from diffusion_lesson.networks.classifier import Cifar10Classifier, DigitsClassifier, train_classifier


def signed(split):
    images = data.digits(split)
    return data.to_signed(images.images, images.levels), images.labels


def trained(seed=0, epochs=2, count=None):
    torch.manual_seed(0)
    classifier = DigitsClassifier()
    x, labels = signed("train")
    train_classifier(
        classifier, x[:count], labels[:count], epochs=epochs, batch_size=64, learning_rate=3e-3, seed=seed
    )
    return classifier


@pytest.fixture(scope="module")
def classifier():
    return trained()


def test_two_epochs_classify_97_percent_of_the_test_digits(classifier):
    x, labels = signed("test")
    assert (classifier(x).argmax(1) == labels).float().mean() >= 0.97


def test_it_has_32_features_none_below_zero(classifier):
    features = classifier.features(signed("test")[0])
    assert features.shape == (360, 32)
    assert features.min() == 0


def test_the_logits_are_a_linear_function_of_the_features(classifier):
    x = signed("test")[0]
    weight, bias = classifier.to_logits.weight, classifier.to_logits.bias
    assert_close(classifier(x), classifier.features(x) @ weight.T + bias)


def test_its_layers_are_those_of_the_protocol():
    layers = [m for m in DigitsClassifier().modules() if not list(m.children())]
    sizes = [(m.in_channels, m.out_channels, *m.kernel_size) for m in layers if isinstance(m, nn.Conv2d)]
    assert sizes == [(1, 32, 3, 3), (32, 64, 3, 3), (64, 64, 3, 3)]
    conv = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(m) for m in layers] == [*conv, *conv, nn.MaxPool2d, *conv, nn.Linear, nn.Linear]
    assert layers[-2].weight.shape == (32, 1024)


def test_the_colour_one_halves_three_times_and_leaves_1024_numbers_whatever_the_side():
    classifier = Cifar10Classifier().eval()
    sizes = [(m.in_channels, m.out_channels) for m in classifier.modules() if isinstance(m, nn.Conv2d)]
    assert sizes == [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    halved = []
    for pool in (m for m in classifier.modules() if isinstance(m, nn.MaxPool2d)):
        pool.register_forward_hook(lambda _, given, out: halved.append((given[0].shape[-1], out.shape[-1])))
    for side in (32, 48):
        x = torch.zeros(2, 3, side, side)
        assert classifier.features(x).shape == (2, 128)
        assert classifier(x).shape == (2, 10)
    assert halved[:3] == [(32, 16), (16, 8), (8, 4)]
    assert classifier.to_features.weight.shape == (128, 1024)


def test_training_leaves_it_in_eval_mode(classifier):
    x = signed("test")[0]
    assert not classifier.training
    assert_close(classifier(x[:1]), classifier(x)[:1], rtol=1e-4, atol=1e-5)


def test_training_is_the_same_for_the_same_seed():
    first, second = (trained(seed=1, epochs=1, count=200).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_seed_takes_the_pictures_in_another_order():
    first, second = (trained(seed=k, epochs=1, count=200).to_logits.weight for k in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("batch_size", [0, 201])
def test_a_batch_larger_than_the_set_is_refused(batch_size):
    x, labels = torch.zeros(200, 1, 8, 8), torch.zeros(200, dtype=torch.long)
    with pytest.raises(ValueError, match=r"^batch_size: expected 1\.\.200"):
        train_classifier(
            DigitsClassifier(), x, labels, epochs=1, batch_size=batch_size, learning_rate=1e-3, seed=0
        )
