# Terraficta: pretrain on land that never was; map land that is.
# The table of contents. `make demo` and `make test` are all that a newcomer needs.

PYTHON ?= python3
VENV   ?= .venv
OUT    ?= out
SEED   ?= 7
# Real tiles to map: TILESET=DIR make demo. Else the demo fetches a real place from the package index; where there is no
# network it takes tiles beside the checkout, else a stand-in that pretraining never saw.
TILESET ?= $(patsubst %/tileset.yaml,%,$(firstword $(wildcard $(addsuffix /tileset.yaml,$(addprefix ../shared/tilesets/,slovenia aberystwyth brandenburg)))))

# Labelled tilesets of classes, for benchmark, audit and shift
TILESETS ?= $(or $(MINE),$(patsubst %/tileset.yaml,%,$(shell grep -lE '(^|[{,]) *label:' ../shared/tilesets/*/tileset.yaml 2>/dev/null)))

# Run records by name: those of this machine, else those that are kept
KEPT    := tests/bench/records
NAMED    = $(filter-out report,$(sort $(notdir $(patsubst %/run.json,%,$(wildcard $(OUT)/*/run.json $(KEPT)/*/run.json)))))
RECORDS  = $(foreach name,$(NAMED),$(patsubst %/run.json,%,$(firstword $(wildcard $(OUT)/$(name)/run.json $(KEPT)/$(name)/run.json))))

TF    := $(VENV)/bin/terraficta
READY := $(VENV)/.ready
DEMO  := $(OUT)/demo
MINE  := $(if $(filter-out file,$(origin TILESET)),$(TILESET))
LAND  ?= $(or $(TILESET),$(DEMO)/standin)

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-place demo-standin demo-tiles demo-told test proof check docs corpus pretrain finetune eval benchmark audit shift results records ablate report studies realism bench clean

help:           ## this page
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup: $(READY) ## a virtual environment with everything in it (.venv)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Terraficta needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Mend: make PYTHON=python3.11 $(or $(MAKECMDGOALS),setup)")'
	@echo "== Setting up $(VENV): torch and friends, several GB, some minutes =="
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(READY)  ## a real place from six points, and how it was learnt: maps, scores, report (TILESET=DIR for your own tiles)
	@test -z "$(TILESET)" -o -f "$(TILESET)/tileset.yaml" || { echo "demo: TILESET=$(TILESET): no tileset.yaml there. Mend: name a folder that holds one"; exit 2; }
	@rm -rf $(DEMO)
	@echo "== 1/5 Generate: fictional land =="
	$(TF) synth make --recipe tier3 --count 16 --seed $(SEED) --out $(DEMO)/corpus
	$(TF) synth show --corpus $(DEMO)/corpus --out $(DEMO)/corpus.png
	@echo "== 2/5 Pretrain: a minute's taste of it; the maps stand on the weights that ship =="
	$(TF) pretrain run --recipe demo --minutes $(or $(MINUTES),1) --workers 1 --seed $(SEED) --out $(DEMO)/pretrain
	@if [ -n "$(MINE)" ]; then $(MAKE) --no-print-directory demo-tiles LAND="$(MINE)"; \
	elif $(VENV)/bin/python tests/demo_place.py fetch $(DEMO)/place; then $(MAKE) --no-print-directory demo-place; \
	elif [ -n "$(TILESET)" ]; then $(MAKE) --no-print-directory demo-tiles LAND="$(TILESET)"; \
	else $(MAKE) --no-print-directory demo-standin demo-tiles LAND=$(DEMO)/standin; fi

demo-place:
	@echo "== 3/5 Map: the Parana at Itaipu, a Landsat scene of three bands, from six labelled points =="
	$(TF) map $(DEMO)/place/image.tif --labels $(DEMO)/place/points.gpkg --like landsat8 --bands B2,B3,B4 --seed $(SEED) --out $(DEMO)/map.tif
	@echo "== 4/5 Measure: on four polygons that were not shown, beside forests from the same points =="
	$(TF) eval score --map $(DEMO)/map.tif --tileset $(DEMO)/place --scene polygons
	$(TF) eval benchmark --tileset $(DEMO)/place --arms names,default,forest,forest-context --labels-per-class 0,2 --seeds 1 --set ladder=null --out $(DEMO)/benchmark
	@echo "== 5/5 Report =="
	$(TF) eval report --run $(DEMO)/pretrain --run $(DEMO)/map.tif --run $(DEMO)/benchmark --out $(DEMO)/report
	@$(MAKE) --no-print-directory demo-told

demo-standin:
	@echo "No real tiles here: what follows maps a fictional stand-in. TILESET=DIR make demo maps yours."
	$(TF) synth make --recipe standin --count 6 --seed 1999 --out $(DEMO)/standin

demo-tiles:
	@echo "== 3/5 Fine-tune: 25 labels a class of $(LAND) =="
	$(TF) finetune run --tileset $(LAND) --labels-per-class 25 --seed $(SEED) --out $(DEMO)/finetune
	@echo "== 4/5 Map and measure =="
	$(TF) eval predict --run $(DEMO)/finetune --tileset $(LAND) --out $(DEMO)/map.tif
	$(TF) eval benchmark --tileset $(LAND) --arms names,default,forest,forest-context --labels-per-class 0,5,25 --seeds 2 --set ladder=null --out $(DEMO)/benchmark
	@echo "== 5/5 Report =="
	$(TF) eval report --run $(DEMO)/pretrain --run $(DEMO)/finetune --run $(DEMO)/benchmark --out $(DEMO)/report
	@$(MAKE) --no-print-directory demo-told

demo-told:
	@echo; echo "Map:     $(abspath $(DEMO))/map.tif"; echo "         $(abspath $(DEMO))/map.png"; echo "Report:  $(abspath $(DEMO))/report/report.html"
	@echo; $(VENV)/bin/python tests/demo_place.py tell $(DEMO)/benchmark

test: $(READY)  ## the tests, in minutes, on data that they make; the examples of docstrings and of docs/ too
	$(VENV)/bin/python -m pytest -m "not slow"

proof: $(READY) ## the slow proofs too
	$(VENV)/bin/python -m pytest

check: $(READY) ## ruff and mypy
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

docs: $(READY)  ## the site in out/docs: how-tos, reference, glossary
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --site-dir $(abspath $(OUT))/docs

# The stages by themselves; each variable can be set: make corpus RECIPE=tier2 COUNT=1000 WORKERS=8

corpus: $(READY) ## a corpus of fictional tiles in out/corpus
	$(TF) synth make --recipe $(or $(RECIPE),tier3) --count $(or $(COUNT),256) --workers $(or $(WORKERS),1) --seed $(SEED) --out $(OUT)/corpus

pretrain: $(READY) ## weights in out/pretrain (MINUTES=20)
	$(TF) pretrain run --recipe $(or $(RECIPE),standard) --minutes $(or $(MINUTES),20) --workers $(or $(WORKERS),1) --seed $(SEED) --out $(OUT)/pretrain

finetune: $(READY) ## a map model of TILESET in out/finetune (WEIGHTS=FILE for your own)
	$(TF) finetune run --tileset $(TILESET) $(if $(WEIGHTS),--weights $(WEIGHTS)) --labels-per-class $(or $(LABELS),25) --seed $(SEED) --out $(OUT)/finetune

eval: $(READY)  ## every arm on TILESET, five seeds, in out/benchmark
	$(TF) eval benchmark --tileset $(TILESET) $(if $(WEIGHTS),--weights $(WEIGHTS)) --seeds 5 --out $(OUT)/benchmark

# What it was worth, on every tileset beside the checkout; TILESETS='a b' for others. All go on where they were cut off.

benchmark: $(READY) ## the proof: every arm on TILESETS in out/benchmark, cell by cell (RECIPE=frozen: no training)
	$(TF) eval benchmark $(foreach land,$(TILESETS),--tileset $(land)) $(if $(WEIGHTS),--weights $(WEIGHTS)) $(if $(IMAGENET),--imagenet $(IMAGENET)) --recipe $(or $(RECIPE),standard) --workers $(or $(WORKERS),1) --out $(OUT)/benchmark

audit: $(READY) ## leaks, wrong scales and shuffled labels looked for in TILESETS, and planted ones caught
	$(TF) eval audit $(foreach land,$(TILESETS),--tileset $(land)) --plant all --out $(OUT)/audit

shift: $(READY) ## calibration in place and under dialled shift, in out/shift
	$(TF) eval shift $(foreach land,$(TILESETS),--tileset $(land)) --out $(OUT)/shift

results: $(READY) ## RESULTS.md from the run records in out, and from those that are kept where out has none
	$(TF) eval results $(foreach run,$(RECORDS),--run $(run)) --out RESULTS.md --overwrite

NINE := names,default,ridge,random,location,forest-context,forest-ratios,forest-wide,logistic
TILES := ../shared/tilesets

records: $(READY) ## all records of RESULTS.md anew in out/, by the weights that ship, and kept: WORKERS=2, an hour
	$(TF) eval benchmark $(foreach land,$(TILESETS),--tileset $(land)) --recipe frozen --arms $(NINE) --workers $(or $(WORKERS),1) --out $(OUT)/benchmark
	-$(TF) eval audit --tileset $(TILES)/slovenia --tileset $(TILES)/chiapas --tileset $(TILES)/amazon-landsat --plant all --out $(OUT)/audit
	$(TF) eval shift --tileset $(TILES)/slovenia --tileset $(TILES)/aberystwyth --seeds 2 --test-pixels 2000 --out $(OUT)/shift
	$(TF) eval domains --climates temperate,mediterranean,desert,boreal --scenes 15 --seeds 1 --densenet-steps 120 --out $(OUT)/climates
	$(TF) eval domains --tileset $(TILES)/worldcover-a --seeds 1 --out $(OUT)/worldcover
	$(TF) eval domains --tileset $(TILES)/slovenia --by date --seeds 2 --out $(OUT)/slovenia-dates
	$(TF) eval landscapes --tileset $(TILES)/worldcover-a --out $(OUT)/landscapes
	$(TF) eval explain --scenes 8 --randoms 1 --out $(OUT)/explanation
	$(TF) eval encoders --seeds 2 --steps 250 --out $(OUT)/location
	$(TF) eval realism --tileset $(TILES)/worldcover-a --tileset $(TILES)/slovenia --scenes 16 --out $(OUT)/realism
	$(TF) eval slice --count 6 --out $(OUT)/slice
	$(VENV)/bin/python tests/bench/keep_records.py $(OUT)
	$(VENV)/bin/python tests/bench/studies_page.py
	$(MAKE) --no-print-directory results

report: $(READY) ## out/report/report.html from the same records
	$(TF) eval report $(foreach run,$(RECORDS),--run $(run)) --out $(OUT)/report --overwrite

ablate: $(READY) ## what each part of the generator and the objective is worth on TILESET (STEPS of pretraining each)
	$(TF) eval ablate --tileset $(TILESET) $(if $(STEPS),--steps $(STEPS)) --seeds $(or $(SEEDS),2) --out $(OUT)/ablation

studies: $(READY) ## climates and seasons, explanation, location: studies that need no tiles, in out/studies
	$(TF) eval domains --out $(OUT)/studies/climates
	$(TF) eval domains --by date --out $(OUT)/studies/seasons
	$(TF) eval explain --out $(OUT)/studies/explanation
	$(TF) eval encoders --out $(OUT)/studies/location

realism: $(READY) ## fiction beside the tiles of TILESET, in out/realism
	$(TF) eval realism --tileset $(TILESET) --out $(OUT)/realism

bench: $(READY) ## speed, as ratios to a peer or a limit
	for script in tests/bench/bench_*.py; do $(VENV)/bin/python $$script || exit 1; done

clean:          ## remove out/ (not the environment)
	rm -rf $(OUT)
