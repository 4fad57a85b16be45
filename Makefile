# make quickstart   make a virtual environment, install, train blueprints/quickstart.toml (a few minutes)
# make quickstart-seeds   the quickstart on twelve seeds that were not used to choose it: mean 800, none below 700; a quarter of an hour
# make test         the same set-up plus tools; linters, types, import rule, counts, every test but the learning proofs (under 12 minutes)
# make test-fast    the fast tests alone (under 3 minutes)
# make plasticity   a network that loses plasticity, and its remedies: a quarter of an hour; tables and a picture
# make warm-start   what a start on few, wrongly labelled digits costs, and its remedies: under ten minutes; a table
# make offline      a medium policy is recorded, then learned from offline, online, and in turn, three seeds: minutes on two cores; a table
# make minatar      DQN and six remedies on three MinAtar games, five seeds: some two hours on two cores; the same command goes on
# make craftax      PPO with SimBa and without on Craftax-Classic, three seeds: an afternoon on two cores; the same command goes on
# make learning     the slow proofs that agents learn
# make bench        speed beside other libraries, installed for it: half an hour on an idle machine
# make atari        DrQ on two games of Atari, three seeds, on two cores; call it again to go on
# make gpu          what a GPU is needed for, on one, with the Python that is there: pieces of at most 8 minutes; call it until it is done
# make gpu-100k     BBF on the 26 games of Atari-100k, on GPUs; call it again to go on
# make mutation     change one thing at a time in the modules on which results rest, and see whether a test fails: half an hour
# make docs         write docs/reference/ anew from the kinds, and the page of commands; a test says when that is due
# make site         build the documentation as a site in site/, with search; a dead link is an error
# make golden       write tests/golden/ anew: what every shipped blueprint and variant resolves to; review what changed
# Variables: GPU_PYTHON and GPU_ARGS (such as --pieces memory --published results.csv) of make gpu
# Variables: PYTHON (3.11 or 3.12), PIP_ARGS (extra arguments for pip, such as an index with CPU builds of torch)

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One torch thread a test process: two test processes share two cores.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# Nothing is installed for it: a machine with a GPU brings its own torch.
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,python3)
GPU_ARGS ?=

.PHONY: quickstart quickstart-seeds plasticity warm-start continual offline minatar craftax atari test test-fast bench gpu gpu-100k learning mutation docs site golden lint format clean

quickstart: $(VENV)/.installed
	$(BIN)/composer train blueprints/quickstart.toml

quickstart-seeds: $(VENV)/.installed
	$(BIN)/python -m benchmarks.quickstart_seeds --runs runs/quickstart-seeds

plasticity: $(VENV)/.installed
	$(BIN)/composer sweep plasticity/shuffled_labels tracking.kind=none --jobs 2 --runs runs/plasticity
	$(BIN)/composer retention runs/plasticity/shuffled-labels-* --plot docs/images/plasticity.png --page runs/plasticity/tables.md

warm-start: $(VENV)/.installed
	$(BIN)/composer sweep warm_start/digits tracking.kind=none --jobs 2 --runs runs/warm-start
	$(BIN)/composer compare runs/warm-start/warm-start-digits-* --metric evaluation/accuracy

continual: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/composer sweep continual/cartpole_ppo tracking.kind=none --jobs 2 --runs runs/continual
	$(BIN)/composer retention runs/continual/continual-cartpole-2* runs/continual/continual-cartpole-[!2]* --plot docs/images/continual-cartpole.png --page runs/continual/tables.md

offline: $(VENV)/.installed
	test -e data/pendulum-medium.parquet || ( \
	  OMP_NUM_THREADS=1 $(BIN)/composer train classic/pendulum_td3 'seeds=[100]' training.env_steps=3_000 tracking.kind=none --runs runs/medium && \
	  OMP_NUM_THREADS=1 $(BIN)/composer record runs/medium/* --out data/pendulum-medium.parquet --episodes 50 --noise 0.3 )
	OMP_NUM_THREADS=1 $(BIN)/composer study run studies/offline_to_online --yes --runs runs/offline

minatar: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/composer study run studies/minatar_remedies --jobs 2 --yes --runs runs/minatar

craftax: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet $(PIP_ARGS) -e '.[craftax]'
	OMP_NUM_THREADS=1 $(BIN)/composer study run studies/craftax_simba --yes --runs runs/craftax

atari: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/composer study run studies/atari_drq --jobs 2 --yes --runs runs/atari

gpu-100k: $(VENV)/.installed-dev
	$(BIN)/composer study run studies/atari_100k --yes --runs runs/atari_100k

test: lint
	$(TEST) -m "not learning"

test-fast: $(VENV)/.installed-dev
	$(TEST) -m "not slow and not learning"

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.speed --out docs/benchmarks/speed.json --plot docs/images/speed.svg

gpu:
	PYTHONPATH=. $(GPU_PYTHON) -m benchmarks.gpu $(GPU_ARGS)

learning: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m learning

mutation: $(VENV)/.installed-dev
	for group in checkpoint journal interventions learner replay losses; do OMP_NUM_THREADS=1 $(BIN)/python -m tools.mutation $$group || exit 1; done

golden: $(VENV)/.installed
	$(BIN)/python -m tools.golden

docs: $(VENV)/.installed
	$(BIN)/python -m tools.reference --out docs/reference
	$(BIN)/python -m tools.commands --out docs/guide/commands.md

site: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "the site is in site/index.html; $(BIN)/python -m mkdocs serve shows it while you write"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.house

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev,bench]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[dev,bench,peers]'
	touch $@ $(VENV)/.installed-dev $(VENV)/.installed

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache build dist site
