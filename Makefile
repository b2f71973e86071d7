# Every target makes what it needs: the environment .venv, then the extras it uses.
PYTHON ?= python3
BIN := .venv/bin
# Two tests at a time, each with one thread: their arrays are small.
TEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto
RUN := $(BIN)/stnref train --data digits --distortion R --resume

.PHONY: train test long lint lines fuzz mutants notebooks docs figures zoo clean

train: .venv/base.stamp  ## train CNN and ST-CNN on rotated stroke digits; see runs/
	$(RUN) --model cnn --out runs/cnn
	$(RUN) --model st-cnn --transform rigid --out runs/st-cnn
	$(BIN)/stnref evaluate runs/cnn runs/st-cnn

test: .venv/test.stamp  ## run all tests but the long ones
	$(TEST)

long: .venv/test.stamp  ## run the long tests: the zoo at realistic size, the notebooks
	$(TEST) -m long

lint: .venv/lint.stamp  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lines:  ## print the lines of code of each room, without docstrings, comments and blanks
	$(PYTHON) .ci/lines.py

fuzz: .venv/test.stamp  ## call every public function with so many valid and invalid arguments: FUZZ=100
	FUZZ=$(or $(FUZZ),100) $(TEST) -q tests/fuzz

mutants: .venv/test.stamp .venv/mutants.stamp  ## change the core in 300 places and see which the tests notice
	$(BIN)/python .ci/mutants.py --sample 300

notebooks: .venv/test.stamp  ## execute the notebooks and write the .ipynb beside their sources
	$(BIN)/python docs/execute_notebooks.py

docs: .venv/docs.stamp  ## build the site, for reading without a network, in build/site; needs npm
	$(BIN)/python docs/build_site.py

figures: train  ## make the figure of the README
	$(BIN)/python docs/make_figures.py

zoo: .venv/test.stamp  ## run the gradient checker on all planted mistakes, write the table of docs/gradcheck.md
	$(BIN)/python -m tests.bug_zoo.score

clean:
	rm -rf .venv build dist *.egg-info

.venv/base.stamp: pyproject.toml setup.cfg
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/%.stamp: .venv/base.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@
