"""Real browsers for the tests: Chromium, JupyterLab, the classic notebook of Colab's generation, a static page."""

import contextlib
import copy
import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

from tests.browser import chrome
from tools import notebook_tool

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CLASSIC = ROOT / ".venv-classic"
AXE = "4.14.1"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

# The lesson under test. The first tile of frame k is plain grey, and so is the paper of the live figure:
# a picture can be read as a number.
CELLS = (
    """\
import numpy as np
from matplotlib.figure import Figure
from diffusion_lesson.page import plots
from diffusion_lesson.page.frames import Noising
from diffusion_lesson.page.live import LiveFigure, choice, slider
from diffusion_lesson.page.scrubber import TimestepSlider
plots.use_style()
random = np.random.default_rng(0)""",
    """\
frames = random.uniform(-1, 1, (100, 32, 1, 28, 28))
frames[:, 0] = np.linspace(-1, 1, 100)[:, None, None, None]
names = [f"t = {10 * k}" for k in range(100)]
curve = {"brightness": np.linspace(0, 1, 100)}
TimestepSlider(frames, names, caption="Noise, and one tile that brightens", curve=curve)""",
    """\
x0, eps = np.full((2, 1, 28, 28), -0.5), random.standard_normal((2, 1, 28, 28))
eps[0] = 0.8
alpha_bars = np.linspace(1, 0, 101)
mixed = Noising(x0, eps, alpha_bars)
TimestepSlider(mixed, [f"ᾱ = {a:.2f}" for a in alpha_bars], caption="Grey that becomes noise")""",
    """\
def draw(grey, kind):
    figure = Figure(figsize=(6.4, 3.2), facecolor=3 * (grey / 100,))
    axes = figure.subplots()
    axes.plot(np.linspace(0, 1, 1001) ** (1 + grey / 20), label=kind)
    axes.set(xlabel="t", ylabel="value", title="A curve")
    axes.legend()
    return figure
def words(grey, kind):
    return f"A {kind} on grey {grey}"
LiveFigure(draw, alt=words, grey=slider(0, 100, 50), kind=choice(["curve", "line"]))""",
    """\
import json
from pathlib import Path
from diffusion_lesson.networks.names import current_name
from diffusion_lesson.page.network import PageNetwork
from diffusion_lesson.page.sampler import PageSampler
raw = Path(plots.__file__).parents[1].joinpath("learning", "trained", "mnist.safetensors").read_bytes()
begin = 8 + int.from_bytes(raw[:8], "little")  # the shipped network, where there is no PyTorch to read it
state = {}
for name, there in json.loads(raw[8:begin]).items():
    if name != "__metadata__":
        first, last = there["data_offsets"]
        numbers = np.frombuffer(raw[begin + first : begin + last], "<f2")
        state[current_name(name)] = numbers.reshape(there["shape"])
config = {"channels_in": 1, "width": 32, "mults": [1, 2], "patch": 2, "classes": 10}
network = PageNetwork(state, config, schedule={"kind": "cosine", "T": 1000}, predicts="v", size=28)
films = {"still": -np.ones((3, 28, 28)), "labels": ["one", "two", "three"], "alt": "a still picture"}
PageSampler(network, "redraw", **films, caption="It waits for the next", carry=False)""",
    """\
PageSampler(network, "digit", **films, caption="It carries the network")""",
    """\
square = -np.ones((2, 28, 28))
square[:, 8:20, 8:20] = 1
PageSampler(network, "denoise", **films, caption="A square with noise", pictures=square, carry=False)""",
    """\
PageSampler(network, "walk", **films, caption="A walk", carry=False)""",
    """\
figure = Figure()
figure.subplots().plot([0, 1], **plots.ROLES["data"])
plots.show(figure, alt="A black line rises from 0 to 1")""",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.fspath).parents:
            item.add_marker(pytest.mark.filterwarnings("default"))  # other people's servers and clients


def missing(what):
    """Skip for a user who lacks something, but fail in CI: there a skip would hide a broken page."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: needed in CI")
    pytest.skip(what)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    """Below pytest's last line: what is green only because it was not run."""
    result = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    here = [report for report in skipped if report.nodeid.startswith("tests/browser/")]
    for line in chrome.unchecked([report.longrepr[2].removeprefix("Skipped: ") for report in here]):
        reporter.write_line(line, red=True, bold=True)
    return result


def notebook(cells=CELLS):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb.metadata.language_info = {"name": "python"}
    for k, cell in enumerate(nb.cells):
        cell["id"] = f"cell-{k}"
    return nb


@pytest.fixture(scope="session")
def chromium():
    path = chrome.find()
    if path is None:
        missing(chrome.ABSENT)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def executed():
    """The lesson as it would be committed: run by a kernel, without widget state."""
    nb = notebook()
    NotebookClient(nb, timeout=120, kernel_name="python3", record_timing=False, store_widget_state=False).execute()
    return nb


@pytest.fixture(scope="session")
def static_file(executed, tmp_path_factory):
    """The lesson on a page, by nbconvert."""
    nb = executed.copy()
    nb.metadata["title"] = "A lesson"
    path = tmp_path_factory.mktemp("static") / "lesson.html"
    path.write_text(HTMLExporter().from_notebook_node(nb)[0], "utf-8")
    return path


