# Everything happens in .venv, made from the hash-pinned lock; nothing is installed by hand.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp

.PHONY: venv run test check format bench drills lock clean

venv: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Portico needs Python 3.11 or later; set PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: venv
	@$(BIN)/python -m portico run --demo

# On two processes at once, a file of tests in one of them: most tests wait for real processes.
JOBS ?= 2

test: venv
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

check: venv
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

bench: venv
	$(BIN)/python -m bench $(ARGS)

# All the long drills, or one deck of them with its short ones:
#   make drills DECK=selection SEED=5062686 MINUTES=10
# DECK: kills database engines peers fuzz backlog release retention selection killpoints power
# mutants channels models conversations interventions operators providers walks.
# MINUTES: selection goes on for so long, and no deck begins another drill after that.
SEED ?= $(DRILL_SEED)
MINUTES ?= $(DRILL_MINUTES)
drills: venv
	DRILL_SEED=$(SEED) DRILL_MINUTES=$(MINUTES) $(BIN)/python -m pytest \
	  $(if $(DECK),-m "drill or not drill" tests/drills/test_$(DECK).py,-m drill tests/drills) $(ARGS)

# The locks: hashes, no addresses. Needs `uv` on the path; only whoever changes a dependency runs it.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
