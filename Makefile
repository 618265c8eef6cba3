# make run        separates the example song (or SONG=path) into twelve stems
# make test       everything that must hold, from nothing, in some thirteen minutes on two cores
# make test-long  the long drills: hour-long files, many kills
# make test-web   the player in a real browser, Chromium, which it installs where it may
# make serve      the server on this machine: the player at http://127.0.0.1:8000, the APIs of kie.ai and crun.ai, our own
# make check      ruff and mypy; tsc for the player's modules, where there is npm
# make bench      speed and memory of the separator on this machine
# make bench-server  latency, memory, queue and callbacks of the server
# make bench-storage  files in an S3-compatible store: uploads, downloads, redirects
# make bench-capacity  a simulated day of a million songs: what it needs, and what breaks first
# make bench-machines  the queue of many machines on PostgreSQL: leases, orders a second, workers
# make bench-web  the player in Chromium: loading, sound, frames, memory; DOCUMENT= names a document whose table gets it
# make bench-models  speed of the big models against the packages that people use, and their memory
# make train      composes and renders SONGS songs, fetches real recordings that Debian packages (5 GB), then trains for
#                 MINUTES; run again, it goes on. RECORDINGS= leaves them out, PERMISSIVE=1 RECORDINGS=training/permissive
#                 takes what is under CC-BY, MIT, BSD or in the public domain. Where there is npm, 21 recorded
#                 instruments and a SoundFont (170 MB) play in the songs too
#                 OPEN= leaves out the songs that musicians publish as separate tracks (training/SOURCES.md)
#                 DATA=/path/to/musdb18hq (or MoisesDB, or <song>/<stem> folders) adds real multitracks

PYTHON ?= python3
SONG ?= examples/song.mp3
STEMS ?= twelve
SONGS ?= 200
MINUTES ?= 120
CORPUS ?= training/corpus
RUN ?= training/runs/first
DATA ?=
DOCUMENT ?=
RECORDINGS ?= training/recordings
PERMISSIVE ?=
MULTITRACKS ?= training/multitracks
OPEN ?= training/open-multitracks
BIN := .venv/bin
# pip has no way to prefer the small CPU build of torch (CONTRIBUTING.md): this names the release.
CONSTRAINTS := --constraint training/constraints.txt

TEST_PACKAGES := libfluidsynth3 libopenmpt0 timgm6mb-soundfont espeak-ng csound csound-plugins stk zynaddsubfx-lv2 setbfree \
  faketime postgresql
TRAIN_PACKAGES := $(TEST_PACKAGES) fluid-soundfont-gm fluidr3mono-gm-soundfont musescore-general-soundfont \
  csound-soundfont opl3-soundfont avldrums.lv2-soundfont hydrogen-drumkits hydrogen-data lmms-common \
  sonic-pi-samples flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts festvox-ca-ona-hts \
  festvox-italp16k festvox-itapc16k festvox-ru festvox-suopuhe-lj festvox-suopuhe-mv festvox-czech-ph festvox-czech-dita festvox-czech-machac \
  klettres-data ktuberling-data fillets-ng-data-cs fillets-ng-data-nl

.PHONY: run serve test test-long test-web drill check bench bench-server bench-machines bench-storage bench-capacity bench-web bench-models train clean test-packages web-packages long-packages

run: .venv/installed
	@$(BIN)/stemwright separate "$(SONG)" --stems $(STEMS)

serve: .venv/served
	@$(BIN)/stemwright serve

test: .venv/tested test-packages
	$(BIN)/pytest -m "not long" -n 4 --dist worksteal

test-long: .venv/tested test-packages web-packages long-packages .venv-peers/bs_roformer_infer/made .venv-peers/demucs_infer/made .azurite/made
	STEMWRIGHT_AZURITE=$(CURDIR)/.azurite/node_modules/.bin/azurite-blob \
	STEMWRIGHT_PEER_BS_ROFORMER_INFER=$(CURDIR)/.venv-peers/bs_roformer_infer/bin/python \
	STEMWRIGHT_PEER_DEMUCS_INFER=$(CURDIR)/.venv-peers/demucs_infer/bin/python $(BIN)/pytest -m long -n 3 --dist worksteal

