// SPDX-License-Identifier: GPL-2.0
/*
 * The C shim of the locks: the timer, the dispatcher's thread, the works, and the lenders' mutexes.
 */
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/workqueue.h>

#include "bindings.h"

/* These are Rust's; see watch.rs, dispatcher.rs, stall.rs and lender.rs. */
void lazyirq_look(void);
void lazyirq_dispatched(void);
void lazyirq_look_for_stalls(void);
void lazyirq_make_lender(void);
void lazyirq_module_goes(struct module *module);

static struct hrtimer look_timer;
static struct kthread_worker *dispatcher;
static struct kthread_work dispatch_work;

static enum hrtimer_restart look(struct hrtimer *timer)
{
	lazyirq_look();
	return HRTIMER_NORESTART;
}

void lazyirq_look_in(u64 ns)
{
	hrtimer_start(&look_timer, ns_to_ktime(ns), HRTIMER_MODE_REL_HARD);
}

static void dispatched(struct kthread_work *work)
{
	lazyirq_dispatched();
}

void lazyirq_dispatch(void)
{
	kthread_queue_work(dispatcher, &dispatch_work);
}

/* Waits until what the dispatcher is doing, and has been called for, is done. */
void lazyirq_await_dispatcher(void)
{
	kthread_flush_worker(dispatcher);
}

/* A work of its own: printing a stack takes long, and the dispatcher runs above everybody else on its CPU. */
static void look_for_stalls(struct work_struct *work)
{
	lazyirq_look_for_stalls();
}

static DECLARE_DELAYED_WORK(stall_work, look_for_stalls);

void lazyirq_stalls_in(unsigned int ms)
{
	queue_delayed_work(system_dfl_wq, &stall_work, msecs_to_jiffies(ms));
}

static void make_lender(struct work_struct *work)
{
	lazyirq_make_lender();
}

static DECLARE_WORK(grow_work, make_lender);

void lazyirq_grow(void)
{
	queue_work(system_dfl_wq, &grow_work);
}

static int module_changes(struct notifier_block *block, unsigned long state, void *module)
{
	if (state == MODULE_STATE_GOING)
		lazyirq_module_goes(module);
	return NOTIFY_DONE;
}

/* Is the address part of the module's code or data? */
bool lazyirq_module_has(struct module *module, const void *address)
{
	return within_module((unsigned long)address, module);
}

static struct notifier_block module_notifier = {
	.notifier_call = module_changes,
};

int lazyirq_lending_start(void)
{
	int ret;

	hrtimer_setup(&look_timer, look, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	kthread_init_work(&dispatch_work, dispatched);
	dispatcher = kthread_run_worker(0, "lazyirq_lend");
	if (IS_ERR(dispatcher))
		return PTR_ERR(dispatcher);
	ret = lazyirq_set_fifo(dispatcher->task, LAZYIRQ_HIGHEST_FIFO);
	if (!ret)
		ret = register_module_notifier(&module_notifier);
	if (ret)
		kthread_destroy_worker(dispatcher);
	return ret;
}

void lazyirq_lending_stop(void)
{
	unregister_module_notifier(&module_notifier);
	/*
	 * No lock has waiters. A new lender calls for the dispatcher; the timer and the dispatcher can set off each other
	 * once more; and both the stalls' work.
	 */
	cancel_work_sync(&grow_work);
	hrtimer_cancel(&look_timer);
	kthread_flush_worker(dispatcher);
	hrtimer_cancel(&look_timer);
	kthread_destroy_worker(dispatcher);
	cancel_delayed_work_sync(&stall_work);
}

struct kthread_worker *lazyirq_worker(unsigned int number)
{
	return kthread_run_worker(0, "lazyirq_lend/%u", number);
}

void lazyirq_work_init(struct kthread_work *work, kthread_work_func_t func)
{
	kthread_init_work(work, func);
}

static void stop_spinning(void *loan)
{
	set_tsk_need_resched(((struct lazyirq_loan *)loan)->lender);
}

static enum hrtimer_restart lender_spins(struct hrtimer *timer)
{
	struct lazyirq_loan *loan = container_of(timer, struct lazyirq_loan, look);
	unsigned int this_cpu = smp_processor_id(), other;

	if (!READ_ONCE(loan->lender->on_rq))
		return HRTIMER_NORESTART;
	/* An interrupt of the lender's own CPU would take the mark away when it returns. */
	other = cpumask_any_but(cpu_online_mask, this_cpu);
	if (task_cpu(loan->lender) != this_cpu)
		stop_spinning(loan);
	else if (other < nr_cpu_ids)
		smp_call_function_single_async(other, &loan->stop);
	hrtimer_forward_now(timer, ns_to_ktime(NSEC_PER_MSEC));
	return HRTIMER_RESTART;
}

/*
 * A lender waits for a task that took none of these mutexes, and is not even known to have waited
 * for the lock that it stands for: nothing for lockdep.
 */
void lazyirq_loan_init(struct lazyirq_loan *loan)
{
	rt_mutex_init(&loan->mutex);
	lockdep_set_novalidate_class(&loan->mutex);
	hrtimer_setup(&loan->look, lender_spins, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	INIT_CSD(&loan->stop, stop_spinning, loan);
}

/* The idle mutex belongs to the task from now on, as if the task had taken it. */
void lazyirq_loan_owe(struct lazyirq_loan *loan, struct task_struct *task)
{
	WRITE_ONCE(loan->mutex.rtmutex.owner, task);
}

void lazyirq_loan_wait(struct lazyirq_loan *loan)
{
	/*
	 * While the owner runs on another CPU, rt_mutex_lock() would spin, at the priority that is lent. It does
	 * not if this task is marked as to be preempted. An interrupt that comes just now preempts it, which takes the
	 * mark away; then the timer has it made again.
	 */
	loan->lender = current;
	hrtimer_start(&loan->look, ns_to_ktime(NSEC_PER_MSEC), HRTIMER_MODE_REL_HARD);
	set_tsk_need_resched(current);
	rt_mutex_lock(&loan->mutex);
	rt_mutex_unlock(&loan->mutex);
	hrtimer_cancel(&loan->look);
}

void lazyirq_loan_repay(struct lazyirq_loan *loan)
{
	/* This task did not take the mutex, but it is the owner. */
	mutex_acquire(&loan->mutex.dep_map, 0, 1, _RET_IP_);
	rt_mutex_unlock(&loan->mutex);
}

/*
 * The lender's thread has ended, but its last call of another CPU may be under way: until it is begun it is locked,
 * and then it runs with interrupts off. (That CPU has them off since before the thread ended, so the task's memory,
 * which is freed after an RCU grace period, is still there.)
 */
void lazyirq_loan_end(struct lazyirq_loan *loan)
{
	smp_cond_load_acquire(&loan->stop.node.u_flags, !(VAL & CSD_FLAG_LOCK));
	synchronize_rcu();
}
