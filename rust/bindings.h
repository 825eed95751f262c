/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel crate lacks. Read by bindgen (Kbuild has the list of what it takes); what is declared here is in
 * helpers.c and its neighbours: parameters, timers, works and tracepoints. The mechanism is in Rust.
 */
#ifndef LAZYIRQ_BINDINGS_H
#define LAZYIRQ_BINDINGS_H

#include <linux/hrtimer.h>
#include <linux/jump_label.h>
#include <linux/kthread.h>
#include <linux/lockdep.h>
#include <linux/percpu.h>
#include <linux/rtmutex.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/smp.h>
#include <linux/smpboot.h>
#include <linux/spinlock.h>

/* IPLs are 1..10; index 0 of a per-IPL array stays unused. */
#define LAZYIRQ_IPLS 11

/* The highest IPL with an unfinished continuation on the CPU, 0 for none. */
DECLARE_PER_CPU(int, lazyirq_level);

/* The CPU's element of ithread.rs's array, while the module is loaded. */
struct lazyirq_cpu;
DECLARE_PER_CPU(struct lazyirq_cpu *, lazyirq_this_one);
void lazyirq_set_cpu(unsigned int cpu, struct lazyirq_cpu *element);
struct lazyirq_cpu *lazyirq_this_cpu(void);

/* The static key of observe.rs: a NOP on the lazy path while it is off. */
struct lazyirq_key_set {
	struct static_key_false observed;
};
extern struct lazyirq_key_set lazyirq_keys;

void lazyirq_observe(bool on);
extern bool lazyirq_latency;

void lazyirq_trace_entry(unsigned int irq, const char *name, unsigned int ipl);
void lazyirq_trace_block(unsigned int irq, const char *name, const char *lock, unsigned int owner,
			 unsigned int id);
void lazyirq_trace_defer(unsigned int irq, const char *name);
void lazyirq_trace_hold(unsigned int irq, const char *name, unsigned int ipl, unsigned int level,
			bool remembered);
void lazyirq_trace_hand_over(const char *lock, unsigned int to, unsigned int id);
void lazyirq_trace_lend(const char *lock, unsigned int to, unsigned int id, unsigned int priority);
void lazyirq_trace_resume(unsigned int irq, const char *name, unsigned int by);
void lazyirq_trace_done(unsigned int irq, const char *name, unsigned int by, bool handled);
void lazyirq_trace_stall(unsigned int irq, const char *name, const char *lock, u64 ms);
void lazyirq_trace_illegal(unsigned int irq, const char *name);

int lazyirq_this_level(void);
void lazyirq_set_level(int level);
void lazyirq_set_level_of(unsigned int cpu, int level);
void lazyirq_await_each_cpu(bool (*f)(unsigned int cpu, unsigned int arg), unsigned int arg);
void lazyirq_on_each_cpu(void (*f)(unsigned int cpu, unsigned int arg), unsigned int arg);
unsigned int lazyirq_next_online_cpu(unsigned int cpu);
void lazyirq_irq_off(void);
void lazyirq_irq_on(void);

struct task_struct **lazyirq_ithread_store(unsigned int ipl);
int lazyirq_set_fifo(struct task_struct *task, unsigned int priority);
void lazyirq_ithreads_fifo(unsigned int ipl, unsigned int priority);
bool lazyirq_ithread_may_sleep(void);
void lazyirq_ithread_stays_awake(void);
void lazyirq_non_block_start(void);
void lazyirq_non_block_end(void);

unsigned long lazyirq_raw_spin_lock(raw_spinlock_t *lock);
void lazyirq_raw_spin_unlock(raw_spinlock_t *lock, unsigned long flags);
extern struct lock_class_key lazyirq_spin_classes[3];
extern const char lazyirq_spin_name[17];

/* How many locks of a handler are known to lockdep at a time. */
#define LAZYIRQ_HELD 4

void lazyirq_lockdep_acquire(struct lockdep_map *map, bool shared, bool trying);
void lazyirq_lockdep_release(struct lockdep_map *map);
void lazyirq_lockdep_handler(struct lockdep_map **held, struct lockdep_map *map, bool shared);

/* Above any waiter for a lock: for the dispatcher, which decides what is lent, and threads that are to end. */
#define LAZYIRQ_HIGHEST_FIFO 99

int lazyirq_lending_start(void);
void lazyirq_lending_stop(void);
void lazyirq_look_in(u64 ns);
void lazyirq_dispatch(void);
void lazyirq_await_dispatcher(void);
void lazyirq_stalls_in(unsigned int ms);
bool lazyirq_module_has(struct module *module, const void *address);
void lazyirq_grow(void);

struct kthread_worker *lazyirq_worker(unsigned int number);
void lazyirq_work_init(struct kthread_work *work, kthread_work_func_t func);

/* What a lender lends by. */
struct lazyirq_loan {
	/* Belongs to whom it is lent to. */
	struct rt_mutex mutex;
	struct task_struct *lender;
	/* See lazyirq_loan_wait(). */
	struct hrtimer look;
	call_single_data_t stop;
};

void lazyirq_loan_init(struct lazyirq_loan *loan);
void lazyirq_loan_owe(struct lazyirq_loan *loan, struct task_struct *task);
void lazyirq_loan_wait(struct lazyirq_loan *loan);
void lazyirq_loan_repay(struct lazyirq_loan *loan);
void lazyirq_loan_end(struct lazyirq_loan *loan);

struct lazyirq_cpu *lazyirq_releaser_begin(void);
void lazyirq_releaser_end(void);
unsigned int lazyirq_resume_budget(void);
bool lazyirq_is_wanted(void);

bool lazyirq_line_is_level(unsigned int irq);
void lazyirq_mask_at_once(unsigned int irq);
bool lazyirq_line_is_slow(unsigned int irq);
bool lazyirq_line_in_use(unsigned int irq);
unsigned int lazyirq_line_cpu(unsigned int irq);
size_t lazyirq_thread_memory(void);

struct irq_desc *lazyirq_line_get(unsigned int irq);
void lazyirq_line_put(struct irq_desc *line);
bool lazyirq_line_is_there(struct irq_desc *line);
void lazyirq_line_await(struct irq_desc *line);
void lazyirq_line_unmask(struct irq_desc *line);
int *lazyirq_line_active(struct irq_desc *line);
struct irq_desc *lazyirq_line_idle(struct irq_desc *line);
void lazyirq_line_wake(struct irq_desc *line);

#endif /* LAZYIRQ_BINDINGS_H */
