"""The U-Net: what it takes, what it hears, and that each part of its diagram is there."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from diffusion_lesson.networks import names, unet
from diffusion_lesson.networks.unet import Attention, Block, UNet, time_features


def randn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def perturbed(net, seed=0):
    """The network as if trained a little: its layers that begin at zero would hide all that stands before them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return net


# The waves of t


def test_time_features_are_sines_then_cosines_from_the_fastest_wave_to_the_slowest():
    steps = [1, 2, 17, 1000]
    frequencies = [10_000 ** (-k / 4) for k in range(4)]
    naive = [[f(w * t) for f in (math.sin, math.cos) for w in frequencies] for t in steps]
    assert_close(time_features(torch.tensor(steps), 8), torch.tensor(naive), atol=1e-4, rtol=0)


def test_time_features_tell_every_two_steps_apart():
    rows = time_features(torch.arange(1, 1001), 16)
    assert torch.pdist(rows).min() > 0.1


# Sizes


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_the_prediction_is_like_x(size, channels, patch, classes, attention):
    net = UNet(channels, 4, mults=(1, 2), patch=patch, classes=classes, attention=attention)
    labels = torch.tensor([0, classes]) if classes else None
    out = net(randn(2, channels, size, size), torch.tensor([1, 7]), labels)
    assert (out.shape, out.dtype) == ((2, channels, size, size), torch.float32)


def test_height_and_width_may_differ():
    assert UNet(1, 4)(randn(1, 1, 8, 12), torch.tensor([1])).shape == (1, 1, 8, 12)


@pytest.mark.parametrize("mults", [(1,), (2,), (2, 1, 4)])
def test_any_number_of_levels_and_any_widths(mults):
    assert UNet(1, 4, mults=mults)(randn(1, 1, 8, 8), torch.tensor([1])).shape == (1, 1, 8, 8)


def test_the_file_is_shorter_than_200_lines():
    assert len(Path(unet.__file__).read_text("utf-8").splitlines()) < 200


def test_the_config_survives_json_and_builds_the_same_network():
    net = UNet(3, 8, mults=(1, 2, 2), patch=2, classes=5, attention=True)
    twin = UNet(**json.loads(json.dumps(net.config)))
    twin.load_state_dict(net.state_dict())
    x, t = randn(1, 3, 16, 16), torch.tensor([4])
    assert torch.equal(twin(x, t), net(x, t))


LARGE = {"mults": (1, 2), "classes": 3, "attention": (4,), "size": 8, "blocks": 2, "dropout": 0.5, "heads": 2}


def test_a_large_one_has_more_behind_each_block_and_attention_where_it_is_named():
    net = UNet(1, 8, **LARGE)
    for chains in (net.down_more, net.up_more):
        kinds = [[type(part).__name__ for part in chain] for chain in chains]
        assert kinds == [["Block"], ["Attention", "Block", "Attention"]]
        assert all(part.heads == 2 for part in chains[1] if isinstance(part, Attention))
    assert isinstance(net.attention, Attention)
    x, t = randn(2, 1, 8, 8), torch.tensor([1, 7])
    out = perturbed(net).eval()(x, t, torch.tensor([0, 3]))
    assert out.shape == x.shape
    twin = UNet(**json.loads(json.dumps(net.config))).eval()
    twin.load_state_dict(net.state_dict())
    assert torch.equal(twin(x, t, torch.tensor([0, 3])), out)


def test_every_part_of_a_large_one_is_asked():
    net = perturbed(UNet(1, 16, **LARGE | {"dropout": 0.0}))
    (net(randn(4, 1, 8, 8), T) * randn(4, 1, 8, 8, seed=2)).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-4] == []


def test_dropout_leaves_out_its_share_while_training_and_nothing_afterwards():
    block, x, e = perturbed(Block(8, 8, 4, dropout=0.25)), randn(2, 8, 16, 16), randn(2, 4)
    seen = []
    block.conv2.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    block.train()(x, e), block.eval()(x, e)
    dropped = (seen[0] == 0).float().mean().item()
    assert dropped == pytest.approx(0.25, abs=0.03)
    assert (seen[1] != 0).all()
    assert_close(seen[0][seen[0] != 0], seen[1][seen[0] != 0] / 0.75)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("attention", {"attention": (5,), "size": 8}), ("attention", {"attention": (4,)}),
        ("blocks", {"blocks": 0}), ("blocks", {"blocks": 10**9}), ("heads", {"heads": 3, "attention": True}),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_is_refused_by_name(name, wrong):
    with pytest.raises(ValueError, match=f"^{name}: expected "):
        UNet(1, 8, **wrong)


def test_one_without_more_has_the_weights_and_the_first_numbers_that_it_always_had():
    torch.manual_seed(0)
    net = UNet(1, 8, mults=(1, 2), patch=2, classes=3, attention=True)
    assert not any("more" in name for name in net.state_dict())
    torch.manual_seed(0)
    assert torch.equal(net.time[0].weight, torch.nn.Linear(8, 32).weight)
    assert sum(p.double().abs().sum().item() for p in net.parameters()) == pytest.approx(1512.175, rel=1e-6)


