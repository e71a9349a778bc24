"""Small mistakes, made one at a time in a piece of Python: a sign, a root, an index, a factor."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
DROPPED = {"sqrt", "square", "rsqrt", "exp", "log", "log1p", "expm1", "cumsum", "cumprod", "flip", "cos", "sin"}
# What decides how hard a check looks, not what it looks at: seeds, sizes, tolerances, precision.
SETTINGS = {
    "atol", "rtol", "abs", "rel_tol", "abs_tol", "dtype", "size",
    "seed", "generator", "digits", "eps_abs", "limit", "samples", "count",
}  # fmt: skip
DRAWING = {
    "manual_seed", "seeded", "Generator", "randn", "rand", "randint", "randperm",
    "normal", "default_rng", "empty", "print", "isfinite",
    "symbols", "assert_allclose", "range", "linspace", "arange", "logspace",
}  # fmt: skip


MANY = 1000  # a larger number says how many are drawn


@dataclass(frozen=True)
class Mutant:
    """One mistake: the tree with it, and where it is in words."""

    tree: ast.Module
    line: int
    words: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every single mistake that can be made in `source`, in order of place."""
    tree = ast.parse(source)
    places = [node for node in _looked_at(tree) for _ in _mistakes(node)]
    kinds = [k for node in _looked_at(tree) for k in range(len(list(_mistakes(node))))]
    for node, kind in zip(places, kinds, strict=True):
        number = next(i for i, other in enumerate(ast.walk(tree)) if other is node)
        changed = copy.deepcopy(tree)
        twin = next(other for i, other in enumerate(ast.walk(changed)) if i == number)
        made = list(_mistakes(twin))[kind]()
        before = ast.unparse(node)
        wrong = ast.fix_missing_locations(_Replace(twin, made).visit(changed))
        assert isinstance(wrong, ast.Module)  # the root itself is never replaced
        yield Mutant(wrong, getattr(node, "lineno", 0), f"{before}  →  {ast.unparse(made)}")


def _number(node: ast.AST) -> int | float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _looked_at(tree: ast.AST) -> Iterator[ast.AST]:
    """The expressions that say something about the mathematics: no messages, seeds, sizes or tolerances."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom | ast.arguments):
            continue
        if isinstance(child, ast.keyword) and child.arg in SETTINGS:
            continue
        if isinstance(child, ast.Call) and _name(child.func) in DRAWING:
            continue
        if isinstance(child, ast.AnnAssign | ast.FunctionDef):
            yield from _looked_at(child)
            continue
        if isinstance(child, ast.Compare):  # the right side of an assert's comparison is most often a tolerance
            if not isinstance(child.comparators[-1], ast.Constant):
                yield from _looked_at(child)
            elif isinstance(child.left, ast.expr):
                yield child.left
                yield from _looked_at(child.left)
            continue
        yield child
        yield from _looked_at(child)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _mistakes(node: ast.AST) -> Iterator[Callable[[], ast.expr]]:
    """The ways to get this one expression wrong."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPPED:
            yield lambda: ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
        if isinstance(node.op, ast.Pow):
            yield lambda: node.left
        if isinstance(node.op, ast.Mult | ast.MatMult):
            yield lambda: node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda: node.operand
    elif (number := _number(node)) is not None and abs(number) <= MANY:
        yield lambda: ast.Constant(number + 1 if isinstance(number, int) else number * 1.25)
    elif isinstance(node, ast.Call) and _name(node.func) in DROPPED:
        inner = node.args[0] if node.args else getattr(node.func, "value", None)
        if isinstance(inner, ast.expr):
            yield lambda: inner
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
        yield lambda: ast.Subscript(node.value, ast.BinOp(node.slice, ast.Sub(), ast.Constant(1)), node.ctx)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)
