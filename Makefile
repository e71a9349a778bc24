# make lab     opens the course in JupyterLab          make test       everything CI checks
# make quick   lint and unit tests, for the edit loop  make portable   plays other processors and versions
# make notebooks  re-runs and normalises the lessons   make figures    redraws the figures
# make page    builds the course as a site, in _site/  make publish REPO=owner/name   tells notebooks and README their address
# make mistakes  breaks every checked equation on purpose; an hour
# make mutants  changes the formulas one small thing at a time, and names what no test notices; an hour
# make bench   trains ours and others' networks side by side; hours   make clean  forgets the environment
#
# PYTHON=python3.12 chooses the interpreter that .venv is made of (3.11 or newer; make clean first to change it).
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes PyTorch's own CPU build (README: "Without a GPU").
# LAB_FLAGS="--no-browser --ip=0.0.0.0" goes to JupyterLab (README: "On a server").
# LANES="sse4.1 oldest" plays these of the processors and versions that `make portable` knows; all where none is named.
# CHROMIUM=/path/to/chrome names the browser that `make browser` drives, where it is in no usual place.

PYTHON ?= python3
TORCH_INDEX ?=
LAB_FLAGS ?=
WORKERS ?= 2
BIN := .venv/bin

# JupyterLab refuses to run as root unless told to. Who types `make lab` in a container means it.
AS_ROOT := $(if $(filter 0,$(shell id -u 2>&1)),--allow-root)

# What the commands say does not depend on the shell they are typed in: files are UTF-8 in every locale, and no
# variable of another project changes what a warning or an assert does, or where pip installs. (2>&1 below sends a
# command through sh, which finds it without a PATH.)
export PYTHONUTF8 := 1
export PATH ?= /usr/local/bin:/usr/bin:/bin
unexport PYTHONWARNINGS PYTHONOPTIMIZE PYTHONHOME MPLBACKEND PIP_USER PIP_TARGET PIP_PREFIX

# Without a home that can be written to (a container, a service), what Jupyter, matplotlib and Chromium keep
# there goes into .venv.
ifneq ($(shell test -n "$$HOME" && test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.venv/home
$(shell mkdir -p .venv/home 2>&1)
endif

.PHONY: lab test quick lint unit strict mistakes mutants portable browser timing notebooks page publish figures bench clean

# JupyterLab's question about news would lie over the lesson.
NO_NEWS := .venv/share/jupyter/lab/settings/overrides.json

lab: .venv/lab .venv/trusted $(NO_NEWS)
	$(BIN)/jupyter lab $(AS_ROOT) $(LAB_FLAGS) notebooks/00_start_here.ipynb

# The course's own notebooks, so that a slider is alive on opening, before anything runs. Only those that changed.
.venv/trusted: $(wildcard notebooks/[0-9]*.ipynb) | .venv/lab
	-@$(BIN)/jupyter trust $? >/dev/null && touch $@

$(NO_NEWS): | .venv/lab
	@mkdir -p $(@D)
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' > $@

test: .venv/dev lint unit strict browser

quick: .venv/dev lint
	$(BIN)/pytest tests --ignore=tests/browser -n $(WORKERS) --dist worksteal -q

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check diffusion_lesson tests bench tools website
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/dev
	$(BIN)/pytest tests --ignore=tests/browser -n $(WORKERS) --dist worksteal --cov --cov-report=term

strict: .venv/dev
	$(BIN)/python -m tools.notebook_tool --check notebooks/*.ipynb
	QUIET=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile -c tests/nbval.ini --nbval --nbval-sanitize-with tests/sanitize.cfg --nbval-current-env --nbval-cell-timeout 300 notebooks/

mistakes: .venv/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.break_equations --most 8 --quiet notebooks/*.ipynb

mutants: .venv/dev
	WORKERS=$(WORKERS) $(BIN)/python -m tools.mutants

portable: .venv/dev
	$(BIN)/python -m tools.portable $(LANES)

browser: .venv/dev
	$(BIN)/pytest tests/browser

timing: .venv/dev
	TIMING=1 $(BIN)/pytest -s tests/browser -k "follows or time or queue"

notebooks: .venv/dev
	QUIET=1 $(BIN)/python -m tools.notebook_tool notebooks/*.ipynb

page: .venv/page
	$(BIN)/python -m website.build

# REPO= (nothing) takes the address out again.
publish: .venv/page
	$(if $(filter undefined,$(origin REPO)),$(error REPO: expected make publish REPO=owner/name))$(BIN)/python -m tools.publish "$(REPO)"

figures: .venv/dev
	for name in $(filter-out style,$(basename $(notdir $(wildcard figures/*.py)))); do $(BIN)/python -m figures.$$name || exit 1; done

bench: .venv/dev
	$(BIN)/python -m bench.run

# venv writes pip last: where it is missing, an earlier try was cut off, and the next one mends it.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "$(PYTHON) can't make an environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

define SIZES
Installing into .venv, once: a third of a gigabyte to download, 1.6 on the disk, a minute or two on a fast line.
On Linux PyPI's PyTorch adds its CUDA libraries, 3 GB more; README says how to do without them.
endef
export SIZES

.venv/lab .venv/page .venv/dev: .venv/bin/pip pyproject.toml constraints.txt
	@test -e .venv/lab || echo "$$SIZES"
	$(if $(TORCH_INDEX),$(BIN)/pip install --index-url $(TORCH_INDEX) -c constraints.txt torch)
	$(BIN)/pip install -c constraints.txt -e '.[lab,$(@F)]'
	@touch .venv/lab $@

clean:
	rm -rf .venv .venv-classic .venv-lanes .venv-mutants mutants .website
