// SPDX-License-Identifier: GPL-2.0
/*
 * The C shim: macros, inline functions and per-CPU data that Rust cannot reach by itself.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/wait.h>
#include <uapi/linux/sched/types.h>

#include "bindings.h"

/* Read by drivers' lazy paths, inlined into their own modules. */
DEFINE_PER_CPU(int, lazyirq_level);
EXPORT_PER_CPU_SYMBOL_GPL(lazyirq_level);

int lazyirq_this_level(void)
{
	return this_cpu_read(lazyirq_level);
}
EXPORT_SYMBOL_GPL(lazyirq_this_level);

void lazyirq_set_level(int level)
{
	this_cpu_write(lazyirq_level, level);
}

void lazyirq_set_level_of(unsigned int cpu, int level)
{
	per_cpu(lazyirq_level, cpu) = level;
}

/* The CPU's element of ithread.rs's array, while the module is loaded. */
DEFINE_PER_CPU(struct lazyirq_cpu *, lazyirq_this_one);

void lazyirq_set_cpu(unsigned int cpu, struct lazyirq_cpu *element)
{
	per_cpu(lazyirq_this_one, cpu) = element;
}

/* What is called for each blocked interrupt is not traced: that is a NOP less. */
notrace struct lazyirq_cpu *lazyirq_this_cpu(void)
{
	return this_cpu_read(lazyirq_this_one);
}

struct call {
	void (*f)(unsigned int cpu, unsigned int arg);
	unsigned int arg;
};

static void call_here(void *data)
{
	struct call *call = data;

	call->f(smp_processor_id(), call->arg);
}

/* Calls f(cpu, arg) for all CPUs: on the CPU, with interrupts off, or here for those that are offline. */
void lazyirq_on_each_cpu(void (*f)(unsigned int cpu, unsigned int arg), unsigned int arg)
{
	struct call call = { f, arg };
	unsigned int cpu;

	cpus_read_lock();
	for_each_possible_cpu(cpu) {
		if (cpu_online(cpu))
			smp_call_function_single(cpu, call_here, &call, true);
		else
			f(cpu, arg);
	}
	cpus_read_unlock();
}

/* Sleeps until f(cpu, arg) is true, for each CPU that is online. No CPU comes or goes meanwhile. */
void lazyirq_await_each_cpu(bool (*f)(unsigned int cpu, unsigned int arg), unsigned int arg)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		while (!f(cpu, arg))
			usleep_range(50, 200);
	}
	cpus_read_unlock();
}

notrace void lazyirq_irq_off(void)
{
	local_irq_disable();
}

notrace void lazyirq_irq_on(void)
{
	local_irq_enable();
}

unsigned int lazyirq_next_online_cpu(unsigned int cpu)
{
	return cpumask_next_wrap(cpu, cpu_online_mask);
}

static DEFINE_PER_CPU(struct task_struct *[LAZYIRQ_IPLS], lazyirq_ithreads);

struct task_struct **lazyirq_ithread_store(unsigned int ipl)
{
	return (struct task_struct **)(__force unsigned long)&lazyirq_ithreads[ipl];
}

/* sched_set_fifo() supports only one priority. */
int lazyirq_set_fifo(struct task_struct *task, unsigned int priority)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_FIFO,
		.sched_priority = priority,
	};

	return sched_setattr_nocheck(task, &attr);
}

/* Sets the priority of all threads of an IPL, which do not end meanwhile. Thread, may sleep. */
void lazyirq_ithreads_fifo(unsigned int ipl, unsigned int priority)
{
	unsigned int cpu;

	guard(cpus_read_lock)();
	for_each_possible_cpu(cpu) {
		struct task_struct *task = per_cpu(lazyirq_ithreads[ipl], cpu);

		if (task)
			lazyirq_set_fifo(task, priority);
	}
}

/* The running ithread does not sleep after all. */
void lazyirq_ithread_stays_awake(void)
{
	__set_current_state(TASK_RUNNING);
}

/*
 * The running ithread is about to sleep: whatever wakes it from here on keeps it from that. Returns false, and it is
 * not, if smpboot wants it to park or to end.
 */
notrace bool lazyirq_ithread_may_sleep(void)
{
	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop() && !kthread_should_park())
		return true;
	lazyirq_ithread_stays_awake();
	return false;
}

void lazyirq_non_block_start(void)
{
	non_block_start();
}

void lazyirq_non_block_end(void)
{
	non_block_end();
}

const char lazyirq_spin_name[] = "lazyirq internal";
EXPORT_SYMBOL_GPL(lazyirq_spin_name);
struct lock_class_key lazyirq_spin_classes[3];
EXPORT_SYMBOL_GPL(lazyirq_spin_classes);

