"""figures/: what is committed is what its script draws, byte for byte."""

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import nbformat
import pytest

from figures.roadmap import LESSONS, RESTS_ON

FIGURES = Path(__file__).parents[1] / "figures"
SCRIPTS = sorted(path for path in FIGURES.glob("*.py") if path.name != "style.py")
BUILD = """
import importlib, pathlib, sys
for name in sys.argv[2:]:
    importlib.import_module(f"figures.{name}").build(pathlib.Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every figure, drawn in one process that has nothing of the tests'."""
    folder = tmp_path_factory.mktemp("figures")
    command = [sys.executable, "-c", BUILD, folder, *(script.stem for script in SCRIPTS)]
    subprocess.run(command, cwd=FIGURES.parent, check=True)
    return folder


@pytest.mark.pinned  # another matplotlib writes other bytes
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_figure_is_what_its_script_draws(script: Path, drawn: Path) -> None:
    assert (drawn / f"{script.stem}.svg").read_bytes() == script.with_suffix(".svg").read_bytes()


def test_every_svg_has_its_script_and_says_what_is_seen() -> None:
    drawings = sorted(FIGURES.glob("*.svg"))
    assert [path.stem for path in drawings] == [path.stem for path in SCRIPTS]
    for path in drawings:
        text = path.read_text("utf-8")
        assert "<dc:description>" in text
        assert "<dc:date>" not in text


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in FIGURES.glob("*.svg")) < 200_000


def _asked_for(lesson: Path) -> set[str]:
    """The lessons that the line "You should know …" names, in its first sentence or by a link."""
    lines = nbformat.read(lesson, 4).cells[0].source.splitlines()
    (line,) = (line for line in lines if line.startswith("You should know"))
    named = re.findall(r"lessons? (\d\d(?:(?:, | and )\d\d)*)", line.split(". ")[0])
    return set(re.findall(r"\d\d", " ".join(named))) | set(re.findall(r"\[(\d\d) ·", line))


def _all_before(direct: dict[str, set[str]]) -> dict[str, set[str]]:
    """What each lesson rests on in the end, when only what it rests on at once is given."""
    whole: dict[str, set[str]] = {}
    for lesson in sorted(direct):  # none asks for a later one
        whole[lesson] = direct[lesson].union(*(whole[before] for before in direct[lesson]))
    return whole


def _direct(arrows: list[tuple[str, str]]) -> dict[str, set[str]]:
    return {lesson: {before for before, after in arrows if after == lesson} for lesson in LESSONS}


def test_the_arrows_of_the_roadmap_are_what_the_lessons_ask_for() -> None:
    paths = {path.name[:2]: path for path in (FIGURES.parent / "notebooks").glob("*.ipynb")}
    assert paths.keys() - LESSONS.keys() == {"00"}
    asked = {lesson: _asked_for(paths[lesson]) for lesson in LESSONS}
    assert set(chain.from_iterable(asked.values())) <= LESSONS.keys()
    assert _all_before(_direct(RESTS_ON)) == _all_before(asked)


@pytest.mark.parametrize("arrow", RESTS_ON, ids="-".join)
def test_no_arrow_of_the_roadmap_follows_from_the_others(arrow: tuple[str, str]) -> None:
    others = [other for other in RESTS_ON if other != arrow]
    assert _all_before(_direct(others)) != _all_before(_direct(RESTS_ON))
