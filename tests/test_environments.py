"""The environments of other versions: their bounds are pyproject's, and a Python that is not here is told."""

import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_project import requirements
from tools import environments

ALL = {environment.name: environment for environment in environments.environments()}
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with one folder on PATH, another for pyenv, and nothing in them."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(environments, "KEPT", tmp_path / "kept")
    return tmp_path


def program(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


def test_the_oldest_are_the_lower_bounds_of_every_requirement():
    bounds = {line.name: line.specifier for line in map(Requirement, ALL["oldest"].constraints)}
    assert bounds.keys() == {r.name for r in requirements()}
    for requirement in requirements():
        (bound,) = bounds[requirement.name]
        assert f">={bound.version}" in str(requirement.specifier).split(",")
    assert ALL["newest"].constraints == ()


@pytest.mark.parametrize("place", ["bin/python3.99", "pyenv/versions/3.99.1/bin/python"])
def test_a_python_is_found_by_its_name_or_under_pyenv(bare, place):
    program(bare / place, "echo 3.99")
    assert environments.interpreter("3.99") == str(bare / place)


def test_a_shim_that_runs_no_python_is_passed_by(bare):
    program(bare / "bin" / "python3.99", "echo 'pyenv: python3.99: command not found' >&2; exit 127")
    assert environments.interpreter("3.99") is None
    program(bare / "pyenv" / "versions" / "3.99.0" / "bin" / "python", "echo 3.99")
    assert environments.interpreter("3.99") == str(bare / "pyenv/versions/3.99.0/bin/python")


def test_without_its_python_an_environment_says_so(bare):
    absent = environments.Environment("future", "3.99", (), "")
    assert environments.make(absent) == "no python3.99 on PATH, under pyenv or in /usr/bin"


def test_an_install_that_fails_is_told_and_not_taken_for_made(bare, monkeypatch, capfd):
    monkeypatch.setattr(environments, "interpreter", lambda version: sys.executable)
    monkeypatch.setattr(environments, "ROOT", bare / "nothing to install")
    one = environments.Environment("one", HERE, (), "")
    assert environments.make(one) == "-m pip install ended with 1"
    assert not (bare / "kept" / "one" / "made-of").exists()
    assert "nothing to install" in capfd.readouterr().err


def test_colab_has_one_version_of_each_and_they_are_in_the_ranges_of_pyproject():
    """Where one is not, installing the course would change what Colab has."""
    versions = {canonicalize_name(r.name): r.specifier for r in map(Requirement, ALL["colab"].constraints)}
    assert {str(specifier)[:2] for specifier in versions.values()} == {"=="}
    assert len(versions) == len(ALL["colab"].constraints)
    needed = {r.name: r.specifier for r in map(Requirement, environments.PROJECT["dependencies"])}
    assert needed.keys() - versions.keys() == {"jaxtyping"}
    for name in needed.keys() & versions.keys():
        (pin,) = versions[name]
        assert needed[name].contains(pin.version), name


def test_what_the_course_changes_of_a_lived_in_environment_is_named(bare, monkeypatch):
    """Pip is played by a Python that has other packages after the course came."""
    before, after = (
        {"numpy": "2.1.3", "old": "1", "torch": "2.11.0"},
        {"numpy": "2.3", "torch": "2.11.0", "new": "1"},
    )
    versions = iter([before, after])
    monkeypatch.setattr(environments, "installed", lambda environment: next(versions))
    monkeypatch.setattr(environments, "interpreter", lambda version: sys.executable)
    monkeypatch.setattr(
        environments.subprocess, "run", lambda command, **_: (bare / "kept/one").mkdir(parents=True, exist_ok=True)
    )
    one = environments.Environment("one", HERE, ("numpy==2.1.3",), "", lived_in=True)
    assert environments.make(one) == "installing the course changes numpy 2.1.3 to 2.3, old 1 to nothing"
    assert not (bare / "kept" / "one" / "made-of").exists()


def test_an_unknown_environment_is_refused(capsys):
    assert environments.main(["future"]) == 2
    assert f"environment: expected some of {', '.join(ALL)}, got future" in capsys.readouterr().out