test-web: .venv/tested web-packages
	$(BIN)/pytest -m "not long" tests/web tests/api/test_pages.py

drill: .venv/tested test-packages
	$(BIN)/python -m tests.drills.machines $(if $(SEED),--seed $(SEED))

check: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@scripts/check-web

bench: .venv/installed
	$(BIN)/python benchmarks/separate.py

bench-server: .venv/served
	$(BIN)/python -m benchmarks.serve

bench-storage: .venv/tested
	$(BIN)/python -m benchmarks.storage

bench-capacity: .venv/served
	$(BIN)/python -m benchmarks.capacity --find-workers 10

bench-machines: .venv/tested test-packages
	$(BIN)/python -m benchmarks.machines

bench-web: .venv/tested web-packages
	$(BIN)/python -m benchmarks.web $(if $(DOCUMENT),--document $(DOCUMENT))

bench-models: .venv/tested .venv-peers/bs_roformer_infer/made .venv-peers/demucs_infer/made
	$(BIN)/python -m benchmarks.models

train: .venv/tested
	@scripts/debian-packages "training" $(TRAIN_PACKAGES)
	PYTHON=$(BIN)/python scripts/samples training/samples
	$(BIN)/python -m training.rendering.corpus --out $(CORPUS) --count $(SONGS)
	$(BIN)/python -m training.rendering.corpus --out $(CORPUS) --count $(SONGS) --only vocals
	$(if $(RECORDINGS),PYTHON=$(BIN)/python scripts/recordings $(RECORDINGS) $(if $(PERMISSIVE),--permissive))
	$(if $(OPEN),$(BIN)/python -m training.data.open_multitracks $(OPEN))
	$(if $(DATA),$(BIN)/python -m training.data.multitracks "$(DATA)" --out $(MULTITRACKS))
	$(BIN)/python -m training.train --corpus $(CORPUS) $(if $(RECORDINGS),--corpus $(RECORDINGS)) $(if $(OPEN),--corpus $(OPEN)) \
	  $(if $(DATA),--corpus $(MULTITRACKS)) --minutes $(MINUTES) --run $(RUN) --resume

web-packages:
	@scripts/debian-packages "the tests of the player" chromium

long-packages:
	@scripts/debian-packages "the walk-through" nginx-light

test-packages:
	@scripts/debian-packages "the tests of training" $(TEST_PACKAGES)

clean:
	rm -rf .venv .venv-peers .azurite build dist

# Each peer has an environment of its own: they are measured, never imported.
.venv-peers/bs_roformer_infer/made: PEER := bs-roformer-infer==0.1.5
.venv-peers/demucs_infer/made: PEER := demucs-infer==4.4.0
.venv-peers/%/made: training/constraints.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/pip install --quiet $(CONSTRAINTS) $(PEER) torch
	@touch $@

.azurite/made:
	@npm install --silent --prefix .azurite azurite || echo "left out: the tests of az:// (they need npm)"
	@mkdir -p .azurite && touch $@

# Each mark is made once all that it stands for is installed, so a broken install is begun again.
.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Stemwright needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is missing: apt-get install python3-venv"; exit 2; }
	$(BIN)/pip install --quiet --upgrade pip
	@touch $@

.venv/installed: .venv/made pyproject.toml
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/served: .venv/installed
	$(BIN)/pip install --quiet --editable .[server]
	@touch $@

.venv/tested: .venv/installed training/constraints.txt
	$(BIN)/pip install --quiet $(CONSTRAINTS) --editable .[dev,torch] onnx onnxscript scipy 'setuptools<80' wheel cython numpy
	@$(BIN)/pip install --quiet --no-build-isolation pyworld \
	  || echo "left out: the tests of singing, for pyworld could not be built (it needs a C++ compiler)"
	@touch $@
