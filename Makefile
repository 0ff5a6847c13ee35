# Terraficta: pretrain on land that never was; map land that is.
# The table of contents. `make demo` and `make test` are all that a newcomer needs.

PYTHON  ?= python3
VENV    ?= .venv
OUT     ?= out
# Real tiles to map: TILESET=DIR make demo; else one beside the checkout; else a stand-in that pretraining has never seen.
TILESET ?= $(firstword $(wildcard $(addsuffix /tileset.yaml,$(addprefix ../shared/tilesets/,slovenia brandenburg *))))
SEED    ?= 7

BIN   := $(VENV)/bin
TF    := $(BIN)/terraficta
READY := $(VENV)/.ready
DEMO  := $(OUT)/demo
REAL  := $(patsubst %/,%,$(dir $(patsubst %/tileset.yaml,%/tileset.yaml,$(if $(filter %.yaml,$(TILESET)),$(TILESET),$(if $(TILESET),$(TILESET)/tileset.yaml)))))

.DEFAULT_GOAL := help
.PHONY: help setup demo test proof check corpus pretrain finetune eval ablate report bench clean

help:           ## this page
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

setup: $(READY) ## a virtual environment with everything in it

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Terraficta needs Python 3.11 or later, and this is " + sys.version.split()[0] + ". Mend: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --progress-bar off -e '.[dev]'
	@touch $@
