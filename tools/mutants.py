"""Does a test notice? mutmut changes one small thing at a time in process/ and learning/metrics.py, and runs them.

python -m tools.mutants            an hour on two cores; goes on where it was stopped
python -m tools.mutants report     what the last run found, once more

A survivor is a change that no test notices: a test is missing, or the change changes nothing. Those of the second
kind are in tools/mutants.toml, each with its reason. Exit 1 where the score is below 95 %, where an entry of that
file names no survivor any more, or where a change was not tried. What is changed, and which tests run, says
[tool.mutmut] in pyproject.toml.

mutmut lives in .venv-mutants, which borrows the packages of the environment that asks, and works in mutants/; make
clean deletes both.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-mutants"
WORK = ROOT / "mutants"
KNOWN = ROOT / "tools" / "mutants.toml"
MUTMUT = "mutmut==3.8.1"
FLOOR = 0.95

KILLED = {"killed", "timeout", "caught by type check"}  # a crash may have another cause
OPEN = {"not checked", "check was interrupted by user"}


@dataclass(frozen=True)
class Change:
    """One change: in which function, which lines it takes out and which it puts there."""

    function: str
    out: tuple[str, ...]
    into: tuple[str, ...]

    def __str__(self) -> str:
        """As a diff without its surroundings."""
        lines = [f"    - {line}" for line in self.out] + [f"    + {line}" for line in self.into]
        return "\n".join([f"  {self.function}", *lines])


def function(name: str) -> str:
    """`process.elbo.Ledger._by_stratum` of `diffusion_lesson.process.elbo.xǁLedgerǁ_by_stratum__mutmut_5`."""
    module, _, mangled = name.rpartition(".")
    bare = mangled.rpartition("__mutmut_")[0]
    bare = bare.removeprefix("xǁ").replace("ǁ", ".") if bare.startswith("xǁ") else bare.removeprefix("x_")
    return f"{module.removeprefix('diffusion_lesson.')}.{bare}"


def change(name: str, diff: str) -> Change:
    """What `mutmut show` says, less the lines around it."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    out, into = (tuple(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Change(function(name), out, into)


def known(text: str) -> dict[Change, str]:
    """The changes that change nothing, with the reason of each, from the text of tools/mutants.toml."""
    found = {}
    for entry in tomllib.loads(text)["equivalent"]:
        for into in entry["into"]:
            one = Change(entry["function"], tuple(entry["out"].splitlines()), tuple(into.splitlines()))
            found[one] = entry["why"]
    return found


def report(outcomes: Iterable[str], survivors: Iterable[Change], reasons: dict[Change, str]) -> tuple[str, bool]:
    """In words: how many were killed, how many survived, which of these nobody explained; and whether it will do.

    The score is of the changes that change something.
    """
    counts, survivors = Counter(outcomes), list(survivors)
    unexplained = [one for one in survivors if one not in reasons]
    total, killed = counts.total(), sum(counts[status] for status in KILLED)
    equivalent = len(survivors) - len(unexplained)
    left = sum(counts[status] for status in OPEN)
    stale = [one for one in reasons if one not in survivors and not left]
    score = killed / max(total - equivalent, 1)
    lines = [
        f"{total} changes: {killed} killed, {len(survivors)} survived, of these {equivalent} change nothing "
        f"({KNOWN.name} says why)",
        f"score: {score:.1%} of the changes that change something",
    ]
    if left:
        lines += [f"{left} were not tried; the next run goes on with them"]
    if unexplained:
        lines += ["", "No test notices:", *map(str, unexplained)]
    if stale:
        lines += ["", f"{KNOWN.name} names what is no survivor:", *map(str, stale)]
    return "\n".join(lines), score >= FLOOR and not stale and not left


def environment() -> Path:
    """mutmut's program, installed where it is not: beside the packages that are here, with their pins."""
    program, stamp = HOME / "bin" / "mutmut", HOME / "made-of"
    made_of = f"{MUTMUT} {sys.version} {sys.prefix}"
    if not (stamp.exists() and stamp.read_text("utf-8") == made_of):
        print(f"installing {MUTMUT} into {HOME.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        (place,) = HOME.glob("lib/python*/site-packages")
        (place / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
        pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), MUTMUT], check=True)
        stamp.write_text(made_of, "utf-8")
    return program


def statuses(program: Path) -> dict[str, str]:
    """What became of each change, by mutmut's name for it."""
    done = subprocess.run(
        [program, "results", "--all", "true"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(re.findall(r"^ +(\S+): (.+)$", done.stdout, re.MULTILINE))


def shown(program: Path, name: str) -> Change:
    """One change, asked of mutmut."""
    done = subprocess.run([program, "show", name], cwd=ROOT, capture_output=True, text=True, check=True)
    return change(name, done.stdout)


def main(words: list[str]) -> int:
    """1 where the tests notice too little."""
    program = environment()
    if words != ["report"]:
        if WORK.exists() and not OPEN & set(statuses(program).values()):
            shutil.rmtree(WORK)  # a finished run: the tests may have changed since
        # The copy of the package in mutants/ is to be found, and no other.
        here = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
        subprocess.run(
            [program, "run", "--max-children", os.environ.get("WORKERS", "2")], cwd=ROOT, env=here, check=True
        )
    found = statuses(program)
    survivors = [shown(program, name) for name, status in found.items() if status not in KILLED | OPEN]
    text, good = report(found.values(), survivors, known(KNOWN.read_text("utf-8")))
    print(text)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
