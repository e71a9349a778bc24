"""pyproject.toml, environment.yml and constraints.txt ask for the same packages."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = canonicalize_name(PROJECT["name"])
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "playwright": "playwright-python"}


def requirements():
    """Every requirement of the package and its extras, but for the package's own extras."""
    lines = PROJECT["dependencies"] + [r for extra in PROJECT["optional-dependencies"].values() for r in extra]
    return [r for r in map(Requirement, lines) if canonicalize_name(r.name) != OURS]


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


@pytest.fixture(scope="module")
def conda(environment):
    """The conda packages with their ranges."""
    lines = map(Requirement, (line for line in environment["dependencies"] if isinstance(line, str)))
    return {line.name: line.specifier for line in lines}


@pytest.fixture(scope="module")
def pins():
    lines = map(Requirement, (ROOT / "constraints.txt").read_text("utf-8").split())
    return {canonicalize_name(line.name): line.specifier for line in lines}


def test_environment_yml_has_the_ranges_of_pyproject(conda):
    expected = {CONDA_NAMES.get(r.name, r.name): r.specifier for r in requirements()}
    python = {"python": Requirement("python" + PROJECT["requires-python"]).specifier}
    assert conda == expected | python | {"pip": Requirement("pip").specifier}


def test_environment_yml_takes_packages_from_conda_forge_and_this_one_from_here(environment):
    assert environment["channels"] == ["conda-forge"]
    assert environment["dependencies"][-1] == {"pip": ["-e .[dev]"]}


def test_the_dev_extra_has_all_of_lab():
    assert f"{PROJECT['name']}[lab]" in PROJECT["optional-dependencies"]["dev"]


def test_constraints_pin_one_version_each(pins):
    assert all([p.operator for p in pin] == ["=="] for pin in pins.values())


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_the_pin_of_constraints_is_in_the_range_of_pyproject(requirement, pins):
    (pin,) = pins[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin.version)
