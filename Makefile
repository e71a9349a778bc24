# make lab     opens the course in JupyterLab          make test       everything CI checks
# make notebooks  re-runs and normalises the lessons   make figures    redraws the figures
# make bench   trains ours and others' networks side by side; hours   make clean  forgets the environment
#
# PYTHON=python3.12 chooses the interpreter (3.11 or newer).
# TORCH_INDEX=https://download.pytorch.org/whl/cpu takes PyTorch's own CPU build (README: "Without a GPU").

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin

.PHONY: lab test lint unit strict browser timing notebooks figures bench clean

lab: .venv/lab
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

test: .venv/dev lint unit strict browser

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check diffusion_lesson tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/dev
	$(BIN)/pytest tests --ignore=tests/browser --cov --cov-report=term

strict: .venv/dev
	$(BIN)/python tests/notebook_tool.py --check notebooks/*.ipynb
	QUIET=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -c tests/nbval.ini --nbval --nbval-sanitize-with tests/sanitize.cfg --nbval-current-env --nbval-cell-timeout 300 notebooks/

browser: .venv/dev
	$(BIN)/pytest tests/browser

timing: .venv/dev
	TIMING=1 $(BIN)/pytest -s tests/browser -k "follows or time or queue"

notebooks: .venv/dev
	QUIET=1 $(BIN)/python tests/notebook_tool.py notebooks/*.ipynb

figures: .venv/dev
	for script in $(filter-out figures/house.py,$(wildcard figures/*.py)); do $(BIN)/python $$script || exit 1; done

bench: .venv/dev
	$(BIN)/python bench/run.py

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/lab .venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(if $(TORCH_INDEX),$(BIN)/pip install --index-url $(TORCH_INDEX) -c constraints.txt torch)
	$(BIN)/pip install -q -c constraints.txt -e '.[$(@F)]'
	@touch $@

clean:
	rm -rf .venv .venv-classic
