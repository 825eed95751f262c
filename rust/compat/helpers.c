// SPDX-License-Identifier: GPL-2.0
/* The C shim of kernel.rs. */
#include <linux/export.h>
#include <linux/irqflags.h>

unsigned long lazyirq_irq_save(void);
void lazyirq_irq_restore(unsigned long flags);

unsigned long lazyirq_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}
EXPORT_SYMBOL_GPL(lazyirq_irq_save);

void lazyirq_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}
EXPORT_SYMBOL_GPL(lazyirq_irq_restore);
