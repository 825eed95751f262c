/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints, lazyirq:*. README.md says what they are good for; their fields are documented
 * in Documentation/ABI/testing/debugfs-lazyirq. All but the rare ones are behind the static key
 * of observe.rs, which they switch on.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lazyirq

#if !defined(LAZYIRQ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LAZYIRQ_TRACE_H

#include <linux/tracepoint.h>

/* As OwnerKind in sync/raw.rs. */
#define lazyirq_show_who(who) \
	__print_symbolic(who, { 0, "thread" }, { 1, "handler" }, { 2, "readers" })
/* As By in observe.rs. */
#define lazyirq_show_by(by) \
	__print_symbolic(by, { 0, "lazy" }, { 1, "releaser" }, { 2, "ithread" })

int lazyirq_trace_on(void);
void lazyirq_trace_off(void);

/* A handler starts in the lazy path. Hard IRQ. */
TRACE_EVENT_FN(entry,
	TP_PROTO(unsigned int irq, const char *name, unsigned int ipl),
	TP_ARGS(irq, name, ipl),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__field(unsigned int, ipl)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__entry->ipl = ipl;
		__assign_str(name);
	),
	TP_printk("irq=%u name=%s ipl=%u", __entry->irq, __get_str(name), __entry->ipl),
	lazyirq_trace_on, lazyirq_trace_off
);

/* A handler waits for a lock, whose owner is a thread (id: its pid), a handler (its irq) or readers (how many). */
TRACE_EVENT_FN(block,
	TP_PROTO(unsigned int irq, const char *name, const char *lock, unsigned int owner, unsigned int id),
	TP_ARGS(irq, name, lock, owner, id),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__field(unsigned int, owner)
		__field(unsigned int, id)
		__string(name, name)
		__string(lock, lock)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__entry->owner = owner;
		__entry->id = id;
		__assign_str(name);
		__assign_str(lock);
	),
	TP_printk("irq=%u name=%s lock=%s owner=%s id=%u", __entry->irq, __get_str(name),
		  __get_str(lock), lazyirq_show_who(__entry->owner), __entry->id),
	lazyirq_trace_on, lazyirq_trace_off
);

DECLARE_EVENT_CLASS(interrupt,
	TP_PROTO(unsigned int irq, const char *name),
	TP_ARGS(irq, name),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__assign_str(name);
	),
	TP_printk("irq=%u name=%s", __entry->irq, __get_str(name))
);

/* A handler defers. */
DEFINE_EVENT_FN(interrupt, defer,
	TP_PROTO(unsigned int irq, const char *name),
	TP_ARGS(irq, name),
	lazyirq_trace_on, lazyirq_trace_off
);

/*
 * An interrupt may not start its handler now: another handler is unfinished here, the highest of them at level,
 * which is the interrupt's or above; or the handler itself is unfinished (then the interrupt is remembered).
 * Hard IRQ.
 */
TRACE_EVENT_FN(hold,
	TP_PROTO(unsigned int irq, const char *name, unsigned int ipl, unsigned int level, bool remembered),
	TP_ARGS(irq, name, ipl, level, remembered),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__field(unsigned int, ipl)
		__field(unsigned int, level)
		__field(bool, remembered)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__entry->ipl = ipl;
		__entry->level = level;
		__entry->remembered = remembered;
		__assign_str(name);
	),
	TP_printk("irq=%u name=%s ipl=%u level=%u remembered=%d", __entry->irq, __get_str(name),
		  __entry->ipl, __entry->level, __entry->remembered),
	lazyirq_trace_on, lazyirq_trace_off
);

/* A lock goes to a waiter: a thread (id: its pid) or a handler (its irq). */
TRACE_EVENT_FN(hand_over,
	TP_PROTO(const char *lock, unsigned int to, unsigned int id),
	TP_ARGS(lock, to, id),
	TP_STRUCT__entry(
		__field(unsigned int, to)
		__field(unsigned int, id)
		__string(lock, lock)
	),
	TP_fast_assign(
		__entry->to = to;
		__entry->id = id;
		__assign_str(lock);
	),
	TP_printk("lock=%s to=%s id=%u", __get_str(lock), lazyirq_show_who(__entry->to), __entry->id),
	lazyirq_trace_on, lazyirq_trace_off
);

/* A handler continues, or one that was held starts. In a releaser, not preempted, or in its ithread. */
TRACE_EVENT_FN(resume,
	TP_PROTO(unsigned int irq, const char *name, unsigned int by),
	TP_ARGS(irq, name, by),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__field(unsigned int, by)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__entry->by = by;
		__assign_str(name);
	),
	TP_printk("irq=%u name=%s by=%s", __entry->irq, __get_str(name), lazyirq_show_by(__entry->by)),
	lazyirq_trace_on, lazyirq_trace_off
);

/* A handler is done, and answers whether its device interrupted. */
TRACE_EVENT_FN(done,
	TP_PROTO(unsigned int irq, const char *name, unsigned int by, bool handled),
	TP_ARGS(irq, name, by, handled),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__field(unsigned int, by)
		__field(bool, handled)
		__string(name, name)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__entry->by = by;
		__entry->handled = handled;
		__assign_str(name);
	),
	TP_printk("irq=%u name=%s by=%s handled=%d", __entry->irq, __get_str(name),
		  lazyirq_show_by(__entry->by), __entry->handled),
	lazyirq_trace_on, lazyirq_trace_off
);

/*
 * A lock's owner is lent a SCHED_FIFO priority, or a higher one than before: a thread (id: its pid), or
 * a handler (its irq), whose ithread gets it.
 */
TRACE_EVENT(lend,
	TP_PROTO(const char *lock, unsigned int to, unsigned int id, unsigned int priority),
	TP_ARGS(lock, to, id, priority),
	TP_STRUCT__entry(
		__field(unsigned int, to)
		__field(unsigned int, id)
		__field(unsigned int, priority)
		__string(lock, lock)
	),
	TP_fast_assign(
		__entry->to = to;
		__entry->id = id;
		__entry->priority = priority;
		__assign_str(lock);
	),
	TP_printk("lock=%s to=%s id=%u priority=%u", __get_str(lock), lazyirq_show_who(__entry->to),
		  __entry->id, __entry->priority)
);

/* A handler has waited for a lock for stall_ms. */
TRACE_EVENT(stall,
	TP_PROTO(unsigned int irq, const char *name, const char *lock, u64 ms),
	TP_ARGS(irq, name, lock, ms),
	TP_STRUCT__entry(
		__field(unsigned int, irq)
		__field(u64, ms)
		__string(name, name)
		__string(lock, lock)
	),
	TP_fast_assign(
		__entry->irq = irq;
		__entry->ms = ms;
		__assign_str(name);
		__assign_str(lock);
	),
	TP_printk("irq=%u name=%s lock=%s ms=%llu", __entry->irq, __get_str(name), __get_str(lock),
		  __entry->ms)
);

/* A handler waits for something that nothing would ever end, and is shut down. */
DEFINE_EVENT(interrupt, illegal,
	TP_PROTO(unsigned int irq, const char *name),
	TP_ARGS(irq, name)
);

#endif /* LAZYIRQ_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