unsigned long lazyirq_raw_spin_lock(raw_spinlock_t *lock)
{
	unsigned long flags;

	raw_spin_lock_irqsave(lock, flags);
	return flags;
}
EXPORT_SYMBOL_GPL(lazyirq_raw_spin_lock);

void lazyirq_raw_spin_unlock(raw_spinlock_t *lock, unsigned long flags)
{
	raw_spin_unlock_irqrestore(lock, flags);
}
EXPORT_SYMBOL_GPL(lazyirq_raw_spin_unlock);

bool lazyirq_line_is_level(unsigned int irq)
{
	struct irq_data *data = irq_get_irq_data(irq);

	return data && irqd_is_level_type(data);
}

/*
 * disable_irq_nosync() leaves a line unmasked at the controller until it fires once more. A line
 * that is still asserted fires at once, so that saving would cost a second interrupt every time.
 */
void lazyirq_mask_at_once(unsigned int irq)
{
	irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
}

/*
 * Does masking the line sleep, because its controller is behind a bus that sleeps? A handler's line is
 * masked in hard-IRQ context.
 */
bool lazyirq_line_is_slow(unsigned int irq)
{
	struct irq_chip *chip = irq_get_chip(irq);

	return chip && chip->irq_bus_lock;
}

/* Does the line have a handler, now that one of its handlers is gone? */
bool lazyirq_line_in_use(unsigned int irq)
{
	return irq_has_action(irq);
}

/* The CPU that the line's next interrupt is expected on; 0 if there is no such line (any more). */
unsigned int lazyirq_line_cpu(unsigned int irq)
{
	const struct cpumask *mask;
	struct irq_data *data;
	unsigned int cpu;

	/* A stock interrupt's line is not ours to keep. */
	guard(rcu)();
	data = irq_get_irq_data(irq);
	if (!data)
		return 0;
	mask = irq_data_get_effective_affinity_mask(data);
	if (cpumask_empty(mask))
		mask = irq_data_get_affinity_mask(data);
	cpu = cpumask_first_and(mask, cpu_possible_mask);
	return cpu < nr_cpu_ids ? cpu : 0;
}

/* The memory that a thread takes: the stock mechanism has one thread for each interrupt. */
size_t lazyirq_thread_memory(void)
{
	return THREAD_SIZE + sizeof(struct task_struct);
}

/*
 * An unfinished handler counts among its line's running threads. So whatever waits until these are
 * done (synchronize_irq(), and with it disable_irq(), free_irq() and suspending) waits for it too.
 */
static struct irq_desc *find_line(unsigned int irq)
{
	struct irq_data *data = irq_get_irq_data(irq);

	return data ? irq_data_to_desc(data) : NULL;
}

/* Must be put when it is no longer used: a driver may have its vectors freed before that. */
struct irq_desc *lazyirq_line_get(unsigned int irq)
{
	struct irq_desc *line;

	guard(rcu)();
	line = find_line(irq);
	return line && kobject_get_unless_zero(&line->kobj) ? line : NULL;
}

void lazyirq_line_put(struct irq_desc *line)
{
	if (line)
		kobject_put(&line->kobj);
}

/* Does the line still have its number? */
bool lazyirq_line_is_there(struct irq_desc *line)
{
	guard(rcu)();
	return line && find_line(irq_desc_get_irq(line)) == line;
}

/* Waits for unfinished handlers. Thread, may sleep. */
void lazyirq_line_await(struct irq_desc *line)
{
	wait_event(line->wait_for_threads, !atomic_read(&line->threads_active));
}

/* Undoes a disable_irq_nosync(). */
void lazyirq_line_unmask(struct irq_desc *line)
{
	if (lazyirq_line_is_there(line))
		enable_irq(irq_desc_get_irq(line));
}

/* Their number, for Rust to increment. */
int *lazyirq_line_active(struct irq_desc *line)
{
	return line ? &line->threads_active.counter : NULL;
}

/* Out of line, so that nothing has to be saved where nobody waits. */
static noinline struct irq_desc *keep(struct irq_desc *line)
{
	rcu_read_lock();
	return line;
}

/*
 * Called with interrupts off. Returns the line if somebody waits: then lazyirq_line_wake() must be called once
 * they are on; until then the line stays, whatever happens to it.
 */
notrace struct irq_desc *lazyirq_line_idle(struct irq_desc *line)
{
	/* Fully ordered, as is going to sleep. */
	if (likely(!atomic_dec_and_test(&line->threads_active) || !waitqueue_active(&line->wait_for_threads)))
		return NULL;
	return keep(line);
}

void lazyirq_line_wake(struct irq_desc *line)
{
	wake_up(&line->wait_for_threads);
	rcu_read_unlock();
}
