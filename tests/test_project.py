"""pyproject.toml, environment.yml and constraints.txt ask for the same packages, and every Python takes them."""

import json
import re
import sys
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


def needed(python):
    """All that the course installs, with its tools, under a Python such as "3.12". Of each the metadata is asked.

    What PyTorch takes for a GPU is PyTorch's to name: which of it there is depends on the index it comes from.
    """
    version = {"python_version": python, "python_full_version": f"{python}.0"}
    known, todo = set(), {(OURS, "dev")}
    while todo:
        name, extra = todo.pop()
        known.add((name, extra))
        try:
            lines = map(Requirement, metadata.requires(name) or ())
        except metadata.PackageNotFoundError:
            continue  # another Python's
        for line in lines:
            if name == "torch" and "platform_system" in str(line.marker):
                continue
            if line.marker is None or any(line.marker.evaluate(version | {"extra": e}) for e in ("", extra)):
                todo |= {(canonicalize_name(line.name), e) for e in ("", *line.extras)} - known
    return {name for name, _ in known} - {OURS}


@pytest.fixture(scope="module")
def needed_by():
    """What each Python that CI has needs, and this one."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {python: needed(python) for python in {here, *ci_pythons()}} | {"here": needed(here)}


@pytest.mark.pinned
@pytest.mark.parametrize("name", PINS)
def test_a_pin_is_what_is_installed_and_takes_every_python_that_we_take(name, needed_by):
    """A package says in its metadata which Pythons it takes; pip refuses it elsewhere, and with it the course."""
    (pin,) = PINS[name]
    pythons = [python for python, names in needed_by.items() if name in names]
    assert pythons, "nobody needs the pin"
    if "here" not in pythons:
        pytest.skip(f"only Python {', '.join(sorted(pythons))} needs it")
    installed = metadata.metadata(name)
    assert Version(installed["Version"]) in SpecifierSet(f"=={pin.version}"), "make installs what is pinned"
    takes = SpecifierSet(installed.get("Requires-Python", ""))  # some packages don't say
    assert [python for python in (oldest_python(), *ci_pythons()) if python not in takes] == []


@pytest.mark.pinned
def test_all_that_the_course_needs_is_pinned(needed_by):
    """Else two installs a month apart are two courses."""
    assert set().union(*needed_by.values()) - PINS.keys() == set()


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
