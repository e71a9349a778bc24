"""Every number that a network begins with is turned by about 1e-7 of itself: all other processors at once.

Python imports this module by its name, wherever this folder is on PYTHONPATH. It waits for torch.nn.init and wraps
its functions, so the package knows nothing of it. How a tensor is turned follows from its own numbers: networks
that begin alike stay alike, and nobody's generator is asked. NUDGE_SEED turns them otherwise.
"""

import functools
import hashlib
import importlib.abc
import importlib.util
import inspect
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SIZE = float(os.environ.get("NUDGE", "1e-7"))
SEED = os.environ.get("NUDGE_SEED", "0")


def turned(tensor: Any) -> None:
    """Each number times 1 + 1e-7 z, in place; zeros stay zero."""
    import torch

    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.is_meta or not tensor.is_floating_point():
        return
    with torch.no_grad():
        numbers = tensor.detach().cpu().double().contiguous()
        seed = hashlib.sha256(SEED.encode() + numbers.numpy().tobytes()).digest()[:7]
        z = torch.randn(
            numbers.shape,
            generator=torch.Generator().manual_seed(int.from_bytes(seed, "big")),
            dtype=numbers.dtype,
            device="cpu",  # whatever a test has made the default
        )
        tensor.copy_(numbers * (1 + SIZE * z))


def nudged(function: Any) -> Any:
    """An initialiser that turns what it has made."""

    @functools.wraps(function)
    def wrapper(tensor: Any, *given: Any, **named: Any) -> Any:
        out = function(tensor, *given, **named)
        turned(tensor)
        return out

    return wrapper


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        for name, function in list(vars(module).items()):
            if name.endswith("_") and not name.startswith("_") and inspect.isfunction(function):
                setattr(module, name, nudged(function))


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "torch.nn.init":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader = _Loader(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
