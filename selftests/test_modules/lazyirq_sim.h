/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What drivers of the simulated devices call, in any context. lazyirq_lines.rs
 * declares it once more.
 */
#ifndef LAZYIRQ_SIM_H
#define LAZYIRQ_SIM_H

#include <linux/types.h>

struct device;
struct lazyirq_sim_source;

/* The device of that line raises an interrupt: of eight, and four. */
void lazyirq_sim_raise(unsigned int line, unsigned int source);
struct lazyirq_sim_source *lazyirq_sim_source(struct device *dev);
/* Does it ask for anything? */
bool lazyirq_sim_asks(struct lazyirq_sim_source *source);
/* Answers all that it asks for. Returns how many events that were. */
unsigned long lazyirq_sim_answer(struct lazyirq_sim_source *source);
/* Tells it not to assert a level line until it is answered. */
void lazyirq_sim_silence(struct lazyirq_sim_source *source);

#endif /* LAZYIRQ_SIM_H */
