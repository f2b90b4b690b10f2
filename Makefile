# SPDX-License-Identifier: Apache-2.0
# Short names for what meson does. `make` lists them.

BUILD ?= build
MESON ?= $(firstword $(wildcard /usr/bin/meson) meson)
MESON_OPTIONS ?=
TESTS ?=
SECONDS ?= 1800
KILLS ?= 1000
PYTHON ?= /usr/bin/python3
# Those in which the C library has a part.
TESTS_MUSL ?= torture-killed torture-killed-and-stopped semaphore.h

.DEFAULT_GOAL := help
.PHONY: help build demo check everything crash faults fuzz analyze coverage bench plot install clean check-arm64 \
        test-multiprocessing kills check-musl cross-macos model model-faults

help: ## this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z0-9-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'Variables: BUILD=directory  MESON_OPTIONS="-Dx=y ..."  TESTS="names or --suite s"'
	@echo '           PREFIX=/usr  DESTDIR=directory  (install)'

# $(call configure,groups of packages). Where it matters, the compiler knows the
# library directory that the system's linker and pkg-config look into.
define configure
@scripts/install-deps build $(1)
@test -f $(BUILD)/build.ninja || { \
	multiarch=$$($${CC:-cc} -print-multiarch 2>/dev/null); \
	$(MESON) setup $(BUILD) $${multiarch:+--libdir=lib/$$multiarch} $(MESON_OPTIONS); \
}
endef

define compile
$(configure)
@$(MESON) compile -C $(BUILD)
endef

build: ## compile the library, the command, tests and examples
	$(call compile,test)

demo: ## real jobs, at most 3 at once, while some are killed
	$(call compile,test demo)
	@SEMUNDO_BUILD=$(abspath $(BUILD)) examples/demo/run

check: ## every test; ends with the number of test cases
	$(call compile,test check python upstream)
	@MESON=$(MESON) scripts/check $(BUILD) $(TESTS)

everything: ## check, and again with sanitizers, valgrind and the fuzzer
	$(call compile,test check python upstream more)
	@MESON=$(MESON) scripts/everything $(BUILD) $(MESON_OPTIONS)

fuzz: ## SECONDS=1800 of hostile files; finds stay in fuzz/found
	@scripts/install-deps build more
	@MESON=$(MESON) scripts/variant fuzz $(BUILD)-fuzz
	@fuzz/run for $(SECONDS) $(abspath $(BUILD)-fuzz)/fuzz/fuzz-semaphore $(abspath fuzz/corpus)

analyze: ## gcc -fanalyzer, clang-tidy and cppcheck over src and cli
	$(call configure,test analyze)
	@scripts/analyze $(BUILD)

coverage: ## which lines of src the tests reach; the report is in BUILD-coverage
	@scripts/install-deps build test coverage
	@MESON=$(MESON) scripts/variant coverage $(BUILD)-coverage
	@MESON=$(MESON) scripts/coverage $(BUILD)-coverage

check-arm64: ## layouts, torture and stress on arm64, under qemu
	@scripts/install-deps build test check
	@tests/arm64/run $(abspath $(BUILD))/arm64 30

model: ## check the model of the algorithm in all configurations: minutes
	@scripts/install-deps build test check
	@model/run $(abspath $(BUILD))/model/full full

model-faults: ## show that the model finds each seeded fault
	@scripts/install-deps build test check
	@model/run $(abspath $(BUILD))/model/faults faults

check-musl: ## the library and the tests that need only it, with musl's C library
	@scripts/install-deps build test check
	@MESON=$(MESON) scripts/variant musl $(BUILD)-musl $(MESON_OPTIONS)
	@MESON=$(MESON) scripts/check $(BUILD)-musl $(TESTS_MUSL)

# Linked, not run. The command is not among it: see doc/platforms.md.
ZIG ?= zig
cross-macos: ## the library and the command, for macOS, by zig (ZIG=path)
	@if ! command -v $(ZIG) >/dev/null; then \
		echo "cross-macos: SKIPPED, there is no $(ZIG) (say ZIG=path of a Zig compiler)"; \
	else \
		scripts/install-deps build macos && \
		for cpu in aarch64 x86_64; do \
			ZIG=$(ZIG) MESON=$(MESON) scripts/cross-macos $$cpu $(abspath $(BUILD)-macos) || exit; \
		done; \
	fi

crash: ## kill at every instruction of every operation (an hour or more)
	$(call compile,test)
	@$(BUILD)/tests/crash/every-instruction $(CRASH)
	@$(BUILD)/tests/crash/every-instruction-test --only 'a waiter comes' $(CRASH)

faults: ## seed five faults; make crash and the model find each
	$(call compile,test check)
	@scripts/faults $(BUILD)
	@model/run $(abspath $(BUILD))/model/faults faults

test-multiprocessing: ## CPython's own tests with semundo under them, and without: an hour (UPSTREAM="--python PATH ...")
	$(call compile,test python upstream)
	@scripts/test-multiprocessing $(BUILD) $(UPSTREAM)

kills: ## KILLS=1000 processes of Python's queues and pools, at random moments
	$(call compile,test python)
	@PYTHONPATH=$(abspath $(BUILD))/python PYTHONDONTWRITEBYTECODE=1 SEMUNDO_KILLS=$(KILLS) \
		$(PYTHON) tests/python/run.py tests/python -v test_mp_pool.AtRandom \
		test_mp_queues.Writers test_mp_queues.Readers test_mp_queues.Places

bench: ## speed, side by side with glibc and System V
	$(call compile,test python)
	@bench/run $(BUILD)

plot: ## draw doc/img/benchmarks.svg from the latest make bench
	@scripts/install-deps plot
	@/usr/bin/python3 bench/plot.py $(BUILD)/bench/bench.json doc/img/benchmarks.svg

install: ## install under PREFIX (/usr/local), in DESTDIR
	$(call configure,test)
	$(if $(PREFIX),@$(MESON) configure $(BUILD) -Dprefix=$(PREFIX))
	@$(MESON) install -C $(BUILD)
	@if [ -z "$$DESTDIR" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean: ## remove the build directory
	rm -rf $(BUILD) $(BUILD_MUSL) $(BUILD)-macos