@contextlib.contextmanager
def server(python, arguments, folder):
    """A Jupyter server on a free port, with settings of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = folder / "settings"
    env = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "QUIET": ""}
    env |= {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    env.pop("VIRTUAL_ENV", None)
    log = (folder / "server.log").open("w")
    command = [str(python), "-m", *arguments, "--no-browser", "--allow-root", f"--port={port}"]
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(900):  # a busy machine takes a minute and more
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api", timeout=5):
                break
            assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
            time.sleep(0.2)
        else:
            raise TimeoutError((folder / "server.log").read_text()[-2000:])
        yield url
    finally:
        process.terminate()
        process.wait(120)  # a busy machine takes its time
        log.close()


@pytest.fixture(scope="session")
def lab(chromium, executed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    nbformat.write(notebook(), folder / "lesson.ipynb")
    nbformat.write(executed, folder / "executed.ipynb")
    signed = notebook_tool.normalise(copy.deepcopy(executed))  # as a lesson is committed
    signed.metadata["title"] = "signed"  # a signature is of the content, and the other one is to be without
    nbformat.write(signed, folder / "trusted.ipynb")
    sign = [sys.executable, "-m", "jupyter", "trust", str(folder / "trusted.ipynb")]
    settings = {"JUPYTER_DATA_DIR": str(folder / "settings" / "DATA")}
    subprocess.run(sign, env=os.environ | settings, check=True, capture_output=True)
    arguments = ["jupyterlab", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    arguments += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    arguments += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with server(sys.executable, arguments, folder) as url:
        yield url


@pytest.fixture(scope="session")
def lab_page(chromium, lab):
    """The lesson, run in JupyterLab."""
    yield from run_all(chromium, f"{lab}/lab/tree/lesson.ipynb")


def run_all(chromium, address):
    """A page of JupyterLab or Notebook 7, all its cells run."""
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(address)
    page.wait_for_function("window.jupyterapp && document.querySelector('.jp-CodeCell')", timeout=60_000)
    connected = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus == 'connected'"
    page.wait_for_function(connected, timeout=60_000)
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator("img[alt^='A black line']").wait_for(timeout=180_000)
    yield page
    page.close()


@pytest.fixture(scope="session")
def notebook_page(chromium, tmp_path_factory):
    """The lesson, run in Notebook 7."""
    folder = tmp_path_factory.mktemp("notebook")
    nbformat.write(notebook(), folder / "lesson.ipynb")
    arguments = ["notebook", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    arguments += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    with server(sys.executable, arguments, folder) as url:
        yield from run_all(chromium, f"{url}/notebooks/lesson.ipynb")


@pytest.fixture(scope="session")
def classic_python():
    """Python of the classic notebook's environment, made once for a set of constraints."""
    constraints = HERE / "classic-constraints.txt"
    stamp, python = CLASSIC / "stamp", CLASSIC / "bin" / "python"
    mark = hashlib.sha256(constraints.read_bytes() + sys.version.encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == mark):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(CLASSIC)], check=True)
        packages = ["notebook", "ipywidgets", "matplotlib", "numpy", "pillow", "tqdm", "setuptools<81"]
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-c",
            str(constraints),
        ]
        done = subprocess.run([*install, *packages], capture_output=True, text=True)
        if done.returncode:
            missing(f"The classic notebook could not be installed: {done.stderr[-500:]}")
        stamp.write_text(mark)
    return python


@pytest.fixture(scope="session")
def classic_page(chromium, classic_python, tmp_path_factory):
    """The lesson, run in the classic notebook 6.5 with ipywidgets 7.7.1."""
    folder = tmp_path_factory.mktemp("classic")
    nbformat.write(notebook(), folder / "lesson.ipynb")
    arguments = ["notebook", "--NotebookApp.token=", f"--NotebookApp.notebook_dir={folder}"]
    with server(classic_python, arguments, folder) as url:
        page = chromium.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"{url}/notebooks/lesson.ipynb")
        ready = "window.Jupyter?.notebook?.kernel?.is_connected() && Jupyter.notebook.kernel.widget_manager"
        page.wait_for_function(ready, timeout=60_000)
        page.wait_for_timeout(2500)  # the manager asks the kernel for old widgets, and loses those made meanwhile
        page.evaluate("void Jupyter.notebook.execute_all_cells()")
        page.locator("img[alt^='A black line']").wait_for(timeout=180_000)
        yield page
        page.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site's folder: built here, or the one that the variable SITE names."""
    if built := os.environ.get("SITE"):
        return Path(built)
    pytest.importorskip("myst_nb", reason="the extra `page` is not installed") if not os.environ.get(
        "CI"
    ) else None
    out = tmp_path_factory.mktemp("site") / "_site"
    done = subprocess.run(
        [sys.executable, "-m", "website.build", str(out)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "registry.npmjs.org" in done.stderr and done.returncode:
        missing(f"MathJax could not be fetched: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, from npm."""
    if shutil.which("npm") is None:
        missing("npm is not installed")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "--silent", f"axe-core@{AXE}", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        missing(f"axe-core could not be fetched: {done.stderr[-300:]}")
    with tarfile.open(folder / f"axe-core-{AXE}.tgz") as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def grey(locator, x, y):
    """The grey level at (x, y), in fractions of the element, as the browser paints it."""
    picture = np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("L"))
    return int(picture[int(y * picture.shape[0]), int(x * picture.shape[1])])


@pytest.fixture
def look():
    return grey


@pytest.fixture
def slack():
    """How many times slower than its target a thing may be: 1 where times are judged (make timing), else 4.

    Elsewhere other programs may share the cores, and a time only shows whether work queues up.
    """
    return 1 if os.environ.get("TIMING") else 4
