"""What tools expect of a repository: attributes, hooks, a citation, an issue form, marks of a package."""

import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml

import diffusion_lesson

ROOT = Path(__file__).parents[1]
HOOKS = {
    hook["id"]: hook
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    for hook in repo["hooks"]
}


def git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git here")


def attribute(name: str, file: str) -> str:
    return git("check-attr", name, "--", file).rpartition(": ")[2].strip()


def test_the_docstring_is_a_map_of_the_package() -> None:
    rows = [re.split(r"  +", line, maxsplit=1) for line in diffusion_lesson.__doc__.splitlines()[2:] if line]
    rooms = {name for names, _ in rows for name in names.split(", ")}
    assert rooms == {module.name for module in pkgutil.iter_modules(diffusion_lesson.__path__)}
    for names, words in rows:
        inside = re.search(r": ([\w, ]+)$", words)
        for module in inside[1].split(", ") if inside and (ROOT / "diffusion_lesson" / names).is_dir() else ():
            assert (ROOT / "diffusion_lesson" / names / f"{module}.py").is_file(), (names, module)


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "diffusion_lesson/__init__.py"
    assert diffusion_lesson.__version__ == metadata.version("diffusion-lesson")


def test_a_user_s_type_checker_believes_the_package(tmp_path: Path) -> None:
    """By py.typed, wherever the package is installed: without it mypy passes over `import diffusion_lesson`."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=os.name != "nt")
    (python,) = (tmp_path / "venv").glob("*/python.exe" if os.name == "nt" else "bin/python")
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    (site / "diffusion_lesson").mkdir()
    for name in ("__init__.py", "py.typed"):
        (site / "diffusion_lesson" / name).write_bytes((ROOT / "diffusion_lesson" / name).read_bytes())
    user = "import diffusion_lesson\nreveal_type(diffusion_lesson.__version__)\n"
    (tmp_path / "user.py").write_text(user, "utf-8")
    checker = [sys.executable, "-m", "mypy", "--config-file=", "--python-executable", python, "user.py"]
    without = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(checker, cwd=tmp_path, env=without, capture_output=True, text=True, check=False)
    assert re.search(r"Revealed type is .*str", done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "attributes"),
    {
        "diffusion_lesson/process/elbo.py": {"eol": "lf", "text": "auto"},
        "figures/chain.svg": {"eol": "lf", "diff": "unset"},  # compared byte for byte
        "notebooks/03_forward_process.ipynb": {"linguist-documentation": "set", "diff": "jupyternotebook"},
        "diffusion_lesson/learning/trained/digits.safetensors": {"binary": "set", "text": "unset"},
        "diffusion_lesson/learning/trained/digits.png": {"binary": "set", "text": "unset"},
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_git_knows_what_each_kind_of_file_is(file: str, attributes: dict[str, str]) -> None:
    assert (ROOT / file).is_file()
    assert {name: attribute(name, file) for name in attributes} == attributes


def test_no_text_is_kept_with_the_line_ends_of_windows() -> None:
    lines = git("ls-files", "--eol").splitlines()
    assert len(lines) > 100
    assert [line for line in lines if not re.match(r"i/(lf|-text|none)\s", line)] == []


def test_nothing_that_a_run_wrote_is_kept() -> None:
    """A checkpoint in the current folder was, once: a test had left it there."""
    kept = git("ls-files").splitlines()
    top = "CITATION.cff CONTRIBUTING.md LICENSE Makefile README.md constraints.txt environment.yml pyproject.toml"
    assert {name for name in kept if "/" not in name and not name.startswith(".")} == set(top.split())
    trained = [name for name in kept if name.endswith((".safetensors", ".lock"))]
    assert {str(Path(name).parent) for name in trained} <= {"diffusion_lesson/learning/trained"}


def test_the_findings_say_of_which_version_and_stand_alone() -> None:
    for script in (ROOT / "findings").glob("*.sh"):
        text = script.read_text("utf-8")
        assert re.match(r"#!/usr/bin/env bash\n# [\w.-]+ \d+\.\d+", text), script.name
        assert "diffusion_lesson" not in text, script.name


def test_the_findings_can_be_run() -> None:
    modes = [line.split()[0] for line in git("ls-files", "-s", "findings").splitlines()]
    assert modes
    assert set(modes) == {"100755"}


def test_the_hooks_are_local_and_download_nothing() -> None:
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}


GOOD = {"python": '"""Words."""\n\nx = {"a": 1}\n', "jupyter": '"""Words."""\n'}
BAD = {"python": "import os\nx={'a' : 1}\n", "jupyter": "import os\n1;"}


def written(path: Path, source: str) -> str:
    if path.suffix == ".py":
        path.write_text(source, "utf-8")
    else:
        from tools.notebook_tool import text_of

        cell = nbformat.v4.new_code_cell(source, execution_count=1)
        path.write_text(text_of(nbformat.v4.new_notebook(cells=[cell])), "utf-8")
    return str(path)


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_passes_what_is_good_and_stops_what_is_not(hook: dict[str, str], tmp_path: Path) -> None:
    kind = "python" if "python" in hook.get("types_or", hook.get("types")) else "jupyter"
    program, *arguments = shlex.split(hook["entry"])
    command = [str(Path(sys.executable).with_name(Path(program).name)), *arguments]
    for sources, passes in ((GOOD, True), (BAD, False)):
        file = written(tmp_path / f"a.{'py' if kind == 'python' else 'ipynb'}", sources[kind])
        done = subprocess.run([*command, file], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == passes, done.stdout + done.stderr


def test_the_citation_has_what_the_format_asks_for() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (ROOT / "README.md").read_text("utf-8").startswith(f"# {citation['title']}\n")
    holder = re.search(r"Copyright \(c\) \d+ (.+)", (ROOT / "LICENSE").read_text("utf-8"))
    assert holder is not None
    assert citation["authors"] == [{"name": holder[1]}]


@pytest.mark.parametrize("form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem)
def test_an_issue_form_has_what_github_asks_for(form: Path) -> None:
    found = yaml.safe_load(form.read_text("utf-8"))
    assert {"name", "description", "body"} <= found.keys()
    names = [item["id"] for item in found["body"]]
    assert len(set(names)) == len(names) > 0
    for item in found["body"]:
        assert item["type"] in ("input", "textarea", "dropdown", "checkboxes", "markdown")
        assert item["attributes"]["label"]
