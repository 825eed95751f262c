// SPDX-License-Identifier: GPL-2.0
/*
 * The C shim of the releasers: what they need from the scheduler, and their parameters.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "bindings.h"

enum resume { ITHREAD, RELEASER };

static const char *const names[] = {
	[ITHREAD] = "ithread",
	[RELEASER] = "releaser",
};

static int resume = RELEASER;

static int set_resume(const char *value, const struct kernel_param *param)
{
	int found = sysfs_match_string(names, value);

	if (found < 0) {
		pr_err("resume has to be releaser or ithread\n");
		return found;
	}
	WRITE_ONCE(resume, found);
	return 0;
}

static int get_resume(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", names[READ_ONCE(resume)]);
}

static const struct kernel_param_ops resume_ops = {
	.set = set_resume,
	.get = get_resume,
};
module_param_cb(resume, &resume_ops, NULL, 0644);
MODULE_PARM_DESC(resume, "Who resumes a handler when its lock is released: releaser (default), where that may be, or ithread");

static int set_budget(const char *value, const struct kernel_param *param)
{
	int ret = param_set_uint_minmax(value, param, 1, UINT_MAX);

	if (ret)
		pr_err("resume_budget has to be a number, at least 1\n");
	return ret;
}

static const struct kernel_param_ops budget_ops = {
	.set = set_budget,
	.get = param_get_uint,
};
static unsigned int resume_budget = 8;
module_param_cb(resume_budget, &budget_ops, &resume_budget, 0644);
MODULE_PARM_DESC(resume_budget, "How many handlers one release resumes at most; the others are left to the ithreads");

/*
 * The caller is not preempted until lazyirq_releaser_end(). Returns lazyirq_this_cpu() if it may lend its
 * context, and otherwise NULL: with preemption or interrupts off, it may hold a spinlock that the handler takes.
 */
notrace struct lazyirq_cpu *lazyirq_releaser_begin(void)
{
	bool lends = READ_ONCE(resume) == RELEASER && preemptible();

	preempt_disable();
	return lends ? this_cpu_read(lazyirq_this_one) : NULL;
}

notrace void lazyirq_releaser_end(void)
{
	preempt_enable();
}

unsigned int lazyirq_resume_budget(void)
{
	return READ_ONCE(resume_budget);
}

/* Is another thread to run on this CPU? */
bool lazyirq_is_wanted(void)
{
	return need_resched();
}
