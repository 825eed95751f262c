/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel crate lacks. Read by bindgen (functions and variables named lazyirq_*), compiled
 * in helpers.c. Nothing here decides anything: the mechanism is in Rust.
 */
#ifndef LAZYIRQ_BINDINGS_H
#define LAZYIRQ_BINDINGS_H

#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/smpboot.h>
#include <linux/spinlock.h>

/* IPLs are 1..10; index 0 of a per-IPL array stays unused. */
#define LAZYIRQ_IPLS 11

/* The highest IPL with an unfinished continuation on the CPU, 0 for none. */
DECLARE_PER_CPU(int, lazyirq_level);

/* Static keys, each a NOP on the lazy path while it is off. */
struct lazyirq_key_set {
	struct static_key_false latency;
};
extern struct lazyirq_key_set lazyirq_keys;

void lazyirq_enable_latency(bool on);

int lazyirq_this_level(void);
void lazyirq_set_level(int level);
unsigned int lazyirq_this_cpu(void);
unsigned long lazyirq_irq_save(void);
void lazyirq_irq_restore(unsigned long flags);

struct task_struct **lazyirq_ithread_store(unsigned int ipl);
struct task_struct *lazyirq_ithread(unsigned int cpu, unsigned int ipl);
int lazyirq_set_fifo(unsigned int priority);
unsigned long lazyirq_switches(void);
void lazyirq_non_block_start(void);
void lazyirq_non_block_end(void);

void lazyirq_raw_spin_init(raw_spinlock_t *lock);
unsigned long lazyirq_raw_spin_lock(raw_spinlock_t *lock);
void lazyirq_raw_spin_unlock(raw_spinlock_t *lock, unsigned long flags);

bool lazyirq_line_is_level(unsigned int irq);
void lazyirq_mask_at_once(unsigned int irq);
bool lazyirq_line_in_use(unsigned int irq);
size_t lazyirq_thread_memory(void);

void lazyirq_wait_var(void *var, bool (*done)(void *var));
void lazyirq_wake_var(void *var);

#endif /* LAZYIRQ_BINDINGS_H */