# What it hears


@pytest.fixture
def net():
    return perturbed(UNet(1, 8, classes=3, attention=True)).double()


@pytest.fixture
def x():
    return randn(4, 1, 8, 8, seed=1, dtype=torch.float64)


T = torch.tensor([1, 5, 5, 200])


def test_it_hears_the_step(net, x):
    assert (net(x, T) - net(x, T + 1)).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_it_hears_the_label(net, x):
    a, b = (net(x, T, torch.full((4,), label)) for label in (0, 1))
    assert (a - b).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_no_labels_is_the_index_after_the_last_class(net, x):
    assert torch.equal(net(x, T), net(x, T, torch.full((4,), 3)))


def test_no_labels_is_none_of_the_classes(net, x):
    assert all((net(x, T) - net(x, T, torch.full((4,), k))).abs().max() > 1e-3 for k in range(3))


def test_a_row_does_not_hear_the_other_rows(net, x):
    labels = torch.tensor([0, 1, 2, 3])
    others = torch.cat([x[:1], randn(3, 1, 8, 8, seed=9, dtype=torch.float64)])
    alone, among = net(x, T, labels)[0], net(others, T.flip(0).index_fill(0, torch.tensor(0), 1), labels)[0]
    assert_close(alone, among, rtol=1e-12, atol=1e-12)


def test_every_output_pixel_sees_every_input_pixel(net, x):
    x.requires_grad_()
    (seen,) = torch.autograd.grad(net(x, T)[0, 0, 0, 0], x)
    assert (seen[0] != 0).all()


@pytest.mark.parametrize("options", [{}, {"patch": 2}, {"classes": 3}, {"attention": True}, {"mults": (1, 2, 2)}])
def test_every_parameter_gets_a_gradient(options):
    net = perturbed(UNet(1, 16, **options))
    (net(randn(4, 1, 8, 8), T) * randn(4, 1, 8, 8, seed=2)).sum().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-4]
    assert silent == []


# The parts of the diagram


def test_on_the_way_up_each_level_is_given_what_it_saw_on_the_way_down():
    net, down, up = perturbed(UNet(1, 8, mults=(1, 1, 1))), {}, {}
    for level in range(3):
        net.down_blocks[level].register_forward_hook(lambda _, __, out, k=level: down.update({k: out}))
        net.up_blocks[level].register_forward_pre_hook(lambda _, given, k=level: up.update({k: given[0]}))
    net(randn(1, 1, 8, 8), torch.tensor([3]))
    assert all(torch.equal(up[k][:, 8:], down[k]) for k in range(3))


def test_each_level_halves_height_and_width():
    net, sizes = UNet(1, 8, mults=(1, 1, 1), patch=2), []
    for block in net.down_blocks:
        block.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    net(randn(1, 1, 16, 16), torch.tensor([3]))
    assert sizes == [8, 4, 2]


def test_before_training_it_predicts_the_same_whatever_it_is_given():
    net = UNet(1, 8, attention=True)
    first, second = (net(randn(1, 1, 8, 8, seed=k), torch.tensor([k + 1])) for k in range(2))
    assert torch.equal(first, second)


def test_a_new_block_adds_a_constant_to_its_input():
    added = (Block(8, 8, 4)(x := randn(2, 8, 4, 4), randn(2, 4)) - x).detach()
    assert_close(added, added[:1, :, :1, :1].expand_as(added), rtol=0, atol=1e-6)


def scaled_and_shifted(scale, shift):
    """A block told this scale and shift whatever the embedding; an input of wide values, and another."""
    block = perturbed(Block(8, 16, 4))
    torch.nn.init.zeros_(block.scale_shift.weight)
    block.scale_shift.bias.data = torch.cat([torch.full((16,), scale), torch.full((16,), shift)])
    return block, randn(2, 8, 4, 4), randn(2, 4)


def test_a_block_normalises_convolves_and_adds_the_short_cut():
    block, x, e = scaled_and_shifted(0.0, 0.0)
    h = F.group_norm(x, 8, block.norm1.weight, block.norm1.bias)
    h = F.conv2d(F.silu(h), block.conv1.weight, block.conv1.bias, padding=1)
    h = F.group_norm(h, 8, block.norm2.weight, block.norm2.bias)
    h = F.conv2d(F.silu(h), block.conv2.weight, block.conv2.bias, padding=1)
    assert_close(block(x, e), F.conv2d(x, block.shortcut.weight, block.shortcut.bias) + h)


def test_a_scale_of_minus_one_erases_the_features_and_leaves_the_shift():
    block, x, e = scaled_and_shifted(-1.0, 0.7)
    left = F.conv2d(F.silu(torch.full((2, 16, 4, 4), 0.7)), block.conv2.weight, block.conv2.bias, padding=1)
    assert_close(block(x, e), block.shortcut(x) + left)


