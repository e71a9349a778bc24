"""Trains our recipes and the peers at equal CPU-seconds, and scores them. A stopped run goes on where it was.

    python -m bench.run                  every job that results.json lacks, then the table and the plots
    python -m bench.run --minutes 60     begins no new job after 60 CPU-minutes
    python -m bench.run --only row/ours  jobs whose names begin so
    python -m bench.run --draw           only the table and the plots
    python -m bench.run --quick          a smoke run, of pictures that ship; its numbers mean nothing

Needs MNIST (downloaded once), and for the peers what bench/requirements.txt lists.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from diffusion_lesson.learning.files import replace_file

HERE = Path(__file__).parent
KEPT = HERE.parent / "runs"  # ignored by git
MACHINE = {"processor": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}


def main() -> None:
    """Run the jobs one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shrink everything")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="CPU-minutes for all jobs")
    parser.add_argument("--only", default="", help="the beginning of the names of the jobs to run")
    parser.add_argument("--draw", action="store_true", help="no job")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    runs = KEPT / ("bench-quick" if arguments.quick else "bench")
    file = runs / "results.json" if arguments.quick else HERE / "results.json"
    if arguments.job:
        one(arguments.job, file, quick=arguments.quick, runs=runs)
        return
    from bench.jobs import JOBS  # here, because it imports every contender

    for job in [] if arguments.draw else JOBS:
        if job in read(file)["jobs"] or not job.startswith(arguments.only):
            continue
        if used() > 60 * arguments.minutes:
            print(f"{used() / 60:.0f} CPU-minutes are used; the same command goes on from here")
            break
        print(f"{used() / 60:5.1f} CPU-minutes used; {job}", flush=True)
        command = [sys.executable, "-m", "bench.run", "--job", job, *(["--quick"] if arguments.quick else [])]
        quiet = os.environ | {"TQDM_DISABLE": "1"}
        if subprocess.run(command, env=quiet, cwd=HERE.parent, check=False).returncode:
            print(f"{job} failed; the others go on", flush=True)
    from bench.draw import draw
    from bench.table import write

    results = read(file)["jobs"]
    draw(results, runs if arguments.quick else HERE)
    write(results, (runs if arguments.quick else HERE) / "README.md", JOBS)


def one(job: str, file: Path, *, quick: bool, runs: Path) -> None:
    """Perform one job here, and write its entry into the file."""
    from bench.jobs import perform

    try:
        entry = perform(job, read(file)["jobs"], quick=quick, runs=runs)
    except (ModuleNotFoundError, LookupError) as error:
        print(f"{job} is left out: {error}")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(runs / "results.lock"):  # another run may be at it too
        everything = read(file)
        everything["jobs"][job] = entry
        replace_file(
            file, lambda path: path.write_text(json.dumps(_rounded(everything), indent=1) + "\n", "utf-8")
        )


def read(file: Path) -> dict[str, Any]:
    """All results so far."""
    return json.loads(file.read_text("utf-8")) if file.exists() else {"machine": MACHINE, "jobs": {}}


def used() -> float:
    """CPU-seconds of this process and of its jobs that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    main()
