// SPDX-License-Identifier: GPL-2.0
/*
 * Stock drivers of the simulated devices of lazyirq_sim.ko, to share lines with
 * lazy ones: with a hard handler, also on PREEMPT_RT; with a thread, and a primary handler that silences
 * the device; with a thread only, for which the kernel masks the line (oneshot).
 */
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "lazyirq_sim.h"

static irqreturn_t answer(int irq, void *source)
{
	return lazyirq_sim_answer(source) ? IRQ_HANDLED : IRQ_NONE;
}

static irqreturn_t quiet(int irq, void *source)
{
	if (!lazyirq_sim_asks(source))
		return IRQ_NONE;
	lazyirq_sim_silence(source);
	return IRQ_WAKE_THREAD;
}

static int request(struct platform_device *pdev, irq_handler_t handler, irq_handler_t thread,
		   unsigned long flags)
{
	int irq = platform_get_irq(pdev, 0);

	if (irq < 0)
		return irq;
	return devm_request_threaded_irq(&pdev->dev, irq, handler, thread, flags | IRQF_SHARED,
					 pdev->dev.driver->name, lazyirq_sim_source(&pdev->dev));
}

static int probe_hard(struct platform_device *pdev)
{
	return request(pdev, answer, NULL, IRQF_COND_ONESHOT | IRQF_NO_THREAD);
}

static int probe_threaded(struct platform_device *pdev)
{
	return request(pdev, quiet, answer, 0);
}

static int probe_oneshot(struct platform_device *pdev)
{
	return request(pdev, NULL, answer, IRQF_ONESHOT);
}

static struct platform_driver hard = {
	.driver.name = "lazyirq_hard",
	.probe = probe_hard,
};

static struct platform_driver threaded = {
	.driver.name = "lazyirq_threaded",
	.probe = probe_threaded,
};

static struct platform_driver oneshot = {
	.driver.name = "lazyirq_oneshot",
	.probe = probe_oneshot,
};

static struct platform_driver * const drivers[] = { &hard, &threaded, &oneshot };

static int __init neighbours_init(void)
{
	return platform_register_drivers(drivers, ARRAY_SIZE(drivers));
}
module_init(neighbours_init);

static void __exit neighbours_exit(void)
{
	platform_unregister_drivers(drivers, ARRAY_SIZE(drivers));
}
module_exit(neighbours_exit);

MODULE_DESCRIPTION("Selftests of lazyirq: stock drivers that share lines with lazy ones");
MODULE_LICENSE("GPL");
