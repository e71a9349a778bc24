"""The browser tests find the Chromium of each kind of system, and say what was left out without one."""

import shutil
from pathlib import Path

import pytest

from tests.browser import chrome

HOME_LESS = {"PATH": "/nowhere"}


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", "utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("command", chrome.COMMANDS)
def test_on_path(command, tmp_path):
    expected = program(tmp_path / "bin" / command)
    assert chrome.find({"PATH": str(tmp_path / "bin")}, "linux", tmp_path) == str(expected)


@pytest.mark.parametrize(
    ("system", "file"),
    [*(("darwin", f"Applications/{name}") for name in chrome.MAC), ("linux", "snap/bin/chromium")],
)
def test_where_installers_put_it(system, file, tmp_path):
    expected = program(tmp_path / file)
    assert chrome.find(HOME_LESS, system, tmp_path) == str(expected)


@pytest.mark.parametrize("variable", ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"])
@pytest.mark.parametrize("file", chrome.WINDOWS)
def test_on_windows(variable, file, tmp_path):
    expected = program(tmp_path / "Program Files" / file)
    assert chrome.find(HOME_LESS | {variable: str(tmp_path / "Program Files")}, "win32", tmp_path) == str(expected)


def test_chrome_in_ones_own_applications_of_a_mac(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    expected = program(tmp_path / "me" / "Applications" / chrome.MAC[0])
    assert chrome.find(HOME_LESS, "darwin", tmp_path) == str(expected)


def test_nowhere(tmp_path):
    assert [chrome.find(HOME_LESS, system, tmp_path) for system in ("linux", "darwin", "win32")] == [None] * 3


def test_a_named_one_goes_first(tmp_path):
    program(tmp_path / "bin" / "chromium")
    named = program(tmp_path / "mine")
    assert chrome.find({"CHROMIUM": str(named), "PATH": str(tmp_path / "bin")}, "linux", tmp_path) == str(named)


def test_a_name_that_is_no_program_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"^CHROMIUM: expected a browser that can be run, got '/nowhere/chrome'"):
        chrome.find({"CHROMIUM": "/nowhere/chrome", "PATH": "/nowhere"}, "linux", tmp_path)


def test_no_path_at_all_is_the_paths_that_every_shell_looks_in(tmp_path):
    assert chrome.find({}, "linux", tmp_path) == next(
        filter(None, (shutil.which(command, path="/bin:/usr/bin") for command in chrome.COMMANDS)), None
    )


def test_what_is_left_out_is_counted_by_its_reason():
    assert chrome.unchecked([]) == []
    assert chrome.unchecked(["no npm", "no browser", "no npm"]) == [
        "NOT CHECKED: 2 tests of the figures in a browser. no npm",
        "NOT CHECKED: 1 test of the figures in a browser. no browser",
    ]
