"""The lessons' outputs and the unit tests, on other processors and versions: each lane plays one at hand.

    python -m tools.portable                          # all lanes
    python -m tools.portable processors               # no other versions, which are downloaded
    python -m tools.portable sse4.1 oldest            # some
    python -m tools.portable avx2 --notebooks 02 12 --unit tests/process

Each line of the table says what was forced and what was then in force: PyTorch's own code, oneDNN's for
convolutions, threads. Whole logs are in .portable/. The exit status is 1 where a lane fails.

When the variables count, measured with PyTorch 2.13 on an AVX-512 machine (bits of random numbers, sums, products
and convolutions, each variable set before the import, after it, and after a first operation):

- ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA: until the first operation that asks. After it PyTorch obeys neither.
- OMP_NUM_THREADS, OPENBLAS_CORETYPE (NumPy's products) and NPY_DISABLE_CPU_FEATURES: before the import only.
- GLIBC_TUNABLES (math.cos, `**`): before Python starts. So a lane sets all of them for a new process.
- MKL_CBWR: before the import. (MKL_ENABLE_INSTRUCTIONS changed no bit on AMD.)
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from tools import environments

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".portable"
NUDGE = ROOT / "tools" / "nudge"
NBVAL = [
    *("-c", "tests/nbval.ini", "--nbval", "--nbval-sanitize-with", "tests/sanitize.cfg"),
    *("--nbval-current-env", "--nbval-cell-timeout", "900"),
]
PARTS = ("notebooks", "unit tests")
PLAYED = """
import sys, matplotlib, numpy, torch
print("versions: Python", *sys.version.split()[:1], "torch", torch.__version__, "numpy", numpy.__version__,
      "matplotlib", matplotlib.__version__)
print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
torch.nn.functional.conv2d(torch.randn(8, 16, 28, 28), torch.randn(32, 16, 3, 3))
"""


def own() -> str:
    """What PyTorch takes this processor for: DEFAULT (below AVX2; PyTorch 2.6 says NO AVX), AVX2 or AVX512."""
    return _today(torch.backends.cpu.get_cpu_capability())


def _today(capability: str) -> str:
    return "DEFAULT" if capability == "NO AVX" else capability


def without(level: str) -> str:
    """The variable that keeps NumPy from its code for newer processors; it may name only what there is."""
    from numpy._core._multiarray_umath import __cpu_dispatch__

    older = ("SSSE3", "SSE41", "POPCNT", "SSE42", "X86_V2")
    newest = {"AVX2": ("AVX512", "X86_V4"), "SSE4.1": ("",)}[level]
    return " ".join(name for name in __cpu_dispatch__ if name.startswith(newest) and name not in older)


def no_x86() -> str | None:
    """Why SSE4.1 can't be played here."""
    return None if platform.machine().lower() in ("x86_64", "amd64") else f"this is no x86: {platform.machine()}"


def no_avx2() -> str | None:
    """Why AVX2 can't be played here."""
    return None if own() in ("AVX2", "AVX512") else f"this processor has no AVX2: PyTorch calls it {own()}"


def no_avx512() -> str | None:
    """Why there is nothing to do for AVX-512: it can't be played, or is the machine's own."""
    return "the lane `own` is on AVX-512" if own() == "AVX512" else "this processor has no AVX-512"


@dataclass(frozen=True)
class Lane:
    """What is set for its processes; the interpreter that runs them; and why it can't be played, if so.

    What a lane needs is made when `why_not` is asked. `unit` are options of its unit tests for pytest; `parts` is
    what is run in it.
    """

    name: str
    forced: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    why_not: Callable[[], str | None] = lambda: None
    unit: tuple[str, ...] = ()
    parts: tuple[str, ...] = PARTS


def lanes() -> dict[str, Lane]:
    """All lanes by name: other processors first, then other versions."""
    plain = "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"
    sse = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
    sse |= {"OPENBLAS_CORETYPE": "Nehalem", "GLIBC_TUNABLES": plain, "NPY_DISABLE_CPU_FEATURES": without("SSE4.1")}
    avx2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    avx2 |= {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": without("AVX2")}
    known = [
        Lane("sse4.1", sse, why_not=no_x86),
        Lane("avx2", avx2, why_not=no_avx2),
        Lane("avx512", {"ATEN_CPU_CAPABILITY": "avx512"}, why_not=no_avx512),
        Lane("own"),
        Lane("threads", {"OMP_NUM_THREADS": "2"}),
        Lane("nudged", {"PYTHONPATH": str(NUDGE), "NUDGE": "1e-7"}),
    ]
    for other in environments.environments():
        ready = partial(environments.make, other)
        parts = PARTS[:1] if other.lived_in else PARTS
        known.append(Lane(other.name, python=str(other.python), why_not=ready, unit=other.options, parts=parts))
    return {lane.name: lane for lane in known}


def surroundings(lane: Lane) -> dict[str, str]:
    """The variables of its processes: this shell's, one thread, no progress bars, and what is forced."""
    ours = {name for known in lanes().values() for name in known.forced} - {"PYTHONPATH"}
    variables = {name: value for name, value in os.environ.items() if name not in ours}
    variables |= {"QUIET": "1", "OMP_NUM_THREADS": "1"} | lane.forced
    # torch.compile keeps what it compiled, and does not ask again for which processor. It calls g++ without quotes
    # (PyTorch 2.13), so its folder may have no space in its path, which a checkout's may.
    variables["TORCHINDUCTOR_CACHE_DIR"] = str(Path(tempfile.gettempdir(), "diffusion-lesson-compiled", lane.name))
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    others = [path for path in inherited if Path(path).resolve() != NUDGE]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [lane.forced.get("PYTHONPATH"), str(ROOT), *others]))
    return variables


