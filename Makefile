# make run   the demo: web, worker and the emulated hosts, on this machine only
# make test  everything it needs, then the whole test suite
# make bench speed against the floor, as ratios measured in one run (bench/README.md); about two minutes
# make fuzz  2,000,000 made-up archives for the reader of ZIP; about two minutes
# make lint  style and security rules (ruff), types (mypy), and whether a migration is missing
# make messages  collects the texts for translation and compiles them; needs GNU gettext

PYTHON ?= python3
PORT ?= 8000
SANDBOX_PORT ?= 8900
DATA_DIR ?= var
PYTEST_ARGS ?= -n 2
FUZZ_INPUTS ?= 2000000
FUZZ_SEED ?= 1
BIN := .venv/bin

.PHONY: run test bench fuzz lint messages

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit("Forgekey needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/runtime: .venv/python requirements/runtime.txt pyproject.toml
	@echo "Installing what Forgekey needs into .venv (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/python requirements/dev.txt pyproject.toml
	@echo "Installing what the tests need into .venv (once) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: .venv/runtime
	@exec $(BIN)/python manage.py demo --port $(PORT) --sandbox-port $(SANDBOX_PORT) --data-dir "$(DATA_DIR)"

test: .venv/dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: .venv/dev
	$(BIN)/python -m bench.lend

fuzz: .venv/dev
	$(BIN)/python -m tests.fuzz_archive --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED) --workers 2

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy credentials project tests bench manage.py
	@data=$$(mktemp -d) && trap 'rm -r "$$data"' EXIT && export DATA_DIR="$$data" && \
	$(BIN)/python manage.py makemigrations --check --dry-run

# Machines without gettext use the compiled texts as they are; tests/test_translations.py holds both together.
messages: .venv/dev
	@command -v msgfmt >/dev/null && command -v xgettext >/dev/null || { \
	  echo "make messages needs GNU gettext (Debian, Ubuntu: apt-get install gettext; macOS: brew install gettext)." >&2; exit 1; }
	@data=$$(mktemp -d) && trap 'rm -r "$$data"' EXIT && export DATA_DIR="$$data" && \
	$(BIN)/python manage.py makemessages --locale zh_Hans --no-location --no-obsolete --ignore 'project/sandbox/*' \
	  --ignore 'tests/*' --ignore 'bench/*' --ignore 'build/*' --ignore 'var/*' && \
	$(BIN)/python manage.py compilemessages --locale zh_Hans --ignore .venv
