/* The units that are known. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *kind;
    const char *symbols; /* separated by '|' and matched exactly; the first one is shown */
    const char *names;   /* lower case, separated by '|', matched in any case and with a plural s; the first is shown */
    const char *factor;  /* base units in one of this unit */
    const char *offset;  /* added before the factor applies; NULL for none */
    bool reciprocal;     /* whether the base value is factor / value */
    bool rounded;        /* whether the factor is not exact, since pi is in it */
} Unit;

extern const Unit UNITS[];
extern const size_t UNIT_COUNT;

#endif
