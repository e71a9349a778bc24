"""Is a check worth its tag? Break what it rests on, one mistake at a time, and see whether it complains.

python -m tools.break_equations notebooks/05_bayes_posterior.ipynb …    # exit 1 where a check stays green

A lesson is run once. At each cell with lines `# Check (n.m)` the process forks for every mistake: one in the
cell's own formulas, or one in a function of the package that the cell calls. The child runs it: red, if it
raises or prints another text (nbval compares what is printed); else green. Where no mistake turns it red, the
check can't fail. The mistakes that stay green are listed, to be read by a person: some change nothing (a factor
on both sides), the others show what the check does not hold.
"""

import argparse
import ast
import contextlib
import inspect
import io
import os
import random
import re
import signal
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import nbformat

from tools.mutate import Mutant, mutants

PACKAGE = "diffusion_lesson"
NOT_MATHEMATICS = ("page",)
Namespace = dict[str, Any]


@dataclass
class Verdict:
    """What became of one check cell: how many mistakes were tried, and which of them stayed green."""

    lesson: str
    cell: int
    tags: list[str]
    own: int = 0
    package: int = 0
    own_green: list[str] = field(default_factory=list)
    package_green: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line."""
        own, package = self.own - len(self.own_green), self.package - len(self.package_green)
        where = f"{self.lesson[:2]} cell {self.cell}, ({'), ('.join(self.tags)})"
        words = f"{where}: own {own} of {self.own} noticed, package {package} of {self.package}"
        return words + ("" if self.red else "   STAYS GREEN")

    @property
    def red(self) -> int:
        """Mistakes that the check noticed."""
        return self.own + self.package - len(self.own_green) - len(self.package_green)


def run(code: CodeType, names: Namespace) -> str:
    """What the cell prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        exec(code, names)
    return said.getvalue()


def complains(trial: Callable[[], str], truth: str, seconds: float) -> bool:
    """Whether the trial, in a child of this process, raises, prints another text, or never ends."""
    child = os.fork()
    if child == 0:
        red = True
        try:
            signal.alarm(max(1, int(seconds)))
            red = trial() != truth
        except BaseException:  # whatever it raises is the complaint
            red = True
        os._exit(red)
    return os.waitpid(child, 0)[1] != 0


