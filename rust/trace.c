// SPDX-License-Identifier: GPL-2.0
/*
 * The C shim of the tracepoints and of what is measured: both are behind one static key, so that the
 * lazy path carries one NOP for all of it. See observe.rs.
 */
#include <linux/export.h>
#include <linux/jump_label.h>
#include <linux/moduleparam.h>

#include "bindings.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct lazyirq_key_set lazyirq_keys = {
	.observed = STATIC_KEY_FALSE_INIT,
};
EXPORT_SYMBOL_GPL(lazyirq_keys);

/* Here because 7.2's module!() does not support bool. */
bool lazyirq_latency;
module_param_named(latency, lazyirq_latency, bool, 0);
MODULE_PARM_DESC(latency, "Measure how long handlers and their waits take (also in debugfs)");

/* Each call with true is undone by one with false. Thread, may sleep. */
void lazyirq_observe(bool on)
{
	if (on)
		static_branch_inc(&lazyirq_keys.observed);
	else
		static_branch_dec(&lazyirq_keys.observed);
}

int lazyirq_trace_on(void)
{
	lazyirq_observe(true);
	return 0;
}

void lazyirq_trace_off(void)
{
	lazyirq_observe(false);
}

void lazyirq_trace_entry(unsigned int irq, const char *name, unsigned int ipl)
{
	trace_entry(irq, name, ipl);
}

void lazyirq_trace_block(unsigned int irq, const char *name, const char *lock, unsigned int owner,
			 unsigned int id)
{
	trace_block(irq, name, lock, owner, id);
}

void lazyirq_trace_defer(unsigned int irq, const char *name)
{
	trace_defer(irq, name);
}

void lazyirq_trace_hold(unsigned int irq, const char *name, unsigned int ipl, unsigned int level,
			bool remembered)
{
	trace_hold(irq, name, ipl, level, remembered);
}

void lazyirq_trace_hand_over(const char *lock, unsigned int to, unsigned int id)
{
	trace_hand_over(lock, to, id);
}

void lazyirq_trace_resume(unsigned int irq, const char *name, unsigned int by)
{
	trace_resume(irq, name, by);
}

void lazyirq_trace_done(unsigned int irq, const char *name, unsigned int by, bool handled)
{
	trace_done(irq, name, by, handled);
}

void lazyirq_trace_lend(const char *lock, unsigned int to, unsigned int id, unsigned int priority)
{
	trace_lend(lock, to, id, priority);
}

void lazyirq_trace_stall(unsigned int irq, const char *name, const char *lock, u64 ms)
{
	trace_stall(irq, name, lock, ms);
}

void lazyirq_trace_illegal(unsigned int irq, const char *name)
{
	trace_illegal(irq, name);
}
