"""Environments of other versions: other Pythons, the oldest packages pyproject.toml allows, the newest, Colab.

python -m tools.environments            makes those whose Python is here, and says what is in them
python -m tools.environments oldest     this one

They lie in .venv-lanes: 2 GB each, 6 with PyPI's CUDA (TORCH_INDEX is obeyed, as by make); make clean deletes
them. tools.portable runs the checks in them.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".venv-lanes"
COLAB = ROOT / "tools" / "colab.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LISTED = ("torch", "numpy", "matplotlib", "pillow", "scikit-learn", "ipywidgets", "pytest")

# Among packages that are not pinned, a word about the future is counted and not a failure: to hear it is what
# these environments are for. Every other warning stays an error. Another matplotlib writes other bytes.
FUTURE = ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")
LENIENT = ("-m", "not pinned", *(f"-Wdefault::{kind}" for kind in FUTURE))


@dataclass(frozen=True)
class Environment:
    """A name and what makes it so: a Python such as "3.12", and lines that constrain pip.

    `lived_in`: all that these lines name is there before the course comes, and may not change when it does. The
    lessons can be run there, and not the unit tests.
    """

    name: str
    version: str
    constraints: tuple[str, ...]
    words: str
    options: tuple[str, ...] = ()  # for pytest
    lived_in: bool = False

    @property
    def python(self) -> Path:
        """Its interpreter, once it is made."""
        return KEPT / self.name / "bin" / "python"


def environments() -> list[Environment]:
    """All of them: the pinned packages with each Python, the oldest packages, the newest."""
    pins = tuple((ROOT / "constraints.txt").read_text("utf-8").split())
    colab = tuple(re.findall(r"^\S+==\S+$", COLAB.read_text("utf-8"), re.MULTILINE))
    versions = ("3.11", "3.12", "3.13")
    return [
        *(Environment(f"python{v}", v, pins, f"Python {v}, the pinned packages") for v in versions),
        Environment("oldest", versions[0], lower_bounds(), "every lower bound of pyproject.toml", LENIENT),
        Environment("newest", versions[-1], (), "the newest packages that the registry has", LENIENT),
        Environment("colab", versions[-1], colab, "what Colab has, and then the course", LENIENT, lived_in=True),
    ]


def lower_bounds() -> tuple[str, ...]:
    """`name==version` for every requirement of the package and its extras, at the version after its `>=`."""
    lines = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
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
        try:  # pyenv puts a python3.12 on PATH that may run none
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        except OSError:
            continue
        if said.strip() == version:
            return python
    return None


def make(environment: Environment) -> str | None:
    """Make it where it is not there, or was made of something else. Why it could not be, if so."""
    python = interpreter(environment.version)
    if python is None:
        return f"no python{environment.version} on PATH, under pyenv or in /usr/bin"
    folder, constraints = KEPT / environment.name, "\n".join(environment.constraints) + "\n"
    made_of = hashlib.sha256(f"{python}\n{constraints}{PROJECT}".encode()).hexdigest()
    stamp = folder / "made-of"
    if stamp.exists() and stamp.read_text("utf-8") == made_of:
        return None
    print(f"{environment.name}: installing into {folder}; some minutes", flush=True)
    pip = [str(environment.python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["-c", str(folder / "constraints.txt")]
    torch = [[*pip, "--index-url", index, "torch"]] if (index := os.environ.get("TORCH_INDEX")) else []
    try:
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        (folder / "constraints.txt").write_text(constraints, "utf-8")
        for command in torch:
            subprocess.run(command, check=True)
        if environment.lived_in:
            subprocess.run([*pip, "-r", str(folder / "constraints.txt")], check=True)
            before = installed(environment)
            subprocess.run([*pip[:-2], "-e", str(ROOT)], check=True)
            if words := changed(before, installed(environment)):
                return f"installing the course changes {words}"
        subprocess.run([*pip, *(["nbval"] if environment.lived_in else ["-e", f"{ROOT}[dev]"])], check=True)
    except subprocess.CalledProcessError as error:
        return f"{' '.join(map(str, error.cmd[1:4]))} ended with {error.returncode}"
    stamp.write_text(made_of, "utf-8")
    return None


def installed(environment: Environment) -> dict[str, str]:
    """The version of every package in the environment, by its name."""
    program = "import json; from importlib.metadata import distributions as d; "
    program += "print(json.dumps({x.metadata['Name']: x.version for x in d()}))"
    done = subprocess.run([environment.python, "-c", program], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


def changed(before: dict[str, str], after: dict[str, str]) -> str:
    """Which packages that were there are gone or have another version, in words; new ones are no change."""
    moved = {name: after.get(name, "nothing") for name, version in before.items() if after.get(name) != version}
    return ", ".join(f"{name} {before[name]} to {version}" for name, version in sorted(moved.items()))


def inside(environment: Environment) -> str:
    """The Python and the main packages of an environment, in words."""
    program = "import sys; from importlib.metadata import version as v; "
    program += f"print('Python', sys.version.split()[0] + ',', ', '.join(n + ' ' + v(n) for n in {LISTED}))"
    done = subprocess.run([environment.python, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main(names: list[str]) -> int:
    """1 where one could not be made, but for lack of its Python."""
    known = {environment.name: environment for environment in environments()}
    if unknown := set(names) - known.keys():
        print(f"environment: expected some of {', '.join(known)}, got {', '.join(sorted(unknown))}")
        return 2
    failed = 0
    for name in names or known:
        words = make(known[name])
        failed |= bool(words) and interpreter(known[name].version) is not None
        print(f"{name:<11} {words or inside(known[name])}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