def test_attention_agrees_with_a_loop_over_heads_and_places():
    attention, x = perturbed(Attention(8, heads=2)).double(), randn(1, 8, 2, 3, dtype=torch.float64)
    qkv = attention.qkv(F.group_norm(x, 8, attention.norm.weight, attention.norm.bias)).flatten(2)[0]
    q, k, v = qkv.reshape(3, 2, 4, 6)  # (head, channel, place)
    gathered = torch.zeros(2, 4, 6, dtype=torch.float64)
    for head in range(2):
        for place in range(6):
            scores = torch.stack([q[head, :, place] @ k[head, :, other] / 4**0.5 for other in range(6)])
            weights = scores.exp() / scores.exp().sum()
            gathered[head, :, place] = sum(weights[other] * v[head, :, other] for other in range(6))
    expected = x + attention.out(gathered.reshape(1, 8, 2, 3))
    assert_close(attention(x), expected, rtol=1e-10, atol=1e-12)


def test_it_memorises_one_batch():
    torch.manual_seed(0)
    net, x, target = UNet(1, 8, patch=2), randn(4, 1, 8, 8), randn(4, 1, 8, 8, seed=3)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(100):
        loss = ((net(x, T) - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02  # it begins near 1


# Refusals


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (4, 1, 8, 6), (4, 1, 6, 8), (4, 1, 8)])
def test_pictures_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"^x: expected \(B, 1, H, W\), H and W multiples of 4, got"):
        UNet(1, 4, patch=2)(randn(*shape), T)


def test_labels_for_a_network_without_classes_are_refused(x):
    with pytest.raises(ValueError, match=r"^labels: this network was made with classes=0"):
        UNet(1, 4)(x.float(), T, T)


@pytest.mark.parametrize("wrong", [-1, 4])
def test_labels_that_are_no_class_are_refused(net, x, wrong):
    with pytest.raises(ValueError, match=r"^labels: expected 0\.\.3"):
        net(x, T, torch.tensor([0, 1, 2, wrong]))


@pytest.mark.parametrize("name", ["t", "labels"])
def test_one_step_or_label_for_many_pictures_is_refused(net, x, name, without_type_checks):
    given = {"t": T, "labels": T % 3} | {name: torch.tensor([1])}
    with pytest.raises(ValueError, match=f"^{name}: expected one integer for each of 4 pictures"):
        net(x, **given)


@pytest.mark.parametrize("width", [0, 1, 6, 12])
def test_a_width_that_does_not_fall_into_groups_is_refused(width):
    with pytest.raises(ValueError, match=r"^width: expected 4 or multiples of 8"):
        UNet(1, width)


@pytest.mark.parametrize("patch", [0, -2])
def test_patches_of_no_pixels_are_refused(patch):
    with pytest.raises(ValueError, match=f"^patch: expected 1 or more, got {patch}"):
        UNet(1, 4, patch=patch)


def test_an_untrained_network_predicts_zero():
    for net in (UNet(1, 8), UNet(3, 8, patch=2, classes=2, attention=True)):
        x = torch.randn(2, net.config["channels_in"], 8, 8)
        assert torch.equal(net(x, torch.tensor([1, 7])), torch.zeros_like(x))


# Names


EARLIER = {
    "stem.weight": "stem.weight",
    "down.1.conv1.weight": "down_blocks.1.conv1.weight",
    "up.0.told.bias": "up_blocks.0.scale_shift.bias",
    "up.12.short.weight": "up_blocks.12.shortcut.weight",
    "middle.told.weight": "middle.scale_shift.weight",
    "shrink.0.weight": "downsample.1.weight",
    "enlarge.1.bias": "upsample.2.1.bias",
    "norm.weight": "norm.weight",
}


@pytest.mark.parametrize("key", EARLIER)
def test_an_earlier_name_of_a_weight_is_known(key):
    assert names.current_name(key) == EARLIER[key]
    assert names.earlier_name(EARLIER[key]) == key


def test_todays_names_stay():
    keys = UNet(1, 8, mults=(1, 2, 4), classes=2, attention=True).state_dict()
    assert [names.current_name(key) for key in keys] == list(keys)


@pytest.mark.parametrize("prefix", ["", "inner."])
def test_weights_under_their_earlier_names_are_loaded(prefix):
    trained = perturbed(UNet(1, 8, mults=(1, 2, 4), classes=2, attention=True))
    saved = {prefix + names.earlier_name(key): value for key, value in trained.state_dict().items()}
    assert len(set(saved) - {prefix + key for key in trained.state_dict()}) > 40
    fresh = UNet(1, 8, mults=(1, 2, 4), classes=2, attention=True)
    loader = torch.nn.ModuleDict({"inner": fresh}) if prefix else fresh
    loader.load_state_dict(saved)
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), fresh.parameters(), strict=True))


def test_a_name_that_never_was_is_refused():
    with pytest.raises(RuntimeError, match=r"nonsense\.weight"):
        UNet(1, 8).load_state_dict(UNet(1, 8).state_dict() | {"nonsense.weight": torch.zeros(1)})
