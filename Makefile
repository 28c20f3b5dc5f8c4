# Thin calls of the scripts in bin/, which do the same where make is missing.
.DEFAULT_GOAL := help
.PHONY: help run test check fmt lock bench screenshots clean

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

run: ## start everything; PERCORSO_PORT, PERCORSO_DATA, DATABASE_URL, REDIS_URL, SMTP_URL, DEMO=0 change what
	@exec bin/run

test: ## every test, on PostgreSQL 18 and 15
	@exec bin/test

check: ## style, types, imports, dead code, migrations, lock files, catalogues
	@exec bin/check

fmt: ## put style right where a machine can
	@bin/prepare dev && .venv/bin/ruff check --quiet --fix app tests bench migrations wsgi.py; .venv/bin/ruff format app tests bench migrations wsgi.py

lock: ## make the lock files from requirements*.in
	@exec bin/lock

bench: ## measure against raw limits of the same run; writes bench/latest.json
	@bin/prepare dev && exec .venv/bin/python -m bench

screenshots: ## pictures of every page at 1440 and 390 px, into screenshots/
	@bin/prepare dev && exec .venv/bin/python -m tests.browser.screenshots

clean: ## remove what was installed and built here; data in var/ stays
	rm -rf .venv app/studio/node_modules app/studio/static/dist
