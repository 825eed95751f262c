// SPDX-License-Identifier: GPL-2.0
/*
 * A simulated interrupt controller for the selftests: eight lines, or as many as the
 * parameter "lines" says. Of every eight, the first four are edge-triggered, the others
 * level-triggered. Each has four devices, or as many as "sources" says.
 *
 * An interrupt is taken in hard-IRQ context, on top of whatever runs on the line's CPU.
 * What the hardware does to interrupts is done exactly and counted, so that a
 * test can account for each: an edge is kept in a latch, which holds one, while
 * its line is masked or delivering; a level line is delivered again and again,
 * while it is not masked, until its devices are quiet.
 *
 * The devices are the platform devices lazyirq_sim<line>.<source>. A driver is
 * bound to one by driver_override and bind: that of lazyirq_lines.ko, which is lazy,
 * or a stock one of lazyirq_neighbours.ko. A device counts events that have not been
 * answered: raising adds one, answering takes all of them.
 *
 * In /sys/kernel/debug/lazyirq_sim/, line<n> shows what was counted, and control
 * accepts
 * - "raise <line> <source> [<count>]",
 * - "disable <line>", "disable_nosync <line>", "enable <line>": the function of
 *   that name is called,
 * - "unhandled <line> 0 <count>": makes the kernel believe that this many interrupts
 *   have just gone unanswered; line<n> shows as "unhandled" how many it counts,
 * - "reset <line>": resets the counters, when nothing is under way.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdesc.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/smp.h>
#include <linux/uaccess.h>

#include "lazyirq_sim.h"

#define MAX_LINES 1024
#define SOURCES 4

static unsigned int nr_lines = 8;
module_param_named(lines, nr_lines, uint, 0);
MODULE_PARM_DESC(lines, "Lines, up to 1024");
static unsigned int nr_sources = SOURCES;
module_param_named(sources, nr_sources, uint, 0);
MODULE_PARM_DESC(sources, "Devices of each line, up to 4");
static bool slow;
module_param(slow, bool, 0);
MODULE_PARM_DESC(slow, "The controller is behind a bus that has to be waited for");

/*
 * This many unanswered interrupts in a row jam a line: a storm that neither
 * lazyirq nor the kernel, which shuts a line down after 100,000, has ended
 * must not take the machine with it.
 */
#define STORM 1000000

/*
 * After this many of them a line takes a breath. A real line's vector ranks
 * below the timer's, but the one that simulates it here ranks above it; and
 * whatever is to end a storm must get to run.
 */
#define STORM_PART 64
#define BREATH_US 50

struct line;

/* A device, under its line's lock. */
struct lazyirq_sim_source {
	struct line *line;
	struct platform_device *pdev;
	unsigned long unanswered, raised, answered;
	/* Told not to assert a level line for now. */
	bool quiet;
};

struct line {
	raw_spinlock_t lock;
	unsigned int irq, cpu;
	bool level, latch, masked, jammed;
	/* From the decision to deliver until the interrupt is handled. */
	bool delivering;
	/* Interrupts, edges that merged with another in the latch, interrupts since an answer. */
	unsigned long delivered, coalesced, in_a_row;
	struct irq_work work;
	call_single_data_t csd;
	struct hrtimer breath;
	struct lazyirq_sim_source sources[SOURCES];
};

static struct line *lines;
static struct irq_domain *domain;
static struct dentry *dir;

static bool asserted(struct line *line)
{
	struct lazyirq_sim_source *source;

	if (!line->level)
		return line->latch;
	for (source = line->sources; source < line->sources + SOURCES; source++)
		if (source->unanswered && !source->quiet)
			return true;
	return false;
}

/* irq_work_queue_on() is not exported. */
static void interrupt_cpu(struct line *line)
{
	unsigned int cpu = line->cpu;

	if (cpu == smp_processor_id() || smp_call_function_single_async(cpu, &line->csd))
		irq_work_queue(&line->work);
}

static void arrived_on_cpu(void *data)
{
	struct line *line = data;

	/* This is not always a hard IRQ: the idle task makes such calls itself. */
	irq_work_queue(&line->work);
}

