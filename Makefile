# All chores. `make` alone lists them; every one sets up what it needs by itself.
# PYTHONS="3.12 3.13" chooses interpreters for the chores that run on every CPython found; the others take the first of them.

.DEFAULT_GOAL := help
SHELL := /bin/sh
export PYTHONS PYTEST

# The interpreter for chores that need but one, and its environment; worked out only where a chore uses it.
FIRST = $(firstword $(shell .ci/pythons))
FIRST_PATH = $(word 2,$(shell .ci/pythons))
PY = .venv/$(FIRST)/bin/python
ENVIRONMENT = .ci/venv "$(FIRST_PATH)" .venv/$(FIRST)

.PHONY: help
help:  ## list all chores
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo:  ## profile a small web service under load, about half a minute
	@$(ENVIRONMENT)
	@$(PY) demo/run.py

.PHONY: build
build:  ## make a virtual environment under .venv/ and build the package in it
	@$(ENVIRONMENT)
	@echo "built: $(PY)"

.PHONY: test
test:  ## C core and Python tests on every CPython found; PYTEST="-k name" hands options on
	@.ci/test

.PHONY: ctest asan ubsan sanitize tsan
ctest:  ## the C core's unit tests and its list of exports
	$(MAKE) -C librecompyle test exports
asan:  ## C core and Python tests under AddressSanitizer
	$(MAKE) -C librecompyle asan
	.ci/sanitized address
ubsan:  ## C core and Python tests under UndefinedBehaviorSanitizer
	$(MAKE) -C librecompyle ubsan
	.ci/sanitized undefined
sanitize:  ## both at once, in one build
	$(MAKE) -C librecompyle asan ubsan
	.ci/sanitized address,undefined
tsan:  ## the C core's unit tests under ThreadSanitizer
	$(MAKE) -C librecompyle tsan

.PHONY: fuzz
fuzz:  ## fuzz the C core's decoders for a short while
	$(MAKE) -C librecompyle fuzz

.PHONY: fuzz-rewrite fuzz-source
fuzz-rewrite:  ## random programs, plain and rewritten, must do the same; FUZZ="--pass all --seed 2" hands options on
	@$(ENVIRONMENT)
	$(PY) -P tests/fuzz/run.py $(FUZZ)
fuzz-source:  ## random source, which is never run: every rewrite of it is proved; FUZZ="--programs 50" hands options on
	@$(ENVIRONMENT)
	$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r tests/fuzz/requirements.txt
	$(PY) -P tests/fuzz/source.py $(FUZZ)

.PHONY: leaks
leaks:  ## look for references and memory that repeated use would lose
	@$(ENVIRONMENT)
	$(PY) -P tests/prove/leaks.py

.PHONY: prove
prove:  ## CPython's own tests, plain and rewritten, then prove-code; PROVE="test_json" hands options on, and ends there
	@mkdir -p build; .ci/pythons > build/pythons; failed=0; while read -r version python; do \
		.ci/venv "$$python" .venv/$$version && \
		.venv/$$version/bin/python -P tests/prove/run.py --report build/prove-$$version.json $(PROVE) < /dev/null || failed=1; \
	done < build/pythons; test -n "$(PROVE)" || $(MAKE) --no-print-directory prove-code || failed=1; exit $$failed

SUBJECTS = build/subjects
$(SUBJECTS): tests/prove/requirements.txt
	@$(ENVIRONMENT)
	$(PY) -m pip install -qq --disable-pip-version-check --require-hashes --no-deps --no-compile --only-binary :all: \
		--platform any --upgrade --target $@ -r $<
	@touch $@

.PHONY: prove-code
prove-code: $(SUBJECTS)  ## every kind of probe in every code object of CPython's library and of some large packages
	@.ci/pythons > build/pythons; failed=0; while read -r version python; do \
		.ci/venv "$$python" .venv/$$version && \
		.venv/$$version/bin/python -P tests/prove/code_objects.py library \
			$(addprefix $(SUBJECTS)/,django networkx sqlalchemy sympy) < /dev/null || failed=1; \
		.venv/$$version/bin/python -P -m pytest -q -m prove tests/inject < /dev/null || failed=1; \
	done < build/pythons; exit $$failed

.PHONY: prove-counts
prove-counts:  ## 10 million calls in 8 threads while code is exchanged 100,000 times: every call is counted
	@$(ENVIRONMENT)
	$(PY) -P -m pytest -q -p no:cacheprovider -m prove tests/live

.PHONY: bench bench-all
bench:  ## benchmarks on one CPython, about twenty minutes; BENCH="timed_call" hands options on
	@$(ENVIRONMENT)
	$(PY) -m pip install -qq --disable-pip-version-check -r bench/requirements.txt
	$(PY) -P bench/run.py $(BENCH)
bench-all:  ## benchmarks on every CPython found
	@for version in $$(.ci/pythons | cut -d' ' -f1); do $(MAKE) --no-print-directory bench PYTHONS=$$version || exit 1; done

.PHONY: lint
lint:  ## style of the Python sources, types of package and stubs
	@test -x .venv/lint/bin/ruff || { $(FIRST_PATH) -m venv --clear .venv/lint && .venv/lint/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-lint.txt; }
	.venv/lint/bin/ruff check .
	.venv/lint/bin/mypy recompyle

.PHONY: docs
docs:  ## write the reference pages that come from the sources
	@$(ENVIRONMENT)
	@for script in docs/gen_*.py; do echo "$$script"; $(PY) -P "$$script" || exit 1; done

.PHONY: clean
clean:  ## remove everything that was built, environments too
	-$(MAKE) -C librecompyle clean
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find recompyle tests -name '__pycache__' -prune -exec rm -rf {} +
	find recompyle \( -name '*.so' -o -name '*.c' \) -delete
