"""Ctrl-C, and the stop button of a notebook in a real kernel: what is stopped goes on, to the same bits."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from jupyter_client.manager import start_new_kernel

from diffusion_lesson import interrupts

SET_UP = """
import hashlib, os, signal, sys, torch
torch.set_num_threads(1)
from diffusion_lesson.learning.config import TrainConfig
from diffusion_lesson.learning.denoiser import Denoiser
from diffusion_lesson.learning.training import train
from diffusion_lesson.networks.unet import UNet
from diffusion_lesson.page.progress import track
from diffusion_lesson.process.schedule import cosine

torch.manual_seed(0)
images = torch.rand(40, 1, 8, 8) * 2 - 1
config = TrainConfig(steps=30, batch_size=4, learning_rate=1e-3, ema=0.9, seed=3)

def learn(**notes):
    torch.manual_seed(0)
    loop = train(Denoiser(UNet(channels_in=1, width=8), cosine(100), "eps"), images, config, **notes)
    begun = None
    for progress in track(loop, total=30):
        begun = begun or progress.step
        print(f"step {progress.step}", flush=True)
    bits = b"".join(value.numpy().tobytes() for value in progress.denoiser.network.state_dict().values())
    print("from", begun, "to", hashlib.sha256(bits).hexdigest())

class Press:
    # presses stop halfway through the import that PyTorch makes with its first optimizer
    def find_spec(self, name, path=None, target=None):
        if name == "torch._inductor":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
"""


@pytest.fixture
def run():
    """Runs a cell in a kernel, and gives what it printed, and its error. Stopped after the line `stop_at`."""
    manager, client = start_new_kernel(kernel_name="python3")

    def run(source: str, stop_at: str | None = None) -> tuple[str, str | None]:
        ours, printed, error = client.execute(source), "", None
        while True:
            message = client.get_iopub_msg(timeout=300)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != ours:
                continue
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            if kind == "error":
                error = content["ename"]
            if kind == "status" and content["execution_state"] == "idle":
                return printed, error
            if stop_at is not None and stop_at in printed.splitlines():
                manager.interrupt_kernel()
                stop_at = None

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.filterwarnings("ignore:Kernel is running over TCP without encryption")
def test_a_stopped_cell_goes_on_when_it_is_run_again(run, tmp_path):
    assert run(SET_UP) == ("", None)
    cell = f"learn(checkpoint={str(tmp_path)!r}, checkpoint_every=5)"
    assert run(cell) == ("", "KeyboardInterrupt")  # stopped in an import, before the first step
    for stop_at in ("step 7", "step 18"):
        printed, error = run(cell, stop_at)
        assert error == "KeyboardInterrupt"
        assert "to" not in printed
    again, error = run(cell)
    assert error is None
    begun, bits = re.search(r"from (\d+) to (\S+)", again).groups()
    assert int(begun) > 10
    assert run("learn()")[0].split()[-1] == bits


def test_an_interrupt_waits_for_the_end_of_what_must_be_whole():
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")
        done.append("and no more")
    assert done == ["whole"]


def test_what_ignores_interrupts_goes_on_ignoring_them():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_torch_broken_by_an_earlier_interrupt_says_what_helps(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # as where its import can't end
    with pytest.raises(RuntimeError, match=r"torch\._dynamo.*restart the kernel"):
        interrupts.load_optimizers()


def test_what_waits_in_cpp_is_ended_by_either_signal():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, frame: None) for number in numbers]
    ours = [signal.getsignal(number) for number in numbers]
    try:
        with interrupts.deadly():
            assert [signal.getsignal(number) for number in numbers] == [signal.SIG_DFL] * 2
        assert [signal.getsignal(number) for number in numbers] == ours
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with interrupts.deadly():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_who_waits_for_processes_that_never_come_says_so_and_can_be_stopped():
    pytest.importorskip("accelerate")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    code = """
from diffusion_lesson.learning import distributed
distributed.PATIENCE = 0.1
distributed.distributed("cpu")"""
    team = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    waits = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | team, stderr=subprocess.PIPE, text=True
    )
    try:
        line = next(line for line in waits.stderr if line.startswith("WORLD_SIZE: "))
        assert f"process 0 of 2, and waits for the others at 127.0.0.1:{port}" in line
        waits.send_signal(signal.SIGINT)
        assert waits.wait(timeout=60) == -signal.SIGINT
    finally:
        waits.kill()
        waits.communicate()