static enum hrtimer_restart breathed(struct hrtimer *timer)
{
	struct line *line = container_of(timer, struct line, breath);
	unsigned long flags;

	raw_spin_lock_irqsave(&line->lock, flags);
	interrupt_cpu(line);
	raw_spin_unlock_irqrestore(&line->lock, flags);
	return HRTIMER_NORESTART;
}

/* Called with the lock held, after anything that may have made an interrupt due. */
static void send(struct line *line)
{
	lockdep_assert_held(&line->lock);
	if (line->delivering || line->masked || line->jammed || !asserted(line))
		return;
	if (line->level && ++line->in_a_row == STORM) {
		line->jammed = true;
		pr_err("lazyirq_sim: nobody ends the storm on interrupt %u\n", line->irq);
		return;
	}
	line->delivering = true;
	if (line->level && line->in_a_row % STORM_PART == 0)
		hrtimer_start(&line->breath, us_to_ktime(BREATH_US), HRTIMER_MODE_REL_PINNED_HARD);
	else
		interrupt_cpu(line);
}

static void set_latch(struct line *line)
{
	if (line->latch)
		line->coalesced++;
	line->latch = true;
}

static void deliver(struct irq_work *work)
{
	struct line *line = container_of(work, struct line, work);
	bool accepted;

	raw_spin_lock(&line->lock);
	accepted = !line->masked && asserted(line);
	if (accepted) {
		line->latch = false;
		line->delivered++;
	}
	raw_spin_unlock(&line->lock);

	if (accepted)
		generic_handle_irq(line->irq);

	raw_spin_lock(&line->lock);
	line->delivering = false;
	send(line);
	raw_spin_unlock(&line->lock);
}

static void sim_mask(struct irq_data *data)
{
	struct line *line = irq_data_get_irq_chip_data(data);
	unsigned long flags;

	raw_spin_lock_irqsave(&line->lock, flags);
	line->masked = true;
	raw_spin_unlock_irqrestore(&line->lock, flags);
}

static void sim_unmask(struct irq_data *data)
{
	struct line *line = irq_data_get_irq_chip_data(data);
	unsigned long flags;

	raw_spin_lock_irqsave(&line->lock, flags);
	line->masked = false;
	send(line);
	raw_spin_unlock_irqrestore(&line->lock, flags);
}

/* The latch was emptied when the CPU accepted the interrupt. */
static void sim_ack(struct irq_data *data)
{
}

/*
 * For an edge that came while the kernel had the line disabled. If the latch holds
 * another one by now, the two merge.
 */
static int sim_retrigger(struct irq_data *data)
{
	struct line *line = irq_data_get_irq_chip_data(data);
	unsigned long flags;

	raw_spin_lock_irqsave(&line->lock, flags);
	set_latch(line);
	send(line);
	raw_spin_unlock_irqrestore(&line->lock, flags);
	return 1;
}

static int sim_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	struct line *line = irq_data_get_irq_chip_data(data);
	unsigned int cpu = cpumask_first(mask);
	unsigned long flags;

	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	raw_spin_lock_irqsave(&line->lock, flags);
	line->cpu = cpu;
	raw_spin_unlock_irqrestore(&line->lock, flags);
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK;
}

static void sim_bus(struct irq_data *data)
{
}

static struct irq_chip chip = {
	.name = "lazyirq_sim",
	.irq_mask = sim_mask,
	.irq_unmask = sim_unmask,
	.irq_ack = sim_ack,
	.irq_retrigger = sim_retrigger,
	.irq_set_affinity = sim_set_affinity,
};

static int sim_map(struct irq_domain *domain, unsigned int irq, irq_hw_number_t number)
{
	struct line *line = &lines[number];

	irq_set_chip_data(irq, line);
	if (line->level) {
		irq_set_chip_and_handler(irq, &chip, handle_level_irq);
		irq_modify_status(irq, IRQ_NOREQUEST, IRQ_TYPE_LEVEL_HIGH | IRQ_LEVEL);
	} else {
		irq_set_chip_and_handler(irq, &chip, handle_edge_irq);
		irq_modify_status(irq, IRQ_NOREQUEST, IRQ_TYPE_EDGE_RISING);
	}
	return 0;
}

