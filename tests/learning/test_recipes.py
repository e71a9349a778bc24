"""Recipes are whole: each builds its network, and `train` takes its settings."""

import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion_lesson.learning import data, recipes, weights
from diffusion_lesson.learning.training import train

NAMES = sorted(recipes.ALL)
BENCH = Path(__file__).parents[2] / "bench" / "results.json"
ROWS = {"mnist-60s": "ours-labels-60s", "mnist-3min": "ours-labels", "mnist-3min-eps": "ours-labels-eps"}
SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "mnist_small": (1, 28, 28), "cifar10": (3, 32, 32)}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_names_a_data_set_and_arguments_that_train_has(name):
    recipe = recipes.ALL[name]
    assert callable(getattr(data, recipe.data))
    assert set(recipe.training) <= set(inspect.signature(train).parameters)
    assert name.replace("-", "_").startswith(recipe.data)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_of_a_recipe_takes_its_pictures(name):
    recipe = recipes.ALL[name]
    model, schedule = recipe.build()
    x = torch.zeros(1, *SHAPES[recipe.data])
    with torch.no_grad():
        assert model(x, torch.tensor([schedule.T])).shape == x.shape
    assert recipe.conditional == (model.classes > 0)


def test_the_weights_come_from_the_seed_and_leave_the_global_generator_alone():
    recipe = recipes.ALL["digits-20s"]
    before = torch.get_rng_state()
    one, again, other = (recipe.build(seed)[0].stem.weight for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_two_steps_of_a_recipe_run():
    recipe = recipes.ALL["mnist-60s"]
    model, schedule = recipe.build()
    x, y = torch.zeros(10, 1, 28, 28), torch.arange(10)
    *_, last = train(model, x, schedule, **recipe.training | {"steps": 2}, labels=y)
    assert last.step == 2


def test_the_recipe_of_the_pictures_that_ship_differs_from_the_other_in_nothing_else():
    small, all_ = recipes.ALL["mnist-small-60s"], recipes.ALL["mnist-60s"]
    assert replace(small, data=all_.data, measured=all_.measured) == all_


@pytest.mark.parametrize("name", ROWS)
def test_what_is_measured_is_what_the_bench_wrote(name):
    jobs = json.loads(BENCH.read_text("utf-8"))["jobs"]
    found = [jobs[key] for key in sorted(jobs) if key.startswith(f"many/{ROWS[name]}/")]
    ((words, distances),) = recipes.ALL[name].measured.items()
    assert {words.replace("eta = ", "η=")} == {
        f"Fréchet distance, n = 5000, {entry['sampler']}" for entry in found
    }
    assert distances == pytest.approx([entry["distance"]["5000"] for entry in found], abs=0.051)


def test_the_digits_that_ship_were_trained_by_their_recipe():
    recipe, card = recipes.ALL["digits-20s"], weights.card("digits")
    assert recipe.training.items() <= card.recipe.items()
    assert recipe.schedule == card.schedule
    ((words, (distance,)),) = recipe.measured.items()
    assert card.measured[words] == distance
