# SPDX-License-Identifier: GPL-2.0
# The Makefile for a driver in a directory of its own, for an installed lazyirq. Copy it there:
#
#	mkdir ~/uart
#	cp samples/driver.mk ~/uart/Makefile
#	cp samples/lazyirq_minimal.rs ~/uart/uart.rs
#	make -C ~/uart
#
# Each *.rs in the directory is a driver. What a driver has in other files goes into a directory below, as in lazyirq_edu.

ifdef KERNELRELEASE
# This part is for Kbuild.
drivers := $(patsubst $(src)/%.rs,%,$(wildcard $(src)/*.rs))
obj-m := $(addsuffix .o,$(drivers))
# On 7.2 the compat crate stands in for the kernel crate.
crates := --extern lazyirq=$(LAZYIRQ)/liblazyirq.rmeta \
	$(addprefix -Ldependency=$(LAZYIRQ) --extern kernel=,$(wildcard $(LAZYIRQ)/liblazyirq_compat.rmeta))
$(foreach driver,$(drivers),$(eval RUSTFLAGS_$(driver).o := $(crates)))
else
KDIR ?= /lib/modules/$(shell uname -r)/build
RELEASE := $(shell cat '$(KDIR)/include/config/kernel.release' 2>/dev/null)
# Where lazyirq's "make modules_install" puts what drivers need.
export LAZYIRQ ?= $(INSTALL_MOD_PATH)/lib/modules/$(RELEASE)/lazyirq

modules modules_install:
	@case '$(CURDIR)' in *[[:space:]:%]*) \
		echo 'Kbuild cannot build in $(CURDIR): move this to a path without blanks, colons and percent signs' >&2; exit 1 ;; esac
	@[ -n '$(RELEASE)' ] || \
		{ echo 'there is no prepared kernel tree in $(KDIR): give one with KDIR=/path/to/build' >&2; exit 1; }
	@[ -e '$(LAZYIRQ)/liblazyirq.rmeta' ] || \
		{ echo "lazyirq is not installed for the kernel of $(KDIR): run make KDIR=$(KDIR) modules modules_install in lazyirq's sources first" >&2; exit 1; }
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' KBUILD_EXTRA_SYMBOLS='$(LAZYIRQ)/Module.symvers' $@

clean:
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' clean

.DEFAULT_GOAL := modules
.PHONY: modules modules_install clean
endif
