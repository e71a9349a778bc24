"""README: what it names exists."""

import re
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