def called(code: CodeType, names: Namespace) -> list[FunctionType]:
    """The package's functions that the cell calls. A child runs it, so that nothing changes here."""
    seen: dict[CodeType, None] = {}

    def watch(frame: Any, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        room = (*module.split("."), "")[1]
        if event == "call" and module.startswith(f"{PACKAGE}.") and room not in NOT_MATHEMATICS:
            seen.setdefault(frame.f_code, None)

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            sys.setprofile(watch)
            run(code, names)
        sys.setprofile(None)
        lines = "\n".join(f"{c.co_filename}\t{c.co_qualname}" for c in seen)
        os.write(writing, lines.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        wanted = {tuple(line.split("\t")) for line in pipe.read().splitlines() if "\t" in line}
    os.waitpid(child, 0)
    return [f for f in _functions() if (f.__code__.co_filename, f.__code__.co_qualname) in wanted]


def _functions() -> Iterator[FunctionType]:
    """The plain functions and methods of the package's loaded modules."""
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(PACKAGE + "."):
            continue
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) != name:
                continue
            members = vars(value).values() if inspect.isclass(value) else [value]
            for member in members:
                plain = inspect.unwrap(member) if callable(member) else getattr(member, "fget", None)
                if isinstance(plain, FunctionType) and plain.__code__.co_filename == module.__file__:
                    yield plain  # not what dataclass wrote


def broken(function: FunctionType) -> Iterator[tuple[CodeType, str]]:
    """The function's code with one mistake each. Functions inside functions are left out."""
    source = textwrap.dedent(inspect.getsource(function))
    for mutant in mutants(source):
        definition = mutant.tree.body[0]
        if not isinstance(definition, ast.FunctionDef):
            return
        definition.decorator_list = []
        # Only the code is taken, so what its defaults are does not matter.
        definition.args.defaults = [ast.Constant(0) for _ in definition.args.defaults]
        definition.args.kw_defaults = [value and ast.Constant(0) for value in definition.args.kw_defaults]
        names: Namespace = {}
        future = ast.parse("from __future__ import annotations").body
        module = ast.fix_missing_locations(ast.Module([*future, definition], []))
        exec(compile(module, function.__code__.co_filename, "exec"), names)
        code = names[function.__name__].__code__
        if code.co_freevars == function.__code__.co_freevars:
            yield code, f"{function.__qualname__}: {mutant.words}"


def examine(path: Path, *, most: int, only: str | None = None) -> Iterator[Verdict]:
    """One verdict for each check cell of the lesson; of the package's mistakes at most `most`, drawn by a seed."""
    names: Namespace = {"__name__": "__main__", "display": lambda *_, **__: None}
    for k, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            continue
        tags = re.findall(r"^# Check \(([\d.]+)\)", cell.source, re.MULTILINE)
        code = compile(cell.source, f"<cell {k}>", "exec")
        if tags and (only is None or only in tags):
            yield _verdict(Verdict(path.stem, k, tags), cell.source, code, names, most)
        run(code, names)


def _verdict(verdict: Verdict, source: str, code: CodeType, names: Namespace, most: int) -> Verdict:
    begun = time.perf_counter()
    reading, writing = os.pipe()
    if os.fork() == 0:  # the true text, without touching our own names
        os.write(writing, run(code, names).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        truth = pipe.read()
    os.wait()
    patience = 10 + 5 * (time.perf_counter() - begun)

    def with_cell(mutant: Mutant) -> str:
        return run(compile(mutant.tree, "<a broken cell>", "exec"), names)

    def with_function(function: FunctionType, wrong: CodeType) -> str:
        function.__code__ = wrong
        return run(code, names)

    if complains(lambda: run(code, names), truth, patience):
        raise RuntimeError(
            f"{verdict.lesson}, cell {verdict.cell}: complains without any mistake; nothing can be told"
        )
    for mutant in mutants(source):
        verdict.own += 1
        if not complains(partial(with_cell, mutant), truth, patience):
            verdict.own_green.append(f"line {mutant.line}: {mutant.words}")
    trials = [(f, wrong, words) for f in called(code, names) for wrong, words in broken(f)]
    random.Random(0).shuffle(trials)
    for function, wrong, words in trials[:most]:
        verdict.package += 1
        if not complains(partial(with_function, function, wrong), truth, patience):
            verdict.package_green.append(words)
    return verdict


def main(arguments: list[str]) -> int:
    """1 where a check stays green whatever is broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument(
        "--most", type=int, default=20, help="mistakes in the package tried for a cell (%(default)s)"
    )
    parser.add_argument("--tag", help="only the cell that checks this equation")
    parser.add_argument("--quiet", action="store_true", help="no list of the mistakes that stay green")
    asked = parser.parse_args(arguments)
    os.environ.setdefault("MPLBACKEND", "agg")
    warnings.simplefilter("ignore")
    verdicts: list[Verdict] = []
    for path in (p.resolve() for p in asked.notebooks):
        os.chdir(path.parent)
        for v in examine(path, most=asked.most, only=asked.tag):
            verdicts.append(v)
            print(v, flush=True)
            for words in [] if asked.quiet else v.own_green + v.package_green:
                print(f"      green: {words}", flush=True)
    tags = sum(len(v.tags) for v in verdicts)
    tried, noticed = sum(v.own + v.package for v in verdicts), sum(v.red for v in verdicts)
    green = [tag for v in verdicts if not v.red for tag in v.tags]
    print(f"{tags} tags in {len(verdicts)} cells; {tried} mistakes, {noticed} noticed", end="; ")
    print(f"green whatever is broken: {', '.join(green) or 'none'}")
    return bool(green)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
