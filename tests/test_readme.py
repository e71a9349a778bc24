"""README: what it names exists."""

import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:process|learning)\.[\w.]+)`", README))))
def test_a_function_of_the_equation_table_exists(name: str) -> None:
    module, function = name.rsplit(".", 1)
    assert callable(getattr(import_module(f"diffusion_lesson.{module}"), function))


def test_every_lesson_is_in_the_map() -> None:
    lessons = {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert lessons <= set(re.findall(r"\]\(([^)]+)\)", README))


def test_the_two_commands_come_first_and_are_targets() -> None:
    first = README.split("```sh")[1].split("```")[0]
    targets = reduce(
        set.union, (set(t.split()) for t in re.findall(r"^([a-z ]+):", (ROOT / "Makefile").read_text(), re.M))
    )
    assert re.findall(r"^make (\w+)", first, re.M) == ["lab", "test"]
    assert {"lab", "test"} <= targets