static const struct irq_domain_ops domain_ops = { .map = sim_map };

static void raise(struct lazyirq_sim_source *source)
{
	struct line *line = source->line;
	unsigned long flags;

	raw_spin_lock_irqsave(&line->lock, flags);
	source->unanswered++;
	source->raised++;
	if (!line->level)
		set_latch(line);
	send(line);
	raw_spin_unlock_irqrestore(&line->lock, flags);
}

void lazyirq_sim_raise(unsigned int number, unsigned int source)
{
	raise(&lines[number].sources[source]);
}
EXPORT_SYMBOL_GPL(lazyirq_sim_raise);

struct lazyirq_sim_source *lazyirq_sim_source(struct device *dev)
{
	return *(struct lazyirq_sim_source **)dev_get_platdata(dev);
}
EXPORT_SYMBOL_GPL(lazyirq_sim_source);

bool lazyirq_sim_asks(struct lazyirq_sim_source *source)
{
	return READ_ONCE(source->unanswered) && !READ_ONCE(source->quiet);
}
EXPORT_SYMBOL_GPL(lazyirq_sim_asks);

unsigned long lazyirq_sim_answer(struct lazyirq_sim_source *source)
{
	struct line *line = source->line;
	unsigned long flags, count;

	raw_spin_lock_irqsave(&line->lock, flags);
	count = source->unanswered;
	source->unanswered = 0;
	source->answered += count;
	source->quiet = false;
	if (count)
		line->in_a_row = 0;
	raw_spin_unlock_irqrestore(&line->lock, flags);
	return count;
}
EXPORT_SYMBOL_GPL(lazyirq_sim_answer);

void lazyirq_sim_silence(struct lazyirq_sim_source *source)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&source->line->lock, flags);
	source->quiet = true;
	raw_spin_unlock_irqrestore(&source->line->lock, flags);
}
EXPORT_SYMBOL_GPL(lazyirq_sim_silence);

/*
 * The control files.
 */
/* Nothing may be under way. */
static void reset(struct line *line)
{
	struct lazyirq_sim_source *source;

	raw_spin_lock_irq(&line->lock);
	line->delivered = 0;
	line->coalesced = 0;
	for (source = line->sources; source < line->sources + SOURCES; source++)
		source->raised = source->answered = 0;
	raw_spin_unlock_irq(&line->lock);
}

static void set_unhandled(struct line *line, unsigned int count)
{
	struct irq_desc *desc = irq_data_to_desc(irq_get_irq_data(line->irq));

	raw_spin_lock_irq(&desc->lock);
	desc->irq_count = count;
	desc->irqs_unhandled = count;
	desc->last_unhandled = jiffies;
	raw_spin_unlock_irq(&desc->lock);
}

static ssize_t control_write(struct file *file, const char __user *user, size_t length,
			     loff_t *pos)
{
	unsigned int number, source = 0, count = 1;
	char text[32], what[16];
	struct line *line;

	if (length >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, length))
		return -EFAULT;
	text[length] = '\0';
	if (sscanf(text, "%15s %u %u %u", what, &number, &source, &count) < 2 ||
	    number >= nr_lines || source >= nr_sources)
		return -EINVAL;
	line = &lines[number];
	if (!strcmp(what, "reset")) {
		reset(line);
	} else if (!strcmp(what, "raise")) {
		while (count--)
			raise(&line->sources[source]);
	} else if (!strcmp(what, "disable")) {
		disable_irq(line->irq);
	} else if (!strcmp(what, "disable_nosync")) {
		disable_irq_nosync(line->irq);
	} else if (!strcmp(what, "enable")) {
		enable_irq(line->irq);
	} else if (!strcmp(what, "unhandled")) {
		set_unhandled(line, count);
	} else {
		return -EINVAL;
	}
	return length;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.write = control_write,
};

