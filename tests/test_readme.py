"""README: what it names exists."""

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch

from diffusion_lesson.learning import data, metrics, recipes, results, weights

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:process|learning)\.[\w.]+)`", README))))
def test_a_function_of_the_equation_table_exists(name: str) -> None:
    module, function = name.rsplit(".", 1)
    assert callable(getattr(import_module(f"diffusion_lesson.{module}"), function))


def _code_of(lesson: str) -> str:
    """What a lesson's cells run, by its number."""
    (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("row", re.findall(r"^\| .+ \| `(?:process|learning)\..+ \| [\d, ]+ \|$", README, re.M))
def test_the_equation_table_names_lessons_that_use_its_functions(row: str) -> None:
    functions = [name.rsplit(".")[-1] for name in re.findall(r"`([\w.]+)`", row)]
    lessons = {number: _code_of(number) for number in re.findall(r"\d+", row.split("|")[-2])}
    used = {
        (name, number) for name in functions for number, code in lessons.items() if re.search(rf"\b{name}\b", code)
    }
    assert {name for name, _ in used} == set(functions)
    assert {number for _, number in used} == set(lessons)


def test_every_lesson_is_in_the_map() -> None:
    lessons = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert lessons <= set(re.findall(r"\]\(([^)]+)\)", README))


def test_the_two_commands_come_first() -> None:
    first = README.split("```sh")[1].split("```")[0]
    assert re.findall(r"^make (\w+)", first, re.M) == ["lab", "test"]


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "bench/README.md", ".ci/run"])
def test_what_make_is_asked_for_is_a_target(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(" ".join(re.findall(r"^([a-z ]+):", makefile, re.M)).split())
    (phony,) = re.findall(r"^\.PHONY: (.+)", makefile, re.M)
    asked = set(re.findall(r"(?:^|`|bench-peers )make ([a-z]+)", text, re.M))
    assert asked
    assert asked <= targets == set(phony.split())


def _row(name: str) -> str:
    """What README's tables say of weights or of a recipe."""
    (found,) = (line for line in README.splitlines() if line.startswith(f"| `{name}`"))
    return found


@pytest.mark.parametrize("name", ["cifar10", "mnist", "mnist-without-7", "digits"])
def test_the_scores_of_weights_that_ship_are_those_of_their_cards(name: str) -> None:
    row = _row(name)
    for record in weights.card(name).measured:
        if record.metric == "bits_per_dim":
            assert f"{record.value:.2f} ± {record.parts['standard error']:.2f}" in row
            assert f"{record.n:,}" in row
        # those of digits are in its recipe's row, and those of colour with a note on bench/colour.md
        elif record.metric == "frechet_distance" and name != "digits" and not (name == "cifar10" and record.how):
            assert f"{record.value:g}" in row
            assert f"{record.n:,}" in row


@pytest.mark.parametrize("name", [name for name, recipe in recipes.RECIPES.items() if recipe.measured])
def test_the_scores_of_recipes_are_those_that_they_hold(name: str) -> None:
    printed = [float(number) for number in re.findall(r"\d+\.\d+", _row(name))]
    for record in recipes.RECIPES[name].measured:
        assert all(any(abs(number - distance) < 0.0501 for number in printed) for distance in record.values)


def test_noise_scores_what_the_row_of_digits_says() -> None:
    judge, _ = weights.load_classifier("classifier-digits")
    sets = [data.digits(split) for split in ("train", "test")]
    real = torch.cat([data.to_signed(one.images, one.levels) for one in sets])
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    drawn = data.to_signed(data.to_uint8(noise, sets[0].levels), sets[0].levels)
    distance = metrics.frechet_distance(*(metrics.features(judge, x) for x in (drawn, real)))
    (told,) = re.findall(r"clipped Gaussian noise about (\d+)", _row("digits-20s"))
    assert abs(distance - int(told)) < 6  # six seeds: 188 to 193


def test_what_training_for_the_bits_takes_off_them_is_what_was_measured() -> None:
    likelihood = json.loads((ROOT / "bench" / "likelihood.json").read_text("utf-8"))
    before, after = results.read([likelihood["before"], likelihood["after"]])
    minutes = likelihood["training"]["cpu_seconds"] / 60
    printed = f"{minutes:.0f} CPU-minutes more on the bound itself take off {before.value - after.value:.2f}"
    assert printed in _row("mnist")


def _map() -> dict[str, str]:
    """The rows of the lesson map by the lesson's file, and the minutes that they end with."""
    rows = re.findall(r"^\| \d\d \| .*\]\(notebooks/(\w+\.ipynb)\).* \| (\d+) \|$", README, re.M)
    return dict(rows)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")), ids=lambda p: p.stem)
def test_the_minutes_of_the_map_are_those_that_the_lesson_tells(path: Path) -> None:
    first = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"])
    number = _map()[path.name]
    words = {"10": "ten minutes", "40": "forty minutes", "60": "an hour"}
    assert f"{number} minutes" in first or words.get(number, "?") in first


def test_the_minutes_of_a_reader_in_a_hurry_add_up() -> None:
    hurried = [int(number) for name, number in _map().items() if name[:2] in ("03", "04", "10")]
    assert 80 <= sum(hurried) <= 100
    assert len(hurried) == 3
    assert "an hour and a half in which you train" in README
