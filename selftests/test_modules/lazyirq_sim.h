/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What drivers of the simulated devices call, in any context. sim.rs and lazyirq_soak.rs
 * declare it once more.
 */
#ifndef LAZYIRQ_SIM_H
#define LAZYIRQ_SIM_H

#include <linux/types.h>

struct device;
struct lazyirq_sim_source;

/* Raises an interrupt of that source on that line: eight lines, four sources each. */
void lazyirq_sim_raise(unsigned int line, unsigned int source);
struct lazyirq_sim_source *lazyirq_sim_source(struct device *dev);
/* Does it ask for anything? */
bool lazyirq_sim_asks(struct lazyirq_sim_source *source);
/* Answers everything that it asks for. Returns how many events that was. */
unsigned long lazyirq_sim_answer(struct lazyirq_sim_source *source);
/* Tells it not to assert a level line until it is answered. */
void lazyirq_sim_silence(struct lazyirq_sim_source *source);

#endif /* LAZYIRQ_SIM_H */
