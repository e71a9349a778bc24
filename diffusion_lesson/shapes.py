"""Shapes as types: what the arrays of this course look like (checked by beartype under pytest only)."""

from jaxtyping import Float, Int
from torch import Tensor

Batch = Float[Tensor, " B *dims"]  # B examples of any one shape
Steps = Int[Tensor, " B"]  # one step t for each example
Nats = Float[Tensor, " B"]  # one number for each example, in nats
Rows = Float[Tensor, " B *#dims"]  # one number for each example as (B, 1, …, 1), ready to multiply its Batch
