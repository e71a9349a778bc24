"""Recipes are whole: each builds its network, and `train` takes its settings."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from diffusion_lesson.learning import data, recipes, weights
from diffusion_lesson.learning.training import train

NAMES = sorted(recipes.RECIPES)
BENCH = Path(__file__).parents[2] / "bench" / "results.json"
ROWS = {"mnist-3min": "ours-labels", "mnist-3min-eps": "ours-labels-eps"}
SETS = ("small", "all")  # what bench/more_data.py trains on
SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "mnist_small": (1, 28, 28), "cifar10": (3, 32, 32)}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_names_a_data_set(name):
    recipe = recipes.RECIPES[name]
    assert callable(getattr(data, recipe.data))
    assert name.replace("-", "_").startswith(recipe.data)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_of_a_recipe_takes_its_pictures(name):
    recipe = recipes.RECIPES[name]
    denoiser = recipe.build()
    x = torch.zeros(1, *SHAPES[recipe.data])
    with torch.no_grad():
        assert denoiser.network(x, torch.tensor([denoiser.schedule.T])).shape == x.shape
    assert recipe.conditional == (denoiser.classes > 0)


@pytest.mark.parametrize("name", NAMES)
def test_digits_are_not_mirrored_and_the_recipes_for_a_gpu_take_what_it_is_made_for(name):
    recipe = recipes.RECIPES[name]
    assert recipe.training.mirror == (recipe.data == "cifar10")
    if name.endswith("-gpu"):
        assert (recipe.training.batch_size, recipe.training.precision, recipe.training.optimizer) == (
            2048, "bf16", "muon",
        )  # fmt: skip


def test_the_weights_come_from_the_seed_and_leave_the_global_generator_alone():
    recipe = recipes.RECIPES["digits-20s"]
    before = torch.get_rng_state()
    one, again, other = (recipe.build(seed).network.stem.weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_steps_of_a_recipe_run():
    recipe = recipes.RECIPES["mnist-60s"]
    x, y = torch.zeros(10, 1, 28, 28), torch.arange(10)
    *_, last = train(recipe.build(), x, replace(recipe.training, steps=2), labels=y)
    assert last.step == 2


def test_the_recipe_of_the_pictures_that_ship_differs_from_the_other_in_nothing_else():
    small, all_ = recipes.RECIPES["mnist-small-60s"], recipes.RECIPES["mnist-60s"]
    assert replace(small, data=all_.data, measured=all_.measured) == all_


def measured(name, found):
    """The one record of a recipe is what these entries say, seed by seed."""
    (record,) = recipes.RECIPES[name].measured
    sampler = f"{record.sampler.replace(' = ', '=')}, guidance {record.guidance_scale:g}, {record.calls} calls"
    assert {sampler} == {entry["sampler"] for entry in found.values()}
    assert record.seeds == tuple(found)
    distances = [entry["distance"][str(record.n)] for entry in found.values()]
    assert record.values == pytest.approx(distances, abs=0.051)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_measured_is_what_the_bench_wrote(name):
    jobs = json.loads(BENCH.read_text("utf-8"))["jobs"]
    keys = sorted(key for key in jobs if key.startswith(f"many/{ROWS[name]}/"))
    measured(name, {int(key.split("/")[2]): jobs[key] for key in keys})


def test_what_is_measured_of_the_shortest_is_what_was_found_at_equal_seconds():
    jobs = json.loads(BENCH.with_name("equal.json").read_text("utf-8"))
    found = {int(key.split("/")[1]): entry for key, entry in jobs.items() if key.startswith("mnist-60s/")}
    measured("mnist-60s", found)
    assert {entry["steps"] for entry in found.values()} == {recipes.RECIPES["mnist-60s"].training.steps}


def test_what_more_data_buys_is_what_the_bench_wrote():
    """The recipe of the 5,000 holds both its own numbers and those of all 60,000, seed by seed."""
    found = json.loads(BENCH.with_name("more_data.json").read_text("utf-8"))
    records = recipes.RECIPES["mnist-small-60s"].measured
    scores = [(score, name) for score in ("distance", "nearness") for name in SETS]
    for record, (score, name) in zip(records, scores, strict=True):
        expected = [entry[score] for job, entry in sorted(found.items()) if job.startswith(f"{name}/")]
        assert record.values == pytest.approx(expected, abs=0.051 if score == "distance" else 0.0051)
        assert record.seeds == tuple(range(len(expected)))
        assert bool(record.how) == (name == "all")
    assert f"DDIM η=1, guidance 2, {records[0].calls} calls" == found["small/0"]["sampler"]


def test_the_digits_that_ship_were_trained_by_their_recipe():
    recipe, card = recipes.RECIPES["digits-20s"], weights.card("digits")
    then = asdict(recipe.training) | {"predicts": recipe.predicts}  # a card of version 0.1 says what was chosen
    assert {name: then[name] for name in then.keys() & card.recipe.keys()}.items() <= card.recipe.items()
    assert {"steps", "batch_size", "learning_rate", "ema", "predicts", "seed"} <= card.recipe.keys()
    assert recipe.schedule == card.schedule
    (record,) = recipe.measured
    assert record in card.measured
