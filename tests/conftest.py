import os

import jaxtyping
import pytest
import torch

# The networks of the tests are so small that two threads spend their time waiting for each other.
torch.set_num_threads(1)

# What the tests answer is not what a reader solved.
os.environ["DIFFUSION_LESSON_SOLVED"] = ""


@pytest.fixture
def without_type_checks():
    """As a reader runs the package: no shape checks, so that its own errors are what speaks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
