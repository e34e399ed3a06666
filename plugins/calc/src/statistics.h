/* Exact statistics of a list of numbers. */
#ifndef STATISTICS_H
#define STATISTICS_H

#include "tool.h"

void statistics(Tool *tool);

#endif