static int line_show(struct seq_file *file, void *unused)
{
	struct line *line = file->private;
	struct irq_desc *desc = irq_data_to_desc(irq_get_irq_data(line->irq));
	unsigned long raised = 0, answered = 0;
	int i;

	seq_printf(file, "irq %u\ndepth %u\nunhandled %u\n", line->irq, READ_ONCE(desc->depth),
		   READ_ONCE(desc->irqs_unhandled));
	raw_spin_lock_irq(&line->lock);
	for (i = 0; i < SOURCES; i++) {
		raised += line->sources[i].raised;
		answered += line->sources[i].answered;
		seq_printf(file, "raised%d %lu\nanswered%d %lu\n", i, line->sources[i].raised,
			   i, line->sources[i].answered);
	}
	seq_printf(file, "raised %lu\nanswered %lu\n", raised, answered);
	seq_printf(file, "delivered %lu\ncoalesced %lu\ncpu %u\n", line->delivered,
		   line->coalesced, line->cpu);
	seq_printf(file, "masked %d\njammed %d\nresting %d\n", line->masked, line->jammed,
		   !line->delivering && (line->masked || !asserted(line)));
	raw_spin_unlock_irq(&line->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(line);

/*
 * Coming and going.
 */
static int add_source(struct line *line, unsigned int number)
{
	struct lazyirq_sim_source *source = &line->sources[number];
	struct resource irq = DEFINE_RES_IRQ(line->irq);
	char name[32];

	snprintf(name, sizeof(name), "lazyirq_sim%u.%u", (unsigned int)(line - lines), number);
	source->line = line;
	source->pdev = platform_device_register_full(&(struct platform_device_info) {
		.name = name,
		.id = PLATFORM_DEVID_NONE,
		.res = &irq,
		.num_res = 1,
		.data = &source,
		.size_data = sizeof(source),
	});
	return PTR_ERR_OR_ZERO(source->pdev);
}

static int add_line(unsigned int number)
{
	struct line *line = &lines[number];
	char name[16];
	int i, ret;

	raw_spin_lock_init(&line->lock);
	line->level = number % 8 >= 4;
	line->masked = true;
	line->work = IRQ_WORK_INIT_HARD(deliver);
	INIT_CSD(&line->csd, arrived_on_cpu, line);
	hrtimer_setup(&line->breath, breathed, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	line->irq = irq_create_mapping(domain, number);
	if (!line->irq)
		return -ENOMEM;
	for (i = 0; i < nr_sources; i++) {
		ret = add_source(line, i);
		if (ret)
			return ret;
	}
	snprintf(name, sizeof(name), "line%u", number);
	debugfs_create_file(name, 0400, dir, line, &line_fops);
	return 0;
}

/* None of the line's devices is bound to a driver any more, so it is masked. */
static void remove_line(struct line *line)
{
	if (!line->irq)
		return;
	while (READ_ONCE(line->delivering))
		usleep_range(1000, 2000);
	irq_work_sync(&line->work);
	hrtimer_cancel(&line->breath);
	irq_dispose_mapping(line->irq);
}

static void sim_exit(void)
{
	struct line *line;
	int i;

	debugfs_remove(dir);
	for (line = lines; line < lines + nr_lines; line++)
		for (i = 0; i < nr_sources; i++)
			platform_device_unregister(line->sources[i].pdev);
	for (line = lines; line < lines + nr_lines; line++)
		remove_line(line);
	irq_domain_remove(domain);
	kvfree(lines);
}

static int __init sim_init(void)
{
	int i, ret;

	if (!nr_lines || nr_lines > MAX_LINES || !nr_sources || nr_sources > SOURCES)
		return -EINVAL;
	if (slow)
		chip.irq_bus_lock = chip.irq_bus_sync_unlock = sim_bus;
	lines = kvcalloc(nr_lines, sizeof(*lines), GFP_KERNEL);
	if (!lines)
		return -ENOMEM;
	domain = irq_domain_create_linear(NULL, nr_lines, &domain_ops, NULL);
	if (!domain) {
		kvfree(lines);
		return -ENOMEM;
	}
	dir = debugfs_create_dir("lazyirq_sim", NULL);
	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	for (i = 0; i < nr_lines; i++) {
		ret = add_line(i);
		if (ret) {
			sim_exit();
			return ret;
		}
	}
	return 0;
}

module_init(sim_init);
module_exit(sim_exit);
MODULE_DESCRIPTION("Selftests of lazyirq: a simulated interrupt controller and its devices");
MODULE_LICENSE("GPL");
