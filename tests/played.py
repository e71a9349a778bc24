"""A second device, played: PyTorch's "meta", but with numbers, and with the rules of a GPU that has no float64.

Or of one that has, where that is asked for.

An operation that mixes its tensors with the CPU's raises, as does making a float64 on the first kind. What moves
numbers from one device to the other (`.cpu()`, `.to(…)`, `copy_`) works.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

AWAY = torch.device("meta")
_MOVES = {"_to_copy", "copy_", "_local_scalar_dense"}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}  # these take indices of the CPU


class Away(torch.Tensor):
    """A tensor there; `here` holds its numbers."""

    @staticmethod
    def __new__(cls, here):
        return torch.Tensor._make_wrapper_subclass(
            cls, here.size(), strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype,
            device=AWAY,
        )  # fmt: skip

    def __init__(self, here):
        self.here = here

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class Played(TorchDispatchMode):
    """Within it, what is asked for on AWAY is made there; a float64 only where the device has them."""

    float64 = False

    def __init__(self, *, float64=False):
        super().__init__()
        self._float64 = float64

    def __enter__(self):
        Played.float64 = self._float64
        return super().__enter__()

    def __exit__(self, *exception):
        Played.float64 = False
        return super().__exit__(*exception)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


def _here(x: Any) -> Any:
    return x.here if isinstance(x, Away) else x


def _run(func, args, kwargs):
    name, tensors = (
        func.overloadpacket.__name__,
        [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)],
    )
    away = [x for x in tensors if isinstance(x, Away)]
    apart = bool(away) and any(x.ndim and not isinstance(x, Away) for x in tensors)
    if apart and name not in _MOVES and not (name in _INDEXING and isinstance(args[0], Away)):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found two ({name})")
    if name == "copy_":
        func(*map(_here, args), **kwargs)
        return args[0]
    asked = kwargs.get("device")
    there = bool(away) if asked is None else torch.device(asked) == AWAY
    if asked is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    out = func(*tree_map(_here, args), **tree_map(_here, kwargs))
    known = {id(x.here): x for x in away}  # what works in place gives its own argument back

    def placed(x):
        if not isinstance(x, torch.Tensor) or not there:
            return x
        if x.dtype == torch.float64 and not Played.float64:
            raise TypeError("this device has no float64")
        return known.get(id(x)) if id(x) in known else Away(x)

    return tree_map(placed, out)
