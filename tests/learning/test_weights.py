"""Trained weights and their cards: what is written is what is read, and what is not is named."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import diffusion_lesson
from diffusion_lesson.learning import data, weights
from diffusion_lesson.networks.classifier import DigitsClassifier
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.process.schedule import cosine

CARD = {
    "name": "small", "schedule": {"kind": "cosine", "T": 20}, "predicts": "v", "size": 8, "levels": 17,
    "data": "none", "recipe": {"steps": 3}, "measured": {"loss": 0.5},
}  # fmt: skip


def made(dtype=torch.float32):
    torch.manual_seed(0)
    net = UNet(1, 4, mults=(1, 2), classes=2, attention=True)
    return net.to(dtype), weights.Card(network="UNet", config=net.config, **CARD)


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
    model, _, _ = weights.read(path)
    expected = made()[0].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_the_network_comes_back_with_its_options_in_eval_mode(path):
    model, _, _ = weights.read(path)
    assert (type(model), model.config, model.training) == (UNet, made()[0].config, False)


def test_the_schedule_comes_back(path):
    _, schedule, _ = weights.read(path)
    assert torch.equal(schedule.betas, cosine(20).betas)


def test_the_card_comes_back_as_save_returned_it(tmp_path):
    card = weights.save(tmp_path / "small", *made())
    assert weights.read(tmp_path / "small")[2] == card
    assert card.sha256 != ""


def test_the_names_of_the_classes_come_back(tmp_path):
    net, card = made()
    weights.save(tmp_path / "named", net, replace(card, classes=("cat", "dog")))
    assert weights.read(tmp_path / "named")[2].classes == ("cat", "dog")


def test_a_card_from_before_classes_had_names_has_none(path):
    note = path.with_suffix(".json")
    old = {key: value for key, value in json.loads(note.read_text("utf-8")).items() if key != "classes"}
    note.write_text(json.dumps(old), "utf-8")
    assert weights.read(path)[2].classes == ()


@pytest.mark.parametrize(
    "names", [("cat",), ("cat", "cat"), ("cat", "dog", "owl"), ("cat", 1), ["cat", "dog"], "ab", None]
)
def test_names_that_are_not_one_for_each_class_are_refused(names, without_type_checks):
    with pytest.raises(ValueError, match=r"^classes: expected none or 2 names, no two alike, got "):
        replace(made()[1], classes=names)


def test_half_precision_on_the_disk_is_single_in_memory(tmp_path):
    weights.save(tmp_path / "half", *made(torch.float16))
    model, _, _ = weights.read(tmp_path / "half")
    assert {value.dtype for value in load_file(tmp_path / "half.safetensors").values()} == {torch.float16}
    assert all(
        torch.equal(value, made()[0].state_dict()[key].half().float()) for key, value in model.state_dict().items()
    )


def test_a_classifier_has_no_schedule(tmp_path):
    card = CARD | {"schedule": None, "predicts": None}
    weights.save(tmp_path / "c", DigitsClassifier(), weights.Card(network="DigitsClassifier", config={}, **card))
    model, schedule, _ = weights.read(tmp_path / "c")
    assert (type(model), schedule) == (DigitsClassifier, None)


def test_saving_makes_the_folder_and_leaves_two_files(tmp_path):
    weights.save(tmp_path / "new" / "v1.0", *made())
    assert {file.name for file in (tmp_path / "new").iterdir()} == {"v1.0.safetensors", "v1.0.json"}


def test_others_may_read_the_file_as_any_other(path):
    assert path.with_suffix(".safetensors").stat().st_mode == path.with_suffix(".json").stat().st_mode


# What ships


@pytest.mark.parametrize("name", weights.names())
def test_what_ships_is_what_its_card_says(name):
    model, _, card = weights.load(name)
    assert (type(model).__name__, card.name) == (card.network, name)


def test_the_classifier_that_ships_is_as_accurate_as_its_card_says():
    classifier, _, card = weights.load("classifier-digits")
    images = data.digits("test")
    right = classifier(data.to_signed(images.images, images.levels)).argmax(1) == images.labels
    assert right.float().mean().item() == pytest.approx(card.measured["accuracy, 360 of digits('test')"], abs=3e-3)


def test_names_are_the_sorted_cards_of_the_folder_that_ships(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    for name in ("b", "a-2"):
        weights.save(tmp_path / name, *made())
    assert weights.names() == ["a-2", "b"]


def test_load_reads_from_the_folder_that_ships(path, monkeypatch):
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    assert weights.load("small")[2].data == "none"


@pytest.mark.parametrize("name", ["large", "../small", ""])
def test_a_name_that_does_not_ship_is_refused_with_those_that_do(path, monkeypatch, name):
    monkeypatch.setattr(weights, "SHIPPED", path.parent)
    with pytest.raises(ValueError, match=f"^name: expected one of small, got '{re.escape(name)}'"):
        weights.load(name)


# Refusals


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_missing_file_is_named(path, suffix):
    path.with_suffix(suffix).unlink()
    with pytest.raises(ValueError, match=rf"^path: there is no .*small\{suffix}"):
        weights.read(path)


def test_a_file_with_one_bit_changed_is_named(path):
    file = path.with_suffix(".safetensors")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors is not the file its card names"):
        weights.read(path)


def test_weights_without_a_hash_in_the_card_are_not_trusted(path):
    edit(path, sha256="")
    with pytest.raises(ValueError, match="is not the file its card names"):
        weights.read(path)


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"colour": "red"}', "\udcff"])
def test_a_card_that_is_none_is_named(path, text):
    path.with_suffix(".json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"^path: .*small\.json is not a card of weights"):
        weights.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"channels_in": 1, "width": 4, "depth": 7}},
        {"config": {"channels_in": 1, "width": 5}},
        {"schedule": {"kind": "square", "T": 20}},
        {"schedule": {"T": 20}},
        {"schedule": {"kind": "cosine", "beta_1": 1e-4}},
    ],
)
def test_a_card_with_impossible_arguments_is_named(path, changes):
    edit(path, **changes)
    with pytest.raises(ValueError, match=r"^path: .*small\.json is not a card of weights"):
        weights.read(path)


def test_an_unknown_network_is_refused_with_those_known(path):
    edit(path, network="Transformer")
    with pytest.raises(ValueError, match=r"^network: expected one of UNet, .*, got 'Transformer'"):
        weights.read(path)


def test_weights_of_another_network_are_named(path):
    edit(path, config={"channels_in": 1, "width": 8})
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors does not hold the network its card"):
        weights.read(path)


def test_a_file_that_is_not_safetensors_is_named(path):
    file = path.with_suffix(".safetensors")
    file.write_bytes(b"not tensors")
    edit(path, sha256=weights._sha256(file))
    with pytest.raises(ValueError, match=r"^path: .*small\.safetensors does not hold"):
        weights.read(path)


def test_a_lack_of_tensors_is_named(path):
    file = path.with_suffix(".safetensors")
    save_file({key: value for key, value in load_file(file).items() if "head" not in key}, file)
    edit(path, sha256=weights._sha256(file))
    with pytest.raises(ValueError, match=r"does not hold the network its card describes"):
        weights.read(path)


def test_nothing_in_the_package_unpickles():
    root = Path(diffusion_lesson.__file__).parent
    pattern = re.compile(r"torch\.(load|save)\b|\b(import|from) (pickle|shelve|joblib)|allow_pickle=True")
    assert [file.name for file in root.rglob("*.py") if pattern.search(file.read_text("utf-8"))] == []
