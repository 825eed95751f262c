# SPDX-License-Identifier: GPL-2.0
# "make help" says what there is.

KDIR ?= /lib/modules/$(shell uname -r)/build

# Kbuild takes these from make's command line alone.
tools := $(foreach tool,RUSTC BINDGEN,$(if $($(tool)),$(tool)='$($(tool))'))

.DEFAULT_GOAL := modules

help:
	@echo 'For the kernel in KDIR (default: the running one):'
	@echo '  modules          build lazyirq.ko and the samples (the default)'
	@echo '  modules_install  install them, and what drivers in other directories are built with (samples/driver.mk)'
	@echo '  rustdoc          the documentation of the API: build/rustdoc/lazyirq/index.html'
	@echo '  rust-analyzer    make rust-project.json, for editors'
	@echo '  clean            remove what was built'
	@echo 'In a virtual machine, with a stock Debian kernel; nothing else is needed:'
	@echo '  setup            make the toolchain root, the kernel tree and what a guest needs (run and test do it too)'
	@echo '  run              boot, and show lazyirq at work'
	@echo '  test             run all tests on a stock kernel, and some on a PREEMPT_RT kernel, on arm64 and on a debug'
	@echo '                   kernel, which is built first; KERNEL=...: all, on that one; TESTS="a b": these'
	@echo '  test-all         run all tests on each kernel: takes hours; TESTS="a b": these'
	@echo '  release-check    run and test on a fresh Debian 12 and a fresh Debian 13, with no cache: takes hours'
	@echo '  bench            count instructions, all mechanisms side by side: build/bench.json; fails if selftests/budget'
	@echo '                   is exceeded. On the stock kernel, the same with threadirqs and with 1 to 64 CPUs, and the PREEMPT_RT'
	@echo '                   kernel; or on KERNEL'
	@echo '  report           measure, and draw it: build/report.html'
	@echo '  lazyirqstat      build that tool, into build/'
	@echo '  models           check the locks and the state machine in models; no machine is booted'
	@echo '  soak             everything at once, in an emulated machine that repeats itself: SEED=17 repeats a run;'
	@echo '                   LENGTH=5 seconds, CPUS=2'
	@echo '  distclean        clean, and remove the cache'
	@echo 'KERNEL=stock, rt, cloud, arm64, sid or debug says which kernel that is, stock by default'
	@echo 'Other variables: KDIR, RUSTC, BINDGEN, INSTALL_MOD_PATH, TESTS, SEED, TIMEOUT (seconds for a virtual machine), LAZYIRQ_CACHE,'
	@echo '                 LAZYIRQ_MIRROR, KERNEL_SERIES'

modules:
	@sh scripts/check-kdir '$(KDIR)'
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(tools) modules

modules_install:
	@sh scripts/check-kdir --no-tools '$(KDIR)'
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' modules_install
	@scripts/install-dev '$(KDIR)' '$(INSTALL_MOD_PATH)'

rustdoc:
	@sh scripts/check-kdir '$(KDIR)'
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(tools) LAZYIRQ_RUSTDOC=y modules
	@echo 'open build/rustdoc/lazyirq/index.html'

rust-analyzer: modules
	@scripts/rust-analyzer '$(KDIR)'

clean:
	@rm -rf build rust-project.json tools/lazyirqstat/target
	@if [ -e '$(KDIR)/Makefile' ]; then $(MAKE) -C '$(KDIR)' M='$(CURDIR)' clean; \
	elif [ -e modules.order ]; then \
		echo 'give the KDIR=... for which this was built: there is no kernel tree in $(KDIR)' >&2; exit 1; fi

setup:
	@scripts/setup

run:
	@scripts/run

test:
	@scripts/test $(TESTS)

test-all:
	@scripts/test-all $(TESTS)

release-check:
	@scripts/release-check

models:
	@scripts/test models

bench:
	@scripts/bench

report:
	@scripts/report

lazyirqstat:
	@scripts/lazyirqstat

soak:
	@scripts/soak

distclean: clean
	@scripts/distclean

.PHONY: help modules modules_install rustdoc rust-analyzer clean setup run test test-all release-check models bench report lazyirqstat soak distclean
