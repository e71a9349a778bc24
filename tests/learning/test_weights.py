"""Trained weights and their cards: what is written is what is read, and what is not is named."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close

import diffusion_lesson
from diffusion_lesson.learning import data, personalise, results, weights
from diffusion_lesson.learning.cards import Card
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.results import Result
from diffusion_lesson.networks.classifier import DigitsClassifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process import samplers
from diffusion_lesson.process.prediction import as_eps
from diffusion_lesson.process.schedule import cosine

CARD = {
    "name": "small", "schedule": {"kind": "cosine", "T": 20}, "predicts": "v", "size": 8, "levels": 17,
    "data": "none", "recipe": {"steps": 3}, "measured": (Result(metric="loss", values=(0.5,)),),
}  # fmt: skip


def made(dtype=torch.float32):
    torch.manual_seed(0)
    net = UNet(1, 4, mults=(1, 2), classes=2, attention=True)
    return net.to(dtype), Card(network="UNet", config=net.config, **CARD)


@pytest.fixture
def path(tmp_path):
    """Where weights have been saved."""
    weights.save(tmp_path / "small", *made())
    return tmp_path / "small"


def edit(path, **changes):
    """Change the card and leave the rest as it is."""
    note = path.with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text("utf-8")) | changes), "utf-8")


# Round trip


def test_weights_come_back_to_the_bit(path):
    model = weights.load(path)[0].network
    expected = made()[0].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_the_network_comes_back_with_its_options_in_eval_mode(path):
    model = weights.load(path)[0].network
    assert (type(model), model.config, model.training) == (UNet, made()[0].config, False)


def test_the_schedule_comes_back(path):
    denoiser, _ = weights.load(path)
    assert torch.equal(denoiser.schedule.betas, cosine(20).betas)


def test_the_card_comes_back_as_save_returned_it(tmp_path):
    card = weights.save(tmp_path / "small", *made())
    assert weights.load(tmp_path / "small")[1] == card
    assert card.sha256 != ""


def test_the_names_of_the_classes_come_back(tmp_path):
    net, card = made()
    weights.save(tmp_path / "named", net, replace(card, classes=("cat", "dog")))
    assert weights.load(tmp_path / "named")[1].classes == ("cat", "dog")


def test_a_card_from_before_classes_had_names_has_none(path):
    note = path.with_suffix(".json")
    old = {key: value for key, value in json.loads(note.read_text("utf-8")).items() if key != "classes"}
    note.write_text(json.dumps(old), "utf-8")
    assert weights.load(path)[1].classes == ()


def test_the_recipe_on_a_card_of_version_0_1_comes_back_in_todays_words(path):
    edit(path, recipe={"steps": 3, "lr": 0.1, "precision": "single", "seed": 0})
    assert weights.load(path)[1].recipe == {"steps": 3, "learning_rate": 0.1, "precision": "fp32", "seed": 0}


def test_what_a_card_of_version_0_1_measured_comes_back_as_records(path):
    edit(path, measured={"loss": 0.5, "Fréchet distance": {"n = 10": 3.0}})
    expected = ("loss", (0.5,)), ("Fréchet distance, n = 10", (3.0,))
    assert tuple((record.metric, record.values) for record in weights.load(path)[1].measured) == expected


@pytest.mark.parametrize("wrong", [{"loss": 0.5}, [], ({"metric": "loss"},)], ids=str)
def test_what_is_measured_comes_in_records(wrong, without_type_checks):
    with pytest.raises(ValueError, match=r"^measured: "):
        replace(made()[1], measured=wrong)


@pytest.mark.parametrize(
    "names", [("cat",), ("cat", "cat"), ("cat", "dog", "owl"), ("cat", 1), ["cat", "dog"], "ab", None]
)
def test_names_that_are_not_one_for_each_class_are_refused(names, without_type_checks):
    with pytest.raises(ValueError, match=r"^classes: expected none or 2 names, no two alike, got "):
        replace(made()[1], classes=names)


def test_half_precision_on_the_disk_is_single_in_memory(tmp_path):
    weights.save(tmp_path / "half", *made(torch.float16))
    model = weights.load(tmp_path / "half")[0].network
    assert {value.dtype for value in load_file(tmp_path / "half.safetensors").values()} == {torch.float16}
    assert all(
        torch.equal(value, made()[0].state_dict()[key].half().float()) for key, value in model.state_dict().items()
    )


@pytest.fixture
def classifier_path(tmp_path):
    """Where a classifier has been saved."""
    card = CARD | {"schedule": None, "predicts": None, "name": "c"}
    weights.save(tmp_path / "c", DigitsClassifier(), Card(network="DigitsClassifier", config={}, **card))
    return tmp_path / "c"


def test_a_classifier_comes_back_by_its_own_loader(classifier_path):
    classifier, card = weights.load_classifier(classifier_path)
    assert (type(classifier), classifier.training) == (DigitsClassifier, False)
    assert (card.schedule, card.predicts) == (None, None)


# A denoiser


@pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
def test_what_it_predicts_comes_back_with_the_network_and_decides_what_is_drawn(tmp_path, predicts):
    net, card = made()
    torch.nn.init.normal_(net.head.weight, std=0.3)
    denoiser = Denoiser(net.eval(), cosine(20), predicts, classes=2)
    weights.save(tmp_path / "small", denoiser, replace(card, predicts=predicts))
    back, _ = weights.load(tmp_path / "small")
    assert (back.predicts, back.classes) == (predicts, 2)
    x, t, labels = torch.randn(3, 1, 8, 8), torch.tensor([2, 9, 20]), torch.tensor([0, 1, 1])
    expected = as_eps(cosine(20), net, predicts=predicts, labels=labels)(x, t)
    assert_close(back.eps_model(labels, clip=False)(x, t), expected)
    if predicts != "eps":  # what a sampler would have been given, were it taken for an ε-network
        assert (net(x, t, labels) - expected).abs().max() > 0.1


@pytest.mark.usefixtures("without_type_checks")
def test_a_sampler_refuses_the_denoiser_itself(path):
    # The network's own words can't reach a sampler unawares: the value is no function, its eps_model is.
    denoiser, _ = weights.load(path)
    with pytest.raises(TypeError, match="not callable"):
        samplers.last(samplers.ddim(denoiser.schedule, torch.randn(1, 1, 8, 8), denoiser, steps=2))


@pytest.mark.parametrize(
    ("denoiser", "message"),
    [
        (lambda net: Denoiser(net, cosine(20), "eps", 2), "^card: expected predicts='eps', as .* got 'v'"),
        (
            lambda net: Denoiser(net, cosine(30), "v", 2),
            "^card: expected the schedule of the denoiser, got",
        ),
    ],
)
def test_a_card_that_says_otherwise_than_the_denoiser_is_not_saved(tmp_path, denoiser, message):
    net, card = made()
    with pytest.raises(ValueError, match=message):
        weights.save(tmp_path / "small", denoiser(net), card)
    assert not list(tmp_path.iterdir())


def test_saving_makes_the_folder_and_leaves_two_files(tmp_path):
    weights.save(tmp_path / "new" / "v1.0", *made())
    assert {file.name for file in (tmp_path / "new").iterdir()} == {"v1.0.safetensors", "v1.0.json"}


def test_others_may_read_the_file_as_any_other(path):
    assert path.with_suffix(".safetensors").stat().st_mode == path.with_suffix(".json").stat().st_mode


def test_reading_takes_no_second_for_imports():
    program = (
        "import sys; from diffusion_lesson.learning import weights; before = set(sys.modules)\n"
        "weights.load_shipped('mnist'); print(len(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20


# Networks in their wrappings


def compiled_inside(net):
    net.middle = torch.compile(net.middle, backend="eager")
    return net


WRAPPINGS = {
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "compiled inside": compiled_inside,
    "parallel": lambda net: nn.DataParallel(net),
    "parallel, compiled": lambda net: torch.compile(nn.DataParallel(net), backend="eager"),
    "compiled, parallel": lambda net: nn.DataParallel(torch.compile(net, backend="eager")),
    "averaged": lambda net: torch.optim.swa_utils.AveragedModel(net),
    "averaged, compiled": lambda net: torch.optim.swa_utils.AveragedModel(torch.compile(net, backend="eager")),
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_a_network_is_saved_without_its_wrapping(tmp_path, wrap):
    net, card = made()
    weights.save(tmp_path / "small", wrap(net), card)
    model = weights.load(tmp_path / "small")[0].network
    expected = made()[0].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    assert load_file(tmp_path / "small.safetensors").keys() == expected.keys()


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
def test_files_from_before_the_wrapping_was_left_out_can_be_read(path, prefix):
    file = path.with_suffix(".safetensors")
    save_file({prefix + key: value for key, value in load_file(file).items()}, file)
    edit(path, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    model = weights.load(path)[0].network
    assert torch.equal(model.head.weight, made()[0].head.weight)


def test_tensors_that_share_memory_are_written_each(tmp_path):
    net, card = made()
    net.up_blocks[0].conv2.bias = net.down_blocks[0].conv2.bias  # the same parameter
    net.stem.weight.data = net.stem.weight.data.to(memory_format=torch.channels_last)  # in steps
    net.stem.bias.data = torch.ones(1).expand(4)  # one number for all
    card = weights.save(tmp_path / "small", net, card)
    model = weights.load(tmp_path / "small")[0].network
    expected = net.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_any_width_come_back_single(tmp_path, dtype):
    weights.save(tmp_path / "small", *made(dtype))
    model = weights.load(tmp_path / "small")[0].network
    expected = made(dtype)[0].state_dict()
    assert all(torch.equal(value, expected[key].float()) for key, value in model.state_dict().items())


def test_saving_and_outlining_draw_no_random_numbers(tmp_path):
    net, card = made()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    weights.save(tmp_path / "small", net, card)
    assert torch.equal(torch.rand(1), expected)


# What could not be read is not written


def with_(net, key, value):
    """The network with another tensor in one place."""
    part, _, name = key.rpartition(".")
    module = net.get_submodule(part)
    delattr(module, name)
    module.register_buffer(name, value)
    return net


UNREADABLE = {
    "complex": (lambda net: with_(net, "head.bias", torch.zeros(1).cfloat()), "head.bias is complex64"),
    "integers": (lambda net: with_(net, "head.bias", torch.zeros(1, dtype=torch.int8)), "head.bias"),
    "small floats": (
        lambda net: with_(net, "head.bias", torch.zeros(1).to(torch.float8_e4m3fn)), "head.bias is float8",
    ),
    "another shape": (lambda net: with_(net, "head.bias", torch.zeros(2)), "head.bias"),
    "one too many": (lambda net: (net.register_buffer("more", torch.zeros(1)), net)[1], "more"),
    "one too few": (lambda net: (delattr(net.head, "bias"), net)[1], "head.bias"),
    "no numbers": (lambda net: net.to("meta"), "meta tensor; no data"),
    "NaN": (lambda net: with_(net, "head.bias", torch.full((1,), torch.nan)), "finite in head.bias"),
    "too large for half": (
        lambda net: with_(net, "head.bias", torch.full((1,), 1e9)).half(), "finite in head.bias",
    ),
    "another network": (lambda net: UNet(1, 8), "size mismatch|Unexpected"),
    "one free row": (
        lambda net: personalise.freeze_all_but_label(Denoiser(net, cosine(20), "v", 2), 1), "label.row",
    ),
    "a weight in parts": (
        lambda net: (nn.utils.parametrizations.weight_norm(net.head), net)[1], "parametrizations",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_network_that_could_not_be_read_again_is_not_saved(path, change, reason):
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    net, card = made()
    with pytest.raises(ValueError, match=f"(?s)^model: expected .*{reason}"):
        weights.save(path, change(net), card)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "Transformer"}, "^model: .*network: expected one of UNet"),
        ({"config": {"channels_in": 1}}, "^model: .*config: .*width"),
        ({"config": {"channels_in": 1, "width": 8}}, "^model: .*size mismatch"),
        ({"size": 7}, "^model: .*size: expected a multiple of 2"),
        ({"schedule": {"kind": "square"}}, "^card: .*schedule: kind: expected one of"),
        ({"schedule": {"kind": "cosine", "T": 10**9}}, "^card: .*T: expected a number of steps from 1 to 100,000"),
        ({"schedule": None, "predicts": None}, "^model: .*predicts: expected one of eps, v, x0 for a UNet"),
        (
            {"network": "DigitsClassifier", "config": {}},
            "^model: .*predicts: expected None for a Digits",
        ),
        ({"recipe": {"steps": torch.tensor(1.0)}}, "^card: .*not JSON serializable"),
    ],
)
def test_a_card_that_could_not_be_read_again_is_not_saved(path, changes, message):
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    net, card = made()
    with pytest.raises(ValueError, match="(?s)" + message):
        weights.save(path, net, replace(card, **changes))
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_card_comes_back_as_it_will_be_read(tmp_path):
    net, card = made()
    config = card.config | {"mults": (1, 2)}  # JSON makes a list of it
    saved = weights.save(tmp_path / "small", net, replace(card, config=config, data=os.fsdecode(b"caf\xe9")))
    assert saved == weights.load(tmp_path / "small")[1]
    assert saved.data == os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "^size, levels: expected 1 or more"),
        ({"levels": 257}, "^size, levels: expected .* 2..256"),
        ({"size": "8"}, "^size: expected <class 'int'>, got '8'"),
        ({"schedule": 20}, "^schedule: expected dict"),
        ({"predicts": "noise"}, "^predicts: expected one of eps, v, x0, got 'noise'"),
        ({"predicts": None}, "^schedule, predicts: expected both, or neither for a classifier"),
        ({"schedule": None}, "^schedule, predicts: expected both, or neither for a classifier"),
    ],
)
def test_a_card_of_nonsense_is_refused(changes, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        replace(made()[1], **changes)


# What ships


@pytest.mark.parametrize("name", weights.names(weights.DENOISERS))
def test_what_draws_is_what_its_card_says(name):
    denoiser, card = weights.load_shipped(name)
    assert (type(denoiser.network).__name__, card.name) == (card.network, name)
    assert (denoiser.predicts, denoiser.classes) == (card.predicts, card.config["classes"])


@pytest.mark.parametrize("name", weights.names(weights.CLASSIFIERS))
def test_what_classifies_is_what_its_card_says(name):
    classifier, card = weights.load_classifier(name)
    assert (type(classifier).__name__, card.name) == (card.network, name)


def test_the_classifier_that_ships_is_as_accurate_as_its_card_says():
    classifier, card = weights.load_classifier("classifier-digits")
    images = data.digits("test")
    right = classifier(data.to_signed(images.images, images.levels)).argmax(1) == images.labels
    assert right.float().mean().item() == pytest.approx(results.find(card.measured, "accuracy").value, abs=3e-3)


def test_names_are_the_sorted_cards_of_the_folder_that_ships(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    for name in ("b", "a-2"):
        weights.save(tmp_path / name, *made())
    assert weights.names() == ["a-2", "b"]


def test_names_can_be_those_of_a_kind(path, classifier_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    assert weights.names(weights.DENOISERS) == ["small"]
    assert weights.names(weights.CLASSIFIERS) == ["c"]
    assert weights.names() == ["c", "small"]


def test_load_shipped_reads_from_the_folder_that_ships(path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    assert weights.load_shipped("small")[1].data == "none"


@pytest.mark.parametrize("load", [weights.load_shipped, weights.card])
@pytest.mark.parametrize("name", ["large", "../small", ""])
def test_a_name_that_does_not_ship_is_refused_with_those_that_do(path, monkeypatch, name, load):
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    with pytest.raises(ValueError, match=f"^name: expected one of small, got '{re.escape(name)}'"):
        load(name)


def test_a_classifiers_name_that_does_not_ship_is_refused_with_those_that_do(path, classifier_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    with pytest.raises(ValueError, match=r"^name: expected one of c, got 'd'"):
        weights.load_classifier("d")


def test_who_asks_for_what_the_file_is_not_is_told_what_it_is(path, classifier_path, monkeypatch):
    with pytest.raises(ValueError, match=r"^path: .* draws, \S*c is a DigitsClassifier; load_classifier reads it"):
        weights.load(classifier_path)
    with pytest.raises(ValueError, match=r"^name: .* classifier, \S*small is a UNet that draws; load reads it"):
        weights.load_classifier(path)
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    with pytest.raises(ValueError, match=r"^name: c is a Digits.*; .* one of small \(load_classifier gives"):
        weights.load_shipped("c")
    with pytest.raises(ValueError, match=r"^name: small is a UNet; .* one of c \(load_shipped gives"):
        weights.load_classifier("small")
    with pytest.raises(ValueError, match=r"^path: there is no small\.saf.*; load_shipped\('small'\) gives"):
        weights.load("small")


# Refusals


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_missing_file_is_named(path, suffix):
    path.with_suffix(suffix).unlink()
    with pytest.raises(ValueError, match=rf"^path: there is no .*small\{suffix}"):
        weights.load(path)


def test_a_save_that_is_killed_between_its_two_files_leaves_a_named_error_and_the_next_mends_it(path, monkeypatch):
    net, card = made()
    with torch.no_grad():
        net.head.bias += 1

    def killed(file, write):
        if file.suffix == ".json":
            raise KeyboardInterrupt
        replace_file(file, write)

    replace_file = weights.replace_file
    with monkeypatch.context() as patch:
        patch.setattr(weights, "replace_file", killed)
        with pytest.raises(KeyboardInterrupt):
            weights.save(path, net, card)
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors is not the file .* save that was cut off"):
        weights.load(path)
    weights.save(path, net, card)
    assert torch.equal(weights.load(path)[0].network.head.bias, net.head.bias)


def test_a_file_with_one_bit_changed_is_named(path):
    file = path.with_suffix(".safetensors")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors is not the file its card names"):
        weights.load(path)


def test_weights_without_a_hash_in_the_card_are_not_trusted(path):
    edit(path, sha256="")
    with pytest.raises(ValueError, match="is not the file its card names"):
        weights.load(path)


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"colour": "red"}', "\udcff"])
def test_a_card_that_is_none_is_named(path, text):
    path.with_suffix(".json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"^path: .*small\.json is not a card of weights"):
        weights.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"channels_in": 1, "width": 4, "depth": 7}},
        {"config": {"channels_in": 1, "width": 5}},
        {"config": {"channels_in": 1, "width": 4, "patch": 0}},
        {"schedule": {"kind": "square", "T": 20}},
        {"schedule": {"T": 20}},
        {"schedule": {"kind": "cosine", "beta_1": 1e-4}},
    ],
)
def test_a_card_with_impossible_arguments_is_named(path, changes):
    edit(path, **changes)
    with pytest.raises(ValueError, match=r"^path: .*small\.json is not a card of weights"):
        weights.load(path)


def test_an_unknown_network_is_refused_with_those_known(path):
    edit(path, network="Transformer")
    message = r"^path: .*small\.json .*network: expected one of UNet, .*, got 'Transformer'"
    with pytest.raises(ValueError, match=message):
        weights.load(path)


def test_weights_of_another_network_are_named(path):
    edit(path, config={"channels_in": 1, "width": 8})
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors does not hold the network its card"):
        weights.load(path)


def test_a_file_that_is_not_safetensors_is_named(path):
    file = path.with_suffix(".safetensors")
    file.write_bytes(b"not tensors")
    edit(path, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors does not hold"):
        weights.load(path)


def test_a_lack_of_tensors_is_named(path):
    file = path.with_suffix(".safetensors")
    save_file({key: value for key, value in load_file(file).items() if "head" not in key}, file)
    edit(path, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"does not hold the network its card describes"):
        weights.load(path)


def test_numbers_that_are_not_finite_are_named(path):
    file = path.with_suffix(".safetensors")
    save_file(load_file(file) | {"head.bias": torch.full((1,), torch.nan)}, file)
    edit(path, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors does not .* finite in head\.bias$"):
        weights.load(path)


def test_what_does_not_fit_is_said_in_one_line(path):
    edit(path, config={"channels_in": 1, "width": 8})
    with pytest.raises(ValueError, match=r"size mismatch for \S+: copying a param") as refused:
        weights.load(path)
    assert len(str(refused.value).splitlines()) == 1


def test_nothing_in_the_package_unpickles():
    root = Path(diffusion_lesson.__file__).parent
    pattern = re.compile(r"torch\.(load|save)\b|\b(import|from) (pickle|shelve|joblib)|allow_pickle=True")
    assert [file.name for file in root.rglob("*.py") if pattern.search(file.read_text("utf-8"))] == []
