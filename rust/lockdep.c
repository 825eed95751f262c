// SPDX-License-Identifier: GPL-2.0
/*
 * The C shim of what lockdep is told. Empty on a kernel without it.
 */
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/string.h>

#include "bindings.h"

#ifdef CONFIG_LOCKDEP

void lazyirq_lockdep_acquire(struct lockdep_map *map, bool shared, bool trying)
{
	lock_acquire(map, 0, trying, shared, 1, NULL, _RET_IP_);
}
EXPORT_SYMBOL_GPL(lazyirq_lockdep_acquire);

void lazyirq_lockdep_release(struct lockdep_map *map)
{
	lock_release(map, _RET_IP_);
}
EXPORT_SYMBOL_GPL(lazyirq_lockdep_release);

/*
 * Shows lockdep a thread that holds the locks in held, and takes map: for that moment the running
 * thread holds nothing else, and is in no interrupt. Interrupts stay off, so that nobody else looks.
 */
void lazyirq_lockdep_handler(struct lockdep_map **held, struct lockdep_map *map, bool shared)
{
	struct task_struct *curr = current;
	struct held_lock saved[LAZYIRQ_HELD + 1];
	unsigned long flags;
	u64 chain_key;
	int depth, i;
#ifdef CONFIG_TRACE_IRQFLAGS
	int hardirq, softirq;
#endif

	local_irq_save(flags);
	memcpy(saved, curr->held_locks, sizeof(saved));
	depth = curr->lockdep_depth;
	chain_key = curr->curr_chain_key;
	curr->lockdep_depth = 0;
	curr->curr_chain_key = INITIAL_CHAIN_KEY;
#ifdef CONFIG_TRACE_IRQFLAGS
	hardirq = this_cpu_read(hardirq_context);
	softirq = curr->softirq_context;
	this_cpu_write(hardirq_context, 0);
	curr->softirq_context = 0;
#endif

	for (i = 0; i < LAZYIRQ_HELD; i++)
		if (held[i])
			lock_acquire(held[i], 0, 0, 0, 1, NULL, _RET_IP_);
	lock_acquire(map, 0, 0, shared, 1, NULL, _RET_IP_);
	lock_release(map, _RET_IP_);
	for (i = LAZYIRQ_HELD; i-- > 0;)
		if (held[i])
			lock_release(held[i], _RET_IP_);

#ifdef CONFIG_TRACE_IRQFLAGS
	curr->softirq_context = softirq;
	this_cpu_write(hardirq_context, hardirq);
#endif
	curr->curr_chain_key = chain_key;
	curr->lockdep_depth = depth;
	memcpy(curr->held_locks, saved, sizeof(saved));
	local_irq_restore(flags);
}
EXPORT_SYMBOL_GPL(lazyirq_lockdep_handler);

#endif
