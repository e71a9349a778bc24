"""figures/: what is committed is what its script draws, byte for byte."""

import subprocess
import sys
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[1] / "figures"
SCRIPTS = sorted(path for path in FIGURES.glob("*.py") if path.name != "style.py")
BUILD = "import importlib, pathlib, sys; importlib.import_module(sys.argv[1]).build(pathlib.Path(sys.argv[2]))"


@pytest.mark.pinned  # another matplotlib writes other bytes
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_figure_is_what_its_script_draws(script: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUILD, f"figures.{script.stem}", str(tmp_path)]
    subprocess.run(command, cwd=FIGURES.parent, check=True)
    assert (tmp_path / f"{script.stem}.svg").read_bytes() == script.with_suffix(".svg").read_bytes()


def test_every_svg_has_its_script_and_says_what_is_seen() -> None:
    drawings = sorted(FIGURES.glob("*.svg"))
    assert [path.stem for path in drawings] == [path.stem for path in SCRIPTS]
    for path in drawings:
        text = path.read_text("utf-8")
        assert "<dc:description>" in text
        assert "<dc:date>" not in text


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in FIGURES.glob("*.svg")) < 200_000
