import os
import signal
import sys

import jaxtyping
import pytest
import torch

# The networks of the tests are so small that two threads spend their time waiting for each other.
torch.set_num_threads(1)

# What checks notebooks would compile, in every process of the tests, a grammar of addresses that they don't have.
sys.modules.setdefault("rfc3987_syntax", None)

# What the tests answer is not what a reader solved.
os.environ["DIFFUSION_LESSON_SOLVED"] = ""


@pytest.fixture
def without_type_checks():
    """As a reader runs the package: no shape checks, so that its own errors are what speaks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard():
    """`nohup make test`, and `make test &` in some shells, start deaf; and so would all that the tests start."""
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    for name, handler in usual.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)
