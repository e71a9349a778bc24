"""The tool that breaks equations on purpose: what it makes of a formula, and of checks that can and can't fail."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.mutate import mutants


def made(source: str) -> set[str]:
    return {ast.unparse(mutant.tree) for mutant in mutants(source)}


@pytest.mark.parametrize(
    ("source", "mistakes"),
    [
        ("y = a + b", {"y = a - b"}),
        ("y = a / b", {"y = a * b"}),
        ("y = a * b", {"y = a / b", "y = b"}),
        ("y = -a", {"y = a"}),
        ("y = x ** k", {"y = x"}),
        ("y = x.sqrt()", {"y = x"}),
        ("y = sympy.sqrt(x)", {"y = x"}),
        ("y = table[t]", {"y = table[t - 1]"}),
        ("y = 3", {"y = 4"}),
        ("y = 0.5", {"y = 0.625"}),
    ],
)
def test_a_sign_a_root_an_index_a_factor(source: str, mistakes: set[str]) -> None:
    assert made(source) == mistakes


@pytest.mark.parametrize(
    "source",
    [
        "g = torch.Generator().manual_seed(3)",
        "z = torch.randn(3, 4)",
        "assert_close(a, b, atol=0.1, rtol=0)",
        "assert x < 0.01",
        'print(f"{x + 1}")',
        "n = 100_000",
        "import numpy",
    ],
)
def test_seeds_sizes_tolerances_and_messages_stay(source: str) -> None:
    assert made(source) == set()


SOUND = "# Check (1.1)\nassert 2 * 3 - 5 == 1"
VACUOUS = "# Check (1.2)\nx = 2 + 3\nassert x == x"
BY_WORDS = '# Check (1.3)\nx = 2 + 3\nprint(f"{x}")'
SET_UP = """import torch
from diffusion_lesson.process.schedule import Schedule
from diffusion_lesson.process.elbo import ledger
from diffusion_lesson.process.forward import q_step
b, one, half = 0.75, torch.ones(1, 1), torch.full((1, 1), 0.5)
missing = "to get it: %pip install it"  # a cell that only speaks of it is run like any other
# What PyTorch imports at a first call is imported here, and not by each mistake's process anew.
ledger(Schedule([b, b]), one, lambda x, t: x).total()
torch.testing.assert_close(half, half)"""
OF_THE_PACKAGE = """# Check (1.4)
ledger(Schedule([b, b]), one, lambda x, t: x).total()
torch.testing.assert_close(q_step(Schedule([b]), 1, one).mean, half)"""


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    cells = [new_code_cell(source) for source in (SET_UP, SOUND, VACUOUS, BY_WORDS, OF_THE_PACKAGE)]
    path = tmp_path / "01_lesson.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("words"), *cells]), path)
    return path


ROOT = Path(__file__).parents[1]


def run(lesson: Path, *more: str) -> subprocess.CompletedProcess[str]:
    # In a process of its own, since the shape checks of the tests wrap the functions that are to be broken.
    command = [sys.executable, "-m", "tools.break_equations", *more, str(lesson)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_a_check_that_cannot_fail_is_found_and_the_others_are_not(lesson: Path) -> None:
    done = run(lesson, "--most", "30")
    assert done.returncode == 1, done.stderr
    lines = {line.split("(")[1].split(")")[0]: line for line in done.stdout.splitlines() if "(1." in line}
    assert [tag for tag, line in lines.items() if "STAYS GREEN" in line] == ["1.2"]
    for tag in ("1.1", "1.3"):
        (noticed, tried), (_, package) = re.findall(r"(\d+) of (\d+)", lines[tag])
        assert (noticed == tried, package) == (True, "0")
    (_, (noticed, tried)) = re.findall(r"(\d+) of (\d+)", lines["1.4"])
    assert int(tried) >= int(noticed) > 3
    assert done.stdout.splitlines()[-1].endswith("green whatever is broken: 1.2")


@pytest.mark.skipif(sys.platform == "win32", reason="it forks")
def test_one_tag_can_be_asked_for(lesson: Path) -> None:
    done = run(lesson, "--tag", "1.1", "--quiet")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
