# Two commands: `make book` and `make test`. Everything is built under build/ by Snakemake (Snakefile).
SHELL := /bin/sh
PYTHON ?= python3
PROFILE ?= book
CORES ?= 2
PORT ?= 8000
V := .venv/bin/python
PIPELINE = exec $(V) tools/pipeline.py --cores $(CORES)

.PHONY: help book test chapter pairs data verdicts sweep assignments grade test-grading serve bench clean
.DEFAULT_GOAL := help

help:
	@echo 'make book                           run every chapter, build build/site/index.html'
	@echo 'make test                           the test suite (site tests: after make book, with Chromium)'
	@echo 'make chapter CH=01-geom-intuition   run one chapter (PROFILE=smoke, book or paper)'
	@echo 'make serve                          show the site at http://127.0.0.1:$(PORT)/ (PORT=$(PORT))'
	@echo 'make data                           download every data set that has a public file'
	@echo 'make pairs                          write notebooks/*.ipynb from the .py beside them'
	@echo 'make verdicts                       keep the verdicts of the last make book in results/verdicts.json'
	@echo 'make sweep NAME=geom-intuition      run the missing points of a sweep, append them to results/recorded/'
	@echo 'make assignments                    what students, Otter, nbgrader and instructors get (ASSIGNMENT=01-geom, STUDENTS=ids.txt)'
	@echo 'make grade SUBMISSIONS=folder       grade the notebooks in a folder (ASSIGNMENT=01-geom, ALLOW_NETWORK=1)'
	@echo 'make test-grading                   every assignment through Otter and nbgrader, into results/grading-matrix.json'
	@echo 'make bench                          the benchmarks'
	@echo 'make clean                          remove build/, grades too, and what Snakemake knows (not .venv, not data/)'
	@echo 'Variables: PYTHON=$(PYTHON) (3.11 to 3.13), CORES=$(CORES), ADLIB_DATA (a folder with data sets)'

book: venv-book fetch-small
	@$(PIPELINE) all
	@echo 'the book is build/site/index.html'

test: venv-test
	@set -e; folders='tests/unit tests/notebooks tests/pipeline'; \
	if [ -d tests/assignments ]; then folders="$$folders tests/assignments"; fi; \
	$(V) -m pytest $$folders
	@$(V) -m pytest -rs tests/site

chapter: venv-book
	@[ -n '$(CH)' ] || { echo 'say which chapter: make chapter CH=01-geom-intuition' >&2; exit 2; }
	@case '$(PROFILE)' in smoke|book|paper) ;; *) echo 'PROFILE=$(PROFILE): must be smoke, book or paper' >&2; exit 2;; esac
	@[ -f 'notebooks/$(CH).ipynb' ] || { echo 'CH=$(CH): there is no notebooks/$(CH).ipynb' >&2; exit 2; }
	@$(PIPELINE) 'build/runs/$(PROFILE)/$(CH).ipynb'

pairs: venv-book
	@$(V) -m adlib.companion.pairs

data: venv-book
	@$(V) -m adlib.data fetch --all

verdicts: venv-book
	@$(V) -m adlib.companion.claims write && echo 'results/verdicts.json holds the verdicts of the last make book'

sweep: venv-book
	@[ -n '$(NAME)' ] || { echo 'say which sweep: make sweep NAME=geom-intuition'; exit 2; }
	@[ -f 'results/sweeps/$(NAME).yml' ] || { echo 'NAME=$(NAME): there is no results/sweeps/$(NAME).yml' >&2; exit 2; }
	@[ -z "$$(git status --porcelain)" ] || { echo 'uncommitted changes: sweep in a clean worktree (git worktree add)' >&2; exit 2; }
	@$(PIPELINE) 'build/sweeps/$(NAME)/done'

assignments: venv-grading
	@exec $(V) -m adlib.companion.handouts $(if $(ASSIGNMENT),--assignment '$(ASSIGNMENT)') \
		$(if $(STUDENTS),--students '$(STUDENTS)')

grade: venv-book
	@[ -n '$(SUBMISSIONS)' ] || { echo 'say which folder: make grade SUBMISSIONS=folder' >&2; exit 2; }
	@exec $(V) -m adlib.companion.grading $(if $(ASSIGNMENT),--assignment '$(ASSIGNMENT)') \
		$(if $(ALLOW_NETWORK),--allow-network) $(OPTIONS) -- '$(SUBMISSIONS)'

test-grading: venv-test-grading
	@exec $(V) tests/assignments/matrix.py $(ASSIGNMENT)

serve:
	@[ -f build/site/index.html ] || { echo 'there is no site yet: run make book' >&2; exit 2; }
	@echo 'http://127.0.0.1:$(PORT)/  (Ctrl-C ends it)'
	@exec $(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site $(PORT)

bench: venv-test
	@OMP_NUM_THREADS=1 exec $(V) bench/run.py

clean:
	rm -rf build .snakemake

# The environment: installed only when constraints.txt or pyproject.toml have changed since.
.PHONY: venv-book venv-test venv-grading venv-test-grading fetch-small
venv-book:
	@exec sh tools/install.sh '$(PYTHON)' book

venv-test:
	@exec sh tools/install.sh '$(PYTHON)' book,test

venv-grading:
	@exec sh tools/install.sh '$(PYTHON)' book,grading

venv-test-grading:
	@exec sh tools/install.sh '$(PYTHON)' book,test,grading

# The small data sets, tried at most once a day; without them the chapters run on scikit-learn's digits.
fetch-small: venv-book
	@if [ -z "$$ADLIB_DATA" ] && [ -z "$$(find build/data-tried -mtime -1 2>/dev/null)" ]; then \
		mkdir -p build 2>/dev/null && touch build/data-tried && $(V) -m adlib.data fetch --small || true; fi
