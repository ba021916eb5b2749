# One line a target. `make setup` needs python3 (3.11 or newer) and its venv module, nothing else;
# what follows it works without a network.
BIN := .venv/bin/
INSTALLED := .venv/.installed
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS := 1
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test check bench docs fmt clean

##@ Start
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Install everything into .venv

demo: $(INSTALLED) ## From usage to a paid invoice, on real servers (KEEP=1 leaves them running)
	@$(BIN)python -m local.demo

dev: $(INSTALLED) ## Run the stack in the foreground, data in .durabill
	@$(BIN)durabill dev

##@ Prove
test: $(INSTALLED) ## Run all tests
	$(BIN)pytest -n 2 --dist loadfile

check: $(INSTALLED) ## Lint, types, import contracts, migrations, docs
	$(BIN)ruff check . && $(BIN)ruff format --check . && $(BIN)mypy . && $(BIN)lint-imports && $(BIN)python -m local.drift && $(BIN)mkdocs build --strict --quiet

bench: $(INSTALLED) ## Measure, in ratios
	$(BIN)python -m bench

##@ Write
fmt: $(INSTALLED) ## Format and fix what can be fixed
	$(BIN)ruff check --fix --quiet . ; $(BIN)ruff format .

docs: $(INSTALLED) ## Build the documentation into site/
	$(BIN)mkdocs build --strict

clean: ## Remove all but the sources and the data in .durabill
	rm -rf .venv .tools site build dist .*_cache htmlcov && find . -name __pycache__ -prune -exec rm -rf {} +

# Nothing is resolved again until pyproject.toml changes.
$(INSTALLED): pyproject.toml
	@test -x "$(UV)" || { python3 -m venv .tools && .tools/bin/pip install --quiet uv==0.13.9; }
	$(UV) sync --extra dev
	@touch $@