def in_force(lane: Lane) -> str:
    """What PyTorch and oneDNN say of themselves in the lane."""
    variables = surroundings(lane) | {"ONEDNN_VERBOSE": "1"}
    done = subprocess.run([lane.python, "-c", PLAYED], env=variables, capture_output=True, text=True, check=True)
    said = re.search(r"^(NO AVX|\S+) (\d+)$", done.stdout, re.MULTILINE)
    convolutions = re.search(r",isa:(.*)$", done.stdout, re.MULTILINE)
    threads = "" if said is None else f"{said[2]} thread{'s' if said[2] != '1' else ''}"
    words = f"PyTorch {_today(said[1])}, {threads}" if said else "PyTorch: unknown"
    versions = re.search(r"^versions: (.*)$", done.stdout, re.MULTILINE)
    words += f", oneDNN {convolutions[1].split(' with ')[0]}" if convolutions else ""
    return words + (f", {versions[1]}" if versions else "")


@dataclass(frozen=True)
class Verdict:
    """One part of a lane, and how it ended."""

    lane: Lane
    part: str
    good: bool
    minutes: float
    words: str


def run(lane: Lane, part: str, what: list[str]) -> Verdict:
    """The notebooks or the unit tests of a lane."""
    begun = time.monotonic()
    command = [lane.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]
    command += [*NBVAL, *what] if part == "notebooks" else ["--ignore=tests/browser", *lane.unit, *what]
    done = subprocess.run(command, cwd=ROOT, env=surroundings(lane), capture_output=True, text=True)
    LOGS.mkdir(exist_ok=True)
    log = LOGS / f"{lane.name}, {part}.log"
    log.write_text(done.stdout + done.stderr, "utf-8")
    minutes = (time.monotonic() - begun) / 60
    lines = done.stdout.strip().splitlines() or [f"pytest said nothing (exit status {done.returncode})"]
    failed = [line.partition(" - ")[0] for line in lines if line.startswith(("FAILED", "ERROR "))]
    last = re.sub(r" in \d.*|=", "", lines[-1]).strip()
    return Verdict(lane, part, done.returncode == 0, minutes, "\n    ".join([last, *failed]))


def report(verdict: Verdict) -> str:
    """Its line of the table."""
    word = "green" if verdict.good else "RED"
    return f"{verdict.lane.name:10s} {verdict.part:10s} {word:5s} {verdict.minutes:6.1f} min  {verdict.words}"


def main(arguments: list[str]) -> int:
    """1 where a lane fails, else 0."""
    known = lanes()
    versions = [environment.name for environment in environments.environments()]
    groups = {"processors": [name for name in known if name not in versions], "versions": versions}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "lanes", nargs="*", metavar="lane", help=f"some of {', '.join([*known, *groups])}; all unless told"
    )
    parser.add_argument("--notebooks", nargs="*", metavar="NN", help="only these lessons, or none")
    parser.add_argument("--unit", nargs="*", metavar="path", help="only these unit tests, or none")
    parser.add_argument("--at-once", type=int, default=min(2, os.cpu_count() or 1), help="parts that run together")
    given = parser.parse_args(arguments)
    if unknown := set(given.lanes) - set(known) - set(groups):
        parser.error(f"lane: expected some of {', '.join([*known, *groups])}, got {', '.join(sorted(unknown))}")
    every = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
    wanted = (
        every if given.notebooks is None else [path for path in every if Path(path).name[:2] in given.notebooks]
    )
    what = {"notebooks": wanted, "unit tests": ["tests"] if given.unit is None else given.unit}
    work = []
    for name in dict.fromkeys(one for asked in given.lanes or known for one in groups.get(asked, [asked])):
        if words := known[name].why_not():
            print(f"{name:10s} skipped: {words}")
            continue
        forced = ", ".join(f"{key}={value}" for key, value in known[name].forced.items()) or "nothing"
        print(f"{name:10s} {in_force(known[name])}; forced: {forced}", flush=True)
        work += [(known[name], part, what[part]) for part in known[name].parts if what[part]]
    with ThreadPoolExecutor(max(1, given.at_once)) as pool:
        verdicts = []
        for verdict in pool.map(lambda job: run(*job), work):
            verdicts.append(verdict)
            print(report(verdict), flush=True)
    bad = [verdict for verdict in verdicts if not verdict.good]
    print(f"{len(verdicts) - len(bad)} of {len(verdicts)} parts green" + (f"; logs in {LOGS}" if bad else ""))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
