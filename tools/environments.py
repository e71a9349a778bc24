"""The checks in other environments: other Pythons, the oldest packages that pyproject.toml allows, the newest.

python tools/environments.py                     the unit tests in every lane; each makes an environment of its own
python tools/environments.py oldest newest       these lanes
python tools/environments.py --lessons 03 12     compares these lessons' outputs too
python tools/environments.py --forget            deletes each environment after its lane (2 to 7 GB with CUDA)

A lane whose Python is not on this machine is skipped, with a word. TORCH_INDEX is obeyed as by make.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".venv-lanes"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TOLD = ("torch", "numpy", "matplotlib", "pillow", "scikit-learn", "ipywidgets", "pytest")

# Elsewhere than among the pinned versions a word about the future is counted, not a failure: to hear it is what
# these lanes are for. Every other warning stays an error.
WARNINGS = [f"-Wdefault::{kind}" for kind in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")]
UNIT = ("tests", "--ignore=tests/browser", "-m", "not pinned", "-q", "-n", "2", *WARNINGS)
STRICT = (
    *("-c", "tests/nbval.ini", "--nbval", "--nbval-sanitize-with", "tests/sanitize.cfg", "--nbval-current-env"),
    *("--nbval-cell-timeout", "300", "-q"),
)


@dataclass(frozen=True)
class Lane:
    """A name, what it forces, and what makes it so: a Python ("3.12"), and lines that constrain pip."""

    name: str
    forces: str
    version: str
    constraints: tuple[str, ...]


def lanes() -> list[Lane]:
    """The lanes, the cheapest first."""
    pins = tuple((ROOT / "constraints.txt").read_text("utf-8").split())
    versions = ("3.11", "3.12", "3.13")
    out = [
        Lane(f"python{version}", f"Python {version}, the pinned packages", version, pins) for version in versions
    ]
    lowest, highest = versions[0], versions[-1]
    out.append(Lane("oldest", f"Python {lowest}, every lower bound of pyproject.toml", lowest, lower_bounds()))
    return [*out, Lane("newest", f"Python {highest}, the newest that the registry has", highest, ())]


def lower_bounds() -> tuple[str, ...]:
    """`name==version` for every requirement of the package and its extras, at the version after its `>=`."""
    lines = PROJECT["dependencies"] + [
        line for extra in PROJECT["optional-dependencies"].values() for line in extra
    ]
    bounds = {}
    for requirement in map(Requirement, lines):
        for bound in requirement.specifier:
            if bound.operator == ">=":
                bounds[requirement.name] = f"{requirement.name}=={bound.version}"
    return tuple(bounds.values())


def interpreter(version: str) -> str | None:
    """A Python of this version: by its name on PATH, under pyenv, or Debian's own. None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [
        shutil.which(f"python{version}"),
        *map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)),
    ]
    for python in filter(None, [*found, f"/usr/bin/python{version}"]):
        command = [python, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        try:  # pyenv puts a python3.12 on PATH that runs none
            told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        except OSError:
            continue
        if told.strip() == version:
            return python
    return None


def environment(lane: Lane, python: str) -> str:
    """The Python of this lane's environment, made where it is not there or was made of something else."""
    folder = KEPT / lane.name
    inside, stamp = folder / "bin" / "python", folder / "made-of"
    constraints = "\n".join(lane.constraints) + "\n"
    made_of = hashlib.sha256(f"{python}\n{constraints}{PROJECT}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text("utf-8") == made_of:
        return str(inside)
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    (folder / "constraints.txt").write_text(constraints, "utf-8")
    pip = [
        str(inside),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "-c",
        str(folder / "constraints.txt"),
    ]
    if os.environ.get("TORCH_INDEX"):
        subprocess.run([*pip, "--index-url", os.environ["TORCH_INDEX"], "torch"], check=True)
    subprocess.run([*pip, "-e", f"{ROOT}[dev]"], check=True)
    stamp.write_text(made_of, "utf-8")
    return str(inside)


def versions(python: str) -> str:
    """What is in an environment, in words."""
    program = f"from importlib.metadata import version as v; print(', '.join(n + ' ' + v(n) for n in {TOLD}))"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def run(python: str, arguments: tuple[str, ...]) -> tuple[bool, str]:
    """(whether pytest is green, its last line)."""
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONWARNINGS")}
    variables |= {"PYTHONUTF8": "1", "QUIET": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [python, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    last = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        last = line.strip() or last
    return process.wait() == 0, re.sub(r"^=+ | =+$", "", last)


def play(lane: Lane, lessons: list[str]) -> Iterator[tuple[str, bool, str]]:
    """(what was run, whether it is green, its last line), one after the other."""
    python = interpreter(lane.version)
    if python is None:
        yield "skipped", True, f"no python{lane.version} on PATH, under pyenv or in /usr/bin"
        return
    try:
        inside = environment(lane, python)
    except subprocess.CalledProcessError as error:
        yield "install", False, f"pip ended with {error.returncode}"
        return
    yield "versions", True, versions(inside)
    yield "unit tests", *run(inside, UNIT)
    for lesson in lessons:
        (path,) = ROOT.glob(f"notebooks/{lesson}*.ipynb")
        yield path.stem, *run(inside, (*STRICT, str(path)))


def main() -> int:
    """1 where a lane is red."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {lane.name: lane for lane in lanes()}
    parser.add_argument("lanes", nargs="*", metavar="lane", help=f"of {', '.join(known)}; all where none is named")
    parser.add_argument(
        "--lessons", nargs="*", default=[], metavar="NN", help="lessons whose outputs are compared too"
    )
    parser.add_argument("--forget", action="store_true", help="delete each environment after its lane")
    arguments = parser.parse_args()
    unknown = set(arguments.lanes) - known.keys()
    if unknown:
        parser.error(f"lane: expected some of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    table, red = [], False
    for name in arguments.lanes or known:
        begun = time.monotonic()
        print(f"== {name}: {known[name].forces}", flush=True)
        for what, green, words in play(known[name], arguments.lessons):
            red |= not green
            minutes = (time.monotonic() - begun) / 60
            table.append(f"{name:<11} {'green' if green else 'RED  '} {minutes:5.1f} min  {what}: {words}")
            print(table[-1], flush=True)
        if arguments.forget:
            shutil.rmtree(KEPT / name, ignore_errors=True)
    print("\n".join(["", *table]))
    return int(red)


if __name__ == "__main__":
    sys.exit(main())
