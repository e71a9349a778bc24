"""pyproject.toml, environment.yml and constraints.txt ask for the same packages, and every Python takes them."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

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


PINS = {
    canonicalize_name(line.name): line.specifier
    for line in map(Requirement, (ROOT / "constraints.txt").read_text("utf-8").split())
}


def oldest_python():
    """The first release of the series that requires-python begins with: 3.11 means 3.11.0."""
    (bound,) = SpecifierSet(PROJECT["requires-python"])
    assert bound.operator == ">="
    return bound.version if bound.version.count(".") == 2 else f"{bound.version}.0"


def ci_pythons():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    return workflow["jobs"]["test"]["strategy"]["matrix"]["python"]


def test_environment_yml_has_the_ranges_of_pyproject(conda):
    expected = {CONDA_NAMES.get(r.name, r.name): r.specifier for r in requirements()}
    python = {"python": Requirement("python" + PROJECT["requires-python"]).specifier}
    assert conda == expected | python | {"pip": Requirement("pip").specifier}


def test_environment_yml_takes_packages_from_conda_forge_and_this_one_from_here(environment):
    assert environment["channels"] == ["conda-forge"]
    assert environment["dependencies"][-1] == {"pip": ["-e .[dev]"]}


def test_the_dev_extra_has_all_of_lab():
    assert f"{PROJECT['name']}[lab]" in PROJECT["optional-dependencies"]["dev"]


def test_constraints_pin_one_version_each():
    assert all([p.operator for p in pin] == ["=="] for pin in PINS.values())


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_the_pin_of_constraints_is_in_the_range_of_pyproject(requirement):
    (pin,) = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pin.version)


@pytest.mark.pinned
@pytest.mark.parametrize("name", PINS)
def test_a_pin_is_what_is_installed_and_takes_every_python_that_we_take(name):
    """A package says in its metadata which Pythons it takes; pip refuses it elsewhere, and with it the course."""
    (pin,) = PINS[name]
    installed = metadata.metadata(name)  # raises where it is not installed: then nobody needs the pin
    assert Version(installed["Version"]) in SpecifierSet(f"=={pin.version}"), "make installs what is pinned"
    takes = SpecifierSet(installed["Requires-Python"] or "")
    assert [python for python in (oldest_python(), *ci_pythons()) if python not in takes] == []


@pytest.mark.pinned
def test_all_that_the_course_needs_is_pinned():
    """Else two installs a month apart are two courses."""
    known, todo = set(), {(OURS, "dev")}
    while todo:
        name, extra = todo.pop()
        known.add((name, extra))
        for line in map(Requirement, metadata.requires(name) or ()):
            if line.marker is None or any(line.marker.evaluate({"extra": e}) for e in ("", extra)):
                needed = {(canonicalize_name(line.name), e) for e in ("", *line.extras)}
                todo |= needed - known
    assert {name for name, _ in known} - PINS.keys() == {OURS}


def test_the_codespace_and_the_page_are_made_by_targets_of_make():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    made = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))["postCreateCommand"]
    assert made.split()[:2] == ["make", ".venv/lab"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text("utf-8"))
    steps = workflow["jobs"]["page"]["steps"]
    (run,) = (step["run"] for step in steps if "run" in step)
    assert run == "make page"
    (upload,) = (step["with"]["path"] for step in steps if "upload" in step.get("uses", ""))
    assert f'ROOT / "{upload}"' in (ROOT / "website" / "build.py").read_text("utf-8")
    assert re.search(r"^\.venv/lab ", makefile, re.M)
    assert re.search(r"^page:", makefile, re.M)
